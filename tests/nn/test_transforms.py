"""The modules under NNX's and JAX's transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from seqjax.cells import LSTM
from seqjax.losses import mean_cross_entropy
from seqjax.nn import Bidirectional, LanguageModel, Recurrent, Stacked

VOCABULARY, BATCH, TIME = 7, 2, 6
OPTIMIZER = optax.adam(0.03)


def language_model(seed=0, dropout=0.25):
    return LanguageModel(
        VOCABULARY,
        hidden_size=5,
        num_layers=2,
        embedding_size=5,
        dropout=dropout,
        residual=True,
        normalization="rms",
        rngs=nnx.Rngs(seed),
    )


def loss_function(model, tokens, carry):
    carry, logits = model(tokens[:, :-1], carry)
    return mean_cross_entropy(logits, tokens[:, 1:]), carry


@pytest.fixture(scope="module")
def tokens():
    return jax.random.randint(jax.random.key(2), (BATCH, TIME), 0, VOCABULARY)


@pytest.fixture(scope="module")
def train_step():
    """A compiled step and the number of times that it was traced."""
    traces = []

    @nnx.jit
    def step(model, optimizer, tokens, carry):
        traces.append(1)
        (loss, carry), gradients = nnx.value_and_grad(loss_function, has_aux=True)(model, tokens, carry)
        optimizer.update(model, gradients)
        return loss, carry

    return step, traces


def test_equal_configurations_share_one_compiled_step(train_step, tokens):
    step, traces = train_step
    models = [language_model(seed) for seed in (0, 1)]
    assert nnx.graphdef(models[0]) == nnx.graphdef(models[1])
    assert hash(nnx.graphdef(models[0])) == hash(nnx.graphdef(models[1]))
    assert nnx.graphdef(models[0]) != nnx.graphdef(language_model(dropout=0.5))
    losses = []
    for model in models:
        optimizer, carry = nnx.Optimizer(model, OPTIMIZER, wrt=nnx.Param), model.initial_carry(BATCH)
        for _ in range(2):
            loss, carry = step(model, optimizer, tokens, carry)
            losses.append(float(loss))
    assert len(traces) == 1
    assert len(set(losses)) == 4


def test_learns(train_step, tokens):
    step, _ = train_step
    model = language_model(3)
    optimizer = nnx.Optimizer(model, OPTIMIZER, wrt=nnx.Param)
    losses = [float(step(model, optimizer, tokens, model.initial_carry(BATCH))[0]) for _ in range(150)]
    assert losses[0] > 1.0
    assert min(losses[-10:]) < 0.3


def test_dropout_masks_move_on_under_jit(tokens):
    model = language_model(dropout=0.5)
    forward = nnx.jit(lambda model, tokens: model(tokens)[1])
    assert not np.allclose(forward(model, tokens), forward(model, tokens))
    model.eval()
    np.testing.assert_array_equal(forward(model, tokens), forward(model, tokens))
    model.train()
    assert not np.allclose(forward(model, tokens), forward(model, tokens))


def test_split_merge_and_plain_jit(tokens):
    model = language_model(dropout=0.0)
    graphdef, state = nnx.split(model)
    expected = model(tokens)[1]

    @jax.jit
    def forward(state, tokens):
        return nnx.merge(graphdef, state)(tokens)[1]

    np.testing.assert_allclose(forward(state, tokens), expected, atol=1e-6)
    np.testing.assert_allclose(jax.jit(lambda model, tokens: model(tokens)[1])(model, tokens), expected, atol=1e-6)
    # Scaling the head in the state scales the logits: the state is what the function reads.
    scaled = jax.tree.map_with_path(
        lambda path, leaf: 2 * leaf if "head" in jax.tree_util.keystr(path) else leaf, state
    )
    np.testing.assert_allclose(forward(scaled, tokens), 2 * expected, rtol=1e-5, atol=1e-5)


def test_gradients_reach_every_parameter(tokens):
    model = language_model(dropout=0.0)
    gradients = nnx.jit(nnx.grad(loss_function, has_aux=True))(model, tokens, None)[0]
    assert len(jax.tree.leaves(gradients)) == len(jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("kind", ["model", "bidirectional"])
def test_ensemble(kind, tokens):
    def create(rngs):
        if kind == "model":
            return LanguageModel(VOCABULARY, hidden_size=5, rngs=rngs, mode="lax")
        both = Bidirectional.from_cell(LSTM(input_size=VOCABULARY, hidden_size=3), rngs=rngs, merge="sum", mode="lax")
        return Stacked(
            [both, Recurrent(LSTM(input_size=3, hidden_size=3), rngs=rngs)], normalization="layer", rngs=rngs
        )

    members = nnx.split_rngs(splits=3)(nnx.vmap(create))(nnx.Rngs(0))
    inputs = tokens if kind == "model" else jax.nn.one_hot(tokens, VOCABULARY)
    carry, outputs = nnx.jit(nnx.vmap(lambda model, inputs: model(inputs), in_axes=(0, None)))(members, inputs)
    assert outputs.shape[:3] == (3, BATCH, TIME)
    assert not np.allclose(outputs[0], outputs[1])
    graphdef, state = nnx.split(members)
    for index in range(3):
        member = nnx.merge(graphdef, jax.tree.map(lambda leaf, index=index: leaf[index], state))
        single_carry, single = member(inputs)
        np.testing.assert_allclose(outputs[index], single, atol=1e-5)
        for left, right in zip(jax.tree.leaves(carry), jax.tree.leaves(single_carry), strict=True):
            np.testing.assert_allclose(left[index], right, atol=1e-5)


def test_shapes_without_arrays():
    abstract = nnx.eval_shape(language_model)
    assert nnx.graphdef(abstract) == nnx.graphdef(language_model())
    shapes = jax.tree.map(lambda leaf: leaf.shape, nnx.to_pure_dict(nnx.state(abstract, nnx.Param)))
    assert shapes["layers"]["layers"][1]["params"]["recurrent_kernel"] == (5, 20)
