"""The cells that the laws run over: every registered cell with its defaults, and options that change the equations.

A newly registered cell is picked up with no edit here; its options stand beside its reference.
"""

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cells import Cell, registry
from tests.cells.references import OPTIONS

INPUT_SIZE, HIDDEN_SIZE = 3, 4


def default_cells() -> dict[str, Cell]:
    return {name: cell(input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE) for name, cell in registry().items()}


def all_cells() -> dict[str, Cell]:
    options = {
        name: registry()[base](input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE, **kwargs)
        for name, (base, kwargs) in OPTIONS.items()
    }
    return default_cells() | options


def randomised(tree: Any, key: jax.Array, scale: float = 0.5) -> Any:
    """The tree with noise on every floating or complex leaf, so that no bias and no carry is zero."""
    leaves, structure = jax.tree.flatten(tree)
    noisy = [
        leaf + (scale * jax.random.normal(k, leaf.shape)).astype(leaf.dtype)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
        else leaf
        for leaf, k in zip(leaves, jax.random.split(key, max(1, len(leaves))))
    ]
    return jax.tree.unflatten(structure, noisy)


def random_params(cell: Cell, seed: int = 0, dtype: Any = jnp.float32) -> Any:
    init_key, noise_key = jax.random.split(jax.random.key(seed))
    return randomised(cell.init(init_key, dtype), noise_key)


def random_carry(cell: Cell, batch_shape: tuple[int, ...], params: Any, seed: int = 1, dtype: Any = jnp.float32) -> Any:
    return randomised(cell.initial_carry(batch_shape, dtype, params), jax.random.key(seed))
