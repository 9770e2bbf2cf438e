"""How many operations the products of a pass take, counted in the traced step."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.bench.programs import Pass
from seqjax.bench.settings import Shape
from seqjax.cells import Cell


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
    jaxpr = jax.make_jaxpr(step)(params, carry, inputs).jaxpr
    return shape.time * sum(_flops(equation) for equation in _products(jaxpr))


def _products(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _products(inner)


def _flops(product: Any) -> int:
    (contracted, _), _ = product.params["dimension_numbers"]
    left = product.invars[0].aval.shape
    return 2 * product.outvars[0].aval.size * math.prod(left[axis] for axis in contracted)
