"""Precision, recall and F1 of spans that are written as one tag a token: slots, names, chunks."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """Tokens ``start`` to ``end - 1``."""

    type: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class SpanCounts:
    """Spans that were found, and those that were to be found; those of several batches are added.

    Attributes:
        correct: predicted with the right type, start and end.
        predicted: predicted at all.
        expected: in what is right.
    """

    correct: int = 0
    predicted: int = 0
    expected: int = 0

    @property
    def precision(self) -> float:
        """The share of the predicted spans that are right; 0 where none was predicted."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The share of the right spans that were predicted; 0 where there are none."""
        return self.correct / self.expected if self.expected else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 where both are 0."""
        total = self.predicted + self.expected
        return 2 * self.correct / total if total else 0.0

    def __add__(self, other: "SpanCounts") -> "SpanCounts":
        return SpanCounts(
            self.correct + other.correct, self.predicted + other.predicted, self.expected + other.expected
        )


@dataclasses.dataclass(frozen=True)
class SpanScores:
    """Counts for each type of span; print it. Those of several batches are added.

    Attributes:
        by_type: in alphabetical order.
    """

    by_type: Mapping[str, SpanCounts] = dataclasses.field(default_factory=dict)

    @property
    def total(self) -> SpanCounts:
        """All types together: its ``f1`` is the (micro-averaged) F1 that is published."""
        return sum(self.by_type.values(), SpanCounts())

    def __add__(self, other: "SpanScores") -> "SpanScores":
        types = sorted({*self.by_type, *other.by_type})
        none = SpanCounts()
        return SpanScores({name: self.by_type.get(name, none) + other.by_type.get(name, none) for name in types})

    def __str__(self) -> str:
        width = max(map(len, ("all", *self.by_type)))
        lines = [f"{'':{width}}  precision  recall      F1   spans"]
        for name, counts in {**self.by_type, "all": self.total}.items():
            lines.append(
                f"{name:{width}}  {counts.precision:9.2%}  {counts.recall:6.2%}  {counts.f1:6.2%}  {counts.expected:6}"
            )
        return "\n".join(lines)


def spans(tags: Sequence[str], *, strict: bool = False) -> list[Span]:
    """The spans of one sequence of tags ``B-type``, ``I-type`` and ``O``.

    ``B`` begins a span and ``I`` of the same type continues it. An ``I`` that continues nothing (after ``O``, or after
    another type) begins a span too, as conlleval and seqeval have it; with ``strict`` it belongs to none, as in
    seqeval's strict mode for IOB2.

    Raises:
        ValueError: a tag of another form.

    Example:
        >>> import seqjax
        >>> seqjax.metrics.spans(["O", "B-city", "I-city", "I-date"])
        [Span(type='city', start=1, end=3), Span(type='date', start=3, end=4)]
    """
    found: list[Span] = []
    kind, start = None, 0
    for index, tag in enumerate([*tags, "O"]):
        prefix, _, here = tag.partition("-")
        if tag != "O" and (prefix not in ("B", "I") or not here):
            raise ValueError(f"tag {index} is {tag!r}; expected O, or B- or I- and a type, such as B-city")
        if prefix == "I" and here == kind:
            continue
        if kind is not None:
            found.append(Span(kind, start, index))
        begins = prefix == "B" or (prefix == "I" and not strict)
        kind, start = (here, index) if begins else (None, 0)
    return found


def span_scores(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], *, strict: bool = False
) -> SpanScores:
    """Compare predicted with right spans: one counts only if its type, start and end are right.

    Args:
        predictions: tags of each sequence, as for :func:`spans`.
        references: the right tags.
        strict: as for :func:`spans`.

    Raises:
        ValueError: sequences that do not pair up, or a tag of another form.

    Source: Tjong Kim Sang and De Meulder 2003, Introduction to the CoNLL-2003 shared task (``conlleval``).

    Example:
        >>> import seqjax
        >>> scores = seqjax.metrics.span_scores([["B-city", "O", "B-date"]], [["B-city", "O", "B-city"]])
        >>> scores.total.f1, scores.by_type["city"].recall
        (0.5, 0.5)
    """
    if len(predictions) != len(references):
        raise ValueError(f"there are {len(predictions)} predictions and {len(references)} references")
    correct, predicted, expected = Counter(), Counter(), Counter()
    for index, (said, right) in enumerate(zip(predictions, references, strict=True)):
        if len(said) != len(right):
            raise ValueError(f"sequence {index} has {len(said)} predicted tags and {len(right)} right ones")
        found, wanted = set(spans(said, strict=strict)), set(spans(right, strict=strict))
        for counts, which in ((correct, found & wanted), (predicted, found), (expected, wanted)):
            counts.update(span.type for span in which)
    types = sorted({*predicted, *expected})
    return SpanScores({name: SpanCounts(correct[name], predicted[name], expected[name]) for name in types})
