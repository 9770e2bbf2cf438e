"""What a search keeps: the best hypotheses so far, and how hypotheses are exchanged."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Hypotheses(NamedTuple):
    """Results of a search, the best first; where there are fewer, score ``-inf`` and length 0."""

    tokens: jax.Array
    """``[*batch, n_best, length]``, of the first token's type; the end token after the end (0 without one)."""
    lengths: jax.Array
    """``[*batch, n_best]``: number of tokens, the end token included."""
    scores: jax.Array
    """``[*batch, n_best]``: with length and coverage penalty."""
    log_probabilities: jax.Array
    """``[*batch, n_best]``: of the tokens up to the length, under the model."""
    finished: jax.Array
    """``[*batch, n_best]``: whether the end token came."""


def none_yet(shape: tuple[int, ...], length: int, fill: int, token_type: Any, score_type: Any) -> Hypotheses:
    """As many as ``shape`` says, which anything is better than."""
    never = jnp.full(shape, -jnp.inf, score_type)
    return Hypotheses(
        tokens=jnp.full((*shape, length), fill, token_type),
        lengths=jnp.zeros(shape, jnp.int32),
        scores=never,
        log_probabilities=never,
        finished=jnp.zeros(shape, bool),
    )


def merge(pool: Hypotheses, others: Hypotheses) -> Hypotheses:
    """The best of both, as many as the pool has; at equal scores those of the pool."""
    axis = pool.scores.ndim - 1
    both = jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis), pool, others)
    _, best = largest(both.scores, pool.scores.shape[-1])
    return take(both, best)


def largest(values: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """The largest along the last axis and where they are, the largest first; of equal ones, the first."""
    # XLA's CPU compiler has a fast selection for matrices only, and sorts arrays of more axes.
    found, index = lax.top_k(values.reshape(-1, values.shape[-1]), count)
    return found.reshape(*values.shape[:-1], count), index.reshape(*values.shape[:-1], count)


def take(tree: Any, index: jax.Array) -> Any:
    """From leaves ``[*batch, hypotheses, ...]`` those that ``index`` ``[*batch, chosen]`` names."""
    rows = lambda leaf, index: leaf.at[index].get(mode="promise_in_bounds")
    for _ in range(index.ndim - 1):
        rows = jax.vmap(rows)
    return jax.tree.map(lambda leaf: rows(leaf, index), tree)
