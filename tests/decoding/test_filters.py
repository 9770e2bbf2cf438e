"""What top-k, top-p and min-p leave, against their definitions in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.tree_util import Partial

from seqjax.decoding import sample
from seqjax.decoding.filters import keep_probable

CLASSES, ROWS = 7, 5


def allowed(logits, temperature, top_k=None, top_p=None, min_p=None):
    """The classes of one row, by sets."""
    kept = np.argsort(-logits)[:top_k]
    if temperature == 0:
        return {int(kept[0])}
    probability = np.exp((logits - logits.max()) / temperature)
    if top_p is not None:
        share = np.cumsum(probability[kept]) / probability[kept].sum()
        kept = kept[: np.argmax(share >= top_p) + 1] if top_p < 1 else kept
    if min_p is not None:
        kept = [index for index in kept if probability[index] >= min_p]
    return set(map(int, kept))


filtered = jax.jit(keep_probable, static_argnames="top_k")


@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("names", [("top_p",), ("min_p",), ("top_p", "min_p")])
@given(
    seed=st.integers(0, 2**31),
    temperature=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    share=st.floats(0.01, 1),
)
def test_filters(top_k, names, seed, temperature, share):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((ROWS, CLASSES))
    # One value for all rows, or one for each.
    values = {
        "top_p": np.full((), share, np.float32),
        "min_p": rng.uniform(0, 1, ROWS).astype(np.float32),
    }
    values = {name: values[name] for name in names}
    got = filtered(jnp.asarray(logits, jnp.float32), jnp.float32(temperature), top_k=top_k, **values)
    for row in range(ROWS):
        of_row = {name: np.broadcast_to(value, ROWS)[row] for name, value in values.items()}
        want = allowed(logits[row], temperature, top_k, **of_row)
        assert set(np.flatnonzero(np.isfinite(got[row])).tolist()) == want
        np.testing.assert_array_equal(got[row][jnp.array(sorted(want))], logits[row].astype(np.float32)[sorted(want)])


def test_limits():
    logits = jnp.array([3.0, 1.0, -200.0, 2.0])
    everything = keep_probable(logits, 1.0, top_p=1.0, min_p=0.0)
    np.testing.assert_array_equal(everything, logits)
    assert np.isfinite(keep_probable(logits, 1.0, top_p=1e-6)).tolist() == [True, False, False, False]
    assert np.isfinite(keep_probable(logits, 1.0, min_p=1.0)).tolist() == [True, False, False, False]
    ties = keep_probable(jnp.array([1.0, 2.0, 2.0, 2.0]), 1.0, top_k=2, top_p=0.1, min_p=1.0)
    assert np.isfinite(ties).tolist() == [False, True, True, True]


def test_draws_are_the_renormalised_rest():
    logits, draws = jnp.log(jnp.array([0.5, 0.25, 0.15, 0.1])), 20_000
    step = Partial(lambda logits, carry, token: (carry, jnp.broadcast_to(logits, (*token.shape, 4))), logits)
    tokens = sample(step, None, jnp.zeros(draws, jnp.int32), 1, jax.random.key(0), top_p=0.7).tokens
    counts = np.bincount(np.ravel(tokens), minlength=4)
    assert counts[2:].tolist() == [0, 0]
    # Five standard deviations of a share.
    assert abs(counts[0] / draws - 2 / 3) < 5 * np.sqrt(2 / 9 / draws)


def test_values_compile_nothing():
    traces = 0

    def step(carry, token):
        nonlocal traces
        traces += 1
        return carry, jnp.zeros((*token.shape, CLASSES))

    counted = Partial(step)
    for top_p, min_p in ((0.5, 0.1), (0.9, 0.0), (1.0, 0.3)):
        sample(counted, None, jnp.zeros(2, jnp.int32), 3, jax.random.key(0), top_p=top_p, min_p=min_p)
    assert traces == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_p": 0}, "top_p must be above 0"),
        ({"top_p": 1.1}, "top_p must be above 0"),
        ({"top_p": float("nan")}, "top_p must be above 0"),
        ({"min_p": -0.1}, "min_p must be from 0"),
        ({"min_p": np.array([0.1, 2.0])}, "min_p must be from 0"),
    ],
)
def test_errors(options, message):
    step = lambda carry, token: (carry, jnp.zeros((*token.shape, CLASSES)))
    with pytest.raises(ValueError, match=message):
        sample(step, None, jnp.zeros(2, jnp.int32), 3, jax.random.key(0), **options)
