"""What the measures of a trajectory share: the carries before each step, flattened to one vector a sequence."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax.analysis.perturbed import is_state
from seqjax.engine import scan
from seqjax.engine.checks import check_inputs, describe
from seqjax.engine.driver import own_carry


class Trajectory(NamedTuple):
    """One sequence's states, and the step as a function of one vector."""

    states: jax.Array
    """The carry before each step, its floating leaves side by side, ``[time, size]``."""
    before: Any
    """The same as a tree, ``[time, ...]``."""
    inputs: Any
    """``[time, ...]``."""
    step: Callable[[jax.Array, Any, Any], jax.Array]
    """``new_state = step(state, before, x)``: ``before`` gives the leaves that have no derivative."""


def trajectory(cell: Any, params: Any, inputs: Any, carry: Any = None) -> Trajectory:
    """Run one sequence, without a batch axis, and keep every carry.

    Raises:
        ValueError: no floating leaf in the carry, or a function without a carry.
    """
    check_inputs(cell, inputs)
    inputs, params = jax.tree.map(jnp.asarray, (inputs, params))
    carry = jax.tree.map(jnp.asarray, own_carry(cell, params, inputs) if carry is None else carry)
    if not any(map(is_state, jax.tree.leaves(carry))):
        raise ValueError(
            f"the carry of {describe(cell)} has no floating leaf ({carry!r}): nothing recurs that has a gradient"
        )
    _, _, carries = scan(cell, params, inputs, carry, return_carries=True)
    before = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), carry, carries)
    step = lambda state, like, x: flatten_state(cell(params, unflatten_state(state, like), x)[0])
    return Trajectory(jax.vmap(flatten_state)(before), before, inputs, step)


def flatten_state(carry: Any) -> jax.Array:
    """The floating leaves of one carry side by side."""
    return jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(carry) if is_state(leaf)])


def unflatten_state(state: jax.Array, like: Any) -> Any:
    """A carry like ``like`` with its floating leaves taken from a vector."""
    leaves, structure = jax.tree.flatten(like)
    start, new = 0, []
    for leaf in leaves:
        size = math.prod(leaf.shape)
        new.append(state[start : start + size].reshape(leaf.shape).astype(leaf.dtype) if is_state(leaf) else leaf)
        start += size if is_state(leaf) else 0
    return jax.tree.unflatten(structure, new)
