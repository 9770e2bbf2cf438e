"""Filters that leave out the improbable tail before a token is drawn: top-k, nucleus, min-p."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer


def keep_probable(
    logits: jax.Array, temperature: Any, top_k: int | None = None, top_p: Any = None, min_p: Any = None
) -> jax.Array:
    r"""The logits with :math:`-\infty` for the classes that may not be drawn.

    With :math:`p = \mathrm{softmax}(z / T)`, in this order, each filter seeing what the one before left, renormalised:

    .. math::
        \text{top-}k &: \; p_j \ge p_{(k)} \\
        \text{top-}p &: \; p_j \ge p_{(m)}, \quad m = \min \{ m : p_{(1)} + \dots + p_{(m)} \ge P \} \\
        \text{min-}p &: \; p_j \ge P_{\min} \, p_{(1)}

    where :math:`p_{(i)}` is the i-th largest. Ties stay in together, and the most probable class always stays.

    Args:
        logits: ``[*batch, classes]``.
        temperature: scalar or ``[*batch]``; at 0 only the most probable classes are left by top-p and min-p.
        top_k: at most the number of classes.
        top_p: scalar or ``[*batch]``, above 0 (Holtzman et al. 2020, "The curious case of neural text degeneration").
        min_p: scalar or ``[*batch]``, 0 to 1 (Nguyen et al. 2024, "Turning up the heat: min-p sampling").
    """
    if top_k is not None:
        if top_k > logits.shape[-1]:
            raise ValueError(f"top_k is {top_k}, but there are {logits.shape[-1]} classes; use at most that many")
        smallest = lax.top_k(logits, top_k)[0][..., -1:]
        logits = jnp.where(logits >= smallest, logits, -jnp.inf)
    if top_p is None and min_p is None:
        return logits
    # Log-probabilities relative to the largest, so that temperature 0 is a limit and not a division.
    below_largest = logits - jnp.max(logits, axis=-1, keepdims=True)
    temperature = jnp.asarray(temperature)[..., None]
    relative = jnp.where(below_largest == 0, 0, below_largest / jnp.where(temperature > 0, temperature, 1))
    relative = jnp.where((temperature > 0) | (below_largest == 0), relative, -jnp.inf)
    if top_p is not None:
        top_p = jnp.asarray(top_p)[..., None]
        ordered = jnp.sort(relative, axis=-1, descending=True)
        probabilities = jax.nn.softmax(ordered)
        larger = jnp.cumsum(probabilities, axis=-1) - probabilities
        kept = (larger < top_p) | (top_p >= 1)
        smallest = jnp.min(jnp.where(kept, ordered, 0), axis=-1, keepdims=True)
        relative = jnp.where(relative >= smallest, relative, -jnp.inf)
    if min_p is not None:
        relative = jnp.where(jnp.exp(relative) >= jnp.asarray(min_p)[..., None], relative, -jnp.inf)
    return jnp.where(relative > -jnp.inf, logits, -jnp.inf)


def check_filters(top_k: int | None, top_p: Any, min_p: Any) -> None:
    """In range, where their values are known."""
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"top_k must be None or a positive whole number, got {top_k!r}")
    if top_p is not None and not _all(top_p, lambda top_p: (top_p > 0) & (top_p <= 1)):
        raise ValueError(f"top_p must be above 0 and at most 1 (1 keeps everything), got {top_p}")
    if min_p is not None and not _all(min_p, lambda min_p: (min_p >= 0) & (min_p <= 1)):
        raise ValueError(f"min_p must be from 0 (keeps everything) to 1, got {min_p}")


def _all(values: Any, condition: Callable[[Any], Any]) -> bool:
    return isinstance(values, Tracer) or bool(np.all(condition(np.asarray(values))))
