"""``seqjax.scan``: the one door to the engine."""

import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from seqjax.cells import Cell
from seqjax.cells.transforms import with_noise_of
from seqjax.engine import checks, segments
from seqjax.engine.chunks import Chunk, dividing, in_chunks
from seqjax.engine.compilations import count_compilation
from seqjax.engine.platform import Choices, choices
from seqjax.engine.sequential import run_plain, run_planned
from seqjax.engine.varying import same_variation

Mode = Literal["auto", "lax"]
MODES: tuple[Mode, ...] = ("auto", "lax")


def scan(
    cell: Any,
    params: Any,
    inputs: Any,
    carry: Any = None,
    *,
    lengths: Any = None,
    resets: Any = None,
    reverse: bool = False,
    mode: Mode = "auto",
    checkpoint: Literal["sqrt"] | int | None = None,
    return_carries: bool = False,
    fresh_carry: Any = None,
) -> Any:
    r"""Run a step over time: ``carry_t, output_t = cell(params, carry_{t-1}, inputs_t)``.

    Values and gradients are those of :func:`jax.lax.scan` of the step. The engine reads the step and moves work that
    does not need the carry out of the loop; ``seqjax.explain(cell)`` shows what it found. As under :func:`jax.jit`, a
    function is traced once for given shapes: what it closes over must not change between calls.

    Args:
        cell: a :class:`~seqjax.Cell`, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters, any tree of arrays.
        inputs: any tree of arrays ``[time, *batch, ...]``.
        carry: the carry before the first step; a cell's own initial carry if not given.
        lengths: whole numbers ``[*batch]``, 0 to ``time``. Outputs after the end are zero, the final carry is the one
            at the last valid step, and what the padding holds (NaN too) touches nothing.
        resets: booleans ``[time, *batch]``; where True the carry is fresh *before* that step's input is read.
        reverse: run from the last (valid) step to the first; outputs keep their places.
        mode: ``"auto"``, or ``"lax"`` for the plain scan, which also offers forward-mode derivatives.
        checkpoint: ``None`` saves what the backward pass needs; ``"sqrt"`` or a number of time steps saves only one
            carry a segment and recomputes the rest, so that memory grows as the square root of time.
        return_carries: also return every carry.
        fresh_carry: the carry that a reset restores, shaped like ``carry``; a cell's own initial carry if not given,
            with the noise of ``carry`` where a cell has any.

    Returns:
        ``(carry, outputs)`` with outputs ``[time, *batch, ...]``, and with ``return_carries`` ``(carry, outputs,
        carries)``, where ``carries[t]`` is the carry after step ``t`` (held where a sequence has ended).

    Raises:
        ValueError: shapes, lengths or options that do not fit.
        TypeError: a step that returns a carry of another structure, shape or type.

    Example:
        >>> import jax, seqjax
        >>> cell = seqjax.cells.LSTM(input_size=3, hidden_size=5)
        >>> params = cell.init(jax.random.key(0))
        >>> carry, outputs = seqjax.scan(cell, params, jax.numpy.ones([7, 2, 3]))
        >>> outputs.shape, carry.cell.shape
        ((7, 2, 5), (2, 5))
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")
    checks.check_checkpoint(checkpoint)
    time_steps = checks.check_inputs(cell, inputs)
    inputs = jax.tree.map(jnp.asarray, inputs)
    if carry is None:
        carry = own_carry(cell, params, inputs)
    if resets is None:
        fresh_carry = None
    elif fresh_carry is None:
        fresh_carry = own_carry(cell, params, inputs, "fresh_carry, the carry that a reset restores")
        fresh_carry = with_noise_of(fresh_carry, carry)
    params, carry, fresh_carry = jax.tree.map(jnp.asarray, (params, carry, fresh_carry))
    if fresh_carry is not None:
        checks.check_fresh_carry(cell, carry, fresh_carry)
    lengths, resets = checks.check_flags(inputs, carry, time_steps, lengths, resets)
    run = _compiled if _hashable(cell) else _scan
    options = (reverse, mode, checkpoint, return_carries, choices())
    return run(cell, *options, params, inputs, carry, fresh_carry, lengths, resets)


def own_carry(cell: Any, params: Any, inputs: Any, what: str = "carry") -> Any:
    """The initial carry of a cell for these inputs ``[time, *batch, ...]``; a function has none."""
    if not isinstance(cell, Cell):
        raise ValueError(f"{checks.describe(cell)} is a function and has no initial carry of its own; pass {what}")
    floats = [a for a in jax.tree.leaves((params, inputs)) if jnp.issubdtype(jnp.result_type(a), jnp.inexact)]
    return cell.initial_carry(checks.batch_shape(cell, inputs), jnp.result_type(*floats), params)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _scan(
    cell: Any,
    reverse: bool,
    mode: Mode,
    checkpoint: Literal["sqrt"] | int | None,
    return_carries: bool,
    chosen: Choices,
    params: Any,
    inputs: Any,
    carry: Any,
    fresh_carry: Any,
    lengths: jax.Array | None,
    resets: jax.Array | None,
) -> Any:
    count_compilation(cell, inputs)
    step, time_steps = cell, jax.tree.leaves(inputs)[0].shape[0]
    one_step = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), inputs)
    new_carry, outputs = jax.eval_shape(cell, params, carry, one_step)
    checks.check_carry(cell, carry, new_carry)
    if lengths is not None:
        checks.check_outputs(cell, outputs, lengths.shape)
    if lengths is not None or resets is not None:
        step = segments.segmented(step)
        params = segments.SegmentedParams(params, fresh_carry)
        inputs = segments.segmented_inputs(inputs, time_steps, lengths, resets)
    if return_carries:
        step = _with_carries(step)
    run = run_plain if mode == "lax" else functools.partial(run_planned, choices=chosen)
    if checkpoint is not None:
        segment = dividing(time_steps, max(1, math.isqrt(time_steps))) if checkpoint == "sqrt" else checkpoint
        run = _checkpointed(run, segment)
    params, carry, inputs = same_variation((params, carry, inputs))
    carry, outputs = run(step, params, carry, inputs, reverse)
    return (carry, *outputs) if return_carries else (carry, outputs)


_compiled = jax.jit(_scan, static_argnums=(0, 1, 2, 3, 4, 5))


def _with_carries(step: Any) -> Any:
    def step_with_carries(params: Any, carry: Any, inputs: Any) -> Any:
        carry, output = step(params, carry, inputs)
        return carry, (output, carry)

    return step_with_carries


def _checkpointed(run: Any, segment: int) -> Any:
    """``run`` over segments of time, each recomputed in the backward pass from the carry that it starts with."""

    def run_segments(step: Any, params: Any, carry: Any, inputs: Any, reverse: bool) -> Any:
        @jax.checkpoint
        def run_segment(carry: Any, chunk: Chunk) -> tuple[Any, Any, list]:
            return (*run(step, params, carry, chunk.inputs, reverse), [])

        carry, outputs, _ = in_chunks(run_segment, carry, inputs, segment, reverse)
        return carry, outputs

    return run_segments
