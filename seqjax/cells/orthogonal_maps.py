"""What the unitary and orthogonal cells share: maps from free numbers to such matrices, and their nonlinearity."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike


def modrelu(preactivation: jax.Array, bias: jax.Array) -> jax.Array:
    r"""A rectifier of the modulus that keeps the phase or the sign (Arjovsky, Shah and Bengio 2016).

    .. math:: \frac{z}{|z|} \max(0, |z| + b)

    Zero where :math:`z` is zero, with no gradient there.
    """
    somewhere = preactivation != 0
    modulus = jnp.abs(jnp.where(somewhere, preactivation, 1))
    return jnp.where(somewhere, jax.nn.relu(modulus + bias) / modulus, 0) * preactivation


def reflect(state: jax.Array, vector: jax.Array) -> jax.Array:
    r"""The state mirrored at the plane that the vector stands on, :math:`h - 2 v (v^* h) / (v^* v)`."""
    along = jnp.sum(state * vector.conj(), axis=-1, keepdims=True) / jnp.sum(jnp.abs(vector) ** 2)
    return state - 2 * along * vector


def skew_symmetric(entries: jax.Array, size: int) -> jax.Array:
    """The matrix with these entries above its diagonal, row by row, and minus them below."""
    upper = jnp.zeros((size, size), entries.dtype).at[np.triu_indices(size, 1)].set(entries)
    return upper - upper.T


def cayley(skew: jax.Array) -> jax.Array:
    r"""The orthogonal matrix :math:`(I + A)^{-1} (I - A)` of a skew-symmetric :math:`A`."""
    identity = jnp.eye(skew.shape[0], dtype=skew.dtype)
    return jnp.linalg.solve(identity + skew, identity - skew)


def draw_rotations(key: jax.Array, size: int, dtype: DTypeLike) -> jax.Array:
    r"""Entries of a skew-symmetric matrix of 2 by 2 blocks (Helfrich, Willmott and Ye 2018).

    Each block holds :math:`-\tan(t / 2)`, with :math:`t` uniform between 0 and a quarter turn: what :func:`cayley`
    makes of it turns by :math:`t`.
    """
    rows, columns = np.triu_indices(size, 1)
    inside_blocks = (columns == rows + 1) & (rows % 2 == 0)
    angles = jax.random.uniform(key, rows.shape, jnp.promote_types(dtype, jnp.float32), 0, jnp.pi / 2)
    return jnp.where(inside_blocks, -jnp.tan(angles / 2), 0).astype(dtype)


def at_least_single(value: jax.Array) -> jax.Array:
    """Single precision where there is less: factorisations, Fourier transforms and complex numbers have no half."""
    return value.astype(jnp.promote_types(value.dtype, jnp.float32))
