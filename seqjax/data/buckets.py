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

    Records are put in the order of their total length and cut into runs; which cuts are the best is found by dynamic
    programming over the different totals (exactly, for one column of at most 256 different lengths).

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
    totals = columns.sum(axis=0)
    candidates = np.unique(totals)
    if candidates.size > _MOST_CANDIDATES:
        # The longest must stay among them.
        places = np.linspace(0, totals.size - 1, _MOST_CANDIDATES + 1).round().astype(int)[1:]
        candidates = np.unique(np.sort(totals)[places])
    group = np.searchsorted(candidates, totals)
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


def waste(lengths: Mapping[str, np.ndarray], buckets: Sequence[Bucket]) -> float:
    """The share of padding among all steps, from 0 to 1."""
    needed = sum(int(column.sum()) for column in lengths.values())
    padded = sum(bucket.members.size * sum(bucket.lengths.values()) for bucket in buckets)
    return 1 - needed / padded if padded else 0.0


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
