"""Parameters and carries with noise on every leaf, so that no bias and no carry is zero."""

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cells import Cell
from seqjax.laws.subject import randomised


def random_params(cell: Cell, dtype: Any = jnp.float32) -> Any:
    return randomised(cell.init(jax.random.key(0), dtype), 1)


def random_carry(cell: Cell, batch_shape: tuple[int, ...], params: Any, dtype: Any = jnp.float32) -> Any:
    return randomised(cell.initial_carry(batch_shape, dtype, params), 2)
