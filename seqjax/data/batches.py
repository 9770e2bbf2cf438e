"""Batches of sequences of different lengths, padded to few shapes."""

import functools
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from seqjax.data.buckets import Bucket, assign, make_buckets
from seqjax.data.draws import Draws
from seqjax.data.lengths import Longer, limit
from seqjax.errors import DataError


class SequenceBatches:
    """Endless batches; ``batches[i]`` is a pure function of ``i``, so the state of a training is one integer.

    A column is a list of arrays ``[time, ...]`` that differ in length, or one array with an entry a record. A batch is
    a dictionary of arrays with the batch axis first: each list under its name, padded with zeros, and its lengths under
    the name with ``_lengths``; each array under its name; and ``valid``, False where a row of the last batch of a
    bucket is filled up. In an epoch every record is in exactly one batch.

    An evaluation goes through ``SequenceBatches(..., shuffle=False)`` once, and :meth:`indices` says which record a row
    is. With the :attr:`shapes` of the training nothing is compiled for it but what is longer.

    Args:
        columns: by name, all of as many records.
        batch_size: rows of a batch.
        seed: of the order, which differs from epoch to epoch.
        shapes: at most so many different shapes, each of which is compiled once; or the shapes themselves, the length
            of each list by its name, to which one more is added if there are longer records.
        shuffle: in random order; else by length, which an evaluation does not mind.
        last: ``fill`` up the last batch of a bucket with rows that are not valid, or ``drop`` it; what is dropped
            differs from epoch to epoch if there is a random order.
        maximum_lengths: of lists, by name; those that are not named have no limit.
        longer: ``refuse`` what is over the maximum, or ``truncate`` and count it.
        names: how messages call each record.

    Raises:
        DataError: no records, columns of different size, entries that are no sequences of steps of one shape, records
            over the maximum, nothing left after dropping, or sizes below 1.

    Example:
        >>> import numpy as np
        >>> words = [np.array([1, 2, 3]), np.array([4]), np.array([5, 6])]
        >>> batches = SequenceBatches({"words": words, "classes": np.array([7, 8, 9])}, 2, shapes=1, shuffle=False)
        >>> batches.batches_per_epoch
        2
        >>> {name: array.tolist() for name, array in batches[1].items()}
        {'words': [[5, 6, 0], [0, 0, 0]], 'words_lengths': [2, 0], 'classes': [9, 0], 'valid': [True, False]}
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        batch_size: int,
        *,
        seed: int = 0,
        shapes: int | Sequence[Mapping[str, int]] = 4,
        shuffle: bool = True,
        last: Literal["fill", "drop"] = "fill",
        maximum_lengths: Mapping[str, int] | None = None,
        longer: Longer = "refuse",
        names: Sequence[str] | None = None,
    ) -> None:
        sizes = {name: len(column) for name, column in columns.items()}
        if len(set(sizes.values())) != 1:
            listed = ", ".join(f"{size} of {name}" for name, size in sizes.items())
            raise DataError(f"columns need as many entries each, got {listed or 'no columns'}")
        if batch_size < 1 or (isinstance(shapes, int) and shapes < 1):
            raise DataError(f"batch_size and shapes must be at least 1, got {batch_size} and {shapes}")
        self._batch_size, self._seed, self._shuffle = batch_size, seed, shuffle
        self._size = next(iter(sizes.values()))
        if not self._size:
            raise DataError("there are no records to make batches of; is the file empty?")
        self._columns: dict[str, Any] = {}
        self.truncated: dict[str, int] = {}
        for name, column in columns.items():
            if isinstance(column, np.ndarray):
                self._columns[name] = column
                continue
            maximum = (maximum_lengths or {}).get(name)
            limited, cut = limit(_arrays(name, column), maximum, longer, what=name, names=names)
            self._columns[name] = limited
            if cut:
                self.truncated[name] = cut
        self._lengths = {
            name: np.array([len(entry) for entry in column], np.int32)
            for name, column in self._columns.items()
            if not isinstance(column, np.ndarray)
        }
        self._buckets = _buckets(self._lengths, self._size, shapes)
        filled = 0 if last == "drop" else batch_size - 1
        self._counts = [(bucket.members.size + filled) // batch_size for bucket in self._buckets]
        if not sum(self._counts):
            raise DataError(
                f"{self._size} records in {len(self._buckets)} shapes do not fill one batch of {batch_size}; make "
                "batch_size or shapes smaller, or do not drop the last batches"
            )
        self._batches = [(bucket, part) for bucket, count in enumerate(self._counts) for part in range(count)]
        self._order_of_epoch = functools.lru_cache(2)(self._draw_order)

    @property
    def batches_per_epoch(self) -> int:
        """Batches in one pass over all records."""
        return len(self._batches)

    @property
    def shapes(self) -> list[dict[str, int]]:
        """What the lists of a batch are padded to."""
        return [dict(bucket.lengths) for bucket in self._buckets]

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        bucket, rows = self._rows(index)
        valid = np.arange(self._batch_size) < rows.size
        batch = {}
        for name, column in self._columns.items():
            if name in self._lengths:
                entries = [column[row] for row in rows]
                batch[name] = self._padded(entries, bucket.lengths[name])
                batch[f"{name}_lengths"] = self._filled(self._lengths[name][rows])
            else:
                batch[name] = self._filled(column[rows])
        return {**batch, "valid": valid}

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """One epoch, the first."""
        return (self[index] for index in range(self.batches_per_epoch))

    def indices(self, index: int) -> np.ndarray:
        """The numbers of the records in the valid rows of a batch."""
        return self._rows(index)[1]

    def report(self) -> str:
        """Shapes and what padding wastes, in words."""
        if not self._lengths:
            return f"batches: {self._size:,} records, one shape"
        # Lists that go along with each other have the same lengths, which are said once.
        different = list(dict.fromkeys(zip(*(bucket.lengths.values() for bucket in self._buckets), strict=True)))
        listed = ", ".join(
            f"{bucket.members.size:,} of {' and '.join(str(lengths[number]) for lengths in different)}"
            for number, bucket in enumerate(self._buckets)
        )
        shapes = "1 shape" if len(self._buckets) == 1 else f"{len(self._buckets)} shapes"
        cut = ", ".join(f"{count:,} {name} truncated" for name, count in self.truncated.items())
        return (
            f"batches: {self._size:,} sequences padded to {shapes} ({listed}), "
            f"{100 * self.waste:.0f} % of the steps are padding" + (f"; {cut}" if cut else "")
        )

    @property
    def waste(self) -> float:
        """The share of padding among all steps of an epoch, rows that fill up a batch among them; from 0 to 1."""
        used = padded = 0.0
        for bucket, count in zip(self._buckets, self._counts):
            rows = count * self._batch_size
            padded += rows * sum(bucket.lengths.values())
            of_a_record = sum(float(column[bucket.members].mean()) for column in self._lengths.values())
            used += min(rows, bucket.members.size) * of_a_record
        return 1 - used / padded if padded else 0.0

    def _rows(self, index: int) -> tuple[Bucket, np.ndarray]:
        index = operator.index(index)
        if index < 0:
            raise IndexError(f"batches have no end to count back from, got index {index}; indices start at 0")
        epoch, position = divmod(index, self.batches_per_epoch)
        batches, members = self._order_of_epoch(epoch)
        number, part = self._batches[batches[position]]
        return self._buckets[number], members[number][part * self._batch_size : (part + 1) * self._batch_size]

    def _draw_order(self, epoch: int) -> tuple[np.ndarray, list[np.ndarray]]:
        members = [bucket.members for bucket in self._buckets]
        if not self._shuffle:
            return np.arange(self.batches_per_epoch), members
        shuffled = [each[Draws(self._seed, epoch, number).order(each.size)] for number, each in enumerate(members)]
        return Draws(self._seed, epoch, len(members)).order(self.batches_per_epoch), shuffled

    def _filled(self, array: np.ndarray) -> np.ndarray:
        missing = self._batch_size - len(array)
        return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array

    def _padded(self, entries: list[np.ndarray], length: int) -> np.ndarray:
        padded = np.zeros((self._batch_size, length, *entries[0].shape[1:]), entries[0].dtype)
        for row, entry in zip(padded, entries):
            row[: len(entry)] = entry
        return padded


def _arrays(name: str, column: Sequence[Any]) -> list[np.ndarray]:
    arrays = [np.asarray(entry) for entry in column]
    if any(array.ndim == 0 for array in arrays):
        raise DataError(
            f"{name}: a list of sequences [time, ...] is expected; one number a record belongs in one array"
        )
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        listed = " and ".join(str(list(shape)) for shape in sorted(shapes)[:2])
        raise DataError(f"{name}: the steps of all sequences need one shape, got {listed}")
    return arrays


def _buckets(lengths: Mapping[str, np.ndarray], size: int, shapes: int | Sequence[Mapping[str, int]]) -> list[Bucket]:
    if not lengths:
        return [Bucket({}, np.arange(size))]
    # An axis of length 0 is more than most programs expect.
    at_least_one = {name: np.maximum(column, 1) for name, column in lengths.items()}
    return make_buckets(at_least_one, shapes) if isinstance(shapes, int) else assign(at_least_one, shapes)
