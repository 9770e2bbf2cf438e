"""Chunks of time and loops over steps: how long, and how they are put together for the platform that runs them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# On a CPU what one chunk hands from stage to stage should stay in the cache; an accelerator wants the largest products.
_CACHE_BYTES = 6 * 2**20
_SHORTEST, _LONGEST = 8, 64


def on_cpu() -> bool:
    """Whether the program is traced for a CPU."""
    return jax.default_backend() == "cpu"


def chunk_length(time_steps: int, bytes_per_step: int) -> int:
    """How many steps to take at once, from the bytes that one step hands from stage to stage.

    A length that divides the number of steps is preferred, if there is one near: what is left over costs a second copy
    of the loop in the compiled program.
    """
    if not on_cpu():
        return time_steps
    wanted = min(max(_CACHE_BYTES // max(bytes_per_step, 1), _SHORTEST), _LONGEST)
    if time_steps <= 1.5 * wanted:
        return time_steps
    for length in range(wanted, wanted // 2, -1):
        if time_steps % length == 0:
            return length
    return wanted


def scan_fetching_ahead(
    step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, inputs: list[jax.Array], length: int, reverse: bool
) -> tuple[Any, Any]:
    """``lax.scan`` whose every step also fetches the inputs of the next one.

    XLA's CPU compiler fuses the fetching of a step's inputs into the elementwise work that reads them, and does not
    vectorise what comes of it. Fetched one step ahead, they arrive in buffers of their own: the same work takes up to a
    third less time.
    """
    fetch = lambda time: [lax.dynamic_index_in_dim(a, time, keepdims=False) for a in inputs]

    def step_and_fetch(state: tuple[Any, list], time: jax.Array) -> tuple[tuple[Any, list], Any]:
        carry, outputs = step(*state)
        following = jnp.maximum(time - 1, 0) if reverse else jnp.minimum(time + 1, length - 1)
        return (carry, fetch(following)), outputs

    state = (carry, fetch(length - 1 if reverse else 0))
    (carry, _), outputs = lax.scan(step_and_fetch, state, jnp.arange(length), reverse=reverse)
    return carry, outputs


def in_chunks(
    run: Callable[[Any, Any], tuple[Any, Any]], carry: Any, inputs: Any, length: int, reverse: bool
) -> tuple[Any, Any]:
    """``carry, outputs = run(carry, inputs)`` over chunks of time in one loop, and over the steps that are left."""
    count, rest = divmod(jax.tree.leaves(inputs)[0].shape[0], length)
    if count == 0 or (count == 1 and rest == 0):
        return run(carry, inputs)
    whole = jax.tree.map(lambda a: a[: count * length].reshape(count, length, *a.shape[1:]), inputs)
    left = jax.tree.map(lambda a: a[count * length :], inputs)
    left_outputs = None
    if rest and reverse:
        carry, left_outputs = run(carry, left)
    carry, outputs = lax.scan(run, carry, whole, reverse=reverse)
    outputs = jax.tree.map(lambda a: a.reshape(count * length, *a.shape[2:]), outputs)
    if rest and not reverse:
        carry, left_outputs = run(carry, left)
    if rest:
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, left_outputs)
    return carry, outputs
