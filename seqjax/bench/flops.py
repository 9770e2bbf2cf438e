"""How many operations the products of a pass take, counted in the traced step."""

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.bench.programs import Pass
from seqjax.bench.settings import Shape
from seqjax.cells import Cell
from seqjax.engine import flops


def product_flops(cell: Cell, shape: Shape, pass_name: Pass) -> int:
    r"""Additions and multiplications in the matrix products of all steps.

    An LSTM's are :math:`2 T B \, 4 H (I + H)` forward and three times as many in training, since every product has two
    gradients that are products of the same size.
    """
    params = jax.eval_shape(cell.init, jax.random.key(0))
    carry = jax.eval_shape(lambda params: cell.initial_carry((shape.batch,), params=params), params)
    inputs = jax.ShapeDtypeStruct((shape.batch, shape.inputs), jnp.float32)

    def with_gradients(params: Any, carry: Any, inputs: Any) -> Any:
        results, pullback = jax.vjp(cell, params, carry, inputs)
        return results, pullback(results)

    step = cell if pass_name == "forward" else with_gradients
    return shape.time * flops.product_flops(step, params, carry, inputs)
