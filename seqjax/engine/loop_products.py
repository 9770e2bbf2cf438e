"""How a loop multiplies by a large matrix.

A loop multiplies a few rows by the same matrix at every step, ``z = h @ U``. Where the matrix is large, reading it
takes as long as multiplying, and XLA's product on a CPU does better with another layout of it, made once before the
loop:

*   From the other side, ``z = (U.T @ h.T).T``. Beyond what a core's own cache holds, the matrix comes from memory each
    time. A product reads its right operand in narrow panels, a short piece of every row, and its left operand row by
    row; so the matrix does better on the left. Of ``z``, which is small, a copy a step is made, and a call keeps it out
    of the elementwise work after it, which would otherwise read its operand column by column. With 1024 units and 32
    rows a core this took a third off the time of an LSTM's training step.
*   In pieces, ``z = [h @ U_1, h @ U_2, ...]``, of columns side by side. A product of some size hands parts of itself to
    the threads that all CPU devices share. Where the batch is split over the devices, every thread has a product of its
    own to do, and waiting for others costs more than they bring; a piece is too small to be handed on.
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn, Literal, Var

from seqjax.engine.equations import Environment, aval, bytes_of, evaluate, in_own_call, read
from seqjax.engine.plan import Plan
from seqjax.engine.platform import Choices

Layouts = Mapping[Var, jax.Array | Sequence[jax.Array]]
"""Of products, named by their results: the transpose of the matrix, or the pieces of it."""


def layouts(plan: Plan, fixed: Environment, time_steps: int, choices: Choices) -> Layouts:
    """The other layouts of the loop's large matrices, where ``fixed`` holds what is the same at every step."""
    found: dict[Var, jax.Array | Sequence[jax.Array]] = {}
    for equation in plan.loop:
        if not _multiplies_matrix(equation, fixed):
            continue
        [result], (moving, matrix) = equation.outvars, equation.invars
        rows, columns = math.prod(aval(moving).shape[:-1]), aval(matrix).shape[1]
        if choices.turns(bytes_of(matrix), rows, time_steps):
            found[result] = read(fixed, matrix).T
        elif width := choices.piece_width(bytes_of(matrix), columns, rows):
            widths = [min(width, columns - start) for start in range(0, columns, width)]
            found[result] = lax.split(read(fixed, matrix), widths, 1)
    return found


def evaluate_loop(equations: Sequence[JaxprEqn], environment: Environment, layouts: Layouts) -> None:
    """Evaluate the equations of one step in order, those in ``layouts`` with the matrix as it is there."""
    for equation in equations:
        matrix = layouts.get(equation.outvars[0]) if equation.outvars else None
        if matrix is None:
            evaluate([equation], environment)
            continue
        moving = read(environment, equation.invars[0])
        options = {name: equation.params[name] for name in ("precision", "preferred_element_type")}
        if isinstance(matrix, jax.Array):
            product = lax.dot_general(matrix, moving, (((1,), (moving.ndim - 1,)), ((), ())), **options)
            environment[equation.outvars[0]] = in_own_call(_turn_back, product)
        else:
            numbers = equation.params["dimension_numbers"]
            parts = [lax.dot_general(moving, piece, numbers, **options) for piece in matrix]
            environment[equation.outvars[0]] = lax.concatenate(parts, moving.ndim - 1)


@jax.jit
def _turn_back(product: jax.Array) -> jax.Array:
    """What was computed from the other side, as if it had not been.

    Made flat in between, the result is laid out row by row; XLA would hand on the same memory, read column by column.
    """
    turned = jnp.moveaxis(product, 0, -1)
    return lax.optimization_barrier(turned.reshape(-1)).reshape(turned.shape)


def _multiplies_matrix(equation: JaxprEqn, fixed: Environment) -> bool:
    """Whether the equation is ``moving @ matrix``, with a matrix that is the same at every step."""
    if equation.primitive.name != "dot_general" or equation.params["out_sharding"] is not None:
        return False
    moving, matrix = equation.invars
    if isinstance(matrix, Literal) or matrix not in fixed or aval(matrix).ndim != 2 or moving in fixed:
        return False
    return equation.params["dimension_numbers"] == (((aval(moving).ndim - 1,), (0,)), ((), ()))
