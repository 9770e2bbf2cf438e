from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from scipy.special import log_softmax

from seqjax.decoding import ctc_beam_search, ctc_greedy, log_probability
from tests.losses.ctc_paths import all_labels, collapse, path_log_probabilities

TIME, CLASSES, ROWS = 4, 3, 500
# Of 2 labels, at most one a frame; and some beams to spare.
EVERY_SEQUENCE = sum(2**length for length in range(TIME + 1)) + 4


def draw(generator, time=TIME, classes=CLASSES, rows=ROWS, scale=1.5):
    logits = generator.normal(size=(time, rows, classes)).astype(np.float32) * scale
    return logits, generator.integers(0, time + 1, rows)


def labels_of(transcripts, *index):
    tokens, length = np.asarray(transcripts.tokens)[index], np.asarray(transcripts.lengths)[index]
    assert np.all(tokens[length:] == -1)
    assert np.all(tokens[:length] >= 0)
    return tuple(tokens[:length].tolist())


class Carry(NamedTuple):
    history: jax.Array
    count: jax.Array


def remembering(table, carry, token):
    """Logits from all tokens so far, in their order, and from their number."""
    history = 0.5 * carry.history + table[token]
    return Carry(history, carry.count + 1), history + jnp.sin(carry.count + jnp.arange(table.shape[1]))


def remembered(table, history, labels, first_token, end_token=None):
    """What :func:`remembering` gives to labels, in NumPy."""
    total, token = 0.0, first_token
    ending = [] if end_token is None else [end_token]
    for count, label in enumerate([*labels, *ending]):
        history = 0.5 * history + table[token]
        total += log_softmax(history + np.sin(count + np.arange(table.shape[1])))[label]
        token = label
    return total


@pytest.fixture(scope="module")
def model():
    generator = np.random.default_rng(7)
    table = generator.normal(size=(CLASSES, CLASSES)).astype(np.float32)
    history = generator.normal(size=(ROWS, CLASSES)).astype(np.float32)
    return table, history, Partial(remembering, jnp.asarray(table)), Carry(history, np.zeros(ROWS, np.int32))


@pytest.mark.parametrize("blank", range(CLASSES))
def test_greedy_collapses_the_best_path(blank):
    logits, lengths = draw(np.random.default_rng(blank))
    found = ctc_greedy(logits, lengths=lengths, blank=blank)
    assert found.tokens.shape == (ROWS, TIME)
    for row, length in enumerate(lengths):
        every, _, scores = path_log_probabilities(logits[:length, row], blank)
        assert labels_of(found, row) == collapse(every[np.argmax(scores)], blank)
        np.testing.assert_allclose(found.scores[row], np.max(scores), rtol=1e-5, atol=1e-5)


