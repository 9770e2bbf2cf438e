"""Decoding in plain NumPy: the same model, all sequences one by one, and a beam as a list of hypotheses."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

CLASSES, HIDDEN, POSITIONS = 4, 3, 3
END = 1


class Carry(NamedTuple):
    hidden: Any
    coverage: Any


def parameters(seed, scale=2.0):
    """Of a small network that attends to three positions."""
    draw = lambda *shape: scale * np.random.default_rng([seed, len(shape), *shape]).standard_normal(shape)
    return {
        "embedding": draw(CLASSES, HIDDEN),
        "recurrent": draw(HIDDEN, HIDDEN),
        "attention": draw(HIDDEN, POSITIONS),
        "output": draw(HIDDEN + POSITIONS, CLASSES),
    }


def initial(batch=()):
    return Carry(np.zeros((*batch, HIDDEN), np.float32), np.zeros((*batch, POSITIONS), np.float32))


def network(np_, params, carry, token):
    """One step, in NumPy or in JAX."""
    hidden = np_.tanh(params["embedding"][token] + carry.hidden @ params["recurrent"])
    attention = np_.exp(hidden @ params["attention"])
    attention = attention / attention.sum(-1, keepdims=True)
    logits = np_.concatenate([hidden, attention], -1) @ params["output"]
    return Carry(hidden, carry.coverage + attention), logits


def step(params, carry, token):
    return network(jnp, {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}, carry, token)


@dataclasses.dataclass
class Hypothesis:
    tokens: tuple
    log_probability: float
    carry: Any
    finished: bool = False

    def score(self, length_penalty=None, beta=0.0):
        divisor = 1 if length_penalty is None else length_penalty(len(self.tokens))
        score = self.log_probability / divisor
        return score + beta * np.log(np.minimum(self.carry.coverage, 1)).sum() if beta else score


def extensions(params, hypothesis, first_token, permitted, end):
    """All hypotheses that are a token longer."""
    last = hypothesis.tokens[-1] if hypothesis.tokens else first_token
    carry, logits = network(np, params, hypothesis.carry, last)
    log_probabilities = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    return [
        Hypothesis(
            (*hypothesis.tokens, token), hypothesis.log_probability + log_probabilities[token], carry, token == end
        )
        for token in range(CLASSES)
        if permitted(hypothesis.tokens, token)
    ]


def all_hypotheses(params, first_token, length, permitted=lambda tokens, token: True, end=END):
    """Every sequence that ends, and every one that has not ended after ``length`` tokens."""
    live, done = [Hypothesis((), 0.0, initial())], []
    for _ in range(length):
        longer = [new for old in live for new in extensions(params, old, first_token, permitted, end)]
        done += [hypothesis for hypothesis in longer if hypothesis.finished]
        live = [hypothesis for hypothesis in longer if not hypothesis.finished]
    return done + live


def beam(params, first_token, length, beam_size, n_best, penalties=(), permitted=lambda tokens, token: True):
    """The textbook's beam with a pool, to the end; and the greedy hypothesis if it found that no better."""
    live, pool = [Hypothesis((), 0.0, initial())], []
    greedy = live[0]
    for _ in range(length):
        longer = [new for old in live for new in extensions(params, old, first_token, permitted, END)]
        longer.sort(key=lambda hypothesis: -hypothesis.log_probability)
        pool += [hypothesis for hypothesis in longer[:beam_size] if hypothesis.finished]
        live = [hypothesis for hypothesis in longer if not hypothesis.finished][:beam_size]
        if greedy is not None and not greedy.finished:
            following = extensions(params, greedy, first_token, permitted, END)
            greedy = max(following, key=lambda hypothesis: hypothesis.log_probability, default=None)
    found = pool + live
    if greedy is not None and greedy.tokens not in {hypothesis.tokens for hypothesis in found}:
        found.append(greedy)
    return best(found, n_best, *penalties)


def best(hypotheses, count, *penalties):
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score(*penalties))[:count]


def check(result, row, expected, *penalties, end=END):
    """One row of results against hypotheses, the best first."""
    tokens, lengths, scores, log_probabilities, finished = (np.asarray(values)[row] for values in result)
    for number, want in enumerate(expected):
        assert tokens[number].tolist() == [*want.tokens, *[end] * (tokens.shape[-1] - len(want.tokens))]
        assert (lengths[number], finished[number]) == (len(want.tokens), want.finished)
        np.testing.assert_allclose(scores[number], want.score(*penalties), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(log_probabilities[number], want.log_probability, rtol=1e-4, atol=1e-4)
    missing = slice(len(expected), None)
    assert np.all(scores[missing] == -np.inf)
    assert np.all(log_probabilities[missing] == -np.inf)
    assert not lengths[missing].any()
    assert not finished[missing].any()
