"""Batches that are split over devices: placed so, with ``shard_map``, and with explicit shardings."""

import collections
import dataclasses

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import seqjax
from seqjax.cells import GRU, LSTM
from seqjax.engine.platform import choices, force
from seqjax.parallel import batch_mesh, replicate, split_batch
from tests.jaxprs import all_equations
from tests.trees import assert_trees_close

TIME, BATCH = 23, 4
CELLS = {"LSTM": LSTM(input_size=3, hidden_size=4), "GRU": GRU(input_size=3, hidden_size=4)}
CHANGES = {
    "as chosen": {},
    "in chunks": {"chunk_bytes": 1, "shortest": 5, "whole_bytes": 0},
    "turned": {"turn_above": 1, "turn_steps": 1, "few_rows": range(1, 100)},
}


def arguments(cell):
    inputs = jax.random.normal(jax.random.key(1), (TIME, BATCH, 3))
    return cell.init(jax.random.key(0)), inputs, cell.initial_carry((BATCH,))


def gradients(run, *values):
    loss = lambda params, inputs, carry: jnp.sum(jnp.cos(run(params, inputs, carry)))
    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(*values)


@pytest.mark.parametrize("how", ["placed", "shard_map", "explicit"])
@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("name", CELLS)
def test_a_split_batch_gives_the_same(name, changes, how):
    cell = CELLS[name]
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Explicit if how == "explicit" else AxisType.Auto,))
    run = lambda params, inputs, carry: seqjax.scan(cell, params, inputs, carry)[1]
    params, inputs, carry = arguments(cell)
    expected = gradients(lambda *values: seqjax.scan(cell, *values, mode="lax")[1], params, inputs, carry)
    with force(dataclasses.replace(choices(), **CHANGES[changes])):
        if how == "placed":
            split = (split_batch(inputs, mesh, axis=1), split_batch(carry, mesh, axis=0))
            got = gradients(run, replicate(params, mesh), *split)
        elif how == "shard_map":
            batch = P(None, "batch")
            split = jax.shard_map(run, mesh=mesh, in_specs=(P(), batch, P("batch")), out_specs=batch)
            got = gradients(split, params, inputs, carry)
        else:
            place = lambda tree, *axes: jax.device_put(tree, NamedSharding(mesh, P(*axes)))
            with jax.sharding.set_mesh(mesh):
                got = gradients(run, place(params), place(inputs, None, "batch"), place(carry, "batch"))
    assert_trees_close(jax.device_get(got), jax.device_get(expected), 1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_a_placed_batch_is_planned_like_one_that_is_not(name):
    """Derivatives have reshapes where only one of two values knows of a mesh; they must not hide what can be folded."""

    def of_gradient(params, inputs):
        loss = lambda params, inputs: jnp.sum(seqjax.scan(CELLS[name], params, inputs)[1])
        names = [e.primitive.name for e in all_equations(jax.jit(jax.grad(loss)).trace(params, inputs).jaxpr)]
        # A reshard is of a constant.
        return collections.Counter(name for name in names if name != "reshard")

    params, inputs, _ = arguments(CELLS[name])
    mesh = batch_mesh(2)
    assert of_gradient(replicate(params, mesh), split_batch(inputs, mesh, axis=1)) == of_gradient(params, inputs)
