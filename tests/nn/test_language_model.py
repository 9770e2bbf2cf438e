from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.cells import LSTM
from seqjax.decoding import sample
from seqjax.nn import Embedding, LanguageModel, LinearHead, generate, generation

VOCABULARY, HIDDEN, BATCH, TIME = 7, 5, 2, 6
KEY = jax.random.key(0)


def build(seed=0, **options):
    return LanguageModel(
        VOCABULARY, **{"hidden_size": HIDDEN, "num_layers": 2, "embedding_size": HIDDEN, **options}, rngs=nnx.Rngs(seed)
    )


@pytest.fixture(scope="module")
def tokens():
    return jax.random.randint(jax.random.key(2), (BATCH, TIME), 0, VOCABULARY)


@pytest.fixture(scope="module")
def model():
    return build(dropout=0.5)


def test_is_embedding_layers_head(tokens):
    model = build()
    carry, logits = model(tokens)
    layer_carry, outputs = model.layers(model.embedding.table.embedding[...][tokens])
    expected = outputs @ model.head.kernel[...] + model.head.bias[...]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_allclose(carry[1].hidden, layer_carry[1].hidden, atol=1e-6)
    assert logits.shape == (BATCH, TIME, VOCABULARY)


def test_one_hot_is_an_embedding_by_the_unit_vectors(tokens):
    one_hot = Embedding(VOCABULARY, None, rngs=nnx.Rngs(0))
    learned = Embedding(VOCABULARY, VOCABULARY, rngs=nnx.Rngs(0))
    learned.table.embedding[...] = jnp.eye(VOCABULARY)
    np.testing.assert_array_equal(one_hot(tokens), learned(tokens))
    assert jax.tree.leaves(nnx.state(one_hot)) == []
    assert one_hot.output_size == VOCABULARY
    with pytest.raises(ValueError, match="tokens must be whole numbers, got float32"):
        one_hot(jnp.zeros((1, 2)))


def test_head_shapes():
    head = LinearHead(3, 4, rngs=nnx.Rngs(0), param_dtype=jnp.bfloat16)
    assert head.kernel.shape == (3, 4)
    assert head.kernel.dtype == jnp.bfloat16


def test_a_factory_makes_the_cells():
    model = build(cell=partial(LSTM, forget_bias=3.0), num_layers=3, embedding_size=None)
    cells = [layer.cell for layer in model.layers.layers]
    assert [cell.input_size for cell in cells] == [VOCABULARY, HIDDEN, HIDDEN]
    assert all(cell.forget_bias == 3.0 for cell in cells)
    assert nnx.graphdef(model) == nnx.graphdef(
        build(1, cell=partial(LSTM, forget_bias=3.0), num_layers=3, embedding_size=None)
    )


def test_carry_lengths_and_resets(tokens):
    model = build()
    _, logits = model(tokens)
    carry, first = model(tokens[:, :2])
    _, rest = model(tokens[:, 2:], carry)
    np.testing.assert_allclose(jnp.concatenate([first, rest], 1), logits, atol=1e-5)
    _, reset = model(tokens, resets=jnp.zeros((BATCH, TIME), bool).at[:, 2].set(True))
    np.testing.assert_allclose(reset[:, 2:], model(tokens[:, 2:])[1], atol=1e-5)
    short_carry, short = model(tokens, lengths=jnp.array([2, TIME]))
    np.testing.assert_allclose(short[0, :2], logits[0, :2], atol=1e-5)
    np.testing.assert_allclose(short_carry[1].hidden[0], carry[1].hidden[0], atol=1e-6)


def test_half_precision_throughout(tokens):
    model = build(normalization="layer", residual=True, param_dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))} == {jnp.dtype(jnp.bfloat16)}
    shapes = jax.eval_shape(model, tokens, model.initial_carry(BATCH))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype(jnp.bfloat16)}


