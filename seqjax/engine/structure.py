"""What the equations say about d new carry / d carry, without computing it: its structure, and whether it is constant.

Both follow the carry through the equations. A value depends on a leaf of the carry

    diagonally      element by element: the value at an index needs the leaf at that index only,
    in blocks       through a product that keeps heads apart,
    fully           in any other way,

and it is affine in the carry if products, sums and selections never combine two values that both depend on it. Unknown
equations count as full and not affine, so an answer can be too cautious and never too bold.
"""

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
        row = [max(column) for column in zip(nothing, *map(look, equation.invars), strict=True)]
        if any(row):
            row = [max(value, _least(equation)) if value else 0 for value in row]
        for v in equation.outvars:
            rows[v] = row if is_inexact(v) else nothing
    return [[STRUCTURES[value] for value in look(atom)] for atom in step.new_carry]


def _least(equation: JaxprEqn) -> int:
    """The structure that the equation leaves of a diagonal one."""
    if _is_elementwise(equation):
        return 1
    if equation.primitive.name == "dot_general":
        _, (batch, _) = equation.params["dimension_numbers"]
        heads = [aval(equation.invars[0]).shape[axis] for axis in batch]
        return 2 if any(size > 1 for size in heads) else 3
    return 3


def _is_elementwise(equation: JaxprEqn) -> bool:
    if equation.primitive.name == "custom_jvp_call":
        return all(_is_elementwise(inner) for inner in _all_equations(equation.params["call_jaxpr"].jaxpr))
    same_shape = all(aval(v).shape in ((), aval(equation.outvars[0]).shape) for v in equation.invars)
    moves_nothing = equation.primitive.name in ("broadcast_in_dim", "reshape", "squeeze", "expand_dims") and all(
        aval(v).shape == aval(equation.outvars[0]).shape for v in equation.invars
    )
    compares = not is_inexact(equation.outvars[0])
    return moves_nothing or (same_shape and (equation.primitive.name in _ELEMENTWISE or compares))


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
