"""Steps as lists of equations: tracing, flattening, evaluating.

A step function is traced once to a jaxpr, its nested calls are opened, and from then on it is data: a list of equations
between variables, which the plan sorts and the executor evaluates wherever the plan puts them.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import JaxprEqn, Literal, Var
from jax.sharding import AxisType, PartitionSpec

Atom = Var | Literal
Environment = dict[Var, Any]

# Calls that only group equations. A jax.checkpoint in the step is opened too: the engine decides what is recomputed.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """The equations of one time step: ``new_carry, outputs`` from ``params, carry, inputs``."""

    params: list[Var]
    carry: list[Var]
    inputs: list[Var]
    equations: list[JaxprEqn]
    new_carry: list[Atom]
    outputs: list[Atom]
    constants: Environment
    effects: bool

    def environment(self, params: Sequence[Any]) -> Environment:
        """The values that are the same at every step."""
        return {**self.constants, **dict(zip(self.params, params, strict=True))}


def read(environment: Environment, atom: Atom) -> Any:
    """The value of a variable or literal."""
    return atom.val if isinstance(atom, Literal) else environment[atom]


def bind(equation: JaxprEqn, values: Sequence[Any]) -> list[Any]:
    """The equation's results for these operands."""
    with equation.ctx.manager:
        results = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
    return list(results) if equation.primitive.multiple_results else [results]


def evaluate(equations: Iterable[JaxprEqn], environment: Environment) -> None:
    """Evaluate in order, adding every result to ``environment``."""
    for equation in equations:
        results = bind(equation, [read(environment, atom) for atom in equation.invars])
        environment.update(zip(equation.outvars, results, strict=True))


def variables(atoms: Iterable[Atom]) -> list[Var]:
    """The distinct variables among ``atoms``, in order."""
    return list(dict.fromkeys(atom for atom in atoms if not isinstance(atom, Literal)))


def read_by(equations: Iterable[JaxprEqn], atoms: Iterable[Atom] = ()) -> list[Var]:
    """The distinct variables that the equations read, and those among ``atoms``, in order."""
    return variables([*(v for e in equations for v in e.invars), *atoms])


def live(equations: Sequence[JaxprEqn], wanted: Iterable[Atom]) -> list[JaxprEqn]:
    """The equations that ``wanted`` depends on."""
    needed, kept = set(variables(wanted)), []
    for equation in reversed(equations):
        if equation.effects or not needed.isdisjoint(equation.outvars):
            needed.update(variables(equation.invars))
            kept.append(equation)
    return kept[::-1]


def dependent(equations: Iterable[JaxprEqn], values: Iterable[Var]) -> set[Var]:
    """The values, and all that the equations compute from them."""
    found = set(values)
    for equation in equations:
        if not found.isdisjoint(variables(equation.invars)):
            found.update(equation.outvars)
    return found


def shape_of(value: Any, drop: int = 0, dtype: Any = None) -> jax.ShapeDtypeStruct:
    """The abstract value of an array or variable, without its first ``drop`` axes, perhaps of another type."""
    kind = aval(value) if isinstance(value, Var | Literal) else jax.typeof(value)
    shape, sharding, dtype = kind.shape[drop:], kind.sharding, dtype or kind.dtype
    if sharding.mesh.empty:
        return jax.ShapeDtypeStruct(shape, dtype, weak_type=kind.weak_type)
    sharding = sharding.update(spec=PartitionSpec(*sharding.spec[drop:]))
    return jax.ShapeDtypeStruct(
        shape, dtype, sharding=sharding, weak_type=kind.weak_type, manual_axis_type=kind.manual_axis_type
    )


def trace(function: Callable, params: Sequence[Any], carry: Sequence[Any], inputs: Sequence[Any]) -> Step:
    """The step ``function(params, carry, inputs) -> (new_carry, outputs)`` over flat lists, nested calls opened.

    Arrays that the function closes over, traced ones too, stay as they are in ``constants``.
    """
    closed = jax.make_jaxpr(function)(list(params), list(carry), list(inputs))

    def flat(constants: list, arguments: list) -> list:
        return _evaluate_open(closed.jaxpr, constants, arguments)

    arguments = [*params, *carry, *inputs]
    opened = jax.make_jaxpr(flat)([shape_of(c) for c in closed.consts], arguments)
    count, jaxpr = len(closed.consts), opened.jaxpr
    invars = jaxpr.invars[count:]
    ends = (len(params), len(params) + len(carry))
    constants = dict(zip(jaxpr.constvars, opened.consts, strict=True))
    return Step(
        params=invars[: ends[0]],
        carry=invars[ends[0] : ends[1]],
        inputs=invars[ends[1] :],
        equations=list(jaxpr.eqns),
        new_carry=list(jaxpr.outvars[: len(carry)]),
        outputs=list(jaxpr.outvars[len(carry) :]),
        constants={**constants, **dict(zip(jaxpr.invars[:count], closed.consts, strict=True))},
        effects=bool(jaxpr.effects),
    )


def _evaluate_open(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    environment: Environment = dict(zip(jaxpr.constvars, constants, strict=True))
    environment.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        values = [read(environment, atom) for atom in equation.invars]
        if equation.primitive.name in _CALLS:
            inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
            results = _evaluate_open(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values)
        elif equation.primitive.name == "name" or _changes_nothing(equation):
            results = values
        else:
            results = bind(equation, values)
        environment.update(zip(equation.outvars, results, strict=True))
    return [read(environment, atom) for atom in jaxpr.outvars]


def _changes_nothing(equation: JaxprEqn) -> bool:
    """Whether it is a reshape to the same shape: derivatives have them where only one of two values knows of a mesh."""
    if equation.primitive.name != "reshape" or equation.params["dimensions"] is not None:
        return False
    [before, *_], [after] = equation.invars, equation.outvars
    return aval(before).shape == aval(after).shape and not explicitly_sharded(after)


def aval(atom: Atom) -> Any:
    """The shape and type of a variable or literal."""
    return atom.aval


def explicitly_sharded(value: Any) -> bool:
    """Whether the type of an array or variable says how it lies on a mesh."""
    kind = aval(value) if isinstance(value, Var | Literal) else jax.typeof(value)
    return AxisType.Explicit in kind.sharding.mesh.axis_types


def is_inexact(atom: Atom) -> bool:
    """Whether the variable has a derivative."""
    return jnp.issubdtype(aval(atom).dtype, jnp.inexact)


def bytes_of(atom: Atom) -> int:
    """Size of one value of the variable; a random key counts as its data."""
    dtype = aval(atom).dtype
    item = 8 if jnp.issubdtype(dtype, jax.dtypes.extended) else dtype.itemsize
    return aval(atom).size * item


def in_own_call(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a jitted function, in a call that XLA may not inline: it arrives in buffers of its own."""
    with set_xla_metadata(inlineable="false"):
        return function(*arguments)
