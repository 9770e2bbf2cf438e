"""Tasks of :mod:`seqjax.data.tasks` as data sets of a fixed size.

Where one answer counts, at the last step, the target is that class or, for numbers, an array ``[1]``; else it is a tag
for each step, ``_`` for those that do not count.
"""

import numpy as np

from seqjax.data.records import PARTS, Dataset, Records
from seqjax.data.tasks import Adding, CopyMemory, DelayedRecall, Parity, Task, TemporalOrder

NOTHING = "_"
"""The tag of a step whose answer does not count."""


def adding(length: int = 60, train: int = 5000, validation: int = 500, test: int = 1000, seed: int = 0) -> Dataset:
    """Numbers two of which are marked, and their sum; see :class:`~seqjax.data.tasks.Adding`."""
    return _dataset(Adding(length=length), (train, validation, test), seed)


def copy(
    items: int = 5, delay: int = 30, train: int = 5000, validation: int = 500, test: int = 1000, seed: int = 0
) -> Dataset:
    """Symbols to be repeated after a delay; see :class:`~seqjax.data.tasks.CopyMemory`."""
    return _dataset(CopyMemory(items=items, delay=delay), (train, validation, test), seed)


def recall(
    lag: int = 10, length: int = 40, train: int = 5000, validation: int = 500, test: int = 1000, seed: int = 0
) -> Dataset:
    """Symbols to be said a fixed number of steps later; see :class:`~seqjax.data.tasks.DelayedRecall`."""
    return _dataset(DelayedRecall(lag=lag, length=length), (train, validation, test), seed)


def temporal_order(
    length: int = 60, train: int = 5000, validation: int = 500, test: int = 1000, seed: int = 0
) -> Dataset:
    """Symbols two of which come in one of four orders; see :class:`~seqjax.data.tasks.TemporalOrder`."""
    return _dataset(TemporalOrder(length=length), (train, validation, test), seed)


def parity(length: int = 40, train: int = 5000, validation: int = 500, test: int = 1000, seed: int = 0) -> Dataset:
    """Bits, and whether the number of ones so far is odd; see :class:`~seqjax.data.tasks.Parity`."""
    return _dataset(Parity(length=length), (train, validation, test), seed)


def _dataset(task: Task, sizes: tuple[int, int, int], seed: int) -> Dataset:
    parts = []
    for part, size in zip(PARTS, sizes, strict=True):
        inputs, targets, mask = (np.moveaxis(each, 1, 0) for each in task.batch((seed,), size, part))
        sequences = list(inputs) if inputs.ndim == 3 else [list(map(str, row)) for row in inputs]
        if targets.dtype.kind == "f":
            answers = list(targets[:, -1:])
        elif mask[:, -1].all() and not mask[:, :-1].any():
            answers = [str(row[-1]) for row in targets]
        else:
            answers = [
                [str(answer) if counts else NOTHING for answer, counts in zip(row, counted)]
                for row, counted in zip(targets, mask)
            ]
        parts.append(Records(sequences, answers))
    return Dataset(task.name, *parts)
