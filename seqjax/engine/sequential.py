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
from jax.extend.core import Literal, Var

from seqjax.engine.chunks import Chunk, in_chunks, next_in_loop
from seqjax.engine.equations import aval, evaluate, read, read_by, shape_of
from seqjax.engine.gradient import Gradient, accumulator
from seqjax.engine.loop import Loop
from seqjax.engine.platform import Choices
from seqjax.engine.program import Program
from seqjax.engine.varying import reverse_mode_only, same_variation, zeros_like_varying, zeros_over_time


def run_planned(
    step: Callable, params: Any, carry: Any, inputs: Any, reverse: bool, choices: Choices
) -> tuple[Any, Any]:
    """``lax.scan`` of the step, planned; the same values and reverse-mode gradients."""
    if jax.tree.leaves(inputs)[0].shape[0] == 0:
        return run_plain(step, params, carry, inputs, reverse)
    program = Program(step, params, carry, inputs, reverse, choices)
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
    return _run_loop(forward_loop(program, params), program, carry, inputs)


def _run_forward(program: Program, params: list, carry: list, inputs: list) -> tuple[tuple[list, list], tuple]:
    loop = forward_loop(program, params, saving=True)
    new_carry, outputs = _run_loop(loop, program, carry, inputs)
    stacked = {v: value for v, value in zip(loop.plan.outputs, outputs, strict=True) if isinstance(v, Var)}
    saved = [stacked[v] for v in program.gradient.saved]
    return (new_carry, outputs[: len(program.body.outputs)]), (params, carry, inputs, saved)


def _run_backward(program: Program, residuals: tuple, cotangents: tuple) -> tuple[list, list, list]:
    params, carry, inputs, saved = residuals
    d_carry, d_outputs = cotangents
    body, gradient, choices = program.body, program.gradient, program.choices
    kept = dict(zip(gradient.saved, saved, strict=True))
    first = dict(zip(body.carry, carry, strict=True))
    loop = backward_loop(program, params)
    stacked = [*saved, *inputs, *(d_outputs[i] for i in gradient.outputs)]
    apart = _shifted_apart(gradient) if choices.shift_apart else set()
    zeros = lambda v: zeros_like_varying(accumulator(v), stacked)

    def run_chunk(state: tuple, chunk: Chunk) -> tuple[tuple, list, list]:
        carry, sums, totals = state
        values, length = dict(zip(gradient.saved, chunk.inputs, strict=False)), len(chunk.inputs[0])
        for v, new in gradient.one_later.items():
            # The carry before a step is the new carry of the step before it, which the reverse loop comes to next.
            place = (chunk.start, length, not program.reverse)
            values[v] = next_in_loop(kept[new], first[v], *place, choices.in_rows, apart=v in apart)
        inputs = [*(values[v] for v in gradient.recalled), *chunk.inputs[len(saved) :]]
        carry, outputs, stores = run_stages(loop, carry, chunk._replace(inputs=inputs), not program.reverse)
        d_summed, d_inputs, contracted, moving = gradient.split_outputs(outputs)
        sums = [a + d.astype(a.dtype).sum(0) for a, d in zip(sums, d_summed, strict=True)]
        rest = iter(moving)
        totals = [
            a + c.chunk([next(rest) for _ in c.products], d, choices.transpose_apart).astype(a.dtype)
            for a, c, d in zip(totals, gradient.contractions, contracted, strict=True)
        ]
        return (carry, sums, totals), d_inputs, stores

    state = (
        [d_carry[i] for i in gradient.carry] + [zeros(v) for v in gradient.accumulated],
        [zeros(v) for v in gradient.summed],
        [zeros_like_varying(contraction.start, stacked) for contraction in gradient.contractions],
    )
    (carry, sums, totals), d_inputs, _ = in_chunks(
        run_chunk, state, stacked, loop.chunk_length, not program.reverse, in_rows=choices.in_rows
    )
    d_carry, accumulated = carry[: len(gradient.carry)], carry[len(gradient.carry) :]
    gradients: dict = {}
    parts = [*zip(gradient.accumulated, accumulated), *zip(gradient.summed, sums)]
    for contraction, total in zip(gradient.contractions, totals, strict=True):
        parts += zip(contraction.parameters, contraction.gradients(total), strict=True)
    for v, part in parts:
        gradients[v] = gradients[v] + part if v in gradients else part
    return (
        [gradients[v].astype(aval(v).dtype) if v in gradients else None for v in body.params],
        _place(d_carry, gradient.carry, len(body.carry)),
        _place(d_inputs, gradient.inputs, len(body.inputs)),
    )


