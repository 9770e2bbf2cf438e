"""Running a plan one step after the other, in chunks of time, and differentiating it.

A chunk is evaluated stage by stage: ``before`` for all its steps at once, the loop, ``after`` for all its steps at
once. Chunks keep what the stages hand to each other small enough for the cache. Forward and backward pass are the same
code: the backward pass of a step is a step (see :mod:`seqjax.engine.gradient`).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal

from seqjax.engine.chunks import chunk_length, in_chunks, on_cpu, scan_fetching_ahead
from seqjax.engine.equations import aval, evaluate, read
from seqjax.engine.gradient import accumulator
from seqjax.engine.plan import Plan
from seqjax.engine.program import Program, typed_like
from seqjax.engine.varying import reverse_mode_only, same_variation, zeros_like_varying


def run_planned(step: Callable, params: Any, carry: Any, inputs: Any, reverse: bool) -> tuple[Any, Any]:
    """``lax.scan`` of the step, planned; the same values and reverse-mode gradients."""
    if jax.tree.leaves(inputs)[0].shape[0] == 0:
        return run_plain(step, params, carry, inputs, reverse)
    program = Program(step, params, carry, inputs, reverse)
    if program.has_effects:
        # Prints and callbacks keep the order that they were written in.
        return run_plain(step, params, carry, inputs, reverse)
    values = program.frontier_values(jax.tree.leaves(params))
    # Values made of constants alone vary over no mesh axis yet.
    values = reverse_mode_only(same_variation((values, jax.tree.leaves(carry), jax.tree.leaves(inputs))))
    carry_leaves, outputs = _run(program, *values)
    return jax.tree.unflatten(program.carry_tree, carry_leaves), jax.tree.unflatten(program.output_tree, outputs)


def run_plain(step: Callable, params: Any, carry: Any, inputs: Any, reverse: bool) -> tuple[Any, Any]:
    """The plain ``lax.scan`` of the step: the reference."""
    return lax.scan(lambda carry, inputs: step(params, carry, inputs), carry, inputs, reverse=reverse)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(program: Program, params: list, carry: list, inputs: list) -> tuple[list, list]:
    return _run_plan(program.plan, program.reverse, params, carry, inputs)


def _run_forward(program: Program, params: list, carry: list, inputs: list) -> tuple[tuple[list, list], tuple]:
    carry, outputs = _run_plan(program.saving_plan, program.reverse, params, carry, inputs)
    count = len(program.body.outputs)
    return (carry, outputs[:count]), (params, inputs, outputs[count:])


def _run_backward(program: Program, residuals: tuple, cotangents: tuple) -> tuple[list, list, list]:
    params, inputs, saved = residuals
    d_carry, d_outputs = cotangents
    body, gradient = program.body, program.gradient
    frontier = gradient.frontier_values(params)
    parameter = dict(zip(body.params, params, strict=True))
    stacked = [*saved, *inputs, *(d_outputs[i] for i in gradient.outputs)]
    zeros = lambda v: zeros_like_varying(accumulator(v), stacked)

    def run_chunk(state: tuple, inputs: list) -> tuple[tuple, list]:
        carry, sums, contractions = state
        carry, outputs = run_stages(gradient.plan, frontier, carry, inputs, not program.reverse)
        d_summed, d_inputs, d_products, moving = gradient.split_outputs(outputs)
        sums = [a + d.astype(a.dtype).sum(0) for a, d in zip(sums, d_summed, strict=True)]
        contractions = [
            a + p.parameter_gradient(m, parameter[p.parameter], d).astype(a.dtype)
            for a, p, m, d in zip(contractions, gradient.products, moving, d_products, strict=True)
        ]
        return (carry, sums, contractions), d_inputs

    state = (
        [d_carry[i] for i in gradient.carry] + [zeros(v) for v in gradient.accumulated],
        [zeros(v) for v in gradient.summed],
        [zeros(p.parameter) for p in gradient.products],
    )
    chunk = chunk_length(inputs[0].shape[0], gradient.plan.bytes_per_step)
    (carry, sums, contractions), d_inputs = in_chunks(run_chunk, state, stacked, chunk, not program.reverse)
    d_carry, accumulated = carry[: len(gradient.carry)], carry[len(gradient.carry) :]
    totals: dict = {}
    parts = [*zip(gradient.accumulated, accumulated), *zip(gradient.summed, sums)]
    for v, part in [*parts, *zip((p.parameter for p in gradient.products), contractions, strict=True)]:
        totals[v] = totals[v] + part if v in totals else part
    return (
        [totals[v].astype(aval(v).dtype) if v in totals else None for v in body.params],
        _place(d_carry, gradient.carry, len(body.carry)),
        _place(d_inputs, gradient.inputs, len(body.inputs)),
    )


_run.defvjp(_run_forward, _run_backward)


def _place(values: Sequence[Any], positions: Sequence[int], count: int) -> list[Any]:
    placed: list[Any] = [None] * count
    for position, value in zip(positions, values, strict=True):
        placed[position] = value
    return placed


def _run_plan(plan: Plan, reverse: bool, params: list, carry: list, inputs: list) -> tuple[list, list]:
    run_chunk = lambda carry, inputs: run_stages(plan, params, carry, inputs, reverse)
    return in_chunks(run_chunk, carry, inputs, chunk_length(inputs[0].shape[0], plan.bytes_per_step), reverse)


def run_stages(plan: Plan, params: list, carry: list, inputs: list, reverse: bool) -> tuple[list, list]:
    """One chunk of time: all steps of ``before`` at once, the loop, all steps of ``after`` at once."""
    step, time_steps = plan.step, inputs[0].shape[0]
    fixed = step.environment(params)
    stacked = dict(zip(step.inputs, inputs, strict=True))

    def stage(equations: list, reads: list, results: list) -> None:
        def one_step(values: list) -> list:
            environment = {**fixed, **dict(zip(reads, values, strict=True))}
            evaluate(equations, environment)
            return [environment[v] for v in results]

        if results:
            values = jax.vmap(one_step, axis_size=time_steps)([stacked[v] for v in reads])
            stacked.update(zip(results, values, strict=True))

    def loop_step(carry: list, values: list) -> tuple[list, list]:
        environment = {**fixed, **dict(zip(step.carry, carry, strict=True))}
        environment.update(zip(plan.loop_inputs, values, strict=True))
        evaluate(plan.loop, environment)
        new_carry = [typed_like(read(environment, v), c) for v, c in zip(step.new_carry, carry, strict=True)]
        return new_carry, [environment[v] for v in plan.emitted]

    stage(plan.before, step.inputs, plan.before_results)
    if step.carry or plan.loop:
        values = [stacked[v] for v in plan.loop_inputs]
        loop = scan_fetching_ahead if values and on_cpu() else lax.scan
        carry, emitted = loop(loop_step, carry, values, length=time_steps, reverse=reverse)
        stacked.update(zip(plan.emitted, emitted, strict=True))
    stage(plan.after, plan.after_inputs, plan.after_results)

    def output(atom: Any) -> Any:
        if not isinstance(atom, Literal) and atom in stacked:
            return stacked[atom]
        value = jnp.asarray(read(fixed, atom), aval(atom).dtype)
        return jnp.broadcast_to(value, (time_steps, *value.shape))

    return carry, [output(atom) for atom in plan.outputs]
