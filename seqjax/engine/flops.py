"""How many operations the products of a function take, counted in its equations."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import JaxprEqn, Literal

from seqjax.engine.equations import aval


def product_flops(function: Callable[..., Any], constants: Any, *arguments: Any) -> int:
    r"""Additions and multiplications in the matrix products and convolutions of ``function(constants, *arguments)``.

    Two for every number that is multiplied. What needs the constants only is not counted: of a step, whose constants
    are its parameters, it is computed once and not at every step.

    Args:
        function: what is counted.
        constants: its first argument, or its shapes.
        arguments: the others, or their shapes.
    """
    jaxpr = jax.make_jaxpr(function)(constants, *arguments).jaxpr
    first = len(jax.tree.leaves(constants))
    return _count(jaxpr, [number >= first for number in range(len(jaxpr.invars))])[0]


def operations(equation: JaxprEqn) -> int:
    """Additions and multiplications in the products of one equation."""
    return _of_equation(equation, [True] * len(equation.invars))[0]


def _count(jaxpr: Any, varies: list[bool]) -> tuple[int, list[bool]]:
    """Operations of a jaxpr, and which of its results depend on the inputs that vary."""
    varying = {v for v, does in zip(jaxpr.invars, varies, strict=True) if does}
    depends = lambda atom: not isinstance(atom, Literal) and atom in varying
    total = 0
    for equation in jaxpr.eqns:
        of_inputs = [depends(atom) for atom in equation.invars]
        if any(of_inputs):
            count, of_outputs = _of_equation(equation, of_inputs)
            total += count
            varying.update(v for v, does in zip(equation.outvars, of_outputs, strict=True) if does)
    return total, [depends(atom) for atom in jaxpr.outvars]


def _of_equation(equation: JaxprEqn, varies: list[bool]) -> tuple[int, list[bool]]:
    everything = [True] * len(equation.outvars)
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * _size(equation) * math.prod(aval(equation.invars[0]).shape[axis] for axis in contracted), everything
    if equation.primitive.name == "conv_general_dilated":
        kernel, numbers = aval(equation.invars[1]).shape, equation.params["dimension_numbers"]
        return 2 * _size(equation) * math.prod(kernel) // kernel[numbers.rhs_spec[0]], everything
    inner = [jaxpr for value in equation.params.values() for jaxpr in _jaxprs(value)]
    if len(inner) == 1 and len(inner[0].invars) == len(varies) and len(inner[0].outvars) == len(everything):
        if equation.primitive.name in ("scan", "while"):
            return equation.params.get("length", 1) * _count(inner[0], [True] * len(varies))[0], everything
        return _count(inner[0], varies)
    # Of branches the dearest; whatever else holds equations is counted as if all of it varied.
    counts = [_count(jaxpr, [True] * len(jaxpr.invars))[0] for jaxpr in inner]
    return max(counts, default=0) if equation.primitive.name == "cond" else sum(counts), everything


def _size(equation: JaxprEqn) -> int:
    return math.prod(aval(equation.outvars[0]).shape)


def _jaxprs(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [jaxpr for entry in value for jaxpr in _jaxprs(entry)]
    inner = getattr(value, "jaxpr", value)
    return [inner] if hasattr(inner, "eqns") else []
