"""What holds for every beam search, however narrow, and what it says where there is nothing to find."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.tree_util import Partial

from seqjax import decoding
from seqjax.decoding import AverageLengthPenalty, CoveragePenalty, GNMTLengthPenalty
from tests.decoding import reference
from tests.decoding.reference import CLASSES, END
from tests.jaxprs import all_equations

LENGTH, BATCH = 6, (2, 3)
FIRST = np.array([[0, 2, 3], [3, 0, 2]], np.int32)
COVERAGE = Partial(lambda carry: carry.coverage)
PENALTIES = {
    "none": {},
    "average": {"length_penalty": AverageLengthPenalty()},
    "gnmt": {"length_penalty": GNMTLengthPenalty(1.3)},
    "shorter": {"length_penalty": GNMTLengthPenalty(-1.0)},
    "coverage": {
        "length_penalty": GNMTLengthPenalty(0.6),
        "coverage_penalty": CoveragePenalty(COVERAGE, 0.3),
        "minimum_length": 2,
    },
}
seeds = st.integers(0, 2**31)


def search(seed, first=FIRST, scale=4.0, **options):
    step = Partial(reference.step, reference.parameters(seed, scale))
    options = {"beam_size": 3, "n_best": 2, "end_token": END, **options}
    return decoding.beam_search(step, reference.initial(np.shape(first)), first, LENGTH, **options)


def equal(some: Any, others: Any) -> None:
    for a, b in zip(some, others, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("end_token", [None, 0])
def test_greedy_is_not_lost_where_a_textbook_beam_loses_it(end_token):
    # After 0 come 1 or 2. What follows 2 looks better at first (0.175 twice, against 0.4 * 0.34) and then is noise.
    table = np.full((7, 7), 1 / 7)
    table[0] = [0, 0.4, 0.35, 0.25, 0, 0, 0]
    table[1] = [0, 0, 0.33, 0.33, 0.34, 0, 0]
    table[2] = [0, 0, 0, 0, 0, 0.5, 0.5]
    table[4] = [1, 0, 0, 0, 0, 0, 0]
    step = Partial(lambda table, carry, token: (carry, table[token]), jnp.log(table))
    greedy = decoding.greedy(step, None, 0, 3, end_token=end_token)
    np.testing.assert_array_equal(greedy.tokens, [1, 4, 0])
    best = decoding.beam_search(step, None, 0, 3, beam_size=2, n_best=2, end_token=end_token)
    np.testing.assert_array_equal(best.tokens[0], greedy.tokens)
    np.testing.assert_allclose(jnp.exp(best.scores), [0.4 * 0.34, 0.35 * 0.5 / 7], rtol=1e-5)


@pytest.mark.parametrize("beam_size", [2, 3])
@given(seed=seeds)
def test_never_below_greedy(beam_size, seed):
    result = search(seed, beam_size=beam_size)
    step = Partial(reference.step, reference.parameters(seed, 4.0))
    greedy = decoding.greedy(step, reference.initial(BATCH), FIRST, LENGTH, end_token=END)
    assert np.all(result.scores[..., 0] >= greedy.log_probabilities.sum(0) - 1e-4)


@given(seed=seeds)
def test_a_beam_of_one_is_greedy(seed):
    result = search(seed, beam_size=1, n_best=1)
    step = Partial(reference.step, reference.parameters(seed, 4.0))
    greedy = decoding.greedy(step, reference.initial(BATCH), FIRST, LENGTH, end_token=END)
    np.testing.assert_array_equal(result.tokens[..., 0, :], jnp.moveaxis(greedy.tokens, 0, -1))
    np.testing.assert_array_equal(result.lengths[..., 0], greedy.lengths)
    np.testing.assert_allclose(result.scores[..., 0], greedy.log_probabilities.sum(0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("penalty", PENALTIES)
@given(seed=seeds)
def test_early_stop_changes_nothing(penalty, seed):
    equal(search(seed, **PENALTIES[penalty]), search(seed, **PENALTIES[penalty], early_stop=False))


@given(seed=seeds)
def test_a_batch_is_its_rows(seed):
    whole = search(seed, **PENALTIES["coverage"])
    for row in np.ndindex(*BATCH):
        alone = search(seed, FIRST[row], **PENALTIES["coverage"])
        np.testing.assert_array_equal(whole.tokens[row], alone.tokens)
        np.testing.assert_array_equal(whole.lengths[row], alone.lengths)
        np.testing.assert_allclose(whole.scores[row], alone.scores, rtol=1e-5, atol=1e-5)


class History(NamedTuple):
    tokens: jax.Array
    count: jax.Array


def from_history(table, carry, token):
    """Logits from all tokens so far and their places."""
    place = jnp.arange(LENGTH) == carry.count[..., None]
    history = History(jnp.where(place, token[..., None], carry.tokens), carry.count + 1)
    read = jnp.arange(LENGTH) < history.count[..., None]
    contributions = table[jnp.arange(LENGTH), history.tokens]
    return history, jnp.where(read[..., None], contributions, 0).sum(-2)


@given(seed=seeds)
def test_a_carry_that_is_the_whole_history_stays_with_its_hypothesis(seed):
    table = np.random.default_rng(seed).standard_normal((LENGTH, CLASSES, CLASSES), np.float32)
    carry = History(np.zeros((*BATCH, LENGTH), np.int32), np.zeros(BATCH, np.int32))
    step = Partial(from_history, table)
    result = decoding.beam_search(step, carry, FIRST, LENGTH, beam_size=3, n_best=3, end_token=END)
    assert np.isfinite(result.scores).all()
    for number in range(3):
        tokens = jnp.moveaxis(result.tokens[..., number, :], -1, 0)
        given_tokens = decoding.log_probability(step, carry, FIRST, tokens, lengths=result.lengths[..., number])
        np.testing.assert_allclose(result.log_probabilities[..., number], given_tokens.total, rtol=1e-4, atol=1e-4)


def memoryless(logits, carry, token):
    """The same logits at every step; NaN after two steps."""
    return carry + 1, jnp.where((carry < 2)[..., None], jnp.broadcast_to(logits, (*token.shape, CLASSES)), jnp.nan)


def test_it_does_stop_early_and_what_is_not_a_number_is_seen():
    step = Partial(memoryless, jnp.array([0.0, 1.0, 0.0, 0.0]))
    search = partial(decoding.beam_search, step, np.zeros(2, np.int32), np.zeros(2, np.int32), LENGTH)
    stopped = search(beam_size=2, end_token=END)
    assert stopped.tokens.tolist() == [[[END] * LENGTH]] * 2
    assert np.isfinite(stopped.scores).all()
    assert np.isnan(search(beam_size=2, end_token=END, early_stop=False).scores).all()
    # The mean of a longer sequence could still be higher, so that the search must go on.
    assert np.isnan(search(beam_size=2, end_token=END, length_penalty=AverageLengthPenalty()).scores).all()


def impossible(carry, token):
    """A step that itself forbids everything after one token."""
    return carry + 1, jnp.where((carry < 1)[..., None], jnp.zeros((*token.shape, CLASSES)), -jnp.inf)


def table(*rows):
    return decoding.Automaton(np.array(rows))


DEAD_ENDS = {
    "some": ({"allowed": table([1, -1, -1, 2], [-1, -1, -1, -1], [-1, 2, -1, -1])}, 1),
    "all": ({"allowed": table([1, -1, -1, 1], [-1, -1, -1, -1])}, 0),
    "no class": ({"prefix": np.array([2, CLASSES])}, 0),
    "contradiction": ({"prefix": np.array([2, END]), "minimum_length": 3}, 0),
    "repetition": ({"prefix": np.array([2, 2]), "no_repeat_ngram": 1}, 0),
    "step": ({"step": Partial(impossible)}, 1),
}


@pytest.mark.parametrize("name", DEAD_ENDS)
def test_dead_ends_are_told(name):
    options, found = DEAD_ENDS[name]
    step = Partial(reference.step, reference.parameters(0))
    carry = np.zeros(BATCH) if "step" in options else reference.initial(BATCH)
    options = {"step": step, "beam_size": 3, "n_best": 3, "end_token": END, **options}
    result = decoding.beam_search(carry=carry, first_token=FIRST, length=LENGTH, **options)
    assert not np.isnan(result.scores).any()
    assert np.all(np.isfinite(result.scores).sum(-1) == found)
    missing = np.isinf(result.scores)
    assert np.all(result.lengths[missing] == 0)
    assert np.all(result.tokens[missing] == END)
    assert not np.any(result.finished[missing])
    assert np.all(result.finished[~missing])


def test_a_constraint_is_an_automaton_as_a_function():
    sequences = [[0, 2], [0, 2, 3], [0, 3], [2], [3, 3, 3]]
    automaton = decoding.Automaton.from_sequences(sequences, CLASSES, END)
    transitions = jnp.asarray(automaton.transitions)

    def read(state, token):
        state = jnp.where(state == -1, 0, transitions[state, token])
        return state, transitions[state] >= 0

    function = decoding.Constraint(Partial(read), np.full(BATCH, -1))
    equal(search(0, allowed=automaton), search(0, allowed=function))
    # Each row may begin elsewhere: these have read a 0 already.
    started = automaton._replace(start=np.full(BATCH, transitions[0, 0]))
    found = np.asarray(search(0, allowed=started).tokens)[..., 0, :2]
    assert {tuple(tokens) for tokens in found.reshape(-1, 2).tolist()} <= {(2, END), (2, 3), (3, END)}


def test_parameters_penalties_and_constraints_compile_nothing():
    traces = 0

    def counted(params, carry, token):
        nonlocal traces
        traces += 1
        return reference.step(params, carry, token)

    def run(seed, alpha, beta, first, prefix, sequences):
        return decoding.beam_search(
            Partial(counted, reference.parameters(seed)),
            reference.initial(BATCH),
            first,
            LENGTH,
            beam_size=3,
            end_token=END,
            length_penalty=GNMTLengthPenalty(alpha),
            coverage_penalty=CoveragePenalty(COVERAGE, beta),
            prefix=np.array(prefix),
            allowed=decoding.Automaton.from_sequences(sequences, CLASSES, END),
        )

    one = run(0, 0.6, 0.2, FIRST, [0, -1], [[0, 2], [2, 2]])
    before = traces
    other = run(1, 1.0, 0.4, FIRST.T.reshape(BATCH), [2, -1], [[0, 0], [2, 3]])
    assert before > 0
    assert traces == before
    assert np.all(one.tokens[..., 0, :3] == np.array([0, 2, END]))
    assert np.all(other.tokens[..., 0, :3] == np.array([2, 3, END]))


def test_a_plain_step_is_never_stale():
    held = {"params": reference.parameters(0)}
    plain = lambda carry, token: reference.step(held["params"], carry, token)
    run = partial(decoding.beam_search, plain, reference.initial(BATCH), FIRST, LENGTH, beam_size=3, n_best=2)
    before = run(end_token=END)
    held["params"] = reference.parameters(1)
    after = run(end_token=END)
    np.testing.assert_array_equal(before.tokens, search(0, scale=2.0).tokens)
    np.testing.assert_array_equal(after.tokens, search(1, scale=2.0).tokens)
    assert not np.array_equal(before.tokens, after.tokens)


def shapes(jaxpr):
    return [variable.aval.shape for equation in all_equations(jaxpr) for variable in equation.outvars]


def test_what_is_bound_to_the_step_is_not_copied_for_every_hypothesis():
    memory = jnp.ones((2, 7, 11))

    def attend(memory, carry, token):
        scores = jnp.einsum("btf,bf->bt", memory, carry)
        read = jnp.einsum("bt,btf->bf", jax.nn.softmax(scores), memory)
        return read, read[:, :CLASSES] + token[:, None]

    run = partial(decoding.beam_search, length=LENGTH, beam_size=5, end_token=END)
    program = jax.make_jaxpr(lambda memory: run(Partial(attend, memory), jnp.ones((2, 11)), jnp.zeros(2, int)))(memory)
    assert max(np.prod(shape) for shape in shapes(program.jaxpr)) < 5 * memory.size


def test_double_precision(float64):
    params = {name: jnp.asarray(value) for name, value in reference.parameters(0).items()}
    step, carry = Partial(partial(reference.network, jnp), params), jax.tree.map(np.float64, reference.initial())
    options = {"length_penalty": GNMTLengthPenalty(0.6), "coverage_penalty": CoveragePenalty(COVERAGE, 0.3)}
    result = decoding.beam_search(step, carry, 2, LENGTH, beam_size=3, n_best=2, end_token=END, **options)
    expected = reference.beam(reference.parameters(0), 2, LENGTH, 3, 2, (GNMTLengthPenalty(0.6), 0.3))
    np.testing.assert_allclose(
        result.scores, [each.score(GNMTLengthPenalty(0.6), 0.3) for each in expected], rtol=1e-12
    )
    greedy = decoding.greedy(step, carry, 2, LENGTH, end_token=END)
    assert greedy.log_probabilities.dtype == jnp.float64


def test_shapes_types_and_length_zero():
    result = search(0, FIRST.astype(np.uint8))
    assert result.tokens.shape == (*BATCH, 2, LENGTH)
    assert result.tokens.dtype == jnp.uint8
    assert result.lengths.shape == result.scores.shape == result.finished.shape == (*BATCH, 2)
    step = Partial(reference.step, reference.parameters(0))
    none = decoding.beam_search(step, reference.initial(BATCH), FIRST, 0, beam_size=2, n_best=2, end_token=END)
    assert none.tokens.shape == (*BATCH, 2, 0)
    assert np.all(none.scores == np.array([0, -np.inf]))
    assert not none.lengths.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": -1}, "length must be a whole number of tokens"),
        ({"beam_size": 0}, "beam_size must be a whole number of hypotheses, at least 1"),
        ({"n_best": 4}, "n_best is 4 and beam_size 3"),
        ({"n_best": 1.0}, "n_best must be a whole number"),
        ({"end_token": -1}, "end_token must be a whole number or None, at least 0"),
        ({"end_token": CLASSES}, "end_token is 4, but there are 4 classes"),
        ({"minimum_length": 7}, "minimum_length is 7, but there are at most 6 tokens"),
        ({"minimum_length": 2, "end_token": None}, "without an end_token nothing ends"),
        ({"no_repeat_ngram": 0}, "no_repeat_ngram must be a whole number or None, at least 1"),
        ({"first_token": np.zeros(BATCH)}, "first_token must be whole numbers"),
        ({"carry": reference.initial((3,))}, r"the carry.hidden has shape \(3, 3\), expected the batch axes"),
        ({"prefix": np.zeros((2, 1), int)}, "the prefix has shape"),
        ({"prefix": np.zeros(7, int)}, "the prefix has 7 tokens"),
        ({"prefix": np.array([-2])}, "the prefix must be tokens, or -1"),
        ({"length_penalty": lambda lengths: lengths - 1}, "the length penalty must give positive numbers"),
        ({"length_penalty": lambda lengths: 1.0}, "the length penalty returned shape"),
        ({"coverage_penalty": CoveragePenalty(COVERAGE, -0.1)}, "beta must be at least 0"),
        ({"coverage_penalty": CoveragePenalty(lambda carry: carry.coverage.sum())}, "the coverage has"),
        ({"allowed": [[0]]}, "allowed must be an Automaton, a Constraint or None"),
        ({"allowed": decoding.Automaton(np.zeros(3, int))}, "transitions are whole numbers"),
        ({"allowed": table([0, 0, 0])}, "the constraint returned bool"),
        ({"allowed": table([1, 0, 0, 0])}, "has transitions from 0 to 1, expected -1 to 0"),
        ({"allowed": decoding.Automaton(np.zeros((1, 4), int), 1)}, "has start from 1 to 1, expected 0 to 0"),
        ({"allowed": decoding.Automaton(np.zeros((1, 4), int), [0, 0])}, "start must be a whole number, or one for"),
        ({"allowed": decoding.Constraint(lambda state, token: (state, token), 0)}, "the constraint's state has shape"),
        ({"step": lambda carry, token: (carry, jnp.zeros(CLASSES + 1))}, "the step returned logits of shape"),
    ],
)
def test_errors(change, message):
    arguments = {
        "step": partial(reference.step, reference.parameters(0)),
        "carry": reference.initial(BATCH),
        "first_token": FIRST,
        "length": LENGTH,
        "beam_size": 3,
        "end_token": END,
    }
    with pytest.raises(ValueError, match=message):
        decoding.beam_search(**{**arguments, **change})


@pytest.mark.parametrize(
    ("sequences", "end_token", "message"),
    [
        ([], END, "there are no sequences"),
        ([[0, 7]], END, "holds 7, expected tokens from 0 to 3"),
        ([[0, END]], END, "without the end token, 1"),
        ([[0]], 4, "end_token is 4, but there are 4 classes"),
    ],
)
def test_errors_of_permitted_sequences(sequences, end_token, message):
    with pytest.raises(ValueError, match=message):
        decoding.Automaton.from_sequences(sequences, CLASSES, end_token)
