"""A module's pure step: the same values as the module, and a carry that the measures can name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import seqjax
from seqjax.analysis import gate_statistics, gradient_flow, truncation
from seqjax.cells import GRU, LSTM, Elman
from seqjax.cells.transforms import zoneout
from seqjax.losses import cross_entropy
from seqjax.nn import Bidirectional, LanguageModel, Recurrent, Stacked, recurrent_layers, step_of

TIME, BATCH = 5, 2


def stack(**options) -> Stacked:
    rngs = nnx.Rngs(0, dropout=1)
    cells = [LSTM(input_size=3, hidden_size=4), LSTM(input_size=4, hidden_size=4), GRU(input_size=4, hidden_size=4)]
    return Stacked([Recurrent(cell, rngs=rngs) for cell in cells], rngs=rngs, **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"residual": True, "normalization": "layer", "dropout": 0.5}, {"compile_once": True, "normalization": "rms"}],
    ids=str,
)
def test_the_step_of_a_stack_computes_what_the_stack_does(options) -> None:
    model = stack(**options)
    inputs = jax.random.normal(jax.random.key(2), (TIME, BATCH, 3))
    step, params, carry = step_of(model, BATCH)
    last, outputs = seqjax.scan(step, params, inputs, carry)
    model.eval()
    want_last, want = model.time_major(inputs)
    np.testing.assert_allclose(outputs, want, rtol=1e-5, atol=1e-6)
    for got, leaf in zip(jax.tree.leaves(last), jax.tree.leaves(want_last), strict=True):
        np.testing.assert_allclose(got, leaf, rtol=1e-5, atol=1e-6)
    assert params.keys() >= {"layers.0.params.kernel", "layers.2.params.recurrent_kernel"}


def test_flow_of_a_stack_is_the_gradient_to_each_layers_state() -> None:
    """Against jax.grad of the top's last output to the carry that the sequence starts with, one step further back."""
    model = stack(residual=True, normalization="layer")
    inputs = jax.random.normal(jax.random.key(2), (TIME, BATCH, 3))
    step, params, carry = step_of(model, BATCH)
    cubes = lambda output: (output**3).sum(-1)
    flow = gradient_flow(step, params, inputs, carry, loss=cubes, times=[TIME - 1])
    names = [f"layers.{index}.{leaf}" for index in (0, 1) for leaf in ("hidden", "cell")]
    assert list(flow.norms) == [*names, "layers.2.hidden"]

    first, _ = step(params, carry, inputs[0])

    def last_loss(carry):
        return cubes(seqjax.scan(step, params, inputs[1:], carry, mode="lax")[1][-1]).sum()

    # The hidden state of the top layer after the first step reaches the last loss through the carry alone.
    wanted = jax.grad(last_loss)(first)["layers"][2].hidden
    got = flow.norms["layers.2.hidden"][0, 0]
    np.testing.assert_allclose(got, jnp.linalg.norm(wanted, axis=-1), rtol=1e-4)


def test_a_language_model_with_tokens() -> None:
    model = LanguageModel(7, GRU, hidden_size=4, num_layers=2, embedding_size=3, dropout=0.5, rngs=nnx.Rngs(0))
    tokens = jax.random.randint(jax.random.key(1), (TIME + 1, BATCH), 0, 7)
    step, params, carry = step_of(model, BATCH)
    inputs, targets = tokens[:-1, :, None], tokens[1:]
    _, logits = seqjax.scan(step, params, inputs, carry)
    model.eval()
    np.testing.assert_allclose(logits, jnp.moveaxis(model(tokens[:-1].T)[1], 1, 0), rtol=1e-5, atol=1e-6)
    flow = gradient_flow(step, params, inputs, carry, loss=cross_entropy, targets=targets)
    assert list(flow.norms) == ["layers.0.hidden", "layers.1.hidden"]
    assert flow.norms["layers.0.hidden"].shape == (TIME, TIME, BATCH)
    cut = truncation(step, params, inputs, carry, loss=cross_entropy, targets=targets, lengths=[1, TIME])
    assert cut.cosine[0] < 1
    assert cut.cosine[1] == pytest.approx(1)
    layers = recurrent_layers(model, inputs)
    assert [(layer.name, layer.inputs.shape[-1]) for layer in layers] == [("layers.0", 3), ("layers.1", 4)]
    statistics = gate_statistics(layers[1].layer.cell, layers[1].layer.param_values, layers[1].inputs)
    assert statistics.gates == ("update_gate", "reset_gate")


def test_a_single_layer_is_its_cell() -> None:
    layer = Recurrent(zoneout(LSTM(input_size=3, hidden_size=4), hidden=0.5), rngs=nnx.Rngs(0, dropout=1))
    step, params, carry = step_of(layer, BATCH)
    assert step == layer.cell
    assert list(gradient_flow(step, params, jnp.ones((TIME, BATCH, 3)), carry).norms) == ["carry.hidden", "carry.cell"]
    assert recurrent_layers(layer, jnp.ones((TIME, BATCH, 3)))[0].name == ""


def test_what_has_no_step_is_told() -> None:
    rngs = nnx.Rngs(0)
    cell = Elman(input_size=3, hidden_size=3)
    both = Stacked([Recurrent(cell, rngs=rngs), Bidirectional.from_cell(cell, rngs=rngs, merge="sum")], rngs=rngs)
    with pytest.raises(ValueError, match=r"layers\[1\]: a bidirectional layer needs the whole sequence"):
        step_of(both)
    with pytest.raises(ValueError, match="reverse=True starts at the end"):
        step_of(Recurrent(cell, rngs=rngs, reverse=True))
    with pytest.raises(TypeError, match="Linear has no recurrence"):
        step_of(nnx.Linear(3, 3, rngs=rngs))
    with pytest.raises(TypeError, match="Linear has no recurrence"):
        recurrent_layers(nnx.Linear(3, 3, rngs=rngs), jnp.ones((TIME, 3)))
