"""Edit distance and what rests on it: word, phone, character and digit error rates, alignments, exact match."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from seqjax.metrics.means import Mean

_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class Edits:
    """The edits that turn what is right into what was predicted; those of several items are added.

    Attributes:
        substitutions: tokens that are others.
        insertions: tokens that are too many.
        deletions: tokens that are missing.
        length: tokens of what is right.
    """

    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0
    length: int = 0

    @property
    def total(self) -> int:
        """All edits."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Edits for each right token: the error rate. It may be above 1; NaN where there was nothing at all."""
        if self.length:
            return self.total / self.length
        return math.inf if self.total else math.nan

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.length + other.length,
        )


class Alignment(NamedTuple):
    """One place of an alignment."""

    kind: Literal["match", "substitution", "insertion", "deletion"]
    prediction: Any
    """The predicted token; ``None`` where it is missing."""
    reference: Any
    """The right token; ``None`` where the predicted one is too many."""


def edit_distance(prediction: Sequence[Any], reference: Sequence[Any]) -> int:
    """The least number of substitutions, insertions and deletions between two sequences (Levenshtein 1966).

    Args:
        prediction: tokens that can be hashed: a string's characters, a list of words, an array of numbers.
        reference: tokens.

    Example:
        >>> import seqjax
        >>> seqjax.metrics.edit_distance("kitten", "sitting")
        3
    """
    return _edits([(prediction, reference)])[0].total


def count_edits(predictions: Sequence[Any], references: Sequence[Any], *, several: bool = False) -> Edits:
    """All edits of all items; its ``rate`` is the error rate: all edits over all right tokens.

    What the tokens are decides what the rate is called: words, phones, digits, or the characters of strings. Of the
    alignments with the fewest edits the one with the most substitutions is counted.

    Args:
        predictions: a sequence of tokens for each item.
        references: the right sequence for each item.
        several: an item has a list of right sequences, and the one that is nearest counts (the first of those, if
            several are), as is done for words with several pronunciations.

    Raises:
        ValueError: items that do not pair up, or one without a right sequence.
        TypeError: a string in place of the list of items.

    Example:
        >>> import seqjax
        >>> said, right = ["the cat sat".split(), "a dog".split()], ["the cat sat down".split(), "the dog".split()]
        >>> seqjax.metrics.count_edits(said, right)
        Edits(substitutions=1, insertions=0, deletions=1, length=6)
        >>> round(_.rate, 3)
        0.333
    """
    items = list(_items(predictions, references, several))
    each = iter(_edits([(prediction, reference) for prediction, of_item in items for reference in of_item]))
    best = (min(itertools.islice(each, len(of_item)), key=lambda edits: edits.total) for _, of_item in items)
    return sum(best, Edits())


def exact_match(predictions: Sequence[Any], references: Sequence[Any], *, several: bool = False) -> Mean:
    """The share of items that are right from the first token to the last; 1 minus it is the sequence error rate.

    Args:
        predictions: a sequence of tokens for each item.
        references: the right sequence for each item.
        several: an item has a list of right sequences, any of which will do.

    Raises:
        ValueError, TypeError: as for :func:`count_edits`.
    """
    items = _items(predictions, references, several)
    right = [any(listed(said) == listed(one) for one in of_item) for said, of_item in items]
    return Mean.of(right)


def align(prediction: Sequence[Any], reference: Sequence[Any]) -> list[Alignment]:
    """One best alignment of two sequences, place by place, with the edits that :func:`count_edits` counts.

    Example:
        >>> import seqjax
        >>> for place in seqjax.metrics.align("ct", "cat"):
        ...     print(*place)
        match c c
        deletion None a
        match t t
    """
    said, right = listed(prediction), listed(reference)
    codes: dict[Any, int] = {}
    of_said, of_right = (np.array(_encoded(tokens, codes), np.int64)[:, None] for tokens in (said, right))
    weight, rows = _rows(of_said, of_right)
    costs = np.stack([row[:, 0] for row in rows])
    places: list[Alignment] = []
    i, j = len(right), len(said)
    while i or j:
        same = i > 0 and j > 0 and of_said[j - 1] == of_right[i - 1]
        if i and j and costs[i, j] == costs[i - 1, j - 1] + (0 if same else weight):
            i, j = i - 1, j - 1
            places.append(Alignment("match" if same else "substitution", said[j], right[i]))
        elif i and costs[i, j] == costs[i - 1, j] + weight + 1:
            i -= 1
            places.append(Alignment("deletion", None, right[i]))
        else:
            j -= 1
            places.append(Alignment("insertion", said[j], None))
    return places[::-1]


