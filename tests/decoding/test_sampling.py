from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from seqjax.decoding import sample

CLASSES, LENGTH = 6, 9
KEY = jax.random.key(0)


class Carry(NamedTuple):
    history: jax.Array
    count: jax.Array


def markov(table, carry, token):
    """Logits from the last token, an average of the tokens before, and the number of steps."""
    history = 0.5 * carry.history + table[token]
    logits = history + jnp.sin(carry.count + jnp.arange(CLASSES))
    return Carry(history, carry.count + 1), logits


def initial(batch):
    return Carry(jnp.zeros((*batch, CLASSES)), jnp.zeros((), jnp.int32))


@pytest.fixture(scope="module")
def table():
    return jax.random.normal(jax.random.key(1), (CLASSES, CLASSES))


def test_greedy_is_the_python_loop(table):
    first = jnp.array([0, 3])
    samples = sample(Partial(markov, table), initial((2,)), first, LENGTH, KEY, temperature=0)
    carry, token = initial((2,)), first
    for step in range(LENGTH):
        carry, logits = markov(table, carry, token)
        token = jnp.argmax(logits, -1)
        np.testing.assert_array_equal(samples.tokens[step], token)
        np.testing.assert_allclose(
            samples.log_probabilities[step], jnp.max(jax.nn.log_softmax(logits), -1), rtol=1e-4, atol=1e-5
        )
    assert len(np.unique(samples.tokens)) > 2
    np.testing.assert_allclose(samples.carry.history, carry.history, rtol=1e-5)
    assert samples.carry.count == LENGTH


def test_goes_on_where_it_stopped(table):
    step, first = Partial(markov, table), jnp.array([0, 3])
    whole = sample(step, initial((2,)), first, 2 * LENGTH, KEY, 0)
    start = sample(step, initial((2,)), first, LENGTH, KEY, 0)
    rest = sample(step, start.carry, start.tokens[-1], LENGTH, KEY, 0)
    np.testing.assert_array_equal(whole.tokens, jnp.concatenate([start.tokens, rest.tokens]))


def test_frequencies_are_those_of_the_softmax():
    logits = jnp.array([2.0, 1.0, 0.0, -1.0, 0.5, 0.5])
    draws, step = (
        20_000,
        Partial(lambda logits, carry, token: (carry, jnp.broadcast_to(logits, (*token.shape, 6))), logits),
    )
    for temperature in (1.0, 0.6):
        samples = sample(step, None, jnp.zeros(draws, jnp.int32), 2, KEY, temperature)
        expected = np.exp(np.asarray(logits, np.float64) / temperature)
        expected *= draws / expected.sum()
        for tokens in samples.tokens:
            counts = np.bincount(tokens, minlength=6)
            # A chi-square variable of 5 degrees of freedom exceeds 36 once in a million.
            assert np.sum((counts - expected) ** 2 / expected) < 36
        # Two steps are independent draws: the pairs agree as often as two independent draws do.
        agreement, share = np.mean(samples.tokens[0] == samples.tokens[1]), np.sum((expected / draws) ** 2)
        assert abs(agreement - share) < 5 * np.sqrt(share * (1 - share) / draws)


def test_temperature_and_parameters_compile_nothing(table):
    traces = 0

    def counted(table, carry, token):
        nonlocal traces
        traces += 1
        return markov(table, carry, token)

    results = [
        sample(Partial(counted, t), initial((2,)), jnp.array([0, 3]), LENGTH, KEY, temperature)
        for t, temperature in ((table, 1.0), (table, 0), (table, 0.3), (-table, jnp.float32(1.0)))
    ]
    assert traces == 1
    assert not np.array_equal(results[0].tokens, results[3].tokens)


def test_a_plain_step_is_never_stale(table):
    held = {"table": table}

    def step(carry, token):
        return markov(held["table"], carry, token)

    before = sample(step, initial(()), jnp.array(0), LENGTH, KEY, 0).tokens
    held["table"] = -table
    after = sample(step, initial(()), jnp.array(0), LENGTH, KEY, 0).tokens
    np.testing.assert_array_equal(
        after, sample(Partial(markov, -table), initial(()), jnp.array(0), LENGTH, KEY, 0).tokens
    )
    assert not np.array_equal(before, after)


def test_one_loop_whatever_the_length(table):
    def run(temperature, length):
        return sample(partial(markov, table), initial((2,)), jnp.array([0, 3]), length, KEY, temperature)

    def operations(length):
        return [equation.primitive.name for equation in jax.make_jaxpr(run, static_argnums=1)(1.0, length).eqns]

    assert operations(3).count("scan") == 1
    assert operations(3) == operations(300)


def test_top_k(table):
    step, first = Partial(markov, table), jnp.zeros(50, jnp.int32)
    samples = sample(step, initial((50,)), first, LENGTH, KEY, 5.0, top_k=2)
    carry, token = initial((50,)), first
    seen = set()
    for drawn in samples.tokens:
        carry, logits = markov(table, carry, token)
        rank = jnp.argsort(jnp.argsort(-logits, -1), -1)
        chosen = jnp.take_along_axis(rank, drawn[:, None], -1)
        assert chosen.max() < 2
        seen |= set(np.unique(chosen))
        token = drawn
    assert seen == {0, 1}
    greedy = sample(step, initial((50,)), first, LENGTH, KEY, 0).tokens
    np.testing.assert_array_equal(sample(step, initial((50,)), first, LENGTH, KEY, 1.0, top_k=1).tokens, greedy)


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_batch_shapes_types_and_temperature_per_row(table, batch):
    step, first = Partial(markov, table), jnp.zeros(batch, jnp.uint8)
    samples = sample(step, initial(batch), first, LENGTH, KEY, jnp.zeros(batch).at[..., :1].set(3.0) if batch else 0.0)
    assert samples.tokens.shape == samples.log_probabilities.shape == (LENGTH, *batch)
    assert samples.tokens.dtype == jnp.uint8
    if batch:
        # Temperature 0 in all but the first column: those rows are equal, and greedy.
        assert jnp.all(samples.tokens[:, :, 1:] == samples.tokens[:, :1, 1:2])
        assert not jnp.all(samples.tokens[:, 0, 0] == samples.tokens[:, 0, 1])


def test_length_zero(table):
    samples = sample(Partial(markov, table), initial((2,)), jnp.array([0, 3]), 0, KEY)
    assert samples.tokens.shape == (0, 2)
    assert samples.carry.count == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": -1}, "length must be a whole number"),
        ({"length": 2.5}, "length must be a whole number"),
        ({"temperature": -0.1}, "temperature must be at least 0"),
        ({"temperature": float("nan")}, "temperature must be at least 0"),
        ({"top_k": 0}, "top_k must be None or a positive"),
        ({"top_k": 7}, "top_k is 7, but there are 6 classes"),
        ({"first_token": jnp.array([0.0, 1.0])}, "first_token must be whole numbers"),
        ({"step": lambda carry, token: (carry, jnp.zeros(CLASSES))}, "the step returned logits of shape"),
    ],
)
def test_errors(table, change, message):
    arguments = {
        "step": partial(markov, table),
        "carry": initial((2,)),
        "first_token": jnp.array([0, 3]),
        "length": 3,
        "key": KEY,
    }
    with pytest.raises(ValueError, match=message):
        sample(**{**arguments, **change})
