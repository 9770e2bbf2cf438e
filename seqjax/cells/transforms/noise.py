"""Random numbers of each sequence and each step, that depend on nothing else."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


class StepKeys(NamedTuple):
    """What the noise of every step is drawn from."""

    key: jax.Array
    """Of each sequence: raw key data ``[*batch, 2]``."""
    step: jax.Array
    """Steps so far, ``[*batch]``."""


def step_keys(key: jax.Array, batch_shape: tuple[int, ...]) -> StepKeys:
    """Keys of each sequence, before the first step."""
    return StepKeys(jax.random.bits(key, (*batch_shape, 2), jnp.uint32), jnp.zeros(batch_shape, jnp.int32))


def next_step(keys: StepKeys) -> StepKeys:
    """The keys of the step after."""
    return keys._replace(step=keys.step + 1)


def uniform(keys: StepKeys, count: int) -> jax.Array:
    """``count`` numbers from 0 to 1 for each sequence, ``[*batch, count]``: a function of its key and step alone."""
    batch = keys.step.shape

    def of_sequence(key: jax.Array, step: jax.Array) -> jax.Array:
        key = jax.random.wrap_key_data(key, impl="threefry2x32")
        return jax.random.uniform(jax.random.fold_in(key, step), (count,), jnp.float32)

    draws = jax.vmap(of_sequence)(keys.key.reshape(-1, 2), keys.step.reshape(-1))
    return draws.reshape(*batch, count)


def dropout_mask(
    key: jax.Array, rate: float, shape: tuple[int, ...], dtype: DTypeLike, scaled: bool = True
) -> jax.Array:
    """Zeros with probability ``rate``, else ``1 / (1 - rate)``, or 1 where the mask is not to be scaled."""
    kept = jax.random.bernoulli(key, 1 - rate, shape)
    return kept.astype(dtype) / (1 - rate if scaled else 1)
