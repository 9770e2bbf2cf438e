"""Reading and replacing the values that a step names (see :func:`seqjax.cells.gates.named`)."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.extend.core import Literal

from seqjax.cells.base import Cell

Replace = Callable[[jax.Array], jax.Array]

# Calls that only group equations, and so can be opened.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2")


def with_named(step: Callable[..., Any], replacements: Mapping[str, Replace]) -> Callable[..., Any]:
    """The step with ``value`` replaced by ``replacements[name](value)`` wherever it says ``named(value, name)``.

    The step is traced and its equations are evaluated one by one, so the result can be compiled, differentiated and
    batched as the step can. Where a name is given several times, its function is called for each in turn.

    Args:
        step: any function of trees of arrays, such as a cell.
        replacements: a function for each name, which keeps shape and type.

    Raises:
        ValueError: a name that the step does not give, or gives only inside a loop or a branch.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> from seqjax.cells.transforms import with_named
        >>> cell = seqjax.cells.LSTM(input_size=3, hidden_size=4)
        >>> params, carry = cell.init(jax.random.key(0)), cell.initial_carry()
        >>> closed = with_named(cell, {"input_gate": jnp.zeros_like})
        >>> carry, _ = closed(params, carry, jnp.ones(3))
        >>> print(carry.cell)
        [0. 0. 0. 0.]
    """

    def replaced_step(*arguments: Any) -> Any:
        closed, shapes = jax.make_jaxpr(step, return_shape=True)(*arguments)
        known = [name for name, _ in _names(closed.jaxpr)]
        missing = [name for name in replacements if name not in known]
        if missing:
            has = f"it names {', '.join(map(repr, dict.fromkeys(known)))}" if known else "it names none"
            raise ValueError(f"the step names no value {', '.join(map(repr, missing))}; {has}")
        results = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments), replacements)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return replaced_step


@functools.cache
def named_values(cell: Cell) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The names that one step of a cell gives, in order, each with its value's shape without batch axes."""
    params = jax.eval_shape(cell.init, jax.random.key(0))
    carry = jax.eval_shape(lambda params: cell.initial_carry(params=params), params)
    jaxpr = jax.make_jaxpr(cell)(params, carry, cell.input_shapes()).jaxpr
    return tuple((name, variable.aval.shape) for name, variable in _names(jaxpr))


def _inner(equation: Any) -> Any:
    """The equations inside a call that only groups them."""
    if equation.primitive.name not in _CALLS:
        return None
    return equation.params.get("jaxpr", equation.params.get("call_jaxpr"))


def _names(jaxpr: Any) -> list[tuple[str, Any]]:
    found = []
    for equation in jaxpr.eqns:
        inner = _inner(equation)
        if equation.primitive.name == "name":
            found.append((equation.params["name"], equation.outvars[0]))
        elif inner is not None:
            found += _names(getattr(inner, "jaxpr", inner))
    return found


def _evaluate(jaxpr: Any, constants: Any, arguments: Any, replacements: Mapping[str, Replace]) -> list[Any]:
    environment = dict(zip(jaxpr.constvars, constants, strict=True))
    environment.update(zip(jaxpr.invars, arguments, strict=True))
    read = lambda atom: atom.val if isinstance(atom, Literal) else environment[atom]
    for equation in jaxpr.eqns:
        values, inner = [read(atom) for atom in equation.invars], _inner(equation)
        if equation.primitive.name == "name" and equation.params["name"] in replacements:
            results = [replacements[equation.params["name"]](*values)]
        elif inner is not None and _names(getattr(inner, "jaxpr", inner)):
            results = _evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values, replacements)
        else:
            with equation.ctx.manager:
                bound = equation.primitive.bind(*values, **equation.primitive.get_bind_params(equation.params))
            results = bound if equation.primitive.multiple_results else [bound]
        environment.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]
