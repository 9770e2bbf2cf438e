"""Truncated gradients against gradients of losses whose carries are cut with stop_gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.analysis import truncation
from seqjax.cells import LSTM
from tests.analysis.draws import random_params

TIME, BATCH = 9, 2
CELL = LSTM(input_size=3, hidden_size=4)
LENGTHS = [1, 2, 3, 5, 9]


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def cut_gradient(params: Any, inputs: Any, targets: Any, length: int, kind: str) -> np.ndarray:
    """Each loss alone, with the carry cut before the first step that it may see."""

    def loss_at(params: Any, t: int) -> Any:
        first = t - length + 1 if kind == "sliding" else t // length * length
        carry = CELL.initial_carry((BATCH,), jnp.float64)
        for s in range(t + 1):
            if s == first:
                carry = jax.lax.stop_gradient(carry)
            carry, output = CELL(jax.lax.stop_gradient(params) if s < first else params, carry, inputs[s])
        return ((output - targets[t]) ** 2).sum()

    return sum(flat(jax.grad(loss_at)(params, t)) for t in range(TIME))


@pytest.mark.parametrize("kind", ["sliding", "chunks"])
def test_equals_cut_carries(kind: Any, float64: None) -> None:
    params = random_params(CELL, dtype=jnp.float64)
    inputs = jax.random.normal(jax.random.key(3), (TIME, BATCH, 3))
    targets = jax.random.normal(jax.random.key(4), (TIME, BATCH, 4))
    loss = lambda output, target: ((output - target) ** 2).sum(-1)
    got = truncation(CELL, params, inputs, loss=loss, targets=targets, lengths=LENGTHS, kind=kind)
    full, before = cut_gradient(params, inputs, targets, TIME, kind), 0.0
    for index, length in enumerate(LENGTHS):
        want = cut_gradient(params, inputs, targets, length, kind)
        norm = np.linalg.norm(want)
        assert got.norm_ratio[index] == pytest.approx(norm / np.linalg.norm(full), rel=1e-9)
        assert got.cosine[index] == pytest.approx(want @ full / norm / np.linalg.norm(full), rel=1e-9)
        assert got.share[index] == pytest.approx((want - before) @ full / (full @ full), abs=1e-9)
        before = want
    assert got.cosine[0] < 0.99
    assert got.share[-1] == pytest.approx(0, abs=1e-12)
    assert got.share.sum() == pytest.approx(1)


def test_recommends_the_least_length_from_which_on_all_are_good() -> None:
    """A leak of one half: what is beyond the length k is 2^-k."""
    leak = lambda w, h, x: (0.5 * h + w * x, 0.5 * h + w * x)
    got = truncation(leak, 1.0, jnp.ones([64, 1, 1]), jnp.zeros([1, 1]), lengths=[1, 2, 3, 4, 5, 6])
    np.testing.assert_allclose(got.cosine, 1, rtol=1e-6)
    np.testing.assert_allclose(got.norm_ratio, 1 - 0.5**got.lengths, rtol=0.02)
    assert got.recommended == 4
    assert "recommended: 4 of 64 steps" in str(got)
    none = truncation(leak, 1.0, jnp.ones([64, 1, 1]), jnp.zeros([1, 1]), lengths=[1, 2])
    assert none.recommended is None
    assert "try longer ones" in none.reason


def test_bad_input_gets_a_clear_message() -> None:
    params, inputs = CELL.init(jax.random.key(0)), jnp.ones((5, 2, 3))
    with pytest.raises(ValueError, match="growing order"):
        truncation(CELL, params, inputs, lengths=[3, 2])
    with pytest.raises(ValueError, match="'sliding' or 'chunks'"):
        truncation(CELL, params, inputs, kind="window")  # ty: ignore[invalid-argument-type]
    with pytest.raises(ValueError, match="full gradient is zero"):
        truncation(CELL, params, inputs, loss=lambda output: 0.0 * output.sum(-1))
