"""Buckets against brute force, and batches as a pure function of their index."""

import itertools

import numpy as np
import pytest

from seqjax.data import SequenceBatches
from seqjax.data.buckets import make_buckets, waste
from seqjax.errors import DataError

WORDS = [np.arange(1, length + 1, dtype=np.int32) for length in (3, 1, 7, 2, 2, 9, 4, 4, 8, 1, 5)]
CLASSES = np.arange(11, dtype=np.int32)


def batches(**options):
    return SequenceBatches({"words": WORDS, "classes": CLASSES}, 2, **options)


def fewest_steps(lengths, count):
    ordered = sorted(lengths)
    cuts = itertools.combinations_with_replacement(range(len(ordered) + 1), count - 1)
    runs = ([ordered[i:j] for i, j in zip((0, *cut), (*cut, len(ordered)))] for cut in cuts)
    return min(sum(len(run) * max(run) for run in parts if run) for parts in runs)


@pytest.mark.parametrize("seed", range(40))
def test_no_other_cuts_waste_less(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 12, rng.integers(1, 9))
    count = int(rng.integers(1, 5))
    found = make_buckets({"words": lengths}, count)
    assert len(found) <= count
    assert sorted(np.concatenate([bucket.members for bucket in found]).tolist()) == list(range(len(lengths)))
    steps = sum(bucket.members.size * bucket.lengths["words"] for bucket in found)
    assert steps == fewest_steps(lengths.tolist(), count)
    assert waste({"words": lengths}, found) == pytest.approx(1 - lengths.sum() / steps if steps else 0.0)


def test_two_columns_fit_their_bucket():
    rng = np.random.default_rng(0)
    lengths = {"words": rng.integers(1, 30, 500), "tags": rng.integers(1, 400, 500)}
    found = make_buckets(lengths, 5)
    assert len(found) == 5
    for bucket in found:
        for name, column in lengths.items():
            assert column[bucket.members].max() == bucket.lengths[name]
    assert waste(lengths, found) < waste(lengths, make_buckets(lengths, 1))


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_has_every_record_once(shuffle):
    given = batches(seed=3, shapes=3, shuffle=shuffle)
    for epoch in range(2):
        first = epoch * given.batches_per_epoch
        seen = []
        for index in range(first, first + given.batches_per_epoch):
            batch = given[index]
            rows = given.indices(index)
            assert batch["valid"].tolist() == [row < len(rows) for row in range(2)]
            for row, record in enumerate(rows):
                length = batch["words_lengths"][row]
                np.testing.assert_array_equal(batch["words"][row, :length], WORDS[record])
                assert not batch["words"][row, length:].any()
                assert batch["classes"][row] == record
            seen += rows.tolist()
        assert sorted(seen) == list(range(11))
    assert len({batch["words"].shape for batch in given}) <= 3


def test_batches_are_a_pure_function_of_seed_and_index():
    one, other = batches(seed=1), batches(seed=1)
    order = [9, 2, 30, 2, 0]
    for index in order:
        for name, array in one[index].items():
            np.testing.assert_array_equal(array, other[index][name])
    records = lambda given, epoch: [given.indices(epoch * given.batches_per_epoch + i).tolist() for i in range(3)]
    assert records(one, 0) != records(one, 1)
    assert records(one, 0) != records(batches(seed=2), 0)


def test_the_report_counts():
    assert batches(shapes=1).report() == (
        "batches: 11 sequences padded to 1 shape (11 of 9), 54 % of the steps are padding"
    )


def test_what_cannot_be_put_into_batches():
    with pytest.raises(DataError, match="11 of words, 3 of classes"):
        SequenceBatches({"words": WORDS, "classes": CLASSES[:3]}, 2)
    with pytest.raises(DataError, match="no records"):
        SequenceBatches({"words": []}, 2)
    with pytest.raises(IndexError, match="got index -1"):
        batches()[-1]
