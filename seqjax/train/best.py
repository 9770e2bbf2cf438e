"""The parameters that were best in an evaluation, kept inside every checkpoint: nothing can come apart."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from seqjax.train.learner import TrainState

_PREFIX = "best."


class Best(NamedTuple):
    """The best evaluation so far.

    Attributes:
        step: at which it was; 0 before the first.
        results: what was measured.
        arrays: the parameters, by name.
    """

    step: int
    results: dict[str, float]
    arrays: dict[str, np.ndarray]


def selected(state: TrainState) -> dict[str, np.ndarray]:
    """A copy of a state's parameters, or of their average where one is kept, on the host."""
    return {name: np.array(leaf) for name, leaf in state.measured.items()}


def with_selected(state: TrainState, arrays: dict[str, np.ndarray]) -> TrainState:
    """The state with other parameters."""
    return state._replace(parameters={name: jnp.asarray(arrays[name]) for name in state.parameters}, average={})


def with_prefix(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """As they are named in a checkpoint."""
    return {_PREFIX + name: array for name, array in arrays.items()}


def without_prefix(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The inverse of :func:`with_prefix`, among all arrays of a checkpoint."""
    return {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
