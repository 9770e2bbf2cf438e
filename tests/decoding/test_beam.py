"""Beam search against every sequence there is, and against a beam in plain NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.tree_util import Partial

import seqjax.decoding as decoding
from seqjax.decoding import AverageLengthPenalty, CoveragePenalty, GNMTLengthPenalty
from tests.decoding import reference
from tests.decoding.reference import CLASSES, END

LENGTH, N_BEST = 4, 6
# All the hypotheses that a step can give, and a few that do not exist.
WIDE = (CLASSES - 1) ** (LENGTH - 1) * CLASSES + 4
FIRST = np.array([0, 2], np.int32)
COVERAGE = Partial(lambda carry: carry.coverage)
SEQUENCES = [[0, 2], [0, 2, 3], [0, 3], [2], [3, 3, 3]]
AUTOMATON = decoding.Automaton.from_sequences(SEQUENCES, CLASSES, END)
PREFIX = np.array([[2, -1, 3], [0, -1, -1]])
seeds = st.integers(0, 2**31)


def long_enough(tokens, token):
    return token != END or len(tokens) >= 2


def not_repeated(size):
    def permitted(tokens, token):
        tokens = (*tokens, token)
        grams = [tokens[start : start + size] for start in range(len(tokens) - size + 1)]
        return len(set(grams)) == len(grams)

    return permitted


def in_automaton(tokens, token):
    if token == END:
        return list(tokens) in SEQUENCES
    return any(sequence[: len(tokens) + 1] == [*tokens, token] for sequence in SEQUENCES)


def after_prefix(row):
    return lambda tokens, token: len(tokens) >= 3 or PREFIX[row][len(tokens)] in (-1, token)


def search(seed, beam_size=WIDE, scale=2.0, **options):
    params = reference.parameters(seed, scale)
    options = {"n_best": N_BEST, "end_token": END, **options}
    step = Partial(reference.step, params)
    return params, decoding.beam_search(
        step, reference.initial(FIRST.shape), FIRST, LENGTH, beam_size=beam_size, **options
    )


RULES = {
    "nothing": ({}, lambda row: lambda tokens, token: True),
    "minimum_length": ({"minimum_length": 3}, lambda row: long_enough),
    "no_repeat_ngram": ({"no_repeat_ngram": 2}, lambda row: not_repeated(2)),
    "no_repeat_token": ({"no_repeat_ngram": 1}, lambda row: not_repeated(1)),
    "automaton": ({"allowed": AUTOMATON}, lambda row: in_automaton),
    "prefix": ({"prefix": PREFIX}, after_prefix),
    "all": (
        {"minimum_length": 3, "no_repeat_ngram": 1, "allowed": AUTOMATON, "prefix": np.array([0])},
        lambda row: (
            lambda tokens, token: (
                long_enough(tokens, token)
                and not_repeated(1)(tokens, token)
                and in_automaton(tokens, token)
                and (len(tokens) > 0 or token == 0)
            )
        ),
    ),
}
LENGTH_PENALTIES = [None, AverageLengthPenalty(), GNMTLengthPenalty(0.6), GNMTLengthPenalty(-1.0)]


@pytest.mark.parametrize("rule", RULES)
@given(seed=seeds, length_penalty=st.sampled_from(LENGTH_PENALTIES))
def test_a_wide_beam_finds_the_best_of_all_sequences(rule, seed, length_penalty):
    options, permitted = RULES[rule]
    params, result = search(seed, length_penalty=length_penalty, **options)
    for row, first in enumerate(FIRST):
        everything = reference.all_hypotheses(params, first, LENGTH, permitted(row))
        reference.check(result, row, reference.best(everything, N_BEST, length_penalty), length_penalty)


@given(seed=seeds, alpha=st.sampled_from([0.0, 0.7]), beta=st.sampled_from([0.1, 1.0]))
def test_coverage_penalty(seed, alpha, beta):
    penalties = GNMTLengthPenalty(alpha), beta
    params, result = search(seed, length_penalty=penalties[0], coverage_penalty=CoveragePenalty(COVERAGE, beta))
    for row, first in enumerate(FIRST):
        everything = reference.all_hypotheses(params, first, LENGTH)
        reference.check(result, row, reference.best(everything, N_BEST, *penalties), *penalties)


@given(seed=seeds)
def test_without_an_end_token_all_have_the_whole_length(seed):
    params, result = search(seed, end_token=None)
    for row, first in enumerate(FIRST):
        everything = reference.all_hypotheses(params, first, LENGTH, end=None)
        reference.check(result, row, reference.best(everything, N_BEST))


@pytest.mark.parametrize("rule", ["nothing", "all"])
@given(seed=seeds, beam_size=st.sampled_from([2, 3]), length_penalty=st.sampled_from(LENGTH_PENALTIES))
def test_a_narrow_beam_is_the_beam_in_numpy(rule, seed, beam_size, length_penalty):
    options, permitted = RULES[rule]
    params, result = search(seed, beam_size, length_penalty=length_penalty, n_best=2, **options)
    for row, first in enumerate(FIRST):
        expected = reference.beam(params, first, LENGTH, beam_size, 2, (length_penalty,), permitted(row))
        reference.check(result, row, expected, length_penalty)
