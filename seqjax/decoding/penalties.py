"""What a hypothesis's log-probability is made comparable with: its length, and how much of the input it has read."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

LengthPenalty = Callable[[Any], Any]
"""What the log-probability of a hypothesis of each length ``[length]`` is divided by; positive."""


@dataclasses.dataclass(frozen=True)
class AverageLengthPenalty:
    r"""The mean log-probability of a token: :math:`\mathrm{lp}(n) = n`."""

    def __call__(self, lengths: Any) -> Any:
        """Divisors of these lengths."""
        return 1.0 * lengths


@dataclasses.dataclass(frozen=True)
class GNMTLengthPenalty:
    r"""The length penalty of Wu et al. 2016, "Google's neural machine translation system".

    .. math:: \mathrm{lp}(n) = \frac{(5 + n)^\alpha}{(5 + 1)^\alpha}
    """

    alpha: Any = 0.6
    """0 penalises nothing; longer hypotheses gain by more."""

    def __call__(self, lengths: Any) -> Any:
        """Divisors of these lengths."""
        return ((5.0 + lengths) / 6.0) ** self.alpha


@dataclasses.dataclass(frozen=True)
class CoveragePenalty:
    r"""What is added to the score for positions of the input that got little attention (Wu et al. 2016).

    .. math:: \mathrm{cp} = \beta \sum_i \log \min \Big( \sum_{t=1}^n a_{t,i}, \, 1 \Big)

    A position without any attention counts as the smallest positive number of its type, so that scores stay finite.
    """

    coverage: Callable[[Any], jax.Array]
    """``[*batch, positions]`` from the carry: the attention that each position got so far, 1 where it needs none (in
    the padding). A :class:`jax.tree_util.Partial` where the step is one, so that both are compiled once."""
    beta: Any = 0.2


def divisors(length_penalty: LengthPenalty | None, length: int) -> jax.Array:
    """``[length]``: of hypotheses of 1, 2, ... tokens."""
    lengths = np.arange(1.0, max(length, 1) + 1)
    values = jnp.asarray(np.ones_like(lengths) if length_penalty is None else length_penalty(lengths))
    if values.shape != lengths.shape:
        raise ValueError(f"the length penalty returned shape {values.shape} for lengths of shape {lengths.shape}")
    if not isinstance(values, Tracer) and not np.all((np.asarray(values) > 0) & np.isfinite(values)):
        raise ValueError(f"the length penalty must give positive numbers for lengths 1 to {length}, got {values}")
    return values


def uncovered(coverage: Callable[[Any], jax.Array], carry: Any, batch: tuple[int, ...]) -> jax.Array:
    r"""``[*batch]``: :math:`\sum_i \log \min(c_i, 1)`, at most 0."""
    covered = coverage(carry)
    if covered.shape[:-1] != batch or not covered.ndim:
        raise ValueError(f"the coverage has shape {covered.shape}, expected {[*batch, 'positions']}")
    covered = covered.astype(jnp.promote_types(covered.dtype, jnp.float32))
    return jnp.sum(jnp.log(jnp.clip(covered, jnp.finfo(covered.dtype).tiny, 1)), axis=-1)
