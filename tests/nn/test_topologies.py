"""One vector of a sequence, labels of every step, sequences of a condition, fewer outputs than frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax import decoding
from seqjax.cells import GRU, LSTM
from seqjax.nn import (
    Bidirectional,
    ConditionalGenerator,
    CTCModel,
    Pooling,
    SequenceClassifier,
    SequenceEncoder,
    SequenceModel,
    SequenceTagger,
)

BATCH, TIME, FEATURES, HIDDEN, VOCABULARY = 3, 6, 4, 5, 7
LENGTHS = jnp.array([6, 3, 0])
KEY = jax.random.key(0)
WORDS = jax.random.randint(KEY, (BATCH, TIME), 0, VOCABULARY)
FRAMES = jax.random.normal(KEY, (BATCH, TIME, FEATURES))
VALID = np.arange(TIME) < LENGTHS[:, None]


def in_padding(values, filler):
    return jnp.where(VALID.reshape(BATCH, TIME, *[1] * (values.ndim - 2)), values, filler)


def assert_finite_gradients(loss, *arguments):
    gradients = jax.tree.leaves(nnx.jit(nnx.grad(loss, argnums=tuple(range(len(arguments)))))(*arguments))
    assert gradients
    assert all(np.isfinite(leaf).all() for leaf in gradients)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_pooling_is_over_the_valid_steps(pooling, bidirectional):
    model = SequenceEncoder(
        LSTM, input_size=FEATURES, hidden_size=HIDDEN, bidirectional=bidirectional, pooling=pooling, rngs=nnx.Rngs(0)
    )
    vectors = model(in_padding(FRAMES, jnp.nan), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        if not length:
            np.testing.assert_array_equal(vectors[row], np.zeros(model.output_size))
            continue
        (carry,), outputs = model.layers(FRAMES[row, :length])
        if pooling == "last":
            expected = jnp.concatenate([carry.forward.hidden, carry.backward.hidden]) if bidirectional else carry.hidden
        elif pooling == "attention":
            module = model.pooling
            scores = jnp.tanh(outputs @ module.key_kernel[...] + module.bias[...]) @ module.score_kernel[...][:, 0]
            expected = jax.nn.softmax(scores) @ outputs
        else:
            expected = getattr(outputs, pooling)(0)
        np.testing.assert_allclose(vectors[row], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model(FRAMES[row, :length]), expected, rtol=1e-4, atol=1e-5)
    assert_finite_gradients(
        lambda model, frames: (model(frames, LENGTHS) ** 2).sum(), model, in_padding(FRAMES, jnp.nan)
    )


def test_a_classifier_is_an_encoder_and_a_head():
    model = SequenceClassifier(
        3, GRU, vocabulary_size=VOCABULARY, hidden_size=HIDDEN, bidirectional=True, dropout=0.5, rngs=nnx.Rngs(0)
    )
    assert not np.array_equal(model(WORDS), model(WORDS))
    model.eval()
    logits = model(in_padding(WORDS, -1), LENGTHS)
    np.testing.assert_allclose(logits, model.head(model.encoder(WORDS, LENGTHS)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(logits[2], model.head.bias[...])


def test_last_of_two_directions_needs_them_side_by_side():
    layer = Bidirectional.from_cell(GRU(input_size=2, hidden_size=2), rngs=nnx.Rngs(0), merge="sum")
    with pytest.raises(ValueError, match="needs them side by side"):
        Pooling("last", layer, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="pooling must be one of 'last'"):
        Pooling("first", layer, rngs=nnx.Rngs(0))


def test_outputs_of_a_shape_at_every_step():
    """Forecasts of several quantiles; in one go, in two, and step by step."""
    model = SequenceModel((2, 3), GRU, input_size=FEATURES, hidden_size=HIDDEN, num_layers=2, rngs=nnx.Rngs(0))
    _, outputs = model(FRAMES)
    carry, first = model(FRAMES[:, :2])
    assert outputs.shape == (BATCH, TIME, 2, 3)
    np.testing.assert_allclose(first, outputs[:, :2], rtol=1e-5, atol=1e-6)
    for time in range(2, TIME):
        carry, one = model.step(FRAMES[:, time], carry)
        np.testing.assert_allclose(one, outputs[:, time], rtol=1e-4, atol=1e-5)
    _, padded = model(in_padding(FRAMES, jnp.nan), lengths=LENGTHS)
    np.testing.assert_allclose(padded[VALID], outputs[VALID], rtol=1e-4, atol=1e-5)
    assert np.isfinite(padded).all()
    with pytest.raises(ValueError, match="expected 4 features"):
        model(FRAMES[..., :3])
    with pytest.raises(ValueError, match="give vocabulary_size"):
        SequenceModel(2, hidden_size=HIDDEN, rngs=nnx.Rngs(0))


def tagger(**options):
    return SequenceTagger(
        4, GRU, vocabulary_size=VOCABULARY, embedding_size=3, hidden_size=HIDDEN, **options, rngs=nnx.Rngs(0)
    )


def test_a_tagger_reads_words():
    model = tagger()
    logits = model(in_padding(WORDS, -1), LENGTHS)
    _, outputs = model.layers(model.embedding(WORDS[1, :3]))
    np.testing.assert_allclose(logits[1, :3], model.head(outputs), rtol=1e-4, atol=1e-5)
    assert logits.shape == (BATCH, TIME, 4)


def test_a_tagger_reads_characters_and_labels_the_sentence():
    spelling = {"vocabulary_size": 9, "embedding_size": 2, "hidden_size": 3, "bidirectional": True}
    characters = SequenceEncoder(GRU, **spelling, rngs=nnx.Rngs(1))
    model = tagger(characters=characters, sequence_label_size=2)
    letters = jax.random.randint(KEY, (BATCH, TIME, 8), 0, 9)
    letter_lengths = jax.random.randint(jax.random.key(1), (BATCH, TIME), 0, 9)
    padded = jnp.where(jnp.arange(8) < letter_lengths[..., None], letters, 10**6)
    call = nnx.jit(
        lambda model, words, padded, lengths: model(words, lengths, characters=padded, character_lengths=letter_lengths)
    )
    logits, sentence = call(model, in_padding(WORDS, -1), padded, LENGTHS)
    # The second sentence alone, each word spelled alone.
    spelled = [
        characters(letters[1, i, :length]) if (length := int(letter_lengths[1, i])) else jnp.zeros(6) for i in range(3)
    ]
    words = jnp.concatenate([model.embedding(WORDS[1, :3]), jnp.stack(spelled)], -1)
    (carry,), outputs = model.layers(words)
    np.testing.assert_allclose(logits[1, :3], model.head(outputs), rtol=1e-4, atol=1e-5)
    last = jnp.concatenate([carry.forward.hidden, carry.backward.hidden])
    np.testing.assert_allclose(sentence[1], model.sequence_head(last), rtol=1e-4, atol=1e-5)
    assert_finite_gradients(
        lambda model: sum((a[VALID] if a.ndim == 3 else a).sum() for a in call(model, WORDS, padded, LENGTHS)), model
    )
    with pytest.raises(ValueError, match="reads the characters of every word"):
        model(WORDS)
    with pytest.raises(ValueError, match="built without an encoder of characters"):
        tagger()(WORDS, characters=letters)


@pytest.mark.parametrize(
    "options",
    [{}, {"every_step": False, "num_layers": 2}, {"starts": False, "class_embedding_size": 3}],
    ids=["both", "start", "every step"],
)
def test_a_generator_decodes_what_it_is_taught(options):
    model = ConditionalGenerator(
        VOCABULARY, GRU, classes=3, hidden_size=HIDDEN, start_token=2, **options, rngs=nnx.Rngs(0)
    )
    classes = jnp.array([0, 2, 1])
    step, carry, token = model.decoder_step(classes)
    tokens = decoding.greedy(step, carry, token, TIME).tokens.T
    np.testing.assert_array_equal(model(classes, tokens).argmax(-1), tokens)
    logits = model(classes, in_padding(WORDS, 10**6), target_lengths=LENGTHS)
    np.testing.assert_allclose(logits[VALID], model(classes, WORDS)[VALID], rtol=1e-4, atol=1e-5)
    other = model(classes[::-1], WORDS)
    assert not np.allclose(other[0], model(classes, WORDS)[0], atol=1e-4)
    np.testing.assert_allclose(other[2], model(classes[:1], WORDS[2:])[0], rtol=1e-4, atol=1e-5)


def test_a_class_is_its_unit_vector():
    options = {"hidden_size": HIDDEN, "rngs": nnx.Rngs(0)}
    of_class = ConditionalGenerator(VOCABULARY, GRU, classes=3, **options)
    of_vector = ConditionalGenerator(VOCABULARY, GRU, condition_size=3, **options)
    nnx.update(of_vector, nnx.state(of_class))
    np.testing.assert_array_equal(of_class(jnp.array([2]), WORDS[:1]), of_vector(jnp.eye(3)[2:], WORDS[:1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one of classes and condition_size"),
        ({"classes": 2, "condition_size": 2}, "give one of classes and condition_size"),
        ({"classes": 2, "starts": False, "every_step": False}, "goes nowhere"),
    ],
)
def test_conditions_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        ConditionalGenerator(VOCABULARY, hidden_size=HIDDEN, rngs=nnx.Rngs(0), **options)


FRONT_ENDS = {
    "none": {},
    "stacked": {"stack_frames": 2},
    "convolution": {"convolution_size": 3, "convolution_width": 4, "convolution_stride": 2},
    "both": {"convolution_size": 3, "convolution_width": 3, "convolution_stride": 2, "stack_frames": 2},
}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_frames_become_fewer_outputs(name):
    """Each sequence as if alone: the outputs of one cut to its length, however far the batch was padded."""
    model = CTCModel(VOCABULARY, GRU, input_size=FEATURES, hidden_size=HIDDEN, **FRONT_ENDS[name], rngs=nnx.Rngs(0))
    logits, lengths = model(in_padding(FRAMES, jnp.nan), LENGTHS)
    factor = {"none": 1, "both": 4}.get(name, 2)
    np.testing.assert_array_equal(lengths, -(-LENGTHS // factor))
    assert logits.shape == (BATCH, -(-TIME // factor), VOCABULARY)
    for row, length in ((0, 6), (1, 3)):
        alone, count = model(FRAMES[row, :length])
        np.testing.assert_allclose(logits[row, : int(count)], alone, rtol=1e-4, atol=1e-5)
        assert count == lengths[row]
    assert_finite_gradients(lambda model, frames: model(frames, LENGTHS)[0].sum(), model, in_padding(FRAMES, jnp.nan))


def test_the_convolution_is_centred():
    """An impulse at frame 4 is seen by the outputs of frames 2 to 6 of a filter of width 5, which stands on each."""
    convolution = CTCModel(2, input_size=1, hidden_size=2, convolution_size=1, rngs=nnx.Rngs(0)).convolution
    convolution.kernel[...] = jnp.ones((5, 1, 1))
    np.testing.assert_array_equal(convolution(jnp.zeros((9, 1)).at[4].set(1.0))[:, 0], [0, 0, 1, 1, 1, 1, 1, 0, 0])
