import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.cells import GRU, LSTM
from seqjax.nn import Recurrent, recurrent

BATCH, TIME, INPUTS, HIDDEN = 3, 5, 2, 4
CELL = LSTM(input_size=INPUTS, hidden_size=HIDDEN)


@pytest.fixture(scope="module")
def inputs():
    return jax.random.normal(jax.random.key(1), (BATCH, TIME, INPUTS))


def loop(layer, inputs, *, start=0, stop=TIME, reverse=False, resets=None):
    """One sequence ``[time, features]``, step by step: ``(carry, outputs by time)``."""
    params, carry, outputs = layer.param_values, layer.cell.initial_carry(), {}
    for step in sorted(range(start, stop), reverse=reverse):
        if resets is not None and resets[step]:
            carry = layer.cell.initial_carry()
        carry, outputs[step] = layer.cell(params, carry, inputs[step])
    return carry, outputs


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("with_flags", [False, True])
def test_is_the_cell_step_by_step(inputs, reverse, with_flags):
    layer = Recurrent(CELL, rngs=nnx.Rngs(0), reverse=reverse)
    lengths = np.array([TIME, 2, 0]) if with_flags else np.full(BATCH, TIME)
    resets = np.zeros((BATCH, TIME), bool)
    resets[0, 3] = with_flags
    options = {"lengths": jnp.asarray(lengths), "resets": jnp.asarray(resets)} if with_flags else {}
    carry, outputs = layer(inputs, **options)
    assert outputs.shape == (BATCH, TIME, HIDDEN)
    for row in range(BATCH):
        expected_carry, expected = loop(layer, inputs[row], stop=lengths[row], reverse=reverse, resets=resets[row])
        np.testing.assert_allclose(carry.cell[row], expected_carry.cell, atol=1e-6)
        np.testing.assert_allclose(carry.hidden[row], expected_carry.hidden, atol=1e-6)
        for step in range(TIME):
            np.testing.assert_allclose(outputs[row, step], expected.get(step, np.zeros(HIDDEN)), atol=1e-6)


def test_any_batch_shape(inputs):
    layer = Recurrent(CELL, rngs=nnx.Rngs(0))
    _, outputs = layer(inputs)
    nested_carry, nested = layer(inputs[:2].reshape(2, 1, TIME, INPUTS), lengths=jnp.full((2, 1), TIME))
    single_carry, single = layer(inputs[0])
    np.testing.assert_allclose(nested.reshape(2, TIME, HIDDEN), outputs[:2], atol=1e-6)
    np.testing.assert_allclose(single, outputs[0], atol=1e-6)
    assert nested_carry.hidden.shape == (2, 1, HIDDEN)
    assert single_carry.hidden.shape == (HIDDEN,)


def test_carry_is_handed_on(inputs):
    layer = Recurrent(CELL, rngs=nnx.Rngs(0))
    carry, outputs = layer(inputs)
    middle, first = layer(inputs[:, :2])
    last_carry, rest = layer(inputs[:, 2:], middle)
    np.testing.assert_allclose(jnp.concatenate([first, rest], axis=1), outputs, atol=1e-6)
    np.testing.assert_allclose(last_carry.cell, carry.cell, atol=1e-6)


def test_step_is_one_time_step(inputs):
    layer = Recurrent(CELL, rngs=nnx.Rngs(0))
    carry, output = layer.step(inputs[:, 0], layer.initial_carry(BATCH))
    whole_carry, outputs = layer(inputs[:, :1])
    np.testing.assert_allclose(output, outputs[:, 0], atol=1e-6)
    np.testing.assert_allclose(carry.cell, whole_carry.cell, atol=1e-6)
    with pytest.raises(ValueError, match="reverse=True needs the whole sequence"):
        Recurrent(CELL, rngs=nnx.Rngs(0), reverse=True).step(inputs[:, 0], carry)


def test_parameters_keep_their_names_and_values():
    layer = Recurrent(CELL, rngs=nnx.Rngs(params=7))
    expected = CELL.init(nnx.Rngs(params=7).params())
    state = nnx.to_pure_dict(nnx.state(layer, nnx.Param))
    assert set(state["params"]) == {"kernel", "recurrent_kernel", "bias"}
    for name, value in state["params"].items():
        np.testing.assert_array_equal(value, getattr(expected, name))
    assert type(layer.param_values) is type(expected)


def test_a_parameter_may_be_absent(inputs):
    layer = Recurrent(GRU(input_size=INPUTS, hidden_size=HIDDEN, reset="before"), rngs=nnx.Rngs(0))
    assert layer.param_values.recurrent_bias is None
    assert len(jax.tree.leaves(nnx.state(layer))) == 3
    restored = nnx.merge(*nnx.split(layer))
    np.testing.assert_array_equal(restored(inputs)[1], layer(inputs)[1])


def test_types():
    layer = Recurrent(CELL, rngs=nnx.Rngs(0), param_dtype=jnp.bfloat16)
    assert layer.initial_carry(2).cell.dtype == jnp.bfloat16
    carry, outputs = layer(jnp.ones((2, TIME, INPUTS), jnp.bfloat16), layer.initial_carry(2))
    assert outputs.dtype == carry.cell.dtype == jnp.bfloat16


def test_initial_carry_takes_a_size_or_a_shape():
    layer = Recurrent(CELL, rngs=nnx.Rngs(0))
    assert layer.initial_carry(2).hidden.shape == (2, HIDDEN)
    assert layer.initial_carry((2, 3)).hidden.shape == (2, 3, HIDDEN)
    assert layer.initial_carry().hidden.shape == (HIDDEN,)


def test_pickles(inputs):
    layer = Recurrent(CELL, rngs=nnx.Rngs(0))
    copy = pickle.loads(pickle.dumps(layer))
    assert copy.cell == layer.cell
    np.testing.assert_array_equal(copy(inputs)[1], layer(inputs)[1])


def test_options_reach_the_scan(inputs, monkeypatch):
    received = {}
    monkeypatch.setattr(recurrent, "scan", lambda *arguments, **options: received.update(options) or (None, inputs))
    Recurrent(CELL, rngs=nnx.Rngs(0), mode="lax", checkpoint=2, reverse=True)(inputs)
    flags = dict.fromkeys(("lengths", "resets", "fresh_carry"))
    assert received == {"mode": "lax", "checkpoint": 2, "reverse": True, **flags}
    monkeypatch.undo()
    with pytest.raises(ValueError, match="mode must be one of"):
        Recurrent(CELL, rngs=nnx.Rngs(0), mode="fast")(inputs)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((BATCH, TIME, 7), r"got inputs of shape \(3, 5, 7\), expected \[\*batch, time, 2\]"),
        ((BATCH, TIME), "did you forget an embedding"),
        ((INPUTS,), r"expected \[\*batch, time, 2\]"),
    ],
)
def test_shape_errors(shape, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(CELL, rngs=nnx.Rngs(0))(jnp.zeros(shape))


def test_expects_a_cell():
    with pytest.raises(TypeError, match="Recurrent expects a cell such as"):
        Recurrent(LSTM, rngs=nnx.Rngs(0))
