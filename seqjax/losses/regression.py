"""Losses of predicted numbers, unreduced: what a masked position holds touches neither values nor gradients.

Half precision is computed in float32. ``mask`` is boolean, True where the position counts; it may lack the last axes of
the predictions (``[time, *batch]`` for ``[time, *batch, features]``). :func:`~seqjax.losses.masked_mean` averages.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from seqjax.losses.masks import checked_mask


def squared_error(predictions: Any, targets: Any, mask: Any = None) -> jax.Array:
    r""":math:`(\hat y - y)^2`, of the predictions' shape, zero where masked.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> seqjax.losses.squared_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 5.0])).tolist()
        [0.0, 9.0]
    """
    return jnp.square(_errors(predictions, targets, mask))


def absolute_error(predictions: Any, targets: Any, mask: Any = None) -> jax.Array:
    r""":math:`|\hat y - y|`, of the predictions' shape, zero where masked; its gradient at 0 is 0."""
    return jnp.abs(_errors(predictions, targets, mask))


def huber(predictions: Any, targets: Any, mask: Any = None, *, delta: Any = 1.0) -> jax.Array:
    r"""Squared near zero, absolute beyond ``delta``; of the predictions' shape, zero where masked.

    .. math:: \ell = c \, (|e| - c / 2), \qquad e = \hat y - y, \qquad c = \min(|e|, \delta)

    Source: Huber, "Robust estimation of a location parameter", 1964.

    Raises:
        ValueError: shapes that do not fit, or a ``delta`` that is not positive.
    """
    if not isinstance(delta, Tracer) and not np.all(np.asarray(delta) > 0):
        raise ValueError(f"delta must be positive, got {delta}")
    size = jnp.abs(_errors(predictions, targets, mask))
    clipped = jnp.minimum(size, delta)
    return clipped * (size - clipped / 2)


def quantile_loss(predictions: Any, targets: Any, quantiles: Any, mask: Any = None) -> jax.Array:
    r"""The pinball loss, least in expectation where each prediction is that quantile of the target.

    .. math:: \ell_q = \max(q \, e, (q - 1) \, e), \qquad e = y - \hat y_q

    Source: Koenker and Bassett, "Regression quantiles", 1978.

    Args:
        predictions: ``[*positions, quantiles]``.
        targets: ``[*positions]``.
        quantiles: ``[quantiles]``, each between 0 and 1.
        mask: booleans ``[*positions]`` or of its first axes.

    Returns:
        ``[*positions, quantiles]``, zero where masked.

    Raises:
        ValueError: shapes that do not fit, or quantiles out of range.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> seqjax.losses.quantile_loss(jnp.zeros([1, 3]), jnp.ones([1]), [0.25, 0.5, 0.75]).tolist()
        [[0.25, 0.5, 0.75]]
    """
    if not isinstance(quantiles, Tracer) and not np.all((np.asarray(quantiles) > 0) & (np.asarray(quantiles) < 1)):
        raise ValueError(f"quantiles must lie between 0 and 1, got {quantiles}")
    predictions, targets, quantiles = jnp.asarray(predictions), jnp.asarray(targets), jnp.asarray(quantiles)
    expected = (*targets.shape, *quantiles.shape)
    if quantiles.ndim != 1 or predictions.shape != expected:
        raise ValueError(
            f"predictions have shape {predictions.shape}, targets {targets.shape} and quantiles {quantiles.shape}, "
            "expected [*positions, quantiles], [*positions] and [quantiles]"
        )
    errors = -_errors(predictions, jnp.broadcast_to(targets[..., None], expected), mask)
    return jnp.maximum(quantiles * errors, (quantiles - 1) * errors)


def _errors(predictions: Any, targets: Any, mask: Any) -> jax.Array:
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if predictions.shape != targets.shape:
        raise ValueError(
            f"predictions have shape {predictions.shape} and targets {targets.shape}; expected the same, because "
            "broadcasting would compare each with all"
        )
    dtype = jnp.promote_types(jnp.result_type(predictions, targets), jnp.float32)
    predictions, targets = predictions.astype(dtype), targets.astype(dtype)
    if mask is not None:
        axes = jnp.ndim(mask)
        mask = checked_mask(mask, predictions.shape[:axes], "the first axes of the predictions")
        mask = mask.reshape(mask.shape + (1,) * (predictions.ndim - axes))
        # Masking the error alone would multiply a NaN by zero in the backward pass.
        predictions, targets = jnp.where(mask, predictions, 0), jnp.where(mask, targets, 0)
    return predictions - targets
