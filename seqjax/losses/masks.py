"""What losses share: masks and lengths that fit, and the mean over what a mask keeps."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def checked_mask(mask: Any, shape: tuple[int, ...], of: str) -> jax.Array:
    """The mask as an array, if it is boolean and of the given shape; ``of`` says in the message whose shape that is."""
    mask = jnp.asarray(mask)
    if mask.dtype != jnp.bool_:
        raise ValueError(f"mask must be booleans (True = this position counts), got {mask.dtype}; try mask != 0")
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape}, expected that of {of}, {shape}")
    return mask


def masked_mean(losses: Any, mask: Any = None) -> jax.Array:
    """The mean over the positions that count, whatever sequence they are in; 0 if none counts.

    To average over several batches, add up the losses and the positions: batches with fewer of them weigh less.

    Args:
        losses: ``[*positions, ...]``, zero where masked, as the losses here return them.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given. Axes of the
            losses that it lacks are averaged over as well.

    Raises:
        ValueError: a mask that is not boolean, or does not fit the first axes of the losses.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> float(seqjax.losses.masked_mean(jnp.array([3.0, 5.0, 0.0]), jnp.array([True, True, False])))
        4.0
    """
    losses = jnp.asarray(losses)
    if mask is None:
        return jnp.sum(losses) / max(losses.size, 1)
    axes = jnp.ndim(mask)
    mask = checked_mask(mask, losses.shape[:axes], "the first axes of the losses")
    return jnp.sum(losses) / jnp.maximum(jnp.sum(mask) * math.prod(losses.shape[axes:]), 1)


def checked_lengths(name: str, lengths: Any, batch: tuple[int, ...], limit: int, of: str) -> jax.Array:
    """Lengths as an array, if they are whole numbers ``[*batch]`` and, where concrete, from 0 to a limit.

    Args:
        name: what the message calls them.
        lengths: or None for the limit throughout.
        batch: the expected shape.
        limit: the largest length.
        of: what is counted, in the plural.
    """
    if lengths is None:
        return jnp.full(batch, limit)
    lengths = jnp.asarray(lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer) or lengths.shape != batch:
        raise ValueError(f"{name} must be whole numbers of shape {batch}, got {lengths.dtype} of shape {lengths.shape}")
    if not isinstance(lengths, Tracer):
        wrong = np.flatnonzero((np.asarray(lengths) < 0) | (np.asarray(lengths) > limit))
        if wrong.size:
            raise ValueError(
                f"{name}[{wrong[0]}] is {np.asarray(lengths).reshape(-1)[wrong[0]]}, expected 0 to {limit}, "
                f"the number of {of} given; pad the {of} or cut the length"
            )
    return lengths.astype(jnp.int32)
