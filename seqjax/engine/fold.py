"""Chains of multiplications in a loop, folded into one.

A backward step is linear in the cotangents, and where it is elementwise it multiplies them by one derivative after the
other: ``(d * g) * (i * (1 - i))``. Only ``d`` has to wait for the loop. Here every moving value that is a sum of
multiples of others, ``base * coefficient + ...`` with coefficients that do not need the carry, is kept as these pairs;
multiplying, dividing, negating and adding change the coefficients only. The coefficients can then be computed for a
chunk of time at once before the loop, and in the loop one multiplication is left of each chain.

A sum of several bases that is read more than once, or multiplied, is computed and becomes a base itself: otherwise the
loop would do its additions again for every reader.
"""

import collections
from typing import Any

import jax.numpy as jnp
from jax.extend.core import JaxprEqn, Var

from seqjax.engine.equations import Atom, Environment, Step, aval, bind, dependent, evaluate, read, variables
from seqjax.engine.plan import retrace, split_once

# A sum: the coefficient of each base; a coefficient of None is one.
_Sum = dict[Var, Any]


def fold_coefficients(step: Step) -> Step:
    """The step with chains of multiplications by values that do not need the carry folded into single ones."""
    once, _, body = split_once(step)
    moving = dependent(body.equations, step.carry)
    results = [*step.new_carry, *step.outputs]
    readers = collections.Counter(v for e in body.equations for v in variables(e.invars))
    readers.update(variables(results))

    def function(params: list, carry: list, inputs: list) -> list:
        environment = step.environment(params)
        environment.update(zip(step.carry, carry, strict=True))
        environment.update(zip(step.inputs, inputs, strict=True))
        evaluate(once, environment)
        sums: dict[Var, _Sum] = {}
        for equation in body.equations:
            folded = _folded(equation, moving, sums, environment)
            if folded is not None and (len(folded) == 1 or readers[equation.outvars[0]] == 1):
                sums[equation.outvars[0]] = folded
            elif folded is not None:
                environment[equation.outvars[0]] = _total(folded, sums, environment)
            else:
                values = [_value(atom, sums, environment) for atom in equation.invars]
                environment.update(zip(equation.outvars, bind(equation, values), strict=True))
        return [_value(atom, sums, environment) for atom in results]

    return retrace(function, step)


def _folded(equation: JaxprEqn, moving: set[Var], sums: dict[Var, _Sum], environment: Environment) -> _Sum | None:
    """What a moving elementwise linear equation gives, as a sum; ``None`` where it is none."""
    name, operands = equation.primitive.name, equation.invars
    if name not in ("mul", "div", "neg", "add", "add_any", "sub"):
        return None
    moves = [isinstance(v, Var) and v in moving for v in operands]
    if not any(moves):
        return None
    if name in ("add", "add_any", "sub"):
        if not all(moves):
            return None
        first, second = (_sum(v, sums) for v in operands)
        if name == "sub":
            second = {base: -_coefficient(base, c) for base, c in second.items()}
        both = {b: _coefficient(b, first[b]) + _coefficient(b, c) if b in first else c for b, c in second.items()}
        return first | both
    if all(moves) and name != "neg":
        return None
    moved = operands[moves.index(True)]
    scaled = _sum(moved, sums)
    if len(scaled) > 1:
        assert isinstance(moved, Var)
        scaled = {moved: None}
    [(base, coefficient)] = scaled.items()
    if name == "neg":
        return {base: -_coefficient(base, coefficient)}
    other = read(environment, operands[moves.index(False)])
    if name == "mul":
        return {base: other if coefficient is None else jnp.multiply(coefficient, other)}
    return {base: jnp.divide(_coefficient(base, coefficient), other)} if moves[0] else None


def _sum(atom: Atom, sums: dict[Var, _Sum]) -> _Sum:
    assert isinstance(atom, Var)
    return sums.get(atom, {atom: None})


def _coefficient(base: Var, coefficient: Any) -> Any:
    return jnp.ones((), aval(base).dtype) if coefficient is None else coefficient


def _value(atom: Atom, sums: dict[Var, _Sum], environment: Environment) -> Any:
    if isinstance(atom, Var) and atom not in environment:
        environment[atom] = _total(sums[atom], sums, environment)
    return read(environment, atom)


def _total(terms: _Sum, sums: dict[Var, _Sum], environment: Environment) -> Any:
    total = None
    for base, coefficient in terms.items():
        value = _value(base, sums, environment)
        value = value if coefficient is None else jnp.multiply(value, coefficient)
        total = value if total is None else jnp.add(total, value)
    return total
