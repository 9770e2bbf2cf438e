"""Confusion against scikit-learn and by hand."""

import numpy as np
import pytest

from seqjax.metrics import confusion


def test_equals_scikit_learn(rng):
    sklearn = pytest.importorskip("sklearn.metrics")
    said, right = rng.integers(0, 4, (2, 60))
    found = confusion(said, right, classes=5)
    np.testing.assert_array_equal(found.counts, sklearn.confusion_matrix(right, said, labels=range(5)))
    assert found.error == pytest.approx(1 - sklearn.accuracy_score(right, said))
    recall = sklearn.recall_score(right, said, labels=range(4), average=None)
    np.testing.assert_allclose(found.error_by_class, [*(1 - recall), np.nan])


def test_batches_add_up_and_padding_counts_nowhere(rng):
    said, right, mask = rng.integers(0, 3, (6, 4)), rng.integers(0, 3, (6, 4)), rng.random((6, 4)) < 0.5
    parts = [confusion(said[i : i + 3], right[i : i + 3], mask[i : i + 3], classes="abc") for i in (0, 3)]
    whole = confusion(np.where(mask, said, -7), np.where(mask, right, 99), mask, classes="abc")
    np.testing.assert_array_equal((parts[0] + parts[1]).counts, whole.counts)
    assert whole.counts.sum() == mask.sum()


def test_it_prints_as_a_table():
    text = str(confusion([0, 1, 1, 0], [0, 1, 0, 0], classes=["EI", "IE", "N"]))
    assert text.splitlines() == [
        "    EI  IE  N  error",
        "EI   2   1  0  33.3%",
        "IE   0   1  0   0.0%",
        " N   0   0  0      -",
        "rows: the right class; columns: the predicted one; error of all: 25.0%",
    ]


def test_bad_input_gets_a_clear_message():
    with pytest.raises(ValueError, match="labels hold class 3, expected 0 to 2"):
        confusion([0], [3], classes=3)
    with pytest.raises(ValueError, match="predictions hold class -1, expected 0 to 2"):
        confusion([-1], [0], classes=3)
    with pytest.raises(ValueError, match="predictions must be classes as whole numbers, got float64"):
        confusion([0.5], [0], classes=3)
    with pytest.raises(ValueError, match="expected one shape and booleans"):
        confusion([0, 1], [0, 1], [1, 1], classes=3)
    with pytest.raises(ValueError, match="other classes cannot be added"):
        confusion([0], [0], classes=2) + confusion([0], [0], classes=3)
