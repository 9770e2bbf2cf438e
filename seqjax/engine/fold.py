"""Chains of multiplications in a loop, folded into one.

A backward step is linear in the cotangents, and where it is elementwise it multiplies them by one derivative after the
other: ``(d * g) * (i * (1 - i))``. Only ``d`` has to wait for the loop. Here every moving value that is a multiple of
another one, ``base * coefficient`` with a coefficient that does not need the carry, is kept as that pair; multiplying,
dividing, negating, and adding multiples of the same base change the coefficient only. The coefficients are then
computed for a chunk of time at once before the loop, and in the loop one multiplication is left of each chain.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import JaxprEqn, Var

from seqjax.engine.equations import Atom, Environment, Step, aval, bind, evaluate, read, variables
from seqjax.engine.plan import retrace, split_once


class _Multiple(NamedTuple):
    """``base * coefficient``; a coefficient of ``None`` is one."""

    base: Var
    coefficient: Any


def fold_coefficients(step: Step) -> Step:
    """The step with chains of multiplications by values that do not need the carry folded into single ones."""
    once, _, body = split_once(step)
    moving = set(step.carry)
    for equation in body.equations:
        if not moving.isdisjoint(variables(equation.invars)):
            moving.update(equation.outvars)

    def function(params: list, carry: list, inputs: list) -> list:
        environment = step.environment(params)
        environment.update(zip(step.carry, carry, strict=True))
        environment.update(zip(step.inputs, inputs, strict=True))
        evaluate(once, environment)
        multiples: dict[Var, _Multiple] = {}
        for equation in body.equations:
            multiple = _folded(equation, moving, multiples, environment)
            if multiple is not None:
                multiples[equation.outvars[0]] = multiple
                continue
            values = [_value(atom, multiples, environment) for atom in equation.invars]
            environment.update(zip(equation.outvars, bind(equation, values), strict=True))
        return [_value(atom, multiples, environment) for atom in (*step.new_carry, *step.outputs)]

    return retrace(function, step)


def _folded(
    equation: JaxprEqn, moving: set[Var], multiples: dict[Var, _Multiple], environment: Environment
) -> _Multiple | None:
    """What a moving elementwise linear equation gives, as a multiple; ``None`` where it is none."""
    name, operands = equation.primitive.name, equation.invars
    if name not in ("mul", "div", "neg", "add", "add_any", "sub"):
        return None
    moves = [isinstance(v, Var) and v in moving for v in operands]
    if not any(moves):
        return None
    first = _multiple(operands[0], multiples) if moves[0] else None
    if name == "neg":
        assert first is not None
        return _Multiple(first.base, -_coefficient(first))
    second = _multiple(operands[1], multiples) if moves[1] else None
    if name == "mul" and moves != [True, True]:
        multiple, other = (first, operands[1]) if first else (second, operands[0])
        assert multiple is not None
        return _Multiple(multiple.base, _product(multiple.coefficient, read(environment, other)))
    if name == "div" and moves == [True, False]:
        assert first is not None
        return _Multiple(first.base, jnp.divide(_coefficient(first), read(environment, operands[1])))
    if name in ("add", "add_any", "sub") and first and second and first.base == second.base:
        sign = -1 if name == "sub" else 1
        return _Multiple(first.base, _coefficient(first) + sign * _coefficient(second))
    return None


def _multiple(atom: Atom, multiples: dict[Var, _Multiple]) -> _Multiple:
    assert isinstance(atom, Var)
    return multiples.get(atom, _Multiple(atom, None))


def _coefficient(multiple: _Multiple) -> Any:
    return jnp.ones((), aval(multiple.base).dtype) if multiple.coefficient is None else multiple.coefficient


def _product(coefficient: Any, value: Any) -> Any:
    return value if coefficient is None else jnp.multiply(coefficient, value)


def _value(atom: Atom, multiples: dict[Var, _Multiple], environment: Environment) -> Any:
    if isinstance(atom, Var) and atom not in environment:
        multiple = multiples[atom]
        base = environment[multiple.base]
        environment[atom] = base if multiple.coefficient is None else jnp.multiply(base, multiple.coefficient)
    return read(environment, atom)
