"""Cross-entropy of one class a position."""

import math
from typing import Any

import jax
import jax.numpy as jnp


def cross_entropy(logits: Any, labels: Any, mask: Any = None) -> jax.Array:
    r"""The loss of every position, in nats.

    .. math:: \ell = \log \sum_j e^{z_j} - z_y

    Half-precision logits are summed in float32. What a masked position holds (NaN logits, a label of -1) touches
    neither values nor gradients. A label outside ``0 ... classes - 1`` that is not masked makes its loss NaN.

    Args:
        logits: ``[*positions, classes]``, not normalised.
        labels: whole numbers ``[*positions]``.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given.

    Returns:
        ``[*positions]``, zero where masked.

    Raises:
        ValueError: shapes that do not fit, labels that are not whole numbers, a mask that is not boolean.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> loss = seqjax.losses.cross_entropy(jnp.zeros([2, 3, 4]), jnp.ones([2, 3], int))
        >>> loss.shape, round(float(loss[0, 0]), 4)
        ((2, 3), 1.3863)
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    _check(logits, labels)
    if mask is not None:
        mask = _checked_mask(mask, labels)
        # Masking the loss alone would multiply a NaN by zero in the backward pass.
        logits, labels = jnp.where(mask[..., None], logits, 0), jnp.where(mask, labels, 0)
    classes = logits.shape[-1]
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    # A negative index would count from the end.
    index = jnp.where(labels < 0, classes, labels)[..., None]
    chosen = jnp.take_along_axis(logits, index, axis=-1, mode="fill", fill_value=jnp.nan)[..., 0]
    losses = jax.nn.logsumexp(logits, axis=-1) - chosen
    return losses if mask is None else jnp.where(mask, losses, 0)


def mean_cross_entropy(logits: Any, labels: Any, mask: Any = None) -> jax.Array:
    """:func:`cross_entropy` averaged over the positions that count, whatever sequence they are in; 0 if none counts.

    To average over several batches, add up the losses and the positions: batches with fewer of them weigh less.
    """
    losses = cross_entropy(logits, labels, mask)
    count = losses.size if mask is None else jnp.sum(mask)
    return jnp.sum(losses) / jnp.maximum(count, 1)


def bits_per_symbol(nats: Any) -> Any:
    """A mean loss in bits: nats divided by log 2 (bits per character where the symbols are characters)."""
    return nats / math.log(2)


def _check(logits: jax.Array, labels: jax.Array) -> None:
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels must be whole numbers, one class a position, got {labels.dtype}")
    if logits.ndim == 0 or logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"logits have shape {logits.shape} and labels {labels.shape}, "
            "expected [*positions, classes] and [*positions]"
        )


def _checked_mask(mask: Any, labels: jax.Array) -> jax.Array:
    mask = jnp.asarray(mask)
    if mask.dtype != jnp.bool_:
        raise ValueError(f"mask must be booleans (True = this position counts), got {mask.dtype}; try mask != 0")
    if mask.shape != labels.shape:
        raise ValueError(f"mask has shape {mask.shape}, expected that of the labels, {labels.shape}")
    return mask
