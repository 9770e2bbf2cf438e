import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.cells import GRU, LSTM
from seqjax.nn import Bidirectional, BidirectionalCarry, Recurrent, Stacked

BATCH, TIME, INPUTS, HIDDEN = 3, 5, 2, 4
CELL = LSTM(input_size=INPUTS, hidden_size=HIDDEN)
LENGTHS = [TIME, 2, 0]


@pytest.fixture(scope="module")
def inputs():
    return jax.random.normal(jax.random.key(1), (BATCH, TIME, INPUTS))


@pytest.fixture(scope="module")
def layer():
    return Bidirectional.from_cell(CELL, rngs=nnx.Rngs(0))


def test_padding_is_as_if_each_sequence_ran_alone(layer, inputs):
    damaged = jnp.where(jnp.arange(TIME)[:, None] < jnp.array(LENGTHS)[:, None, None], inputs, jnp.nan)
    carry, outputs = layer(damaged, lengths=jnp.array(LENGTHS))
    assert outputs.shape == (BATCH, TIME, 2 * HIDDEN)
    for row, length in enumerate(LENGTHS):
        alone_carry, alone = layer(inputs[row, :length])
        np.testing.assert_allclose(outputs[row, :length], alone, atol=1e-6)
        np.testing.assert_array_equal(outputs[row, length:], 0)
        for direction, alone_direction in zip(carry, alone_carry, strict=True):
            np.testing.assert_allclose(direction.cell[row], alone_direction.cell, atol=1e-6)
    assert isinstance(carry, BidirectionalCarry)


def test_resets_are_as_if_each_segment_ran_alone(layer, inputs):
    resets = jnp.zeros((BATCH, TIME), bool).at[:, 2].set(True)
    carry, outputs = layer(inputs, resets=resets)
    first_carry, first = layer(inputs[:, :2])
    last_carry, last = layer(inputs[:, 2:])
    np.testing.assert_allclose(outputs, jnp.concatenate([first, last], axis=1), atol=1e-6)
    np.testing.assert_allclose(carry.forward.cell, last_carry.forward.cell, atol=1e-6)
    np.testing.assert_allclose(carry.backward.cell, first_carry.backward.cell, atol=1e-6)


def test_carry_enters_at_both_ends(layer, inputs):
    carry = jax.tree.map(lambda leaf: leaf + 0.5, layer.initial_carry(BATCH))
    _, fresh = layer(inputs)
    _, outputs = layer(inputs, carry)
    forward, backward = jnp.split(jnp.abs(outputs - fresh), 2, axis=-1)
    assert forward[:, 0].max() > 0.01
    assert backward[:, -1].max() > 0.01
    only_backward = BidirectionalCarry(None, carry.backward)
    np.testing.assert_array_equal(layer(inputs, only_backward)[1][..., :HIDDEN], fresh[..., :HIDDEN])


@pytest.mark.parametrize(
    ("merge", "function"),
    [
        ("concatenate", lambda f, b: np.concatenate([f, b], -1)),
        ("sum", np.add),
        ("mean", lambda f, b: (f + b) / 2),
        ("multiply", np.multiply),
        (lambda f, b: f - b + 1, lambda f, b: f - b + 1),
    ],
)
def test_merges(merge, function, inputs):
    layer = Bidirectional.from_cell(CELL, rngs=nnx.Rngs(0), merge=merge)
    lengths = jnp.array(LENGTHS)
    _, outputs = layer(inputs, lengths=lengths)
    valid = np.arange(TIME)[:, None] < np.array(LENGTHS)[:, None, None]
    expected = function(*(np.asarray(side(inputs, lengths=lengths)[1]) for side in (layer.forward, layer.backward)))
    np.testing.assert_allclose(outputs, np.where(valid, expected, 0), atol=1e-6)
    assert layer.output_size == outputs.shape[-1]


def test_refuses():
    forward = Recurrent(CELL, rngs=nnx.Rngs(0))
    backward = Recurrent(CELL, rngs=nnx.Rngs(0), reverse=True)
    with pytest.raises(ValueError, match="forward and backward are the same layer"):
        Bidirectional(forward, forward)
    with pytest.raises(ValueError, match="build them with reverse=False and reverse=True"):
        Bidirectional(forward, Recurrent(CELL, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="build them with reverse=False and reverse=True"):
        Bidirectional(backward, forward)
    wide = Recurrent(LSTM(input_size=INPUTS, hidden_size=7), rngs=nnx.Rngs(0), reverse=True)
    assert Bidirectional(forward, wide).output_size == HIDDEN + 7
    with pytest.raises(ValueError, match="cannot join 4 forward and 7 backward features"):
        Bidirectional(forward, wide, merge="sum")
    with pytest.raises(ValueError, match="both read the same inputs"):
        Bidirectional(forward, Recurrent(GRU(input_size=9, hidden_size=4), rngs=nnx.Rngs(0), reverse=True))
    with pytest.raises(ValueError, match="merge must be one of 'concatenate'"):
        Bidirectional(forward, backward, merge="average")
    with pytest.raises(ValueError, match="needs the whole sequence"):
        Bidirectional(forward, backward).step(jnp.zeros((1, INPUTS)), None)


def test_agrees_with_torch_on_packed_sequences(inputs):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    reference = torch.nn.LSTM(INPUTS, HIDDEN, num_layers=2, bidirectional=True, batch_first=True)
    layers = []
    for depth, size in enumerate([INPUTS, 2 * HIDDEN]):
        layer = Bidirectional.from_cell(LSTM(input_size=size, hidden_size=HIDDEN), rngs=nnx.Rngs(0))
        for side, suffix in ((layer.forward, f"l{depth}"), (layer.backward, f"l{depth}_reverse")):
            weights = {
                name: getattr(reference, f"{name}_{suffix}").detach().numpy() for name in ("weight_ih", "weight_hh")
            }
            side.params.kernel[...] = jnp.asarray(weights["weight_ih"].T)
            side.params.recurrent_kernel[...] = jnp.asarray(weights["weight_hh"].T)
            biases = [getattr(reference, f"{name}_{suffix}").detach().numpy() for name in ("bias_ih", "bias_hh")]
            side.params.bias[...] = jnp.asarray(sum(biases))
        layers.append(layer)
    lengths = [5, 3, 1]
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(np.array(inputs)), lengths, batch_first=True)
    expected, (hidden, cell) = reference(packed)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=True)
    carry, outputs = Stacked(layers, rngs=nnx.Rngs(0))(inputs, lengths=jnp.array(lengths))
    np.testing.assert_allclose(outputs, expected.detach(), atol=1e-6)
    sides = [side for layer in carry for side in layer]
    np.testing.assert_allclose(jnp.stack([side.hidden for side in sides]), hidden.detach(), atol=1e-6)
    np.testing.assert_allclose(jnp.stack([side.cell for side in sides]), cell.detach(), atol=1e-6)
