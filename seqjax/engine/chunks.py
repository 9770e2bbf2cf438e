"""Loops over chunks of time."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from seqjax.engine.equations import explicitly_sharded, in_own_call


def dividing(time_steps: int, wanted: int) -> int:
    """The largest length of chunks, from ``wanted`` down to half of it, that divides the time, or ``wanted``.

    What is left over costs a second copy of the loop in the compiled program, and the joining of its results a copy of
    all of them.
    """
    lengths = range(wanted, wanted // 2, -1)
    return next((length for length in lengths if time_steps % length == 0), wanted)


class Chunk(NamedTuple):
    """What a chunk of time is run with.

    Attributes:
        inputs: those of its steps.
        stores: arrays over all time, for what the chunk writes itself; none where all steps are one chunk.
        start: the time of its first step.
    """

    inputs: Any
    stores: list[jax.Array]
    start: Any


def in_chunks(
    run: Callable[[Any, Chunk], tuple[Any, Any, list[jax.Array]]],
    carry: Any,
    inputs: Any,
    length: int,
    reverse: bool,
    stores: Sequence[jax.Array] = (),
    in_rows: bool = False,
) -> tuple[Any, Any, list[jax.Array]]:
    """``carry, outputs, stores = run(carry, chunk)`` over chunks of time in one loop, and over what is left.

    ``outputs`` are stacked over all time; ``stores`` are handed from chunk to chunk. With ``in_rows`` the loop takes
    and gives what is stacked with one axis beside time.
    """
    count, rest = divmod(jax.tree.leaves(inputs)[0].shape[0], length)
    stores = list(stores)
    if count == 0 or (count == 1 and rest == 0):
        return run(carry, Chunk(inputs, stores, 0))
    steps, rows = count * length, functools.partial(_rows, in_rows=in_rows)
    whole = jax.tree.map(lambda a: a[:steps].reshape(count, length, *a.shape[1:]), jax.tree.map(rows, inputs))
    left = jax.tree.map(lambda a: a[steps:], inputs)
    shapes: Any = None

    def run_one(state: tuple[Any, list, Any], chunk: Any) -> tuple[tuple[Any, list, Any], Any]:
        nonlocal shapes
        carry, stores, start = state
        now = jax.tree.map(lambda a, whole: a.reshape(length, *whole.shape[1:]), chunk, inputs)
        carry, outputs, stores = run(carry, Chunk(now, stores, start))
        shapes = jax.tree.map(lambda a: (steps, *a.shape[1:]), outputs)
        return (carry, stores, start + jnp.int32(-length if reverse else length)), jax.tree.map(rows, outputs)

    left_outputs = None
    if rest and reverse:
        carry, left_outputs, stores = run(carry, Chunk(left, stores, steps))
    first = jnp.int32(steps - length if reverse else 0)
    (carry, stores, _), outputs = lax.scan(run_one, (carry, stores, first), whole, reverse=reverse)
    outputs = jax.tree.map(lambda a, shape: a.reshape(shape), outputs, shapes)
    if rest and not reverse:
        carry, left_outputs, stores = run(carry, Chunk(left, stores, steps))
    if rest:
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, left_outputs)
    return carry, outputs, stores


def next_in_loop(
    whole: jax.Array,
    end: jax.Array,
    start: Any,
    length: int,
    reverse: bool,
    in_rows: bool = False,
    apart: bool = False,
) -> jax.Array:
    """For every step of a chunk the value at the step that follows it in the direction of the loop.

    Args:
        whole: the values of all time steps.
        end: what follows the last of them.
        start: the time of the chunk's first step.
        length: how many steps the chunk has.
        reverse: the direction.
        in_rows: shift them with one axis beside time.
        apart: shift them in a call of its own.
    """
    rows = functools.partial(_rows, in_rows=in_rows)
    arguments = (rows(whole), rows(end[None]), start)
    if apart and not isinstance(start, int):
        shifted = in_own_call(_shift_in_call, *arguments, length, reverse)
    else:
        shifted = _shift(*arguments, length, reverse)
    return shifted.reshape(length, *whole.shape[1:])


def _shift(whole: jax.Array, end: jax.Array, start: Any, length: int, reverse: bool) -> jax.Array:
    cut = functools.partial(lax.dynamic_slice_in_dim, whole, allow_negative_indices=False)
    every, time = cut(start, length), start - 1 if reverse else start + length
    if not isinstance(time, int):
        inside = time >= 0 if reverse else time < len(whole)
        end = lax.select(inside, cut(time, 1), end)
    elif 0 <= time < len(whole):
        end = cut(time, 1)
    return jnp.concatenate([end, every[:-1]] if reverse else [every[1:], end])


_shift_in_call = jax.jit(_shift, static_argnames=("length", "reverse"))


def _rows(stacked: jax.Array, in_rows: bool) -> jax.Array:
    """The array, perhaps with one axis beside time; axes that are explicitly sharded cannot be joined."""
    if not in_rows or explicitly_sharded(stacked):
        return stacked
    return stacked.reshape(stacked.shape[0], math.prod(stacked.shape[1:]))
