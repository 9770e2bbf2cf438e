"""Streams are a pure function of the index; evaluations see every target once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqjax.data import ContiguousStreams, evaluation_batches
from seqjax.errors import DataError

TOKENS = np.arange(1000)


def make(**changes):
    return ContiguousStreams(**{"tokens": TOKENS, "batch_size": 4, "length": 7, "seed": 3, **changes})


def test_shapes_types_and_shifted_targets():
    batch = make()[5]
    assert batch.inputs.shape == batch.targets.shape == (4, 7)
    assert batch.inputs.dtype == batch.targets.dtype == np.int32
    np.testing.assert_array_equal(batch.targets, batch.inputs + 1)
    assert batch.inputs.flags.c_contiguous
    assert isinstance(batch.fresh, bool)


def test_streams_are_contiguous_within_an_epoch_and_fresh_at_its_start():
    streams = make()
    per_epoch = streams.batches_per_epoch
    assert per_epoch == 35
    for index in range(3 * per_epoch):
        assert streams[index].fresh == (index % per_epoch == 0)
        if not streams[index].fresh:
            np.testing.assert_array_equal(streams[index].inputs[:, 0], streams[index - 1].targets[:, -1])


def test_an_epoch_reads_no_symbol_twice_and_leaves_out_less_than_a_batch_and_a_window():
    streams = make()
    for epoch in range(5):
        first = epoch * streams.batches_per_epoch
        read = np.concatenate([streams[first + i].targets.ravel() for i in range(streams.batches_per_epoch)])
        assert len(set(read.tolist())) == read.size
        assert TOKENS.size - 1 - read.size < 4 * 7 + 7


@pytest.mark.parametrize("size", [1000, 981])
def test_epochs_differ_in_their_boundaries_and_seeds_in_their_epochs(size):
    streams, others = make(tokens=TOKENS[:size]), make(tokens=TOKENS[:size], seed=4)
    shifts = [streams.shift(epoch) for epoch in range(50)]
    assert len({shift % 7 for shift in shifts}) == 7
    assert shifts != [others.shift(epoch) for epoch in range(50)]
    assert streams[0].inputs[0, 0] == streams.shift(0)


def test_any_index_equals_the_uninterrupted_stream():
    uninterrupted = make()
    batches = [uninterrupted[i] for i in range(3 * uninterrupted.batches_per_epoch)]
    order = np.random.default_rng(0).permutation(len(batches))
    for index in order:
        resumed = make()[np.int64(index)]
        np.testing.assert_array_equal(resumed.inputs, batches[index].inputs)
        np.testing.assert_array_equal(resumed.targets, batches[index].targets)
        assert resumed.fresh == batches[index].fresh


def test_neither_the_callers_array_nor_a_batch_is_shared():
    tokens = TOKENS.astype(np.int32)
    streams = make(tokens=tokens)
    expected = streams[0].inputs.copy()
    tokens[:] = 0
    streams[0].inputs[:] = -1
    np.testing.assert_array_equal(streams[0].inputs, expected)


def test_the_shift_does_not_change_between_versions():
    assert [make().shift(epoch) for epoch in range(4)] == [7, 12, 9, 19]


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 80))
def test_the_shortest_text_that_fits(batch_size, length, extra):
    needed = (batch_size + 1) * length
    with pytest.raises(DataError, match=f"at least {needed}; make data.batch_size or data.length smaller"):
        ContiguousStreams(np.zeros(needed - 1, np.int32), batch_size, length)
    streams = ContiguousStreams(np.arange(needed + extra), batch_size, length)
    for index in range(4 * streams.batches_per_epoch):
        batch = streams[index]
        assert batch.inputs.shape == (batch_size, length)
        np.testing.assert_array_equal(batch.targets, batch.inputs + 1)
        assert 0 <= batch.inputs.min() <= batch.targets.max() < needed + extra


def test_indices_are_integers_from_zero():
    with pytest.raises(IndexError, match="got index -1"):
        make()[-1]
    with pytest.raises(TypeError):
        make()[1.5]


def test_a_grain_source():
    grain = pytest.importorskip("grain.python")
    streams = make()
    dataset = grain.MapDataset.source(streams)
    index = 2 * streams.batches_per_epoch + 1
    np.testing.assert_array_equal(dataset[index].inputs, streams[index].inputs)
    batches = iter(dataset.to_iter_dataset(grain.ReadOptions(num_threads=0)))
    for index in range(3):
        np.testing.assert_array_equal(next(batches).targets, streams[index].targets)


@given(st.integers(2, 300), st.integers(1, 6), st.integers(1, 11))
def test_an_evaluation_has_every_target_once_in_contiguous_streams(size, batch_size, length):
    batches = evaluation_batches(np.arange(size), batch_size, length)
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
    for batch in batches:
        assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == (batch_size, length)
        assert (batch.inputs.dtype, batch.targets.dtype, batch.mask.dtype) == (np.int32, np.int32, np.bool_)
    inputs, targets, mask = (np.concatenate(arrays, axis=1) for arrays in list(zip(*batches))[:3])
    assert sorted(targets[mask].tolist()) == list(range(1, size))
    np.testing.assert_array_equal(targets[mask], inputs[mask] + 1)
    assert np.ptp(mask.sum(axis=1)) <= 1, "the streams are of unequal length"
    for row, counts in zip(inputs, mask):
        assert not np.diff(counts.astype(int)).max(initial=0) > 0, "a stream has a hole"
        assert (np.diff(row[counts]) == 1).all(), "a stream jumps"
    assert (inputs[~mask] == 0).all()
    assert (targets[~mask] == 0).all()
    assert mask[:, -length:].any(), "the last batch is empty"


def test_an_evaluation_needs_a_target():
    with pytest.raises(DataError, match="at least 2 symbols, got 1"):
        evaluation_batches([7], 2, 3)
