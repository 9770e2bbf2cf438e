"""Buckets against brute force, and batches as a pure function of their index."""

import itertools

import numpy as np
import pytest

from seqjax.data import SequenceBatches
from seqjax.data.buckets import assign, make_buckets, padded_steps
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
    assert steps == padded_steps(found) == fewest_steps(lengths.tolist(), count)


def test_two_columns_fit_their_bucket():
    rng = np.random.default_rng(0)
    lengths = {"words": rng.integers(1, 30, 500), "tags": rng.integers(1, 400, 500)}
    found = make_buckets(lengths, 5)
    assert len(found) == 5
    for bucket in found:
        for name, column in lengths.items():
            assert column[bucket.members].max() == bucket.lengths[name]
    assert padded_steps(found) < padded_steps(make_buckets(lengths, 1))


def test_two_columns_are_cut_nearly_as_well_as_can_be():
    rng = np.random.default_rng(0)
    found, fewest = 0, 0
    for _ in range(40):
        both = np.stack([rng.integers(1, 6, 6), rng.integers(1, 20, 6)])
        steps = padded_steps(make_buckets({"words": both[0], "tags": both[1]}, 3))
        # Every way to put six records into three buckets.
        best = min(
            sum(len(m) * both[:, m].max(axis=1).sum() for m in (np.flatnonzero(np.array(to) == b) for b in set(to)))
            for to in itertools.product(range(3), repeat=6)
        )
        assert steps >= best
        found, fewest = found + steps, fewest + best
    assert found <= 1.03 * fewest


def test_many_different_lengths_are_cut_nearly_as_well():
    lengths = np.random.default_rng(0).permutation(np.arange(1, 1025))
    # Of evenly spread lengths, equal runs are the best.
    assert padded_steps(make_buckets({"words": lengths}, 4)) == pytest.approx(256 * (256 + 512 + 768 + 1024), rel=1e-3)


def test_given_shapes():
    lengths = {"words": np.array([3, 9, 2, 5]), "tags": np.array([1, 1, 6, 6])}
    found = assign(lengths, [{"words": 6, "tags": 6}, {"words": 4, "tags": 2}, {"words": 8, "tags": 8}])
    assert [(bucket.lengths, bucket.members.tolist()) for bucket in found] == [
        ({"words": 4, "tags": 2}, [0]),
        ({"words": 6, "tags": 6}, [2, 3]),
        ({"words": 9, "tags": 1}, [1]),
    ]
    train = batches(shapes=3)
    assert train.shapes == [{"words": 2}, {"words": 5}, {"words": 9}]
    test = SequenceBatches({"words": [np.ones(length) for length in (4, 10, 1, 5)]}, 2, shapes=train.shapes)
    assert test.shapes == [{"words": 2}, {"words": 5}, {"words": 10}]


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
        "batches: 11 sequences padded to 1 shape (11 of 9), 57 % of the steps are padding"
    )
    given = batches(shapes=3, maximum_lengths={"words": 4}, longer="truncate")
    assert given.report().endswith("; 4 words truncated")
    assert given.truncated == {"words": 4}
    epoch = list(given)
    steps = sum(batch["words"].size for batch in epoch)
    assert given.waste == pytest.approx(1 - sum(batch["words_lengths"].sum() for batch in epoch) / steps)
    assert max(batch["words"].shape[1] for batch in epoch) == 4


def test_last_batches_may_be_dropped():
    given = batches(shapes=3, last="drop")
    dropped = []
    for epoch in range(8):
        first = epoch * given.batches_per_epoch
        rows = [given.indices(first + i) for i in range(given.batches_per_epoch)]
        assert all(len(each) == 2 for each in rows)
        dropped.append(tuple(set(range(11)) - set(np.concatenate(rows).tolist())))
    assert len(set(dropped)) > 1, "the same records every time"
    assert all(given[i]["valid"].all() for i in range(given.batches_per_epoch))
    with pytest.raises(DataError, match="11 records in 1 shapes do not fill one batch of 12"):
        SequenceBatches({"words": WORDS}, 12, shapes=1, last="drop")


def test_empty_sequences_and_features():
    columns = {"frames": [np.ones((length, 3), np.float32) for length in (0, 2, 0, 1)]}
    given = SequenceBatches(columns, 2, shapes=2, shuffle=False)
    assert [batch["frames"].shape for batch in given] == [(2, 1, 3), (2, 1, 3), (2, 2, 3)]
    assert [batch["frames_lengths"].tolist() for batch in given] == [[0, 0], [1, 0], [2, 0]]
    assert [batch["frames"].sum() for batch in given] == [0, 3, 6]


def test_what_cannot_be_put_into_batches():
    with pytest.raises(DataError, match="11 of words, 3 of classes"):
        SequenceBatches({"words": WORDS, "classes": CLASSES[:3]}, 2)
    with pytest.raises(DataError, match="no records"):
        SequenceBatches({"words": []}, 2)
    with pytest.raises(
        DataError, match=r"record 2: words of 7 steps, over the maximum of 6 \(and 2 more are too long\)"
    ):
        batches(maximum_lengths={"words": 6})
    with pytest.raises(DataError, match=r"line 6: words of 9 steps, over the maximum of 8; raise the maximum"):
        batches(maximum_lengths={"words": 8}, names=[f"line {n + 1}" for n in range(11)])
    with pytest.raises(DataError, match="got 'cut'"):
        batches(maximum_lengths={"words": 8}, longer="cut")
    with pytest.raises(DataError, match=r"classes: a list of sequences .* is expected"):
        SequenceBatches({"words": WORDS, "classes": CLASSES.tolist()}, 2)
    with pytest.raises(DataError, match=r"frames: the steps of all sequences need one shape, got \[2\] and \[3\]"):
        SequenceBatches({"frames": [np.ones((4, 2)), np.ones((1, 3))]}, 2)
    with pytest.raises(DataError, match="must be at least 1, got 2 and 0"):
        batches(shapes=0)
    with pytest.raises(IndexError, match="got index -1"):
        batches()[-1]
