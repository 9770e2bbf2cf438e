"""Means against scikit-learn, scipy and direct formulas; what is masked touches nothing."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from seqjax import metrics
from seqjax.metrics import Mean

SHAPE = (5, 3)


@given(st.integers(0, 2**31))
def test_batches_add_up_to_the_whole(seed):
    rng = np.random.default_rng(seed)
    values, mask = rng.standard_normal((6, 4)), rng.random((6, 4)) < 0.5
    parts = sum((Mean.of(values[i : i + 2], mask[i : i + 2]) for i in (0, 2, 4)), Mean())
    assert parts.count == mask.sum()
    assert parts.value == pytest.approx(values[mask].mean() if mask.any() else math.nan, nan_ok=True)


@pytest.mark.parametrize("metric", [metrics.squared_error, metrics.absolute_error, metrics.quantile_coverage])
def test_what_is_masked_touches_nothing(metric, rng):
    said, right, mask = rng.standard_normal(SHAPE), rng.standard_normal(SHAPE), rng.random(SHAPE) < 0.5
    dirty = np.where(mask, said, np.nan)
    assert metric(dirty, right, mask) == metric(said, right, mask) == metric(said[mask], right[mask])
    assert math.isnan(metric(dirty, right).value), "NaN that counts is seen"
    assert math.isnan(metric(said, right, np.zeros(SHAPE, bool)).value), "the mean of nothing is no number"


def test_accuracy_and_errors_equal_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    said, right = rng.integers(0, 3, (2, 40))
    assert metrics.accuracy(said, right).value == sklearn.accuracy_score(right, said)
    said, right = rng.standard_normal((2, 40))
    assert metrics.squared_error(said, right).root == pytest.approx(sklearn.root_mean_squared_error(right, said))
    assert metrics.absolute_error(said, right).value == pytest.approx(sklearn.mean_absolute_error(right, said))


def test_perplexity_of_a_distribution(rng):
    probabilities = rng.dirichlet(np.ones(8))
    bits = scipy.stats.entropy(probabilities, base=2)
    assert metrics.perplexity(scipy.stats.entropy(probabilities)) == pytest.approx(2**bits)
    assert metrics.perplexity(1e6) == math.inf
    assert math.isnan(metrics.perplexity(math.nan))


def test_repeating_the_last_season_has_a_scaled_error_of_one():
    """A trend: one season later is always the same distance away."""
    history = np.arange(12.0)[:, None] * [1.0, -5.0]
    targets, said = np.arange(12.0, 15.0)[:, None] * [1.0, -5.0], np.arange(8.0, 11.0)[:, None] * [1.0, -5.0]
    assert metrics.scaled_error(said, targets, history, period=4).value == pytest.approx(1)
    assert metrics.scaled_error(said, targets, history).value == pytest.approx(4)
    mask = np.array([[True, False]] * 3)
    assert metrics.scaled_error(targets + 2, targets, history, mask).value == pytest.approx(2)


def test_a_true_quantile_covers_its_share(rng):
    targets = rng.standard_normal(20_000)
    said = np.full_like(targets, scipy.stats.norm.ppf(0.9))
    assert metrics.quantile_coverage(said, targets).value == pytest.approx(0.9, abs=0.01)
    assert metrics.quantile_coverage([1.0, 1.0], [1.0, 1.1]).value == 0.5


def test_bad_input_gets_a_clear_message():
    with pytest.raises(ValueError, match=r"take the argmax of the logits"):
        metrics.accuracy([0.1, 0.9], [0, 1])
    with pytest.raises(ValueError, match=r"predictions have shape \(3,\) and what is right has \(1, 3\)"):
        metrics.absolute_error(np.ones(3), np.ones((1, 3)))
    for mask in ([1, 0, 1], [True, False]):
        with pytest.raises(ValueError, match=r"mask must be booleans .* of shape \(3,\)"):
            metrics.squared_error(np.ones(3), np.ones(3), mask)
    with pytest.raises(ValueError, match=r"expected \[more than period=3, \*\(\)\]"):
        metrics.scaled_error(np.ones(2), np.ones(2), np.ones(3), period=3)
    with pytest.raises(ValueError, match="1 series repeat themselves exactly"):
        metrics.scaled_error(np.ones(2), np.ones(2), np.ones(5))
