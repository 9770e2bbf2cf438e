"""Loops over chunks of time."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from seqjax.engine.equations import explicitly_sharded


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
        following: what follows its last step in the direction of the loop, of each of ``ahead``.
        stores: arrays over all time, for what the chunk writes itself; none where all steps are one chunk.
        start: the time of its first step.
    """

    inputs: Any
    following: list[jax.Array]
    stores: list[jax.Array]
    start: Any


def in_chunks(
    run: Callable[[Any, Chunk], tuple[Any, Any, list[jax.Array]]],
    carry: Any,
    inputs: Any,
    length: int,
    reverse: bool,
    ahead: Sequence[tuple[jax.Array, jax.Array]] = (),
    stores: Sequence[jax.Array] = (),
    in_rows: bool = False,
) -> tuple[Any, Any, list[jax.Array]]:
    """``carry, outputs, stores = run(carry, chunk)`` over chunks of time in one loop, and over what is left.

    ``ahead`` holds pairs of what is stacked over time and what follows its last step in the direction of the loop.
    ``outputs`` are stacked over all time; ``stores`` are handed from chunk to chunk. With ``in_rows`` the loop takes
    and gives what is stacked with one axis beside time.
    """
    count, rest = divmod(jax.tree.leaves(inputs)[0].shape[0], length)
    ends, stores = [end for _, end in ahead], list(stores)
    if count == 0 or (count == 1 and rest == 0):
        return run(carry, Chunk(inputs, ends, stores, 0))
    steps, rows = count * length, _rows if in_rows else lambda stacked: stacked
    whole = jax.tree.map(lambda a: a[:steps].reshape(count, length, *a.shape[1:]), jax.tree.map(rows, inputs))
    left = jax.tree.map(lambda a: a[steps:], inputs)
    after_left = [a[steps - 1] for a, _ in ahead] if reverse else ends
    following = []
    for a, end in ahead:
        last = rows((a[steps] if rest and not reverse else end)[None])
        if reverse:
            following.append(jnp.concatenate([last, rows(a)[length - 1 : steps - 1 : length]]))
        else:
            following.append(jnp.concatenate([rows(a)[length:steps:length], last]))
    shapes: Any = None

    def run_one(state: tuple[Any, list, Any], chunk: tuple[Any, list]) -> tuple[tuple[Any, list, Any], Any]:
        nonlocal shapes
        (carry, stores, start), (now, next_ones) = state, chunk
        now = jax.tree.map(lambda a, whole: a.reshape(length, *whole.shape[1:]), now, inputs)
        next_ones = [a.reshape(end.shape) for a, end in zip(next_ones, ends, strict=True)]
        carry, outputs, stores = run(carry, Chunk(now, next_ones, stores, start))
        shapes = jax.tree.map(lambda a: (steps, *a.shape[1:]), outputs)
        return (carry, stores, start + jnp.int32(-length if reverse else length)), jax.tree.map(rows, outputs)

    left_outputs = None
    if rest and reverse:
        carry, left_outputs, stores = run(carry, Chunk(left, after_left, stores, steps))
    first = jnp.int32(steps - length if reverse else 0)
    (carry, stores, _), outputs = lax.scan(run_one, (carry, stores, first), (whole, following), reverse=reverse)
    outputs = jax.tree.map(lambda a, shape: a.reshape(shape), outputs, shapes)
    if rest and not reverse:
        carry, left_outputs, stores = run(carry, Chunk(left, after_left, stores, steps))
    if rest:
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, left_outputs)
    return carry, outputs, stores


def next_in_loop(stacked: jax.Array, following: jax.Array, reverse: bool, in_rows: bool = False) -> jax.Array:
    """For every step of a chunk the value at the step that follows it in the direction of the loop."""
    rows = _rows if in_rows else lambda stacked: stacked
    every, last = rows(stacked), rows(following[None])
    return jnp.concatenate([last, every[:-1]] if reverse else [every[1:], last]).reshape(stacked.shape)


def _rows(stacked: jax.Array) -> jax.Array:
    """The array with one axis beside time; axes that are explicitly sharded cannot be joined."""
    if explicitly_sharded(stacked):
        return stacked
    return stacked.reshape(stacked.shape[0], math.prod(stacked.shape[1:]))