_run.defvjp(_run_forward, _run_backward)


def _shifted_apart(gradient: Gradient) -> set[Var]:
    """The carries that the backward pass needs in an array of their own: for its loop, or for a product before it."""
    plan = gradient.plan
    products = [e for e in plan.before if e.primitive.name == "dot_general"]
    alone = {*plan.loop_inputs, *read_by(products)}
    return {v for v, stand_in in zip(gradient.recalled, plan.step.inputs, strict=False) if stand_in in alone}


def _place(values: Sequence[Any], positions: Sequence[int], count: int) -> list[Any]:
    placed: list[Any] = [None] * count
    for position, value in zip(positions, values, strict=True):
        placed[position] = value
    return placed


def forward_loop(program: Program, params: Sequence[Any], saving: bool = False) -> Loop:
    """The loop of the forward pass, perhaps one that saves what the backward pass reads, for its frontier's values."""
    plan = program.saving_plan if saving else program.plan
    choices = program.choices.with_gradients() if saving else program.choices
    return Loop(plan, plan.step.environment(params), program.time_steps, choices, results=plan.outputs)


def backward_loop(program: Program, params: Sequence[Any]) -> Loop:
    """The loop of the backward pass, for the values of the forward pass's frontier."""
    plan = program.gradient.plan
    fixed = plan.step.environment(program.gradient.frontier_values(params))
    choices = program.choices.with_gradients()
    return Loop(plan, fixed, program.time_steps, choices, recalled=program.gradient.saved)


def _run_loop(loop: Loop, program: Program, carry: list, inputs: list) -> tuple[list, list]:
    stores = [zeros_over_time(program.time_steps, shape_of(v), inputs) for v in loop.stored]
    run_chunk = lambda carry, chunk: run_stages(loop, carry, chunk, program.reverse)
    carry, outputs, stores = in_chunks(
        run_chunk, carry, inputs, loop.chunk_length, program.reverse, stores=stores, in_rows=program.choices.in_rows
    )
    stored: dict[Any, jax.Array] = dict(zip(loop.stored, stores, strict=True))
    named = zip(loop.plan.outputs, outputs, strict=True)
    return carry, [stored[v] if output is None else output for v, output in named]


def run_stages(loop: Loop, carry: list, chunk: Chunk, reverse: bool) -> tuple[list, list, list]:
    """One chunk of time: all steps of ``before`` at once, the loop, all steps of ``after`` at once.

    Returns:
        The carry, the outputs of the plan, ``None`` in the place of what has been written to a store, and the stores.
    """
    plan, step, fixed, time_steps = loop.plan, loop.plan.step, loop.fixed, chunk.inputs[0].shape[0]
    stacked, stores = dict(zip(step.inputs, chunk.inputs, strict=True)), chunk.stores

    def stage(equations: list, reads: list, results: list) -> None:
        def one_step(values: list) -> list:
            environment = {**fixed, **dict(zip(reads, values, strict=True))}
            evaluate(equations, environment)
            return [environment[v] for v in results]

        if results:
            values = jax.vmap(one_step, axis_size=time_steps)([stacked[v] for v in reads])
            stacked.update(zip(results, values, strict=True))

    stage(plan.before, step.inputs, plan.before_results)
    if step.carry or plan.loop:
        carry, emitted, stores = loop.run(carry, stacked, time_steps, reverse, stores, chunk.start)
        stacked.update(emitted)
    stage(plan.after, plan.after_inputs, plan.after_results)

    def output(atom: Any) -> Any:
        if not isinstance(atom, Literal):
            if atom in loop.stored:
                return None
            if atom in stacked:
                return stacked[atom]
        value = jnp.asarray(read(fixed, atom), aval(atom).dtype)
        return jnp.broadcast_to(value, (time_steps, *value.shape))

    return carry, [output(atom) for atom in plan.outputs], stores
