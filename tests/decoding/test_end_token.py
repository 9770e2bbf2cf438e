"""Sampling and greedy decoding of rows that end, and of what is not allowed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.tree_util import Partial

from seqjax import decoding
from seqjax.decoding import greedy, log_probability, sample
from tests.decoding import reference
from tests.decoding.reference import CLASSES, END

LENGTH, FIRST = 6, np.array([0, 2, 3, 2, 0], np.int32)
ROWS = len(FIRST)
KEY = jax.random.key(3)


def step(seed=0):
    return Partial(reference.step, reference.parameters(seed))


def drawn(seed=0, first=FIRST, key=KEY, **options):
    return sample(step(seed), reference.initial(first.shape), first, LENGTH, key, end_token=END, **options)


@given(seed=st.integers(0, 2**31))
def test_rows_are_those_without_an_end_up_to_their_ends(seed):
    key = jax.random.key(seed)
    got, free = drawn(seed, key=key), sample(step(seed), reference.initial((ROWS,)), FIRST, LENGTH, key)
    for row in range(ROWS):
        tokens = free.tokens[:, row].tolist()
        length = tokens.index(END) + 1 if END in tokens else LENGTH
        assert got.lengths[row] == length
        assert got.tokens[:, row].tolist() == tokens[:length] + [END] * (LENGTH - length)
        np.testing.assert_allclose(
            got.log_probabilities[:length, row], free.log_probabilities[:length, row], rtol=1e-5, atol=1e-6
        )
        assert not got.log_probabilities[length:, row].any()


def test_the_carry_of_a_row_stays_where_it_ended():
    got = drawn()
    assert got.lengths.min() < got.lengths.max()
    for row, first in enumerate(FIRST):
        carry, token = reference.initial(), first
        for following in got.tokens[: got.lengths[row], row]:
            carry, _ = reference.network(np, reference.parameters(0), carry, token)
            token = following
        np.testing.assert_allclose(got.carry.hidden[row], carry.hidden, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(got.carry.coverage[row], carry.coverage, rtol=1e-4, atol=1e-5)


def test_the_loop_stops_when_all_have_ended():
    steps = 0

    def count():
        nonlocal steps
        steps += 1

    def ends_at_carry(carry, token):
        jax.debug.callback(count)
        return carry - 1, 9.0 * jax.nn.one_hot(jnp.where(carry > 1, 0, END), CLASSES)

    result = greedy(Partial(ends_at_carry), np.array([1, 3]), np.zeros(2, np.int32), 50, end_token=END)
    jax.effects_barrier()
    assert result.lengths.tolist() == [1, 3]
    assert steps == 3


@pytest.mark.parametrize("minimum_length", [0, 1, 3, LENGTH])
def test_minimum_length(minimum_length):
    likely_end = Partial(lambda carry, token: (carry, 3.0 * jax.nn.one_hot(jnp.full(token.shape, END), CLASSES)))
    rows = np.zeros(200, np.int32)
    result = sample(likely_end, None, rows, LENGTH, KEY, end_token=END, minimum_length=minimum_length)
    assert result.lengths.min() == max(minimum_length, 1)
    best = greedy(likely_end, None, rows, LENGTH, end_token=END, minimum_length=minimum_length)
    assert np.all(best.lengths == max(minimum_length, 1))


@given(seed=st.integers(0, 2**31))
def test_greedy_is_sampling_at_temperature_zero(seed):
    cold = drawn(seed, temperature=0, minimum_length=2)
    best = greedy(step(seed), reference.initial((ROWS,)), FIRST, LENGTH, end_token=END, minimum_length=2)
    for a, b in zip(jax.tree.leaves(cold), jax.tree.leaves(best), strict=True):
        np.testing.assert_array_equal(a, b)


def test_allowed():
    sequences = [[0, 2], [0, 2, 3], [0, 3], [2], [3, 3, 3]]
    automaton = decoding.Automaton.from_sequences(sequences, CLASSES, END)
    rows = np.zeros(200, np.int32)
    for seed in range(3):
        got = sample(step(seed), reference.initial((200,)), rows, LENGTH, KEY, 2.0, end_token=END, allowed=automaton)
        texts = {tuple(tokens[: length - 1]) for tokens, length in zip(got.tokens.T.tolist(), got.lengths.tolist())}
        assert len(texts) > 1
        assert texts <= set(map(tuple, sequences))
        # The probabilities are the model's own.
        own = log_probability(step(seed), reference.initial((200,)), rows, got.tokens, lengths=got.lengths)
        np.testing.assert_allclose(got.log_probabilities, own.log_probabilities, rtol=1e-4, atol=1e-5)
    best = greedy(step(), reference.initial((ROWS,)), FIRST, LENGTH, end_token=END, allowed=automaton)
    beam = decoding.beam_search(
        step(), reference.initial((ROWS,)), FIRST, LENGTH, beam_size=1, end_token=END, allowed=automaton
    )
    np.testing.assert_array_equal(best.tokens.T, beam.tokens[:, 0])


@pytest.mark.parametrize("draw", [True, False])
def test_dead_ends_are_told(draw):
    automaton = decoding.Automaton(np.array([[1, -1, -1, -1], [-1, -1, -1, -1]]))
    arguments = step(), reference.initial((ROWS,)), FIRST, LENGTH
    result = sample(*arguments, KEY, allowed=automaton) if draw else greedy(*arguments, allowed=automaton)
    assert np.all(np.isfinite(result.log_probabilities[0]))
    assert np.all(np.isneginf(result.log_probabilities[1:]))


def test_length_zero():
    result = sample(step(), reference.initial((ROWS,)), FIRST, 0, KEY, end_token=END)
    assert result.tokens.shape == (0, ROWS)
    assert not result.lengths.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"end_token": CLASSES}, "end_token is 4, but there are 4 classes"),
        ({"end_token": 1.5}, "end_token must be a whole number or None"),
        ({"minimum_length": LENGTH + 1}, "minimum_length is 7, but there are at most 6"),
        ({"minimum_length": 1, "end_token": None}, "without an end_token nothing ends"),
        ({"carry": np.zeros(())}, r"the carry has shape \(\), expected the batch axes \(5,\)"),
        ({"allowed": "abc"}, "allowed must be an Automaton"),
    ],
)
def test_errors(change, message):
    arguments = {"carry": reference.initial((ROWS,)), "first_token": FIRST, "length": LENGTH, "end_token": END}
    with pytest.raises(ValueError, match=message):
        greedy(step(), **{**arguments, **change})


def test_too_many_classes_for_the_tokens_type():
    wide = lambda carry, token: (carry, jnp.zeros((*token.shape, 257)))
    with pytest.raises(ValueError, match="uint8 cannot number 257 classes"):
        greedy(wide, None, np.zeros(2, np.uint8), 3)