def _items(predictions: Sequence[Any], references: Sequence[Any], several: bool) -> Iterator[tuple[Any, Any]]:
    """Each prediction with the list of its references."""
    for name, given in (("predictions", predictions), ("references", references)):
        if isinstance(given, str | bytes):
            raise TypeError(f"{name} must be a list with a sequence of tokens for each item, got one string")
    if len(predictions) != len(references):
        raise ValueError(f"there are {len(predictions)} predictions and {len(references)} references")
    for index, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        if several and (isinstance(reference, str | bytes) or not len(reference)):
            raise ValueError(f"item {index} needs a list of at least one right sequence, got {reference!r}")
        yield prediction, reference if several else [reference]


def listed(tokens: Any) -> list[Any]:
    """Tokens that can be hashed and compared, of an array too."""
    return tokens.tolist() if hasattr(tokens, "tolist") else list(tokens)


def _encoded(tokens: Any, codes: dict[Any, int]) -> list[int]:
    return [codes.setdefault(token, len(codes)) for token in listed(tokens)]


def _edits(pairs: Sequence[tuple[Any, Any]]) -> list[Edits]:
    """Of each pair of prediction and reference, many at a time."""
    codes: dict[Any, int] = {}
    encoded = [(_encoded(prediction, codes), _encoded(reference, codes)) for prediction, reference in pairs]
    # Neighbours of about the same lengths are padded little.
    order = sorted(range(len(pairs)), key=lambda index: (len(encoded[index][1]), len(encoded[index][0])))
    found = [Edits()] * len(pairs)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        said, said_lengths = _padded([encoded[index][0] for index in block], -1)
        right, right_lengths = _padded([encoded[index][1] for index in block], -2)
        weight, rows = _rows(said, right)
        costs = np.zeros(len(block), np.int64)
        for length, row in enumerate(rows):
            ends = np.flatnonzero(right_lengths == length)
            costs[ends] = row[said_lengths[ends], ends]
        edits, gaps = np.divmod(costs, weight)
        insertions = (gaps + said_lengths - right_lengths) // 2
        counts = np.stack([edits - gaps, insertions, gaps - insertions, right_lengths], axis=1).tolist()
        for index, each in zip(block, counts, strict=True):
            found[index] = Edits(*each)
    return found


def _padded(sequences: list[list[int]], filler: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences as columns ``[longest, sequences]``, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences])
    table = np.full((lengths.max(), len(sequences)), filler)
    for column, sequence in enumerate(sequences):
        table[: len(sequence), column] = sequence
    return table, lengths


def _rows(predictions: np.ndarray, references: np.ndarray) -> tuple[int, Iterator[np.ndarray]]:
    """The table of costs row by row, ``[prediction + 1, pairs]``, from no reference token to all of them.

    A substitution costs ``weight``, which is returned, and an insertion or deletion one more: the weight is larger than
    the number of all tokens, so the least cost has the fewest edits, and of these the fewest insertions and deletions.
    """
    weight = 1 + len(predictions) + len(references)
    ramp = (weight + 1) * np.arange(1 + len(predictions))[:, None]

    def rows() -> Iterator[np.ndarray]:
        row = np.repeat(ramp, predictions.shape[1], axis=1)
        yield row
        for tokens in references:
            best = row + weight + 1
            best[1:] = np.minimum(best[1:], row[:-1] + weight * (predictions != tokens))
            # A run of insertions climbs the ramp: below it, the least so far is the best place to start from.
            row = np.minimum.accumulate(best - ramp, axis=0) + ramp
            yield row

    return weight, rows()
