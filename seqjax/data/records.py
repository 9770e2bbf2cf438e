"""Sequences with their targets, in three parts."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqjax.errors import DataError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """Sequences and what is to be said of them; entry ``i`` of every field belongs to record ``i``.

    Attributes:
        inputs: each a string, a list of tokens, or an array ``[time, features]`` of numbers.
        targets: each the name of a class, a list of tokens or tags, or an array.
        labels: a class of the whole sequence where there is one beside the targets, such as an intent.
        names: where each record comes from, for messages.
        references: all targets of each record that count as right, ``targets[i]`` the first of them; where this is
            None, that target is the only one.

    Raises:
        DataError: the fields differ in length.

    Example:
        >>> records = Records([["play", "jazz"], ["wake", "me"]], [["O", "B-genre"], ["O", "O"]])
        >>> len(records), records.take([1]).inputs
        (2, [['wake', 'me']])
    """

    inputs: Sequence[Any] | np.ndarray
    targets: Sequence[Any] | np.ndarray
    labels: Sequence[str] | None = None
    names: Sequence[str] | None = None
    references: Sequence[Sequence[Any]] | None = None

    def __post_init__(self) -> None:
        lengths = {field: len(values) for field, values in self._present().items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{length} {field}" for field, length in lengths.items())
            raise DataError(f"records need as many entries in every field, got {listed}")

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: npt.ArrayLike) -> "Records":
        """The records of these numbers, in this order."""
        chosen = np.asarray(indices, np.int64)
        taken: dict[str, Any] = {
            field: values[chosen] if isinstance(values, np.ndarray) else [values[i] for i in chosen.tolist()]
            for field, values in self._present().items()
        }
        return Records(**taken)

    def name(self, index: int) -> str:
        """How messages call a record."""
        return f"record {index}" if self.names is None else self.names[index]

    def _present(self) -> dict[str, Sequence[Any] | np.ndarray]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {field: value for field, value in values.items() if value is not None}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """What is learnt from, what choices are made by, and what is reported at the end.

    Attributes:
        name: the source.
        train: part for training.
        validation: part for early stopping and other choices.
        test: part for the last evaluation.
        details: what else a source has to say, such as the scale of a series, or how many records it left out.
    """

    name: str
    train: Records
    validation: Records
    test: Records
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict, kw_only=True)

    def part(self, name: str) -> Records:
        """One of ``train``, ``validation`` and ``test``.

        Raises:
            DataError: it is none of them.
        """
        if name not in PARTS:
            raise DataError(f"part must be one of {', '.join(PARTS)}, got {name!r}")
        return getattr(self, name)
