"""Loops over chunks of time."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


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
) -> tuple[Any, Any, list[jax.Array]]:
    """``carry, outputs, stores = run(carry, chunk)`` over chunks of time in one loop, and over what is left.

    ``ahead`` holds pairs of what is stacked over time and what follows its last step in the direction of the loop.
    ``outputs`` are stacked over all time; ``stores`` are handed from chunk to chunk.
    """
    count, rest = divmod(jax.tree.leaves(inputs)[0].shape[0], length)
    ends, stores = [end for _, end in ahead], list(stores)
    if count == 0 or (count == 1 and rest == 0):
        return run(carry, Chunk(inputs, ends, stores, 0))
    steps = count * length
    whole = jax.tree.map(lambda a: a[:steps].reshape(count, length, *a.shape[1:]), inputs)
    left = jax.tree.map(lambda a: a[steps:], inputs)
    if reverse:
        following = [jnp.concatenate([end[None], a[length - 1 : steps - 1 : length]]) for a, end in ahead]
        after_left = [a[steps - 1] for a, _ in ahead]
    else:
        following = [jnp.concatenate([a[length:steps:length], (a[steps] if rest else end)[None]]) for a, end in ahead]
        after_left = ends

    def run_one(state: tuple[Any, list, Any], chunk: tuple[Any, list]) -> tuple[tuple[Any, list, Any], Any]:
        (carry, stores, start), (inputs, following) = state, chunk
        carry, outputs, stores = run(carry, Chunk(inputs, following, stores, start))
        return (carry, stores, start + jnp.int32(-length if reverse else length)), outputs

    left_outputs = None
    if rest and reverse:
        carry, left_outputs, stores = run(carry, Chunk(left, after_left, stores, steps))
    first = jnp.int32(steps - length if reverse else 0)
    (carry, stores, _), outputs = lax.scan(run_one, (carry, stores, first), (whole, following), reverse=reverse)
    outputs = jax.tree.map(lambda a: a.reshape(steps, *a.shape[2:]), outputs)
    if rest and not reverse:
        carry, left_outputs, stores = run(carry, Chunk(left, after_left, stores, steps))
    if rest:
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, left_outputs)
    return carry, outputs, stores


def next_in_loop(stacked: jax.Array, following: jax.Array, reverse: bool) -> jax.Array:
    """For every step of a chunk the value at the step that follows it in the direction of the loop."""
    if reverse:
        return jnp.concatenate([following[None], stacked[:-1]])
    return jnp.concatenate([stacked[1:], following[None]])
