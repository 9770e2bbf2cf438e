import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.cells import GRU, LSTM
from seqjax.nn import Bidirectional, Recurrent, Stacked

BATCH, TIME, INPUTS, HIDDEN = 3, 5, 2, 4
BOTTOM = GRU(input_size=INPUTS, hidden_size=HIDDEN)
SQUARE = GRU(input_size=HIDDEN, hidden_size=HIDDEN)


def layers(count=3):
    rngs = nnx.Rngs(0)
    return [Recurrent(cell, rngs=rngs) for cell in (BOTTOM, SQUARE, SQUARE)[:count]]


@pytest.fixture(scope="module")
def inputs():
    return jax.random.normal(jax.random.key(1), (BATCH, TIME, INPUTS))


def test_is_one_layer_after_the_other(inputs):
    stack = Stacked(layers(), rngs=nnx.Rngs(0))
    carry, outputs = stack(inputs)
    expected = inputs
    for layer, layer_carry in zip(layers(), carry, strict=True):
        expected_carry, expected = layer(expected)
        np.testing.assert_allclose(layer_carry.hidden, expected_carry.hidden, atol=1e-6)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    assert (stack.input_size, stack.output_size) == (INPUTS, HIDDEN)


def test_residual_where_sizes_agree(inputs):
    _, outputs = Stacked(layers(2), residual=True, rngs=nnx.Rngs(0))(inputs)
    bottom, top = layers(2)
    _, middle = bottom(inputs)
    np.testing.assert_allclose(outputs, middle + top(middle)[1], atol=1e-6)


@pytest.mark.parametrize("normalization", ["layer", "rms"])
def test_normalization_and_padding(inputs, normalization):
    stack = Stacked(layers(2), normalization=normalization, rngs=nnx.Rngs(0))
    stack.norms[1].scale[...] = jnp.full(HIDDEN, 3.0)
    if normalization == "layer":
        stack.norms[1].bias[...] = jnp.ones(HIDDEN)
    _, outputs = stack(inputs)
    if normalization == "layer":
        np.testing.assert_allclose(outputs.mean(-1), 1, atol=1e-5)
        np.testing.assert_allclose(outputs.std(-1), 3, rtol=1e-2)
    else:
        np.testing.assert_allclose(jnp.mean(outputs**2, -1), 9, rtol=1e-2)
    lengths = jnp.array([TIME, 2, 0])
    _, padded = stack(inputs.at[1, 2:].set(jnp.nan).at[2].set(jnp.nan), lengths=lengths)
    valid = np.arange(TIME)[:, None] < np.asarray(lengths)[:, None, None]
    np.testing.assert_allclose(padded, np.where(valid, outputs, 0), atol=1e-5)


def test_nan_in_padding_reaches_no_gradient(inputs):
    stack = Stacked(layers(), residual=True, normalization="layer", rngs=nnx.Rngs(0))
    lengths = jnp.array([TIME, 2, 0])

    @nnx.jit
    @nnx.grad
    def gradient(stack, inputs):
        return jnp.sum(stack(inputs, lengths=lengths)[1] ** 2)

    damaged = inputs.at[1, 2:].set(jnp.nan).at[2].set(jnp.nan)
    gradients, clean = (gradient(stack, values) for values in (damaged, inputs))
    for left, right in zip(jax.tree.leaves(gradients), jax.tree.leaves(clean), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_dropout_between_layers_in_training_only(inputs):
    stack = Stacked(layers(2), dropout=0.5, rngs=nnx.Rngs(0))
    bottom, top = layers(2)
    _, plain = Stacked(layers(2), rngs=nnx.Rngs(0))(inputs)
    stack.train()
    _, once = stack(inputs)
    _, twice = stack(inputs)
    assert not np.allclose(once, twice)
    stack.eval()
    np.testing.assert_allclose(stack(inputs)[1], plain, atol=1e-6)
    # Nothing is dropped after the last layer, and what it sees is scaled to keep the mean.
    assert np.all(once != 0)
    _, middle = bottom(inputs)
    stack.train()
    stack.dropout.rngs.count[...] = jnp.zeros((), jnp.uint32)
    mask_source = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    kept = mask_source(jnp.swapaxes(middle, 0, 1))
    np.testing.assert_allclose(stack(inputs)[1], top(jnp.swapaxes(kept, 0, 1))[1], atol=1e-6)


def test_dropout_leaves_the_residual_path_alone(inputs):
    stack = Stacked(layers(2), dropout=0.999, residual=True, rngs=nnx.Rngs(0))
    bottom, top = layers(2)
    _, middle = bottom(inputs)
    _, outputs = stack(inputs)
    np.testing.assert_allclose(outputs, middle + top(jnp.zeros_like(middle))[1], atol=1e-6)


def test_step_is_one_time_step(inputs):
    stack = Stacked(layers(), residual=True, normalization="rms", rngs=nnx.Rngs(0))
    carry, outputs = stack(inputs)
    step_carry = stack.initial_carry(BATCH)
    for time in range(TIME):
        step_carry, output = stack.step(inputs[:, time], step_carry)
        np.testing.assert_allclose(output, outputs[:, time], atol=1e-5)
    np.testing.assert_allclose(step_carry[2].hidden, carry[2].hidden, atol=1e-5)


def test_one_transposition_in_and_one_out(inputs):
    stack = Stacked(layers(), residual=True, rngs=nnx.Rngs(0))
    equations = jax.make_jaxpr(lambda inputs: stack(inputs)[1])(inputs).eqns
    assert [equation.primitive.name for equation in equations].count("transpose") == 2


def test_bidirectional_layers_stack(inputs):
    rngs = nnx.Rngs(0)
    bottom = Bidirectional.from_cell(LSTM(input_size=INPUTS, hidden_size=HIDDEN), rngs=rngs)
    top = Recurrent(GRU(input_size=2 * HIDDEN, hidden_size=3), rngs=rngs)
    stack = Stacked([bottom, top], rngs=rngs)
    carry, outputs = stack(inputs, stack.initial_carry(BATCH), lengths=jnp.array([TIME, 2, 0]))
    assert outputs.shape == (BATCH, TIME, 3)
    assert carry[0].backward.hidden.shape == (BATCH, HIDDEN)


def test_errors(inputs):
    bottom, top = layers(2)
    with pytest.raises(ValueError, match="at least one layer"):
        Stacked([], rngs=nnx.Rngs(0))
    message = r"layers\[1\] expects 2 features, but the layer below it gives 4; build layers\[1\] with input_size=4"
    with pytest.raises(ValueError, match=message):
        Stacked([bottom, layers(1)[0]], rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1"):
        Stacked([bottom, top], dropout=1.0, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="normalization must be 'layer', 'rms' or None"):
        Stacked([bottom, top], normalization="batch", rngs=nnx.Rngs(0))
    stack = Stacked([bottom, top], rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="the carry has 1 entries, expected one for each of 2 layers"):
        stack(inputs, stack.initial_carry(BATCH)[:1])
    with pytest.raises((ValueError, TypeError), match=r"layers\[1\]: "):
        stack(inputs, (None, top.initial_carry(7)))
    with pytest.raises(ValueError, match=r"Stacked got inputs of shape \(3, 5, 9\)"):
        stack(jnp.zeros((BATCH, TIME, 9)))