def assert_best(found, rows, score):
    """The results of every row are those of listing all: ``score(row)`` gives labels and their scores."""
    n_best = found.scores.shape[1]
    for row in range(rows):
        expected = score(row)
        ranking = sorted(expected.values(), reverse=True)[:n_best]
        results = [labels_of(found, row, place) for place in range(len(ranking))]
        assert len(set(results)) == len(results)
        np.testing.assert_allclose(found.scores[row][: len(ranking)], ranking, rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose([expected[labels] for labels in results], ranking, rtol=1e-5, atol=2e-5)
        assert np.all(np.isneginf(found.scores[row][len(ranking) :]))
        assert not np.any(found.lengths[row][len(ranking) :])


@pytest.mark.parametrize("blank", range(CLASSES))
def test_a_wide_beam_is_an_exhaustive_search(blank):
    logits, lengths = draw(np.random.default_rng(10 + blank))
    found = ctc_beam_search(logits, lengths=lengths, blank=blank, beam_size=EVERY_SEQUENCE, n_best=6)
    assert_best(found, ROWS, lambda row: all_labels(logits[: lengths[row], row], blank))


def test_symbols_that_cannot_be():
    """A beam whose last paths end in a frame without them is gone, and may come back."""
    generator = np.random.default_rng(15)
    logits, lengths = draw(generator)
    impossible = generator.random(logits.shape) < 0.3
    impossible[..., 0] &= ~np.all(impossible, axis=-1)
    logits[impossible] = -np.inf
    found = ctc_beam_search(logits, lengths=lengths, blank=1, beam_size=EVERY_SEQUENCE, n_best=6)
    assert_best(found, ROWS, lambda row: all_labels(logits[: lengths[row], row], 1))


@pytest.mark.parametrize("end_token", [None, 0])
def test_with_a_language_model(model, end_token):
    table, history, step, carry = model
    weight, bonus = 0.8, 0.7
    logits, lengths = draw(np.random.default_rng(20))
    found = ctc_beam_search(
        logits,
        lengths=lengths,
        beam_size=EVERY_SEQUENCE,
        n_best=6,
        language_model=step,
        language_model_carry=carry,
        language_model_weight=weight,
        first_token=0,
        end_token=end_token,
        insertion_bonus=bonus,
    )

    def score(row):
        return {
            labels: total + weight * remembered(table, history[row], labels, 0, end_token) + bonus * len(labels)
            for labels, total in all_labels(logits[: lengths[row], row], 0).items()
        }

    assert_best(found, ROWS, score)


def reference_beams(log_probabilities, blank, beam_size, bonus):
    """Prefix beam search in a dictionary, as in the papers, the greedy labels kept; ``bonus(labels)`` is added."""
    beams = {(): (0.0, -np.inf)}
    total = lambda labels, beams: np.logaddexp(*beams[labels]) + bonus(labels)
    path = np.argmax(log_probabilities, axis=-1)
    for time, emission in enumerate(log_probabilities):
        new = {}

        def add(labels, blank_part, label_part, new=new):
            old = new.get(labels, (-np.inf, -np.inf))
            new[labels] = np.logaddexp(old[0], blank_part), np.logaddexp(old[1], label_part)

        for labels, (ends_blank, ends_label) in beams.items():
            both = np.logaddexp(ends_blank, ends_label)
            add(labels, both + emission[blank], ends_label + emission[labels[-1]] if labels else -np.inf)
            for symbol in set(range(len(emission))) - {blank}:
                source = ends_blank if labels[-1:] == (symbol,) else both
                if source > -np.inf:
                    add((*labels, symbol), -np.inf, source + emission[symbol])
        greedy = collapse(path[: time + 1], blank)
        others = sorted(set(new) - {greedy}, key=lambda labels: -total(labels, new))
        beams = {labels: new[labels] for labels in [greedy, *others[: beam_size - 1]]}
    return set(beams)


@pytest.mark.parametrize("beam_size", [1, 2, 4])
@pytest.mark.parametrize("fused", [False, True])
def test_narrow_beams(model, beam_size, fused):
    """Beams go and come back, and are merged all the same; scores are of all paths, and never below greedy."""
    table, history, step, carry = model
    rows, time, blank = 60, 7, 1
    logits, _ = draw(np.random.default_rng(30 + beam_size), time, rows=rows, scale=0.7)
    fusion = {}
    if fused:
        fusion = {"language_model": step, "first_token": 1, "language_model_weight": 0.5, "insertion_bonus": 0.4}
        fusion["language_model_carry"] = jax.tree.map(lambda leaf: leaf[:rows], carry)
    found = ctc_beam_search(logits, blank=blank, beam_size=beam_size, n_best=beam_size, **fusion)
    greedy = ctc_greedy(logits, blank=blank)
    better = 0
    for row in range(rows):
        bonus = lambda labels: (
            0.5 * remembered(table, history[row], labels, 1) + 0.4 * len(labels) if fused else 0.0  # noqa: B023
        )
        results = [labels_of(found, row, place) for place in range(beam_size)]
        assert set(results) == reference_beams(log_softmax(logits[:, row], -1), blank, beam_size, bonus)
        totals = all_labels(logits[:, row], blank)
        np.testing.assert_allclose(found.scores[row], [totals[labels] + bonus(labels) for labels in results], atol=2e-5)
        assert np.all(np.diff(found.scores[row]) <= 0)
        of_greedy = labels_of(greedy, row)
        assert found.scores[row, 0] >= totals[of_greedy] + bonus(of_greedy) - 1e-5
        better += results[0] != of_greedy
    assert (better > 0) == (beam_size > 1)


@pytest.mark.parametrize("beam_size", [1, 3])
def test_one_result_is_never_below_greedy(beam_size):
    logits, lengths = draw(np.random.default_rng(40), 7, rows=300, scale=0.5)
    found, greedy = ctc_beam_search(logits, lengths=lengths, beam_size=beam_size), ctc_greedy(logits, lengths=lengths)
    for row, length in enumerate(lengths):
        totals = all_labels(logits[:length, row], 0)
        np.testing.assert_allclose(found.scores[row, 0], totals[labels_of(found, row, 0)], atol=2e-5)
        assert totals[labels_of(found, row, 0)] >= totals[labels_of(greedy, row)] - 1e-9


def test_longest_result():
    logits, lengths = draw(np.random.default_rng(50))
    found = ctc_beam_search(logits, lengths=lengths, beam_size=EVERY_SEQUENCE, n_best=6, max_length=2)
    assert found.tokens.shape == (ROWS, 6, 2)

    def score(row):
        return {
            labels: total for labels, total in all_labels(logits[: lengths[row], row], 0).items() if len(labels) <= 2
        }

    assert_best(found, ROWS, score)


def test_padding_touches_nothing(model):
    _, _, step, carry = model
    logits, lengths = draw(np.random.default_rng(60))
    damaged = np.where((np.arange(TIME)[:, None] < lengths)[..., None], logits, np.nan)
    fusion = {"language_model": step, "language_model_carry": carry, "first_token": 0}
    for decode in (ctc_greedy, partial(ctc_beam_search, beam_size=4, n_best=2, **fusion)):
        for found, expected in zip(decode(damaged, lengths=lengths), decode(logits, lengths=lengths)):
            np.testing.assert_array_equal(found, expected)


def test_nan_is_seen():
    logits = jnp.zeros((3, 2, 3)).at[1, 0].set(jnp.nan)
    for decode in (ctc_greedy, ctc_beam_search):
        scores = decode(logits).scores
        assert np.all(np.isnan(scores[0]))
        assert np.all(np.isfinite(scores[1]))


def test_labels_that_a_language_model_forbids(model):
    """A weight of 0 leaves the model out, though it forbids; any other keeps to what it allows."""
    table, _, _, carry = model
    step = Partial(remembering, jnp.asarray(table).at[:, 2].set(-jnp.inf))
    logits, lengths = draw(np.random.default_rng(70))
    by = {"lengths": lengths, "beam_size": 4, "n_best": 2, "first_token": 0}
    by |= {"language_model": step, "language_model_carry": carry}
    assert not np.any(ctc_beam_search(logits, **by, language_model_weight=0.1).tokens == 2)
    without = ctc_beam_search(logits, lengths=lengths, beam_size=4, n_best=2)
    assert np.any(without.tokens == 2)
    for found, expected in zip(ctc_beam_search(logits, **by, language_model_weight=0.0), without):
        np.testing.assert_array_equal(found, expected)


def test_weights_and_parameters_compile_nothing(model, compilations):
    table, _, _, carry = model
    logits, lengths = draw(np.random.default_rng(80))
    results = []
    for scale, weight, bonus in ((1.0, 0.5, 0.0), (-1.0, 0.5, 0.0), (1.0, 0.9, 0.0), (1.0, 0.5, 3.0)):
        step = Partial(remembering, jnp.asarray(scale * table))
        arguments = {"language_model": step, "language_model_carry": carry, "language_model_weight": weight}
        found = ctc_beam_search(
            logits, lengths=lengths, beam_size=4, n_best=2, first_token=0, insertion_bonus=bonus, **arguments
        )
        results.append(np.asarray(found.scores))
        if len(results) == 1:
            compilations()
    assert compilations() == 0
    assert len({scores.tobytes() for scores in results}) == 4


def test_batch_axes(model):
    _, _, step, carry = model
    logits, lengths = draw(np.random.default_rng(90))
    rows = jax.tree.map(lambda leaf: leaf[:6], carry)
    by = {"language_model": step, "first_token": 0, "beam_size": 4, "n_best": 2}
    flat = ctc_beam_search(logits[:, :6], lengths=lengths[:6], language_model_carry=rows, **by)
    square = ctc_beam_search(
        logits[:, :6].reshape(TIME, 2, 3, CLASSES),
        lengths=lengths[:6].reshape(2, 3),
        language_model_carry=jax.tree.map(lambda leaf: leaf.reshape(2, 3, *leaf.shape[1:]), rows),
        **by,
    )
    single = ctc_beam_search(
        logits[:, 3], lengths=lengths[3], language_model_carry=Carry(*(leaf[3] for leaf in carry)), **by
    )
    for all_rows, squared, one in zip(flat, square, single):
        np.testing.assert_allclose(squared.reshape(all_rows.shape), all_rows, rtol=1e-6)
        np.testing.assert_allclose(one, all_rows[3], rtol=1e-6)
    greedy = ctc_greedy(logits[:, :6].reshape(TIME, 2, 3, CLASSES), lengths=lengths[:6].reshape(2, 3))
    assert greedy.tokens.shape == (2, 3, TIME)
    np.testing.assert_array_equal(greedy.tokens.reshape(6, TIME), ctc_greedy(logits[:, :6], lengths=lengths[:6]).tokens)


def test_no_frames():
    for decode in (ctc_greedy, ctc_beam_search):
        found = decode(jnp.zeros((0, 2, 3)))
        assert not np.any(found.lengths)
        assert not np.any(found.scores)


def test_a_model_of_this_library():
    nnx = pytest.importorskip("flax.nnx")
    from seqjax.cells import GRU
    from seqjax.nn import LanguageModel

    graphdef, state = nnx.split(LanguageModel(CLASSES, GRU, hidden_size=4, rngs=nnx.Rngs(0)))
    logits, lengths = draw(np.random.default_rng(110), rows=5)

    @jax.jit
    def decode(state, logits, lengths):
        model = nnx.merge(graphdef, state)
        step, carry = lambda carry, token: model.step(token, carry), model.initial_carry((5,))
        by = {"language_model": step, "language_model_carry": carry, "first_token": 0, "language_model_weight": 2.0}
        found = ctc_beam_search(logits, lengths=lengths, beam_size=6, n_best=2, **by)
        best = found.tokens[:, 0].T
        return found, log_probability(step, carry, jnp.zeros(5, jnp.int32), best, lengths=found.lengths[:, 0]).total

    found, fused = decode(state, logits, lengths)
    expected = [all_labels(logits[: lengths[row], row], 0)[labels_of(found, row, 0)] for row in range(5)]
    np.testing.assert_allclose(found.scores[:, 0], expected + 2 * np.asarray(fused), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": jnp.zeros(3)}, "expected .time, .batch, classes."),
        ({"blank": 3}, "blank must be one of the classes, 0 to 2, got 3"),
        ({"lengths": [5, 1]}, r"lengths\[0\] is 5, expected 0 to 4"),
        ({"beam_size": 0}, "beam_size must be a whole number"),
        ({"n_best": 9, "beam_size": 8}, "n_best is 9, but the beam holds 8"),
        ({"first_token": 0}, "no language_model to read it"),
        ({"language_model": remembering}, "needs a first_token"),
        ({"language_model": remembering, "first_token": 0.0}, "first_token must be whole numbers"),
        ({"language_model": remembering, "first_token": 0, "end_token": 3}, "end_token is 3, but there are 3 classes"),
        (
            {"language_model": remembering, "first_token": 0, "language_model_carry": jnp.zeros(3)},
            r"language_model_carry has shape \(3,\), expected the batch axes \(2,\) first",
        ),
        (
            {"language_model": lambda carry, token: (carry, jnp.zeros(7)), "first_token": 0},
            r"gives logits of \(7,\) for one token, but there are 3 classes",
        ),
    ],
)
def test_errors(change, message):
    arguments = {"logits": jnp.zeros((4, 2, 3)), **change}
    with pytest.raises(ValueError, match=message):
        ctc_beam_search(arguments.pop("logits"), **arguments)
