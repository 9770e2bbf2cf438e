"""Cross-entropy of several labels a position, each of which may hold or not."""

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.losses.masks import checked_mask


def binary_cross_entropy(logits: Any, targets: Any, mask: Any = None) -> jax.Array:
    r"""The negative log-likelihood of every position's labels, independent Bernoulli variables, in nats.

    .. math:: \ell = \sum_j \log(1 + e^{z_j}) - y_j z_j

    Half-precision logits are summed in float32. What a masked position holds touches neither values nor gradients. A
    target outside 0 to 1 that is not masked makes its loss NaN.

    Args:
        logits: ``[*positions, labels]``.
        targets: 0 or 1, booleans, or probabilities, ``[*positions, labels]``.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given.

    Returns:
        ``[*positions]``, zero where masked; :func:`~seqjax.losses.masked_mean` averages it.

    Raises:
        ValueError: shapes that do not fit, or a mask that is not boolean.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> loss = seqjax.losses.binary_cross_entropy(jnp.zeros([3, 88]), jnp.ones([3, 88]))
        >>> loss.shape, round(float(loss[0]), 4)
        ((3,), 60.997)
    """
    logits, targets = jnp.asarray(logits), jnp.asarray(targets)
    if logits.ndim == 0 or logits.shape != targets.shape:
        raise ValueError(
            f"logits have shape {logits.shape} and targets {targets.shape}, expected [*positions, labels] for both"
        )
    if mask is not None:
        mask = checked_mask(mask, logits.shape[:-1], "the positions")
        logits, targets = (jnp.where(mask[..., None], values, 0) for values in (logits, targets))
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    targets = jnp.where((targets >= 0) & (targets <= 1), targets.astype(logits.dtype), jnp.nan)
    losses = jnp.sum(jax.nn.softplus(logits) - targets * logits, axis=-1)
    return losses if mask is None else jnp.where(mask, losses, 0)
