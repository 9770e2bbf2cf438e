"""Parts held out of data that come without them, in a seeded order and never with the same thing in two parts."""

from collections.abc import Hashable, Sequence

import numpy as np

from seqjax.data.draws import Draws
from seqjax.data.records import Dataset, Records
from seqjax.errors import DataError


def divide(keys: Sequence[Hashable], shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """The indices of what is kept, and then of each part held out; equal keys are in the same part.

    Args:
        keys: one a record.
        shares: of all records for each part held out; as near to it as the keys allow, and not more.
        seed: of the order in which keys are held out.

    Raises:
        DataError: shares below 0, or that leave nothing to keep.

    Example:
        >>> [part.tolist() for part in divide(["a", "b", "a", "c", "d"], [0.4], seed=0)]
        [[1, 3, 4], [0, 2]]
    """
    if min(shares) < 0 or sum(shares) >= 1:
        listed = " and ".join(map(str, shares))
        raise DataError(f"the shares of the records to hold out must be at least 0 and below 1 in all, got {listed}")
    numbers: dict[Hashable, int] = {}
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    order = Draws(seed).order(len(numbers))
    taken = np.cumsum(np.bincount(groups, minlength=len(numbers))[order])
    part_of_group, start = np.zeros(len(numbers), np.int64), 0
    for part, share in enumerate(shares, 1):
        before = taken[start - 1] if start else 0
        end = int(np.searchsorted(taken, before + round(share * len(groups)), side="right"))
        part_of_group[order[start:end]] = part
        start = end
    parts = part_of_group[groups]
    return [np.flatnonzero(parts == part) for part in range(len(shares) + 1)]


def split(
    name: str,
    records: Records,
    *,
    validation: float,
    test: float | Records,
    seed: int,
    keys: Sequence[Hashable] | None = None,
) -> Dataset:
    """A data set from records that came in one part, or in one beside the test.

    Args:
        name: of the data set.
        records: all, or those that are not for the test.
        validation: share of the records for validation.
        test: share of the records for the test, or the test part.
        seed: of the order in which records are held out.
        keys: what must not be in two parts, one a record; the inputs if not given.

    Raises:
        DataError: shares that leave nothing to train on.
    """
    keys = [_key(each) for each in records.inputs] if keys is None else keys
    if isinstance(test, Records):
        kept, validation_part = divide(keys, [validation], seed)
        return Dataset(name, records.take(kept), records.take(validation_part), test)
    kept, test_part, validation_part = divide(keys, [test, validation], seed)
    return Dataset(name, records.take(kept), records.take(validation_part), records.take(test_part))


def _key(inputs: Sequence[str] | np.ndarray) -> Hashable:
    if isinstance(inputs, np.ndarray):
        return inputs.tobytes()
    return inputs if isinstance(inputs, str) else tuple(inputs)
