"""Cross-entropy of one class a position."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.losses.masks import checked_mask, masked_mean


def cross_entropy(logits: Any, labels: Any, mask: Any = None, *, label_smoothing: float = 0.0) -> jax.Array:
    r"""The loss of every position, in nats.

    .. math:: \ell = \log \sum_j e^{z_j} - (1 - \epsilon) \, z_y - \frac{\epsilon}{K} \sum_j z_j

    Half-precision logits are summed in float32. What a masked position holds (NaN logits, a label of -1) touches
    neither values nor gradients. A label outside ``0 ... classes - 1`` that is not masked makes its loss NaN.

    Args:
        logits: ``[*positions, classes]``, not normalised.
        labels: whole numbers ``[*positions]``.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given.
        label_smoothing: the share :math:`\epsilon` of the target that is spread evenly over all :math:`K` classes, the
            right one among them (Szegedy et al., "Rethinking the Inception architecture", 2016).

    Returns:
        ``[*positions]``, zero where masked.

    Raises:
        ValueError: shapes that do not fit, labels that are not whole numbers, a mask that is not boolean, a share that
            is not between 0 and 1.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> loss = seqjax.losses.cross_entropy(jnp.zeros([2, 3, 4]), jnp.ones([2, 3], int))
        >>> loss.shape, round(float(loss[0, 0]), 4)
        ((2, 3), 1.3863)
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    _check(logits, labels, label_smoothing)
    if mask is not None:
        mask = checked_mask(mask, labels.shape, "the labels")
        # Masking the loss alone would multiply a NaN by zero in the backward pass.
        logits, labels = jnp.where(mask[..., None], logits, 0), jnp.where(mask, labels, 0)
    classes = logits.shape[-1]
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    # A negative index would count from the end.
    index = jnp.where(labels < 0, classes, labels)[..., None]
    chosen = jnp.take_along_axis(logits, index, axis=-1, mode="fill", fill_value=jnp.nan)[..., 0]
    if label_smoothing:
        chosen = (1 - label_smoothing) * chosen + label_smoothing * jnp.mean(logits, axis=-1)
    losses = jax.nn.logsumexp(logits, axis=-1) - chosen
    return losses if mask is None else jnp.where(mask, losses, 0)


def mean_cross_entropy(logits: Any, labels: Any, mask: Any = None, *, label_smoothing: float = 0.0) -> jax.Array:
    """:func:`cross_entropy` averaged by :func:`~seqjax.losses.masked_mean`."""
    return masked_mean(cross_entropy(logits, labels, mask, label_smoothing=label_smoothing), mask)


def bits_per_symbol(nats: Any) -> Any:
    """A mean loss in bits: nats divided by log 2 (bits per character where the symbols are characters)."""
    return nats / math.log(2)


def _check(logits: jax.Array, labels: jax.Array, label_smoothing: float) -> None:
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels must be whole numbers, one class a position, got {labels.dtype}")
    if logits.ndim == 0 or logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"logits have shape {logits.shape} and labels {labels.shape}, "
            "expected [*positions, classes] and [*positions]"
        )
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is a share of the target, 0 to 1, got {label_smoothing}")
