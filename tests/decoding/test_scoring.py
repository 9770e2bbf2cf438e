"""The log-probability of given sequences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.tree_util import Partial

from seqjax.decoding import log_probability, sample
from tests.decoding import reference
from tests.decoding.reference import CLASSES, END

LENGTH, BATCH = 4, (2, 2)
FIRST = np.array([[0, 3], [2, 1]], np.int32)


def score(params, tokens, lengths=None):
    return log_probability(Partial(reference.step, params), reference.initial(BATCH), FIRST, tokens, lengths=lengths)


@given(seed=st.integers(0, 2**31))
def test_against_numpy(seed):
    rng, params = np.random.default_rng(seed), reference.parameters(seed)
    tokens, lengths = rng.integers(0, CLASSES, (LENGTH, *BATCH)), rng.integers(0, LENGTH + 1, BATCH)
    got = score(params, tokens, lengths)
    for row in np.ndindex(*BATCH):
        hypothesis = reference.Hypothesis((), 0.0, reference.initial())
        for time in range(LENGTH):
            if time >= lengths[row]:
                assert got.log_probabilities[(time, *row)] == 0
                continue
            before = hypothesis.log_probability
            everything = reference.extensions(params, hypothesis, FIRST[row], lambda tokens, token: True, None)
            hypothesis = everything[tokens[(time, *row)]]
            np.testing.assert_allclose(
                got.log_probabilities[(time, *row)], hypothesis.log_probability - before, rtol=1e-4, atol=1e-4
            )
        np.testing.assert_allclose(got.total[row], hypothesis.log_probability, rtol=1e-4, atol=1e-4)


def test_all_sequences_together_have_probability_one():
    params = reference.parameters(0)
    hypotheses = reference.all_hypotheses(params, 0, LENGTH)
    tokens = np.array([[*each.tokens, *[END] * (LENGTH - len(each.tokens))] for each in hypotheses]).T
    rows = (len(hypotheses),)
    got = log_probability(
        Partial(reference.step, params),
        reference.initial(rows),
        np.zeros(rows, int),
        tokens,
        lengths=np.array([len(each.tokens) for each in hypotheses]),
    )
    np.testing.assert_allclose(jnp.exp(got.total).sum(), 1, rtol=1e-5)


def test_of_samples_it_is_what_they_were_drawn_with():
    params = reference.parameters(1)
    arguments = Partial(reference.step, params), reference.initial(BATCH), FIRST
    for end_token in (None, END):
        samples = sample(*arguments, LENGTH, jax.random.key(0), end_token=end_token)
        got = log_probability(*arguments, samples.tokens, lengths=samples.lengths)
        np.testing.assert_allclose(got.log_probabilities, samples.log_probabilities, rtol=1e-5, atol=1e-6)


def test_padding_touches_neither_values_nor_gradients():
    tokens, lengths = np.array([[[0, 1], [2, 3]]] * LENGTH), np.array([[4, 2], [0, 1]])
    valid = np.arange(LENGTH)[:, None, None] < lengths

    def read(params, carry, token):
        # As an embedding may give for what is not a class.
        embedding = jnp.where((token < 0)[..., None], jnp.nan, params["embedding"][token])
        hidden = jnp.tanh(embedding + carry @ params["recurrent"])
        return hidden, hidden @ params["output"][: hidden.shape[-1]]

    def total(params, tokens):
        carry = np.zeros((*BATCH, reference.HIDDEN), np.float32)
        return log_probability(Partial(read, params), carry, FIRST, tokens, lengths=lengths).total.sum()

    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), reference.parameters(0))
    want = jax.value_and_grad(total)(params, tokens)
    got = jax.value_and_grad(total)(params, np.where(valid, tokens, -1))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert np.isfinite(b).all()
        np.testing.assert_array_equal(a, b)


def test_a_token_that_is_no_class_is_seen():
    tokens = np.zeros((LENGTH, *BATCH), int)
    tokens[1, 0, 0], tokens[2, 1, 1] = CLASSES, -1
    got = score(reference.parameters(0), tokens)
    assert np.isnan(got.total).tolist() == [[True, False], [False, True]]


def test_parameters_and_lengths_compile_nothing():
    traces = 0

    def counted(params, carry, token):
        nonlocal traces
        traces += 1
        return reference.step(params, carry, token)

    tokens = np.zeros((LENGTH, *BATCH), int)
    results = [
        log_probability(
            Partial(counted, reference.parameters(seed)), reference.initial(BATCH), FIRST, tokens, lengths=lengths
        ).total
        for seed, lengths in ((0, np.full(BATCH, 2)), (1, np.full(BATCH, 4)))
    ]
    assert traces == 1
    assert not np.array_equal(*results)


def test_no_tokens():
    got = score(reference.parameters(0), np.zeros((0, *BATCH), int))
    assert got.log_probabilities.shape == (0, *BATCH)
    assert not got.total.any()


@pytest.mark.parametrize(
    ("tokens", "lengths", "message"),
    [
        (np.zeros((LENGTH, 2), int), None, r"expected \[time, \*batch\] and \[\*batch\]"),
        (np.zeros((LENGTH, *BATCH)), None, "tokens must be whole numbers"),
        (np.zeros((LENGTH, *BATCH), int), np.full(BATCH, 5), "lengths must be from 0 to 4"),
        (np.zeros((LENGTH, *BATCH), int), np.full(2, 3), "lengths have shape"),
        (np.zeros((LENGTH, *BATCH), int), np.full(BATCH, 3.0), "lengths must be whole numbers"),
    ],
)
def test_errors(tokens, lengths, message):
    with pytest.raises(ValueError, match=message):
        score(reference.parameters(0), tokens, lengths)
