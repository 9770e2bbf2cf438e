"""To how few lengths sequences can be padded, and what that wastes."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

# More different lengths than this are rounded up to so many before the best cuts among them are sought.
_MOST_CANDIDATES = 256


@dataclasses.dataclass(frozen=True, eq=False)
class Bucket:
    """Sequences that are padded alike.

    Attributes:
        lengths: what each column is padded to.
        members: the numbers of the records.
    """

    lengths: Mapping[str, int]
    members: np.ndarray


def make_buckets(lengths: Mapping[str, np.ndarray], count: int) -> list[Bucket]:
    """The at most ``count`` buckets that need the fewest padded steps.

    Records are put in the order of their length and cut into runs; which cuts are the best is found by dynamic
    programming over the different lengths (exactly, for one column of at most 256 of them). Several columns are cut
    together, in whichever order wastes the least: that of the longest of a record's columns relative to the column's
    mean, that of the longest, the total, or one column; a record then goes into the smallest bucket that it fits in.

    Args:
        lengths: of each record, column by column; every column ``[records]``.
        count: buckets at most.

    Example:
        >>> import numpy as np
        >>> buckets = make_buckets({"inputs": np.array([3, 9, 2, 8, 3])}, 2)
        >>> [(dict(bucket.lengths), bucket.members.tolist()) for bucket in buckets]
        [({'inputs': 3}, [0, 2, 4]), ({'inputs': 9}, [1, 3])]
    """
    columns = np.stack(list(lengths.values()))
    if len(columns) == 1:
        return _cut(lengths, columns[0], count)
    relative = columns / np.maximum(columns.mean(axis=1, keepdims=True), 1e-9)
    orders = [relative.max(axis=0), columns.max(axis=0), columns.sum(axis=0), *columns]
    cut = (assign(lengths, [bucket.lengths for bucket in _cut(lengths, order, count)]) for order in orders)
    return min((_tight(lengths, buckets) for buckets in cut), key=padded_steps)


def padded_steps(buckets: Sequence[Bucket]) -> int:
    """All steps of the members of buckets, with their padding."""
    return sum(bucket.members.size * sum(bucket.lengths.values()) for bucket in buckets)


def assign(lengths: Mapping[str, np.ndarray], shapes: Sequence[Mapping[str, int]]) -> list[Bucket]:
    """Buckets of given shapes: each record in the shortest that it fits in, and one more for those that fit in none.

    Example:
        >>> import numpy as np
        >>> buckets = assign({"inputs": np.array([3, 9, 2, 8, 3])}, [{"inputs": 8}, {"inputs": 3}])
        >>> [(dict(bucket.lengths), bucket.members.tolist()) for bucket in buckets]
        [({'inputs': 3}, [0, 2, 4]), ({'inputs': 8}, [3]), ({'inputs': 9}, [1])]
    """
    left = np.ones(len(next(iter(lengths.values()))), bool)
    buckets = []
    for shape in sorted(shapes, key=lambda shape: sum(shape.values())):
        inside = left & np.logical_and.reduce([column <= shape[name] for name, column in lengths.items()])
        left &= ~inside
        if inside.any():
            buckets.append(Bucket(dict(shape), np.flatnonzero(inside)))
    if left.any():
        longest = {name: int(column[left].max()) for name, column in lengths.items()}
        buckets.append(Bucket(longest, np.flatnonzero(left)))
    return buckets


def _tight(lengths: Mapping[str, np.ndarray], buckets: Sequence[Bucket]) -> list[Bucket]:
    """The buckets, no longer than their members."""
    return [
        Bucket({name: int(column[bucket.members].max()) for name, column in lengths.items()}, bucket.members)
        for bucket in buckets
    ]


def _cut(lengths: Mapping[str, np.ndarray], order: np.ndarray, count: int) -> list[Bucket]:
    columns = np.stack(list(lengths.values()))
    candidates = np.unique(order)
    if candidates.size > _MOST_CANDIDATES:
        # The longest must stay among them.
        places = np.linspace(0, order.size - 1, _MOST_CANDIDATES + 1).round().astype(int)[1:]
        candidates = np.unique(np.sort(order)[places])
    group = np.searchsorted(candidates, order)
    number = candidates.size
    members = np.bincount(group, minlength=number)
    longest = np.zeros((len(columns), number), np.int64)
    for column, longest_of_group in zip(columns, longest):
        np.maximum.at(longest_of_group, group, column)
    last = _best_cuts(members, longest, min(count, number))
    buckets, first = [], 0
    for end in last:
        inside = np.flatnonzero((group >= first) & (group <= end))
        padded = columns[:, inside].max(axis=1)
        buckets.append(Bucket({name: int(length) for name, length in zip(lengths, padded)}, inside))
        first = end + 1
    return buckets


def _best_cuts(members: np.ndarray, longest: np.ndarray, count: int) -> list[int]:
    """The last group of each run, such that the runs' padded steps are fewest."""
    number = members.size
    # Entry [i, j]: the padded steps of a run from group i to group j.
    cost = np.full((number, number), np.inf)
    before = np.concatenate([[0], np.cumsum(members)])
    for start in range(number):
        running = np.maximum.accumulate(longest[:, start:], axis=1).sum(axis=0)
        cost[start, start:] = running * (before[start + 1 :] - before[start])
    best, cuts = cost[0], []
    for _ in range(count - 1):
        # Run i..j after the best of what ends at i - 1.
        candidates = np.concatenate([[np.inf], best[:-1]])[:, None] + cost
        better = np.minimum(best, candidates.min(axis=0))
        cuts.append(np.where(better < best, candidates.argmin(axis=0), 0))
        best = better
    ends, end = [], number - 1
    for starts in reversed(cuts):
        if starts[end] > 0:
            ends.append(end)
            end = int(starts[end]) - 1
    return [*reversed([*ends, end])]