def test_step_is_one_time_step(tokens):
    model = build(residual=True, normalization="layer")
    _, logits = model(tokens)
    carry = model.initial_carry(BATCH)
    for time in range(TIME):
        carry, one = model.step(tokens[:, time], carry)
        np.testing.assert_allclose(one, logits[:, time], atol=1e-5)


def python_loop(model, prompt, length):
    """Greedy continuation, reading the whole text anew for every token."""
    text, log_probabilities = jnp.asarray(prompt), []
    for _ in range(length):
        logits = model(text)[1][:, -1]
        log_probabilities.append(jax.nn.log_softmax(logits).max(-1))
        text = jnp.concatenate([text, logits.argmax(-1)[:, None]], axis=1)
    return text[:, len(prompt[0]) :], jnp.stack(log_probabilities, axis=1)


@pytest.mark.parametrize("prompt_size", [1, 3])
def test_greedy_is_the_python_loop(model, tokens, prompt_size):
    prompt = tokens[:, :prompt_size]
    samples = generate(model, prompt, 4, KEY, temperature=0)
    model.eval()
    expected, log_probabilities = python_loop(model, prompt, 4)
    model.train()
    np.testing.assert_array_equal(samples.tokens, expected)
    np.testing.assert_allclose(samples.log_probabilities, log_probabilities, rtol=1e-4, atol=1e-5)


def test_goes_on_from_the_carry(model, tokens):
    whole = generate(model, tokens[:, :3], 8, KEY, temperature=0)
    start = generate(model, tokens[:, :3], 4, KEY, temperature=0)
    model.eval()
    rest = sample(lambda carry, token: model.step(token, carry), start.carry, start.tokens[:, -1], 4, KEY, 0)
    model.train()
    np.testing.assert_array_equal(whole.tokens, jnp.concatenate([start.tokens, rest.tokens.T], axis=1))


def test_prompts_of_different_lengths(model, tokens):
    together = generate(model, tokens, 4, KEY, temperature=0, prompt_lengths=[2, TIME])
    alone = generate(model, tokens[0, :2], 4, KEY, temperature=0)
    assert alone.tokens.shape == (4,)
    np.testing.assert_array_equal(together.tokens[0], alone.tokens)
    np.testing.assert_array_equal(together.tokens[1], generate(model, tokens[1], 4, KEY, temperature=0).tokens)


def test_compiles_once_a_bucket(tokens):
    def compiled():
        return generation._generate._cache_size()

    before = compiled()
    results = [
        generate(build(0), tokens[:, :2], 5, KEY, 1.0),
        generate(build(1), tokens[:, :2], 5, KEY, 1.0),
        generate(build(0), tokens[:, :5], 5, jax.random.key(9), 0),
    ]
    assert compiled() == before + 1
    assert not np.allclose(results[0].log_probabilities, results[1].log_probabilities)
    generate(build(0), jnp.zeros((BATCH, generation.SHORTEST_BUCKET + 1), int), 5, KEY)
    assert compiled() == before + 2


def test_generation_sees_new_parameters(tokens):
    model = build()
    before = generate(model, tokens, 5, KEY, 0).tokens
    model.head.kernel[...] = -model.head.kernel[...]
    assert not np.array_equal(before, generate(model, tokens, 5, KEY, 0).tokens)


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        (np.zeros((2, 0), int), {}, "at least one token to continue"),
        (np.zeros((), int), {}, "at least one token to continue"),
        (np.zeros((2, 3), int), {"prompt_lengths": [0, 3]}, "prompt_lengths must be 1 to 3"),
        (np.zeros((2, 3), int), {"prompt_lengths": [1, 4]}, "prompt_lengths must be 1 to 3"),
        (np.zeros((2, 3), int), {"temperature": -1.0}, "temperature must be at least 0"),
        (np.zeros((2, 3), int), {"top_k": VOCABULARY + 1}, "there are 7 classes"),
    ],
)
def test_errors(model, prompt, options, message):
    with pytest.raises(ValueError, match=message):
        generate(model, prompt, 3, KEY, **options)
