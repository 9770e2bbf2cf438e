"""How many operations the products of a pass take, counted in the traced step."""

from typing import Any

import jax

from seqjax.bench.programs import Pass
from seqjax.bench.settings import Shape
from seqjax.cells import Cell
from seqjax.engine import flops
from seqjax.laws.trees import floats, with_floats


def product_flops(cell: Cell, shape: Shape, pass_name: Pass) -> int:
    r"""Additions and multiplications in the matrix products of all steps.

    An LSTM's are :math:`2 T B \, 4 H (I + H)` forward and three times as many in training, since every product has two
    gradients that are products of the same size.
    """
    params = jax.eval_shape(cell.init, jax.random.key(0))
    carry = jax.eval_shape(lambda params: cell.initial_carry((shape.batch,), params=params), params)
    inputs = jax.eval_shape(lambda: cell.example_inputs(jax.random.key(0), (shape.batch,)))

    def with_gradients(*arguments: Any) -> Any:
        step = lambda leaves: floats(cell(*with_floats(arguments, leaves)))
        results, pullback = jax.vjp(step, floats(arguments))
        return results, pullback(results)

    step = cell if pass_name == "forward" else with_gradients
    return shape.time * flops.product_flops(step, params, carry, inputs)
