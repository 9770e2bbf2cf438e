"""The tasks' targets against their definitions, one sequence and one step at a time."""

import numpy as np
import pytest

from seqjax.data import TASKS, Task, make_task
from seqjax.data.tasks import PARTS
from seqjax.errors import DataError

SIZE = 200
every_task = pytest.mark.parametrize("name", list(TASKS))


def sequences(task: Task, part="train"):
    batch = task.batch((0, 7), SIZE, part)
    return zip(*(np.moveaxis(array, 1, 0) for array in batch), strict=True)


@every_task
def test_shapes_types_and_sizes(name):
    task = make_task(name)
    for part in PARTS:
        inputs, targets, mask = task.batch((0,), 5, part)
        assert inputs.shape[:2] == targets.shape == mask.shape
        assert inputs.shape[0] <= task.longest
        assert mask.dtype == bool
        assert mask.any(0).all()
        assert not targets[~mask].any()
        if inputs.ndim == 3:
            assert (inputs.shape[2], inputs.dtype, targets.dtype) == (task.input_size, np.float32, np.float32)
        else:
            assert (inputs.dtype, targets.dtype) == (np.int32, np.int32)
            assert 0 <= inputs.min() <= inputs.max() < task.input_size
            assert 0 <= targets.min() <= targets.max() < task.output_size
    assert task.batch((0,), 1, "test").inputs.shape[0] == task.longest


@every_task
def test_a_batch_is_a_function_of_its_key_and_part(name):
    task = make_task(name)
    first, again = task.batch((3, 1), 4), task.batch((3, 1), 4)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (task.batch((3, 2), 4), task.batch((4, 1), 4)):
        assert not np.array_equal(first.inputs, other.inputs)
    drawn = [task.batch((3, 1), 4, part).inputs for part in PARTS]
    assert not np.array_equal(drawn[1], drawn[2])


def test_adding():
    for inputs, targets, mask in sequences(make_task("adding", length=9)):
        marked = [(step, number) for step, (number, mark) in enumerate(inputs) if mark]
        assert [mark for _, mark in inputs if mark] == [1, 1]
        assert marked[0][0] < 4 <= marked[1][0]
        assert targets[-1] == pytest.approx(marked[0][1] + marked[1][1])
        assert list(mask) == [False] * 8 + [True]


def test_copy():
    for inputs, targets, mask in sequences(make_task("copy", items=3, delay=4)):
        assert list(inputs[3:]) == [8, 8, 8, 9, 8, 8, 8]
        assert list(targets[-3:]) == list(inputs[:3])
        assert list(np.flatnonzero(mask)) == [7, 8, 9]


def test_recall():
    for inputs, targets, mask in sequences(make_task("recall", lag=3, length=8)):
        assert [targets[t] == inputs[t - 3] for t in range(3, 8)] == [True] * 5
        assert list(np.flatnonzero(mask)) == [3, 4, 5, 6, 7]


def test_temporal_order():
    found = set()
    for inputs, targets, mask in sequences(make_task("temporal-order", length=30)):
        places = [step for step, symbol in enumerate(inputs) if symbol in (4, 5)]
        assert [inputs[0], inputs[-1]] == [6, 7]
        assert len(places) == 2
        assert 3 <= places[0] < 6
        assert 15 <= places[1] < 18
        assert set(inputs[1:-1]) <= {0, 1, 2, 3, 4, 5}
        order = "".join("XY"[inputs[place] - 4] for place in places)
        found.add((order, int(targets[-1])))
        assert list(np.flatnonzero(mask)) == [29]
    assert found == {("XX", 0), ("XY", 1), ("YX", 2), ("YY", 3)}


def test_parity():
    for inputs, targets, mask in sequences(make_task("parity", length=7)):
        assert [sum(inputs[: t + 1]) % 2 for t in range(7)] == list(targets)
        assert mask.all()


def test_counting():
    found = set()
    for part, largest in (("train", 3), ("test", 6)):
        for inputs, targets, mask in sequences(make_task("anbn", longest_trained=3), part):
            text = "".join("ab"[symbol] for symbol in inputs if symbol < 2)
            n = len(text) // 2
            found.add((part, n))
            assert text == "a" * n + "b" * n
            assert 1 <= n <= largest
            assert list(np.flatnonzero(mask)) == list(range(n, 2 * n))
            assert list(targets[mask]) == [0] * (n - 1) + [1]
    assert found == {("train", n) for n in range(1, 4)} | {("test", n) for n in range(1, 7)}


def test_characters(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abcdefghij" * 300)
    task = make_task("characters", source=str(path), length=6)
    assert task.trivial() == pytest.approx(np.log2(10), abs=1e-3)
    for part in PARTS:
        for inputs, targets, _ in sequences(task, part):
            assert list(targets) == [(symbol + 1) % 10 for symbol in inputs]


# The best that knows the present input only, searched for over all of its kind on many sequences.
@pytest.mark.parametrize("name", ["parity", "anbn", "copy", "recall", "adding", "temporal-order"])
def test_the_trivial_predictor_is_computed(name):
    task = make_task(name)
    inputs, targets, mask = task.batch((1,), 4000, "test")
    if task.metric == "squared error":
        reached = targets[mask].var()
    elif task.metric == "accuracy":
        reached = sum(
            max(np.mean((inputs[mask] == symbol) & (targets[mask] == answer)) for answer in range(task.output_size))
            for symbol in range(task.input_size)
        )
    elif task.metric == "strings right":
        reached = max(np.mean(np.all((targets == answer) | ~mask, axis=0)) for answer in range(task.output_size))
    else:
        shares = np.zeros((task.input_size, task.output_size))
        np.add.at(shares, (inputs[mask], targets[mask]), 1 / mask.sum())
        given = shares / np.maximum(shares.sum(1, keepdims=True), 1e-9)
        reached = -(shares * np.log2(np.maximum(given, 1e-9))).sum()
    assert reached == pytest.approx(task.trivial(), rel=0.05, abs=0.01)


def test_errors_name_the_task_and_the_next_move():
    with pytest.raises(DataError, match=r"no task 'adding_problem'; did you mean 'adding'"):
        make_task("adding_problem")
    with pytest.raises(DataError, match=r"Parity.length must be a positive whole number, got 0"):
        make_task("parity", length=0)
    with pytest.raises(DataError, match=r"TemporalOrder.length must be at least 10, .* got 9"):
        make_task("temporal-order", length=9)
    with pytest.raises(DataError, match=r"DelayedRecall.length must be above lag=10, got 10"):
        make_task("recall", length=10)
    with pytest.raises(DataError, match=r"part must be one of 'train', 'validation', 'test', got 'dev'"):
        make_task("parity").batch((0,), 1, "dev")
