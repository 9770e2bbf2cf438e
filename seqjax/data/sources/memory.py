"""The tasks of :mod:`seqjax.data.tasks` as data sets of a fixed size."""

import numpy as np

from seqjax.data.records import PARTS, Dataset, Records
from seqjax.data.tasks import make_task

NOTHING = "_"
"""The tag of a step whose answer does not count."""


def task(
    name: str, train: int = 5000, validation: int = 500, test: int = 1000, seed: int = 0, **options: int
) -> Dataset:
    """Sequences of a task, whose options are those of the task.

    Where one answer counts, at the last step, the target is that class or, for numbers, an array ``[1]``; else it is a
    tag for each step, ``_`` for those that do not count.
    """
    made = make_task(name, **options)
    parts = []
    for part, size in zip(PARTS, (train, validation, test), strict=True):
        inputs, targets, mask = (np.moveaxis(each, 1, 0) for each in made.batch((seed,), size, part))
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
    return Dataset(name, *parts)
