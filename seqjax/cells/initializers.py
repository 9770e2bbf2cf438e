"""Parameter initialisers by name, and the one helper that stacked gate kernels need."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.nn import initializers
from jax.typing import DTypeLike

from seqjax.cells.activations import unknown_name

Initializer = str | Callable[..., jax.Array]


def identity(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
    """The identity matrix (Le, Jaitly, Hinton 2015: an Elman network of rectifiers that starts as a memory)."""
    del key
    return jnp.eye(*shape, dtype=dtype)


INITIALIZERS: dict[str, Callable[..., jax.Array]] = {
    "glorot_uniform": initializers.glorot_uniform(),
    "glorot_normal": initializers.glorot_normal(),
    "lecun_uniform": initializers.lecun_uniform(),
    "lecun_normal": initializers.lecun_normal(),
    "he_uniform": initializers.he_uniform(),
    "he_normal": initializers.he_normal(),
    "orthogonal": initializers.orthogonal(),
    "identity": identity,
    "zeros": initializers.zeros,
    "ones": initializers.ones,
}


def initializer_function(initializer: Initializer) -> Callable[..., jax.Array]:
    """The initialiser ``function(key, shape, dtype)`` of that name; a callable is returned as it is.

    Raises:
        ValueError: the name is not known.
    """
    if not isinstance(initializer, str):
        return initializer
    if initializer in INITIALIZERS:
        return INITIALIZERS[initializer]
    raise ValueError(unknown_name("initializer", initializer, INITIALIZERS))


def initialize(
    initializer: Initializer, key: jax.Array, shape: tuple[int, int], dtype: DTypeLike, gates: int = 1
) -> jax.Array:
    """Draw ``gates`` matrices of ``shape`` side by side, ``[shape[0], gates * shape[1]]``.

    Each gate is drawn alone: an orthogonal or Glorot kernel of the stacked shape would have the wrong scale.
    """
    draw = initializer_function(initializer)
    # The orthogonal factorisation has no half-precision form.
    exact = jnp.promote_types(dtype, jnp.float32)
    return jnp.concatenate([draw(k, shape, exact) for k in jax.random.split(key, gates)], axis=1).astype(dtype)
