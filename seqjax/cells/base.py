"""What a cell is: static hyperparameters whose methods are pure functions of one time step.

A cell is a frozen, keyword-only dataclass. Arrays never live on it, so equal cells are equal, hash equal, print as
code, pickle, and cause no recompilation. Its parameters and its carry are named tuples of arrays.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import activation_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell(ABC):
    """One time step of a recurrent network, ``carry, output = cell(params, carry, inputs)``.

    The call is the body of :func:`jax.lax.scan` once ``params`` are bound, and works for any leading batch shape:
    ``inputs`` is ``[*batch, input_size]`` and every leaf of the carry starts with ``*batch``.

    Attributes:
        input_size: number of input features.
        hidden_size: number of hidden units.
        paper: where the equations come from.
    """

    input_size: int
    hidden_size: int

    paper: ClassVar[str] = ""
    law_exceptions: ClassVar[Mapping[str, str]] = {}
    """Laws of ``tests/cells/test_laws.py`` that the cell does not obey, each with its reason."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("activation"):
                # A known function becomes its name, for JAX's own functions cannot be pickled.
                object.__setattr__(self, field.name, activation_name(value))
            whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
            if field.name.endswith("_size") and not whole:
                raise ValueError(f"{type(self).__name__}.{field.name} must be a positive whole number, got {value!r}")

    @property
    def output_size(self) -> int:
        """Number of features of one output; the hidden size unless the cell says otherwise."""
        return self.hidden_size

    @abstractmethod
    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw parameters: a named tuple of arrays of ``dtype``."""

    @abstractmethod
    def initial_carry(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32, params: Any = None
    ) -> Any:
        """The carry before the first step: a named tuple of arrays ``[*batch_shape, ...]``.

        ``params`` is used by cells that learn their initial carry and ignored by the others.
        """

    @abstractmethod
    def __call__(self, params: Any, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """One step: ``(carry, output)`` from the parameters, the carry of the step before, and this step's inputs."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{f.name}={_as_code(getattr(self, f.name))}" for f in dataclasses.fields(self) if f.repr)
        return f"{type(self).__name__}({fields})"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A dataclass decorator would otherwise replace the representation that prints callables as code.
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Cell.__repr__


def _as_code(value: Any) -> str:
    if isinstance(value, Callable) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
