"""Layers over cells that read more than one array of features: times, masks, images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.cells import GRUD, ConvLSTM, TimeAwareLSTM
from seqjax.cells.elapsed_time import TimedInputs
from seqjax.nn import Bidirectional, Recurrent, Stacked

BATCH, TIME, SIZE = 2, 4, 3
CELLS = {
    "GRUD": GRUD(input_size=SIZE, hidden_size=SIZE),
    "TimeAwareLSTM": TimeAwareLSTM(input_size=SIZE, hidden_size=SIZE),
    "ConvLSTM": ConvLSTM(input_size=SIZE, hidden_size=SIZE),
}
every_cell = pytest.mark.parametrize("cell", list(CELLS.values()), ids=list(CELLS))


def batch_major_inputs(cell, batch=(BATCH,)):
    return cell.example_inputs(jax.random.key(1), (*batch, TIME))


@every_cell
def test_is_the_cell_step_by_step(cell):
    layer, inputs = Recurrent(cell, rngs=nnx.Rngs(0)), batch_major_inputs(cell)
    lengths, resets = np.array([TIME, 2]), np.zeros((BATCH, TIME), bool)
    resets[0, 2] = True
    carry, outputs = layer(inputs, lengths=jnp.asarray(lengths), resets=jnp.asarray(resets))
    assert outputs.shape == (BATCH, TIME, *cell.output_shape)
    for row in range(BATCH):
        state = cell.initial_carry()
        for step in range(TIME):
            want = np.zeros(cell.output_shape)
            if step < lengths[row]:
                state = cell.initial_carry() if resets[row, step] else state
                state, want = layer.step(jax.tree.map(lambda a, at=(row, step): a[at], inputs), state)
            np.testing.assert_allclose(outputs[row, step], want, atol=1e-6)
        jax.tree.map(lambda a, b, row=row: np.testing.assert_allclose(a[row], b, atol=1e-6), carry, state)


@every_cell
@pytest.mark.parametrize("batch", [(), (2, 1)])
def test_any_batch_shape(cell, batch):
    layer = Recurrent(cell, rngs=nnx.Rngs(0))
    carry, outputs = layer(batch_major_inputs(cell, batch))
    assert outputs.shape == (*batch, TIME, *cell.output_shape)
    assert all(leaf.shape[: len(batch)] == batch for leaf in jax.tree.leaves(carry))


@every_cell
def test_in_both_directions(cell):
    layer, inputs = Bidirectional.from_cell(cell, rngs=nnx.Rngs(0), merge="sum"), batch_major_inputs(cell)
    _, outputs = layer(inputs)
    want = layer.forward(inputs)[1] + layer.backward(inputs)[1]
    np.testing.assert_allclose(outputs, want, atol=1e-6)


@pytest.mark.parametrize("residual", [False, True])
def test_below_a_stack(residual):
    timed, plain = CELLS["TimeAwareLSTM"], ConvLSTM(input_size=SIZE, hidden_size=SIZE)
    rngs = nnx.Rngs(0)
    images = Stacked([Recurrent(plain, rngs=rngs), Recurrent(plain, rngs=rngs)], residual=residual, rngs=rngs)
    _, outputs = images(batch_major_inputs(plain))
    assert outputs.shape == (BATCH, TIME, *plain.output_shape)
    one = Stacked([Recurrent(timed, rngs=rngs)], residual=residual, rngs=rngs)
    inputs = batch_major_inputs(timed)
    np.testing.assert_allclose(one(inputs)[1], one.layers[0](inputs)[1], atol=1e-6)


def test_messages():
    layer = Recurrent(CELLS["TimeAwareLSTM"], rngs=nnx.Rngs(0))
    inputs = batch_major_inputs(layer.cell)
    with pytest.raises(TypeError, match=r"Recurrent got inputs of structure PyTreeDef\(\*\), expected .*TimedInputs"):
        layer(inputs.values)
    with pytest.raises(ValueError, match=r"inputs\.elapsed of shape \(2, 4\), expected \[\*batch, time, 1\]"):
        layer(TimedInputs(inputs.values, inputs.elapsed[..., 0]))
