"""Commands and the actions that they ask for."""

import collections
import os
from typing import Literal

import numpy as np

from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import divide


def scan(
    root: str | os.PathLike[str] | None = None,
    split: Literal["simple", "length", "addprim_jump", "addprim_turn_left"] = "simple",
    validation: float = 0.05,
    seed: int = 0,
) -> Dataset:
    """Commands and the actions that they ask for, such as ``jump twice`` (Lake and Baroni 2018).

    The test of ``length`` has longer actions than training, those of ``addprim`` have a verb that training shows alone
    only. A command that training repeats is not held out for validation: nothing would be left to learn it from.
    """

    def records(part: str) -> Records:
        lines = read_verified(f"scan/tasks_{part}_{split}.txt", root).decode().splitlines()
        pairs = [line.removeprefix("IN: ").split(" OUT: ") for line in lines]
        return Records([command.split() for command, _ in pairs], [actions.split() for _, actions in pairs])

    train = records("train")
    counts = collections.Counter(map(tuple, train.inputs))
    once = np.array([index for index, command in enumerate(train.inputs) if counts[tuple(command)] == 1])
    _, held = divide(once.tolist(), [validation * len(train) / once.size], seed)
    kept = np.delete(np.arange(len(train)), once[held])
    return Dataset("scan", train.take(kept), train.take(once[held]), records("test"))
