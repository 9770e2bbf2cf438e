"""Agreement of the convolutional LSTM with Keras, Flax and haiku, which have it without peepholes."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import ConvLSTM
from seqjax.cells.convolutional import ConvLSTMParams
from tests.cells.conversions import reorder

os.environ.setdefault("KERAS_BACKEND", "jax")

TIME, BATCH, INPUTS, HIDDEN = 4, 2, 3, 4
SPACES = {"1d": (6,), "2d": (4, 5), "3d": (3, 2, 4)}
every_space = pytest.mark.parametrize("space", list(SPACES.values()), ids=list(SPACES))


def conv_lstm(space: tuple[int, ...], kernel_size: int = 3) -> ConvLSTM:
    sizes: dict[str, Any] = {"input_size": INPUTS, "hidden_size": HIDDEN}
    return ConvLSTM(**sizes, spatial_shape=space, kernel_size=kernel_size, peephole=False)


def assert_agrees(cell: ConvLSTM, params: Any, inputs: Any, theirs: Any, rtol: float, atol: float) -> None:
    """``theirs`` is (outputs, hidden, cell), time first."""
    params = ConvLSTMParams(*(jnp.asarray(p) for p in params), peephole_kernel=None)
    carry, outputs = seqjax.scan(cell, params, jnp.asarray(inputs))
    for ours, want in zip((outputs, carry.hidden, carry.cell), theirs, strict=True):
        np.testing.assert_allclose(ours, want, rtol=rtol, atol=atol)


@every_space
@pytest.mark.evidence(cell="ConvLSTM", library="Keras", what="ConvLSTM1D, 2D and 3D, values")
def test_keras(space: tuple[int, ...]) -> None:
    keras: Any = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    layer = getattr(keras.layers, f"ConvLSTM{len(space)}D")(
        HIDDEN, kernel_size=3, padding="same", return_sequences=True, return_state=True
    )
    inputs = rng.standard_normal((BATCH, TIME, *space, INPUTS)).astype(np.float32)
    layer.build(inputs.shape)
    layer.set_weights([0.3 * rng.standard_normal(w.shape) for w in layer.get_weights()])
    outputs, hidden, cell = (np.asarray(a) for a in layer(inputs))
    params = layer.get_weights()
    theirs = outputs.swapaxes(0, 1), hidden, cell
    assert_agrees(conv_lstm(space), params, inputs.swapaxes(0, 1), theirs, rtol=1e-5, atol=2e-6)


@every_space
@pytest.mark.evidence(cell="ConvLSTM", library="Flax linen", what="ConvLSTMCell, values")
def test_flax(space: tuple[int, ...], float64: None) -> None:
    linen: Any = pytest.importorskip("flax.linen")
    rng = np.random.default_rng(1)
    # An even width is padded after the image in both.
    layer = linen.ConvLSTMCell(HIDDEN, kernel_size=(2,) * len(space), param_dtype=jnp.float64)
    inputs = jnp.asarray(rng.standard_normal((TIME, BATCH, *space, INPUTS)))
    carry = layer.initialize_carry(jax.random.key(0), inputs.shape[1:])
    variables = layer.init(jax.random.key(0), carry, inputs[0])
    variables = jax.tree.map(lambda a: 0.3 * rng.standard_normal(a.shape), variables)
    outputs = []
    for x in inputs:
        carry, output = layer.apply(variables, carry, x)
        outputs.append(output)
    weights = variables["params"]
    theirs = np.stack(outputs), carry[1], carry[0]
    params = converted(weights["ih"]["kernel"], weights["hh"]["kernel"], weights["ih"]["bias"] + weights["hh"]["bias"])
    assert_agrees(conv_lstm(space, 2), params, inputs, theirs, rtol=1e-12, atol=1e-12)


@every_space
@pytest.mark.evidence(cell="ConvLSTM", library="haiku", what="Conv1DLSTM, Conv2DLSTM and Conv3DLSTM, values")
def test_haiku(space: tuple[int, ...], float64: None) -> None:
    hk: Any = pytest.importorskip("haiku")
    rng = np.random.default_rng(2)

    def run(inputs: Any) -> Any:
        layer = getattr(hk, f"Conv{len(space)}DLSTM")(space, HIDDEN, kernel_shape=3)
        return hk.static_unroll(layer, inputs, layer.initial_state(BATCH))

    inputs = jnp.asarray(rng.standard_normal((TIME, BATCH, *space, INPUTS)))
    network = hk.without_apply_rng(hk.transform(run))
    weights = jax.tree.map(lambda a: 0.3 * rng.standard_normal(a.shape), network.init(jax.random.key(0), inputs))
    outputs, state = network.apply(weights, inputs)
    of_inputs, of_hidden = (
        next(parts for name, parts in weights.items() if name.endswith(end))
        for end in ("input_to_hidden", "hidden_to_hidden")
    )
    params = converted(of_inputs["w"], of_hidden["w"], of_inputs["b"] + of_hidden["b"])
    assert_agrees(conv_lstm(space), params, inputs, (outputs, state.hidden, state.cell), rtol=1e-12, atol=1e-12)


def converted(kernel: Any, recurrent_kernel: Any, bias: Any) -> list[Any]:
    """Kernels of Flax and haiku: gates i, g, f, o, and 1 is added to the forget gate in every step."""
    params = [reorder(part, "igfo", "ifgo") for part in (kernel, recurrent_kernel, bias)]
    params[2][HIDDEN : 2 * HIDDEN] += 1
    return params
