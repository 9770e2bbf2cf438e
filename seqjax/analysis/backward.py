"""One reverse pass that keeps the losses of all steps apart."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.analysis.perturbed import is_state, perturbed
from seqjax.cells import Cell
from seqjax.engine import scan
from seqjax.engine.checks import batch_shape, check_inputs, describe
from seqjax.engine.driver import own_carry

Loss = Callable[..., jax.Array]
Pull = Callable[[Any], tuple[Any, list, list]]


def checked(cell: Any, params: Any, inputs: Any, carry: Any) -> tuple[Any, Any, Any, int]:
    """Parameters, inputs and carry as arrays, and the number of batch axes.

    Raises:
        ValueError: fewer than two steps, no carry, or one without floating leaves.
    """
    time_steps = check_inputs(cell, inputs)
    if time_steps < 2:
        raise ValueError(f"the inputs have {time_steps} time step, and a gradient through time needs at least 2")
    inputs, params = jax.tree.map(jnp.asarray, (inputs, params))
    carry = jax.tree.map(jnp.asarray, own_carry(cell, params, inputs) if carry is None else carry)
    if not any(map(is_state, jax.tree.leaves(carry))):
        raise ValueError(
            f"the carry of {describe(cell)} has no floating leaf ({carry!r}): nothing recurs that has a gradient"
        )
    batch = batch_shape(cell, inputs) if isinstance(cell, Cell) else jax.tree.leaves(inputs)[0].shape[1:-1]
    return params, inputs, carry, len(batch)


def backward(
    cell: Any,
    params: Any,
    inputs: Any,
    carry: Any,
    loss: Loss | None,
    targets: Any,
    times: jax.Array,
    visit: Callable[[Any, jax.Array, Pull, Any], tuple[Any, Any]],
    start: Any,
) -> tuple[Any, Any]:
    """Go back in time with a row of cotangents for each loss in ``times``.

    At every step ``visit(state, time, pull, rows)`` is called with the transposed derivative of the step and the rows
    of cotangents of its results, ``[losses, ...]``; ``jax.vmap(pull)(rows)`` gives those to the parameters, to the
    carry's floating leaves before the step, and to its floating leaves after it. It returns its new state, and what is
    stacked over time.
    """
    _, outputs, carries = scan(cell, params, inputs, carry, return_carries=True)
    before = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), carry, carries)
    d_outputs = jax.grad(lambda outputs: total_loss(loss, outputs, targets))(outputs)
    of_one_step = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), inputs)
    step = perturbed(cell, params, carry, of_one_step)
    leaves, structure = jax.tree.flatten(carry)
    where = [index for index, leaf in enumerate(leaves) if is_state(leaf)]

    def back(state: tuple[list, Any], at: Any) -> tuple[tuple[list, Any], Any]:
        (cotangents, visited), (time, carry, x, d_output) = state, at
        carry_leaves = jax.tree.leaves(carry)

        def of_states(params: Any, states: list, added: list) -> tuple[list, Any]:
            known = dict(zip(where, states, strict=True))
            carry = jax.tree.unflatten(structure, [known.get(i, leaf) for i, leaf in enumerate(carry_leaves)])
            perturbation = dict(zip(where, added, strict=True))
            new_carry, output = step(params, carry, x, [perturbation.get(i) for i in range(len(leaves))])
            return [jax.tree.leaves(new_carry)[i] for i in where], output

        states = [carry_leaves[i] for i in where]
        _, pull = jax.vjp(of_states, params, states, [jnp.zeros_like(leaf) for leaf in states])
        here = times == time
        own = jax.tree.map(
            lambda a: jnp.where(jnp.expand_dims(here, range(1, a.ndim + 1)), a, jnp.zeros_like(a)), d_output
        )
        rows = (cotangents, own)
        visited, emitted = visit(visited, time, pull, rows)
        # What is not used of the pulled rows is not computed.
        return (jax.vmap(lambda row: pull(row)[1])(rows), visited), emitted

    zeros = [jnp.zeros((times.size, *leaves[i].shape), leaves[i].dtype) for i in where]
    steps = jnp.arange(jax.tree.leaves(inputs)[0].shape[0])
    (_, visited), emitted = jax.lax.scan(back, (zeros, start), (steps, before, inputs, d_outputs), reverse=True)
    return visited, emitted


def total_loss(loss: Loss | None, outputs: Any, targets: Any) -> jax.Array:
    """The sum of all losses; no loss depends on another step's output, so its gradient is every loss's own."""
    if loss is None:
        return sum((jnp.sum(leaf) for leaf in jax.tree.leaves(outputs)), jnp.zeros(()))
    return jnp.sum(jax.vmap(loss)(outputs) if targets is None else jax.vmap(loss)(outputs, targets))


def leaf_names(carry: Any) -> list[str]:
    """The names of a carry's floating leaves."""
    paths = [
        jax.tree_util.keystr(path, simple=True, separator=".")
        for path, leaf in jax.tree.leaves_with_path(carry)
        if is_state(leaf)
    ]
    return [path or "carry" for path in paths]
