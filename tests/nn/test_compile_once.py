"""Equal layers as one loop over layers: what they give against the same layers run one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.cells import GRU, LSTM
from seqjax.nn import Bidirectional, LanguageModel, Recurrent, Stacked, functions

BATCH, TIME, SIZE = 3, 5, 4
CELL = LSTM(input_size=SIZE, hidden_size=SIZE)
BOTTOM = LSTM(input_size=2, hidden_size=SIZE)
HALF = GRU(input_size=SIZE, hidden_size=SIZE // 2)


def recurrent(count, rngs, bottom=CELL):
    return [Recurrent(cell, rngs=rngs) for cell in (bottom, *[CELL] * (count - 1))]


def bidirectional(count, rngs):
    return [Bidirectional.from_cell(HALF, rngs=rngs) for _ in range(count)]


def stack(layers=recurrent, count=3, **options):
    return Stacked(layers(count, nnx.Rngs(0)), rngs=nnx.Rngs(1), **options)


def run(model, inputs, carry, lengths, resets):
    """The carry, the outputs, and the gradients for parameters, inputs and carry; nothing of seqjax sums them up."""

    def loss(model, inputs, carry):
        new_carry, outputs = model(inputs, carry, lengths=lengths, resets=resets)
        weighted = (jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape) * leaf for leaf in jax.tree.leaves(new_carry))
        return jnp.sum(jnp.sin(outputs)) + sum(map(jnp.sum, weighted)), (new_carry, outputs)

    return nnx.jit(nnx.grad(loss, argnums=(0, 1, 2), has_aux=True))(model, inputs, carry)


def assert_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


def loops(model):
    """How many loops the compiled training step holds."""
    inputs = jnp.ones((BATCH, TIME, model.input_size))
    graph, state = nnx.split(model)

    def loss(state):
        return jnp.sum(nnx.merge(graph, state)(inputs)[1] ** 2)

    program = jax.jit(jax.grad(loss)).lower(state).compile().as_text()
    assert program is not None
    return program.count(" while(")


@pytest.mark.parametrize("given", [False, True], ids=["plain", "carry, lengths and resets"])
@pytest.mark.parametrize(
    ("layers", "options"),
    [
        (recurrent, {}),
        (recurrent, {"residual": True, "dropout": 0.5, "normalization": "layer"}),
        (bidirectional, {"residual": True, "normalization": "rms"}),
    ],
    ids=["layers", "everything", "bidirectional"],
)
def test_equals_the_layers_one_by_one(layers, options, given):
    inputs = jax.random.normal(jax.random.key(2), (BATCH, TIME, SIZE))
    lengths = jnp.array([TIME, 2, 0]) if given else None
    resets = jax.random.bernoulli(jax.random.key(3), 0.3, (BATCH, TIME)) if given else None
    results = []
    for compile_once in (False, True):
        model = stack(layers, compile_once=compile_once, **options)
        for index, norm in enumerate(model.norms):
            norm.scale[...] = jnp.linspace(0.5, 1.5 + index, SIZE)
        carry = jax.tree.map(
            lambda leaf: leaf + 0.1 * jnp.arange(leaf.size).reshape(leaf.shape), model.initial_carry(BATCH)
        )
        results.append(run(model, inputs, carry if given else None, lengths, resets))
    assert_equal(*results)


def bottom_first(count, rngs):
    return recurrent(count, rngs, bottom=BOTTOM)


@pytest.mark.parametrize("layers", [bottom_first, bidirectional])
def test_more_equal_layers_are_no_more_loops(layers):
    three, five = (loops(stack(layers, count, compile_once=True)) for count in (3, 5))
    assert three == five < loops(stack(layers, 5))


def test_dropout_draws_the_same_masks_and_leaves_the_stream_at_the_same_place():
    inputs = jax.random.normal(jax.random.key(2), (BATCH, TIME, 2))
    once, unrolled = (stack(bottom_first, 4, dropout=0.5, compile_once=flag) for flag in (True, False))
    first = once(inputs)[1]
    np.testing.assert_allclose(first, unrolled(inputs)[1], atol=1e-6)
    again = once(inputs)[1]
    assert not np.allclose(first, again)
    np.testing.assert_allclose(again, unrolled(inputs)[1], atol=1e-6)
    once.eval()
    np.testing.assert_allclose(once(inputs)[1], stack(bottom_first, 4)(inputs)[1], atol=1e-6)


def test_parameters_and_their_names_stay():
    once, unrolled = (stack(dropout=0.5, normalization="layer", compile_once=flag) for flag in (True, False))
    assert_equal(*(nnx.to_pure_dict(nnx.state(model, nnx.Param)) for model in (once, unrolled)))
    assert nnx.state(once).keys() == nnx.state(unrolled).keys()


def test_a_layer_that_appears_twice_gets_both_gradients():
    def gradients(compile_once):
        layer = Recurrent(CELL, rngs=nnx.Rngs(0))
        model = Stacked([layer, layer], rngs=nnx.Rngs(0), compile_once=compile_once)
        return run(model, jnp.ones((BATCH, TIME, SIZE)), None, None, None)

    assert_equal(gradients(True), gradients(False))


@pytest.mark.parametrize(
    "other",
    [
        {"cell": LSTM(input_size=SIZE, hidden_size=SIZE, forget_bias=3.0)},
        {"cell": CELL, "reverse": True},
        {"cell": CELL, "param_dtype": jnp.bfloat16},
    ],
    ids=["cell", "options", "type"],
)
def test_what_differs_is_run_on_its_own(other):
    def model(compile_once):
        rngs = nnx.Rngs(0)
        layers = [*recurrent(2, rngs), Recurrent(**other, rngs=rngs), *recurrent(2, rngs)]
        return Stacked(layers, rngs=rngs, compile_once=compile_once)

    inputs = jax.random.normal(jax.random.key(2), (BATCH, TIME, SIZE))
    assert_equal(model(True)(inputs), model(False)(inputs))


def test_inputs_of_another_type_than_the_outputs():
    inputs = jnp.ones((BATCH, TIME, SIZE), jnp.bfloat16)
    assert_equal(stack(compile_once=True)(inputs), stack()(inputs))


def test_some_carries_given():
    model, unrolled = stack(compile_once=True), stack()
    inputs = jnp.ones((BATCH, TIME, SIZE))
    carry = (None, *(jax.tree.map(jnp.ones_like, carry) for carry in model.initial_carry(BATCH)[1:]))
    assert_equal(model(inputs, carry), unrolled(inputs, carry))


def test_an_error_names_the_layer():
    model = stack(bottom_first, compile_once=True)
    wrong = model.layers[1].initial_carry(7)
    with pytest.raises((ValueError, TypeError), match=r"^layers\[1\]: "):
        model(jnp.ones((BATCH, TIME, 2)), (None, wrong, wrong))


def test_eager_calls_compile_once(monkeypatch):
    traced = []
    over_layers = functions.over_layers
    monkeypatch.setattr(functions, "over_layers", lambda *arguments: traced.append(1) or over_layers(*arguments))
    cell = GRU(input_size=SIZE, hidden_size=SIZE, activation=lambda values: jnp.tanh(values))
    for _ in range(2):
        layers = [Recurrent(cell, rngs=nnx.Rngs(0)) for _ in range(2)]
        model = Stacked(layers, rngs=nnx.Rngs(0), compile_once=True)
        model(jnp.ones((BATCH, TIME, SIZE)))
        model(jnp.ones((BATCH, TIME, SIZE)))
    assert len(traced) == 1


def test_the_language_model_passes_it_on():
    model = LanguageModel(3, hidden_size=2, num_layers=2, rngs=nnx.Rngs(0), compile_once=True)
    assert model.layers.compile_once
