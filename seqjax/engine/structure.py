"""What the equations say about d new carry / d carry, without computing it: its structure, and whether it is constant.

Both follow the carry through the equations. A value depends on a leaf of the carry

    diagonally      element by element: the value at an index needs the leaf at that index only (gates side by side
                    count as elements of their own),
    in blocks       through a product that keeps heads apart,
    fully           in any other way,

and it is affine in the carry if products, sums and selections never combine two values that both depend on it. Unknown
equations count as full and not affine, so an answer can be too cautious and never too bold.
"""

import functools
from collections.abc import Sequence
from typing import Any

from jax.extend.core import JaxprEqn, Var

from seqjax.engine.equations import Atom, Step, aval, is_inexact, variables

STRUCTURES = ("none", "diagonal", "block", "full")

_LINEAR = frozenset({"add", "add_any", "sub", "neg", "convert_element_type", "copy", "real", "imag", "conj", "complex"})
_MOVES = frozenset(
    {
        "broadcast_in_dim",
        "reshape",
        "transpose",
        "squeeze",
        "expand_dims",
        "slice",
        "split",
        "concatenate",
        "pad",
        "rev",
        "reduce_sum",
        "gather",
        "dynamic_slice",
        "cumsum",
    }
)
_ELEMENTWISE = _LINEAR | {
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "clamp",
    "cos",
    "cosh",
    "div",
    "erf",
    "erf_inv",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "integer_pow",
    "log",
    "log1p",
    "logistic",
    "max",
    "min",
    "mul",
    "nextafter",
    "pow",
    "rem",
    "round",
    "rsqrt",
    "select_n",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "stop_gradient",
    "tan",
    "tanh",
}


def carry_structure(step: Step) -> list[list[str]]:
    """``structure[i][j]``: how leaf ``i`` of the new carry depends on leaf ``j`` of the carry."""
    rows: dict[Var, list[int]] = {}
    for j, v in enumerate(step.carry):
        rows[v] = [int(i == j and is_inexact(v)) for i in range(len(step.carry))]
    nothing = [0] * len(step.carry)
    look = lambda atom: rows.get(atom, nothing) if isinstance(atom, Var) else nothing
    for equation in step.equations:
        depends = list(map(look, equation.invars))
        row = [max(column) for column in zip(nothing, *depends, strict=True)]
        if any(row):
            moving = [[v for v, of in zip(equation.invars, depends, strict=True) if of[j]] for j in range(len(row))]
            least = map(functools.partial(_least, equation), moving, step.carry)
            row = [max(value, bound) if value else 0 for value, bound in zip(row, least, strict=True)]
        for v in equation.outvars:
            rows[v] = row if is_inexact(v) else nothing

    def entry(value: int, atom: Atom, leaf: Var) -> str:
        return STRUCTURES[3 if value == 1 and aval(atom).shape != aval(leaf).shape else value]

    return [
        [entry(value, atom, leaf) for value, leaf in zip(look(atom), step.carry, strict=True)]
        for atom in step.new_carry
    ]


def _least(equation: JaxprEqn, moving: list[Atom], leaf: Var) -> int:
    """The structure that the equation leaves of a diagonal one; the operands ``moving`` depend on the leaf."""
    if _is_elementwise(equation, moving) or _keeps_gates_apart(equation, leaf):
        return 1
    if equation.primitive.name == "dot_general":
        _, (batch, _) = equation.params["dimension_numbers"]
        heads = [aval(equation.invars[0]).shape[axis] for axis in batch]
        return 2 if any(size > 1 for size in heads) else 3
    return 3


def _is_elementwise(equation: JaxprEqn, moving: Sequence[Atom]) -> bool:
    if equation.primitive.name == "custom_jvp_call":
        return all(
            _is_elementwise(inner, inner.invars) for inner in _all_equations(equation.params["call_jaxpr"].jaxpr)
        )
    same_shape = all(aval(v).shape in ((), aval(equation.outvars[0]).shape) for v in moving)
    moves_nothing = equation.primitive.name in ("broadcast_in_dim", "reshape", "squeeze", "expand_dims") and all(
        aval(v).shape == aval(equation.outvars[0]).shape for v in equation.invars
    )
    compares = not is_inexact(equation.outvars[0])
    return moves_nothing or (same_shape and (equation.primitive.name in _ELEMENTWISE or compares))


def _keeps_gates_apart(equation: JaxprEqn, leaf: Var) -> bool:
    """Whether it only puts values of the leaf's size side by side, or takes such apart.

    So an index of the last axis still needs one index of the leaf: its own modulo the leaf's size.
    """
    if equation.primitive.name not in ("concatenate", "split", "slice") or not aval(leaf).ndim:
        return False
    operand, results = aval(equation.invars[0]), [aval(v) for v in equation.outvars]
    last, size = operand.ndim - 1, aval(leaf).shape[-1]
    parts = [value.shape[-1] for value in (*map(aval, equation.invars), *results)]
    if equation.primitive.name == "slice":
        if any(stride != 1 for stride in equation.params["strides"] or ()):
            return False
        parts.append(equation.params["start_indices"][last])
        along_last = operand.shape[:last] == results[0].shape[:last]
    else:
        key = "dimension" if equation.primitive.name == "concatenate" else "axis"
        along_last = equation.params[key] == last
    return along_last and all(part % size == 0 for part in parts)


def _all_equations(jaxpr: Any) -> list[JaxprEqn]:
    found = []
    for equation in jaxpr.eqns:
        inner = equation.params.get("jaxpr")
        found += _all_equations(getattr(inner, "jaxpr", inner)) if inner is not None else [equation]
    return found


def is_affine(step: Step) -> bool:
    """Whether the new carry is ``A carry + b`` with ``A`` and ``b`` free of the carry: time could run in parallel."""
    depends, curved = set(step.carry), set()
    for equation in step.equations:
        moving = [v for v in equation.invars if isinstance(v, Var) and v in depends]
        if not moving:
            continue
        depends.update(equation.outvars)
        if not curved.isdisjoint(moving) or not _keeps_affine(equation, moving):
            curved.update(equation.outvars)
    return curved.isdisjoint(variables(step.new_carry)) and all(is_inexact(v) for v in step.carry)


def _keeps_affine(equation: JaxprEqn, moving: Sequence[Atom]) -> bool:
    name = equation.primitive.name
    if name in _LINEAR or name in _MOVES:
        return True
    if name in ("mul", "dot_general", "conv_general_dilated"):
        return len(moving) == 1
    if name == "div":
        return moving == [equation.invars[0]]
    if name == "select_n":
        return equation.invars[0] not in moving
    return False
