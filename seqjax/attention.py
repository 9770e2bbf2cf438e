r"""Attention: what a query reads of a memory, as pure functions.

One step is three functions, *score, normalise, read*; what does not depend on the query is made once a sequence::

    memory = prepare(states, mask, key_kernel)                    # once
    scores = additive_scores(query @ query_kernel, memory.keys, score_kernel)
    weights = masked_softmax(scores, memory.mask)
    context = read(weights, memory.values)

A query is ``[*batch, features]``, a memory ``[*batch, positions, features]``. Axes in front broadcast as in NumPy:
queries ``[time, *batch, features]`` read a memory at all steps at once, and beams under :func:`jax.vmap` share it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Memory(NamedTuple):
    """What queries read, made by :func:`prepare`."""

    keys: jax.Array
    """``[*batch, positions, key_features]``: what queries are compared with."""
    values: jax.Array
    """``[*batch, positions, features]``: what is read."""
    mask: jax.Array | None
    """Booleans ``[*batch, positions]``, True where there is something; ``None`` if there is everywhere."""


def prepare(states: Any, mask: Any = None, key_kernel: Any = None) -> Memory:
    r"""A memory with its keys projected, :math:`K = V W`; what masked positions hold, NaN too, touches nothing.

    Args:
        states: the values :math:`V`, ``[*batch, positions, features]``.
        mask: booleans ``[*batch, positions]``, True where the position counts; a sequence may have none.
        key_kernel: ``[features, key_features]``; without it the values are the keys.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqjax import attention
        >>> memory = attention.prepare(jnp.ones([2, 3, 4]), jnp.array([[True, True, False], [False, False, False]]))
        >>> weights = attention.masked_softmax(attention.dot_scores(jnp.ones([2, 4]), memory.keys), memory.mask)
        >>> weights.tolist()
        [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
        >>> attention.read(weights, memory.values).shape
        (2, 4)
    """
    states = jnp.asarray(states)
    if states.ndim < 2:
        raise ValueError(f"a memory has shape {states.shape}, expected [*batch, positions, features]")
    if mask is not None:
        mask = jnp.asarray(mask)
        if mask.dtype != jnp.bool_ or mask.shape != states.shape[:-1]:
            raise ValueError(
                f"mask is {mask.dtype}{list(mask.shape)}, expected bool{list(states.shape[:-1])} "
                f"(True = this position counts) for a memory of shape {states.shape}"
            )
        states = jnp.where(mask[..., None], states, 0)
    return Memory(states if key_kernel is None else states @ key_kernel, states, mask)


def additive_scores(
    query: jax.Array, keys: jax.Array, score_kernel: jax.Array, features: Any = None, offset: Any = 0
) -> jax.Array:
    r"""Scores of a small network (Bahdanau, Cho, Bengio 2015).

    .. math:: e_j = v^\top \tanh(q + k_j \; [+ f_j]) \; [+ r]

    Args:
        query: the projected query :math:`q`, ``[*batch, units]``; the network's bias is part of it.
        keys: ``[*batch, positions, units]``.
        score_kernel: :math:`v`, ``[units]``.
        features: more of each position, ``[*batch, positions, units]``: :func:`coverage_features`,
            :func:`location_features`.
        offset: :math:`r`.

    Returns:
        ``[*batch, positions]``.

    Raises:
        ValueError: another number of features in query and keys.
    """
    _check_features(query, keys)
    hidden = query[..., None, :] + keys
    return jnp.tanh(hidden if features is None else hidden + features) @ score_kernel + offset


def normalized(score_kernel: jax.Array, gain: Any) -> jax.Array:
    r""":math:`g v / \lVert v \rVert`, for :func:`additive_scores` of a given size (Raffel et al. 2017)."""
    return score_kernel * (gain / jnp.linalg.norm(score_kernel))


def coverage_features(coverage: jax.Array, kernel: jax.Array) -> jax.Array:
    """How much each position was read so far, ``[*batch, positions]``, times ``[units]`` (See, Liu, Manning 2017)."""
    return coverage[..., None] * kernel


def dot_scores(query: jax.Array, keys: jax.Array, *, scaled: bool = False) -> jax.Array:
    r"""Scores by products, :math:`e_j = q^\top k_j` (Luong, Pham, Manning 2015).

    With keys :math:`k_j = W h_j` these are the scores that the paper calls *general*.

    Args:
        query: ``[*batch, features]``.
        keys: ``[*batch, positions, features]``.
        scaled: divide by the square root of the number of features (Vaswani et al. 2017).

    Returns:
        ``[*batch, positions]``.

    Raises:
        ValueError: another number of features in query and keys.
    """
    _check_features(query, keys)
    scores = jnp.einsum("...f,...pf->...p", query, keys)
    return scores * keys.shape[-1] ** -0.5 if scaled else scores


def location_features(weights: jax.Array, filters: jax.Array, kernel: jax.Array) -> jax.Array:
    r"""Where the weights are, seen from each position (Chorowski et al. 2015).

    .. math:: f_j = \Big( \sum_i F_i \, \alpha_{j + i - \lfloor w / 2 \rfloor} \Big) U

    with zeros outside the memory.

    Args:
        weights: :math:`\alpha`, ``[*batch, positions]``.
        filters: :math:`F`, ``[width, count]``.
        kernel: :math:`U`, ``[count, units]``.

    Returns:
        ``[*batch, positions, units]``.
    """
    width = filters.shape[0]
    flat = weights.reshape(-1, weights.shape[-1], 1)
    features = lax.conv_general_dilated(
        flat, filters[:, None], (1,), [(width // 2, (width - 1) // 2)], dimension_numbers=("NWC", "WIO", "NWC")
    )
    return features.reshape(*weights.shape, filters.shape[1]) @ kernel


def masked_softmax(scores: jax.Array, mask: Any = None) -> jax.Array:
    """The softmax over the positions that count: zero elsewhere, and all zero where none does.

    Summed in float32 at least; neither values nor gradients are NaN, whatever masked scores are.

    Args:
        scores: ``[*batch, positions]``.
        mask: booleans ``[*batch, positions]``; every position if not given.
    """
    exact = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    if mask is None:
        return jax.nn.softmax(exact, axis=-1).astype(scores.dtype)
    # Both the score and the exponential are masked: the first keeps the values finite, the second makes them zero.
    exact = jnp.where(mask, exact, jnp.finfo(exact.dtype).min)
    largest = lax.stop_gradient(exact.max(axis=-1, keepdims=True))
    exponentials = jnp.where(mask, jnp.exp(exact - largest), 0)
    total = exponentials.sum(axis=-1, keepdims=True)
    return (exponentials / jnp.where(total > 0, total, 1)).astype(scores.dtype)


def read(weights: jax.Array, values: jax.Array) -> jax.Array:
    r"""The context, :math:`c = \sum_j \alpha_j v_j`: ``[*batch, features]``."""
    return jnp.einsum("...p,...pf->...f", weights, values)


def attentional_vector(context: jax.Array, outputs: jax.Array, kernel: jax.Array) -> jax.Array:
    r"""What was read beside what it was read with, :math:`\tanh([c; h] \, W)` (Luong, Pham, Manning 2015)."""
    return jnp.tanh(jnp.concatenate([context, outputs], axis=-1) @ kernel)


def stopping_probabilities(scores: jax.Array, mask: Any = None, noise: Any = None) -> jax.Array:
    r""":math:`\sigma(e + \text{noise})`, zero where masked: for :func:`monotonic_weights`."""
    probabilities = jax.nn.sigmoid(scores if noise is None else scores + noise)
    return probabilities if mask is None else jnp.where(mask, probabilities, 0)


def monotonic_weights(before: jax.Array, probabilities: jax.Array) -> jax.Array:
    r"""The expected weights of a reader that only moves on (Raffel et al. 2017).

    It starts where it stopped at the step before, and stops at position j with probability :math:`p_j`, or goes on to
    the next:

    .. math::
        q_j &= (1 - p_{j-1}) \, q_{j-1} + \alpha'_j \\
        \alpha_j &= p_j \, q_j

    This recurrence has no division, unlike the paper's form by cumulative products. It runs in logarithmic depth.

    Args:
        before: the weights of the step before, :math:`\alpha'`, ``[*batch, positions]``; before the first step, 1 at
            the first position.
        probabilities: of stopping, ``[*batch, positions]``, zero where nothing is.

    Returns:
        ``[*batch, positions]``; their sum is the probability of stopping at all.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqjax import attention
        >>> attention.monotonic_weights(jnp.array([1.0, 0, 0]), jnp.array([0.5, 0.5, 0.5])).tolist()
        [0.5, 0.25, 0.125]
    """
    went_on = jnp.concatenate([jnp.zeros_like(probabilities[..., :1]), 1 - probabilities[..., :-1]], axis=-1)

    def compose(first: tuple[Any, Any], then: tuple[Any, Any]) -> tuple[Any, Any]:
        return first[0] * then[0], then[0] * first[1] + then[1]

    _, reached = lax.associative_scan(compose, (went_on, before), axis=-1)
    return probabilities * reached


def monotonic_choice(before: jax.Array, scores: jax.Array, mask: Any = None) -> jax.Array:
    """The weights of a reader that only moves on and decides: it stops where the score is positive.

    Args:
        before: the weights of the step before, 1 at one position ``[*batch, positions]``, or all zero once the memory
            has been left.
        scores: ``[*batch, positions]``.
        mask: booleans ``[*batch, positions]``; every position if not given.

    Returns:
        1 at the first position, from the one before on, where it stops; all zero if there is none.
    """
    stops = scores > 0 if mask is None else (scores > 0) & mask
    candidates = stops & (jnp.cumsum(before, axis=-1) > 0)
    return (candidates & (jnp.cumsum(candidates, axis=-1) == 1)).astype(before.dtype)


def coverage_loss(weights: Any, mask: Any = None) -> jax.Array:
    r"""What is read again (See, Liu, Manning 2017), for each step.

    .. math:: \ell_t = \sum_j \min(\alpha_{t,j}, \; \sum_{s < t} \alpha_{s,j})

    Args:
        weights: ``[time, *batch, positions]``.
        mask: booleans ``[time, *batch]``, True where the step counts.

    Returns:
        ``[time, *batch]``, zero where masked.

    Example:
        >>> import jax.numpy as jnp
        >>> from seqjax import attention
        >>> attention.coverage_loss(jnp.array([[1.0, 0.0], [0.75, 0.25]])).tolist()
        [0.0, 0.75]
    """
    weights = jnp.asarray(weights)
    if mask is not None:
        weights = jnp.where(jnp.asarray(mask)[..., None], weights, 0)
    past = jnp.concatenate([jnp.zeros_like(weights[:1]), jnp.cumsum(weights, axis=0)[:-1]])
    return jnp.minimum(weights, past).sum(axis=-1)


def _check_features(query: jax.Array, keys: jax.Array) -> None:
    if query.shape[-1] != keys.shape[-1]:
        raise ValueError(
            f"queries have {query.shape[-1]} features (shape {query.shape}) and keys {keys.shape[-1]} (shape "
            f"{keys.shape}); project one of them, such as with prepare(..., key_kernel=...)"
        )
