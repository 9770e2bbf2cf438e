"""The plan: where each equation of a step is evaluated.

The step is textbook equations; this file decides what of them has to be in the time loop. Every equation falls into one
of four stages:

    once      needs the parameters only                         evaluated one time, before everything
    before    needs parameters and inputs, not the carry        all steps of a chunk at once, before the loop
    loop      needs the carry, and the next carry needs it      one step after the other
    after     needs the carry, but only the outputs need it     all steps of a chunk at once, after the loop

A value that is split into parts, or put together from parts, goes from stage to stage as a whole: each value that a
loop reads or writes costs time at every step.

"All steps at once" is ``jax.vmap`` of the same equations over time, so a product ``inputs @ kernel`` of shape
``[batch, features]`` becomes one large product over ``[time, batch, features]``.

Except that cheap elementwise work that only the loop needs is left to the loop where it then reads no more: a backward
loop that is given the activations can do with them what it is to multiply the cotangents by, and each array that is not
made beforehand is a kernel less to compile and to run. Nor does the loop hand on what is cheap to compute from the rest
of what it hands on: ``after`` computes it again.

Before equations are sorted, products of one stage that share their moving operand (``h @ W_i``, ``h @ W_f``, ...)
become one product with the fixed operands side by side: a step written with one matrix a gate is as good as one with a
stacked kernel. And where the loop multiplies by the transpose of a matrix, as every backward loop does, the matrix is
transposed once.

The rule for safety: what is not recognised stays in the loop. Control flow, callbacks and foreign kernels are never
mapped over time, nor are random generators whose numbers depend on the shape they are drawn in.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend.core import JaxprEqn, Literal, Var

from seqjax.engine.equations import (
    Atom,
    Environment,
    Step,
    aval,
    bind,
    bytes_of,
    dependent,
    evaluate,
    is_inexact,
    live,
    read,
    read_by,
    shape_of,
    trace,
    variables,
)

_STAYS_IN_LOOP = frozenset(
    {
        "while",
        "cond",
        "scan",
        "custom_vjp_call",
        "custom_vjp_call_jaxpr",
        "custom_lin",
        "pure_callback",
        "io_callback",
        "debug_callback",
        "ffi_call",
        "rng_bit_generator",
        "rng_uniform",
        "pallas_call",
        "shard_map",
        "xla_pmap",
    }
)


# JAX 0.12 has 1 - x * x, the derivative of tanh, as one operation.
_CHEAP = frozenset({"add", "add_any", "sub", "mul", "neg", "one_minus_square", "square"})


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """A step sorted into stages. The equations of ``once`` are split off beforehand, by :func:`split_once`."""

    step: Step
    outputs: list[Atom]
    before: list[JaxprEqn]
    loop: list[JaxprEqn]
    after: list[JaxprEqn]
    before_results: list[Var]
    """What ``before`` hands to the later stages."""
    loop_inputs: list[Var]
    """What the loop reads at every step, from the inputs or from ``before``."""
    emitted: list[Var]
    """What the loop hands to ``after`` or to the outputs."""
    after_inputs: list[Var]
    """What ``after`` reads: stacked values of the stages before it."""
    after_results: list[Var]

    @property
    def bytes_per_step(self) -> int:
        """What one time step hands from stage to stage."""
        return sum(bytes_of(v) for v in {*self.before_results, *self.emitted, *self.after_results})


def split_once(step: Step) -> tuple[list[JaxprEqn], list[Var], Step]:
    """The equations that need parameters only, the values the rest needs of them, and the rest as a step of those."""
    fixed = set(step.params) | set(step.constants)
    once, rest = [], []
    for equation in step.equations:
        if fixed.issuperset(variables(equation.invars)):
            once.append(equation)
            fixed.update(equation.outvars)
        else:
            rest.append(equation)
    rest = live(rest, [*step.new_carry, *step.outputs])
    used = read_by(rest, [*step.new_carry, *step.outputs])
    frontier = [v for v in used if v in fixed]
    body = dataclasses.replace(step, params=frontier, constants={}, equations=rest)
    return live(once, frontier), frontier, body


def merge_products(step: Step) -> Step:
    """The step with every group of products that share their moving operand, and their stage, as one product.

    A product of the loop with the transpose of a matrix also becomes one with the transposed matrix.
    """
    once, _, body = split_once(step)
    fixed = {*step.params, *step.constants, *(v for e in once for v in e.outvars)}
    plan = make_plan(body)
    groups: dict[Any, list[JaxprEqn]] = {}
    for stage in (plan.before, plan.loop, plan.after):
        for equation in stage:
            position = fixed_operand(equation, fixed)
            if position is not None and _can_merge(equation, position):
                groups.setdefault((id(stage), _merge_key(equation, position)), []).append(equation)
    in_loop = {id(equation) for equation in plan.loop}
    rewritten = {
        id(group[0]): group
        for group in groups.values()
        if len(group) > 1 or (id(group[0]) in in_loop and _multiplies_transpose(group[0], fixed))
    }
    if not rewritten:
        return step
    members = {id(equation) for group in rewritten.values() for equation in group}

    def function(params: list, carry: list, inputs: list) -> list:
        environment = step.environment(params)
        environment.update(zip(step.carry, carry, strict=True))
        environment.update(zip(step.inputs, inputs, strict=True))
        evaluate(once, environment)
        for equation in body.equations:
            if id(equation) in rewritten:
                _evaluate_group(rewritten[id(equation)], fixed, environment, id(equation) in in_loop)
            elif id(equation) not in members:
                evaluate([equation], environment)
        return [read(environment, atom) for atom in (*step.new_carry, *step.outputs)]

    return retrace(function, step)


def retrace(function: Callable[[list, list, list], list], step: Step) -> Step:
    """Trace a function of the same parameters, carry and inputs as ``step``."""
    groups = (step.params, step.carry, step.inputs)
    return trace(function, *([shape_of(v) for v in group] for group in groups))


def fixed_operand(equation: JaxprEqn, fixed: set[Var]) -> int | None:
    """Which operand of a product does not change over time, if exactly one does not; ``None`` for anything else."""
    if equation.primitive.name not in ("dot_general", "conv_general_dilated"):
        return None
    if not is_inexact(equation.outvars[0]):
        return None
    is_fixed = [isinstance(v, Literal) or v in fixed for v in equation.invars]
    return is_fixed.index(True) if sum(is_fixed) == 1 else None


def _free_axes(equation: JaxprEqn, position: int) -> list[int]:
    contracting, batch = equation.params["dimension_numbers"]
    taken = {*contracting[position], *batch[position]}
    return [axis for axis in range(aval(equation.invars[position]).ndim) if axis not in taken]


def _can_merge(equation: JaxprEqn, position: int) -> bool:
    if equation.primitive.name != "dot_general" or isinstance(equation.invars[position], Literal):
        return False
    _, (batch, _) = equation.params["dimension_numbers"]
    return not batch and len(_free_axes(equation, position)) == 1


def _merge_key(equation: JaxprEqn, position: int) -> tuple:
    params = tuple(sorted((name, str(value)) for name, value in equation.params.items()))
    return equation.invars[1 - position], position, aval(equation.invars[position]).dtype, params


def _multiplies_transpose(equation: JaxprEqn, fixed: set[Var]) -> bool:
    """Whether the product is one of a moving operand with the transpose of a fixed matrix."""
    return fixed_operand(equation, fixed) == 1 and _free_axes(equation, 1) == [0] and aval(equation.invars[1]).ndim == 2


def _evaluate_group(group: Sequence[JaxprEqn], fixed: set[Var], environment: Environment, in_loop: bool) -> None:
    position = fixed_operand(group[0], fixed)
    assert position is not None
    axis = _free_axes(group[0], position)[0]
    operands: list[Any] = [None, None]
    operands[1 - position] = read(environment, group[0].invars[1 - position])
    operands[position] = lax.concatenate([read(environment, e.invars[position]) for e in group], axis)
    equation = group[0]
    if in_loop and _multiplies_transpose(equation, fixed):
        (contracting, _), batch = equation.params["dimension_numbers"]
        dimension_numbers = ((contracting, (0,)), batch)
        equation = equation.replace(params={**equation.params, "dimension_numbers": dimension_numbers})
        operands[1] = operands[1].T
    [product] = bind(equation, operands)
    if len(group) == 1:
        environment[equation.outvars[0]] = product
        return
    # The free axes of the left operand come first in a product, those of the right operand last.
    axis = product.ndim - 1 if position == 1 else 0
    sizes = [aval(equation.outvars[0]).shape[axis] for equation in group]
    for equation, part in zip(group, lax.split(product, sizes, axis), strict=True):
        environment[equation.outvars[0]] = part


def stays_in_loop(equation: JaxprEqn) -> bool:
    """Whether the equation must not be mapped over time."""
    name = equation.primitive.name
    if name.startswith("random_") or name.startswith("rng_"):
        keys = [aval(v).dtype.name for v in [*equation.invars, *equation.outvars]]
        return name.startswith("rng_") or any(key.startswith("key<") and key != "key<fry>" for key in keys)
    return name in _STAYS_IN_LOOP or bool(equation.effects)


def _split_in_loop(before: Sequence[JaxprEqn], loop: Sequence[JaxprEqn], new_carry: Sequence[Atom]) -> list[JaxprEqn]:
    """The splits of ``before`` of which the loop reads every part: it does better to read the whole, and to split."""
    reads = set(read_by(loop, new_carry))
    return [e for e in before if e.primitive.name == "split" and reads.issuperset(e.outvars)]


def _split_after(loop: Sequence[JaxprEqn], after: Sequence[JaxprEqn], outputs: Sequence[Atom]) -> list[JaxprEqn]:
    """Splits for ``after`` of what the loop concatenates, where the loop would hand on the whole and parts of it."""
    wanted = set(read_by(after, outputs)) - {v for e in after for v in e.outvars}
    made = {v for e in loop for v in e.outvars}
    splits = []
    for equation in loop:
        if equation.primitive.name != "concatenate" or equation.outvars[0] not in wanted:
            continue
        parts = {v for v in variables(equation.invars) if v in made and v in wanted}
        if parts:
            axis = equation.params["dimension"]
            sizes = [aval(v).shape[axis] for v in equation.invars]
            split = lambda whole, sizes=sizes, axis=axis: lax.split(whole, sizes, axis)
            [new] = jax.make_jaxpr(split)(shape_of(equation.outvars[0])).jaxpr.eqns
            outvars = list(new.outvars)
            for part in parts:
                outvars[equation.invars.index(part)] = part
            splits.append(new.replace(invars=equation.outvars, outvars=outvars))
            wanted -= parts
    return splits


def _computed_again(
    step: Step, before: Sequence[JaxprEqn], loop: Sequence[JaxprEqn], after: Sequence[JaxprEqn], outputs: Sequence[Atom]
) -> list[JaxprEqn]:
    """``after``, and before it those cheap equations of the loop that need only what ``after`` is given anyway."""
    wanted = read_by(after, outputs)
    there = {*step.params, *step.constants, *step.inputs, *(v for e in before for v in e.outvars), *wanted}
    again = []
    for equation in loop:
        if equation.primitive.name in _CHEAP | {"concatenate"} and there.issuperset(variables(equation.invars)):
            again.append(equation)
            there.update(equation.outvars)
    return live([*again, *after], wanted)


def _left_to_loop(
    step: Step, before: Sequence[JaxprEqn], loop: Sequence[JaxprEqn], emitted: Sequence[Atom]
) -> list[JaxprEqn]:
    """The cheap equations of ``before`` that only the loop needs, if it reads no more with them.

    Where it can write what it emits over what they make (see :mod:`seqjax.engine.loop`), that is worth more: then none.
    """
    needed, cheap = set(variables([*emitted, *step.new_carry])), []
    for equation in reversed(before):
        if equation.primitive.name in _CHEAP and needed.isdisjoint(equation.outvars):
            cheap.append(equation)
        else:
            needed.update(variables(equation.invars))
    cheap.reverse()
    fixed = {*step.params, *step.constants, *step.carry}

    def reads(equations: Sequence[JaxprEqn]) -> set[Var]:
        made = {v for e in equations for v in e.outvars}
        return set(read_by(equations)) - made - fixed

    now, then = reads(loop), reads([*cheap, *loop])
    if sum(map(bytes_of, then)) > sum(map(bytes_of, now)):
        return []
    written = set(variables(emitted))
    for v in now - then:
        results = dependent(loop, [v]) & written
        if any(aval(result).strip_weak_type() == aval(v).strip_weak_type() for result in results):
            return []
    return cheap


def make_plan(step: Step, more_outputs: Sequence[Atom] = ()) -> Plan:
    """Sort the step's equations into stages; ``more_outputs`` are values of the step to return beside its outputs."""
    outputs = [*step.outputs, *more_outputs]
    equations = live(step.equations, [*step.new_carry, *outputs])
    moving, before, moves = set(step.carry), [], []
    for equation in equations:
        if stays_in_loop(equation) or not moving.isdisjoint(variables(equation.invars)):
            moving.update(equation.outvars)
            moves.append(equation)
        else:
            before.append(equation)
    needed, loop, after = set(variables(step.new_carry)), [], []
    for equation in reversed(moves):
        if stays_in_loop(equation) or not needed.isdisjoint(equation.outvars):
            needed.update(variables(equation.invars))
            loop.append(equation)
        else:
            after.append(equation)
    loop, after = loop[::-1], after[::-1]
    splits = _split_in_loop(before, loop, step.new_carry)
    after = _computed_again(step, before, loop, after, outputs)
    after = _split_after(loop, after, outputs) + after
    later = read_by(after, outputs)
    elsewhere = {*later, *read_by(before)}
    before = [e for e in before if e not in splits or not elsewhere.isdisjoint(e.outvars)]
    cheap = _left_to_loop(step, before, splits + loop, later)
    before = [equation for equation in before if equation not in cheap]
    loop = [equation for equation in equations if equation in splits or equation in cheap] + loop

    in_before = {v for e in before for v in e.outvars}
    made_in_loop = {v for e in loop for v in e.outvars}
    in_after = {v for e in after for v in e.outvars}
    from_loop = (made_in_loop | set(step.carry)) - in_before - in_after
    loop_reads = [v for v in read_by(loop, step.new_carry) if v not in made_in_loop]
    after_reads = [v for v in read_by(after) if v not in in_after]
    later = variables([*loop_reads, *after_reads, *outputs])
    return Plan(
        step=step,
        outputs=outputs,
        before=before,
        loop=loop,
        after=after,
        before_results=[v for v in later if v in in_before],
        loop_inputs=[v for v in loop_reads if v in in_before or v in set(step.inputs)],
        emitted=[v for v in variables([*after_reads, *outputs]) if v in from_loop],
        after_inputs=[v for v in after_reads if v in in_before or v in from_loop or v in set(step.inputs)],
        after_results=[v for v in variables(outputs) if v in in_after],
    )
