"""Spans against seqeval, in both of its modes, on random tags that are mostly not well formed."""

import warnings

import numpy as np
import pytest

from seqjax.metrics import SpanCounts, SpanScores, span_scores, spans

TAGS = ("O", "B-a", "I-a", "B-b-c", "I-b-c", "B-d", "I-d")


def drawn(rng, count=200):
    return [[TAGS[index] for index in rng.integers(0, len(TAGS), rng.integers(0, 9))] for _ in range(count)]


@pytest.mark.parametrize("strict", [False, True])
def test_equals_seqeval(strict, rng):
    pytest.importorskip("seqeval")
    from seqeval.metrics import sequence_labeling, v1
    from seqeval.scheme import IOB2

    count_theirs = (v1 if strict else sequence_labeling).precision_recall_fscore_support
    options = {"scheme": IOB2} if strict else {}
    for count in (1, 3, 200):
        right = drawn(rng, count)
        # Half of the tags are right, so that some spans are.
        said = [[tag if rng.random() < 0.5 else TAGS[rng.integers(0, len(TAGS))] for tag in tags] for tags in right]
        found = span_scores(said, right, strict=strict)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            each = count_theirs(right, said, average=None, **options)
            total = count_theirs(right, said, average="micro", **options)
        np.testing.assert_allclose(
            [(c.precision, c.recall, c.f1, c.expected) for c in found.by_type.values()], np.transpose(each)
        )
        all_types = found.total
        np.testing.assert_allclose((all_types.precision, all_types.recall, all_types.f1, all_types.expected), total)


def test_what_conlleval_counts():
    """An I after O or after another type begins a span; B always does."""
    assert spans(["I-a", "I-a", "B-a", "I-b", "O", "B-b"]) == [("a", 0, 2), ("a", 2, 3), ("b", 3, 4), ("b", 5, 6)]
    assert spans(["I-a", "I-a", "B-a", "I-b", "O", "B-b"], strict=True) == [("a", 2, 3), ("b", 5, 6)]
    assert spans([]) == []


def test_batches_add_up(rng):
    said, right = drawn(rng), [list(tags) for tags in drawn(np.random.default_rng(0))]
    whole = span_scores(said, right)
    parts = [span_scores(said[i : i + 50], right[i : i + 50]) for i in range(0, 200, 50)]
    assert sum(parts, SpanScores()) == whole
    assert whole.total.expected == sum(len(spans(tags)) for tags in right)


def test_nothing_to_find_is_zero_as_in_conlleval():
    scores = span_scores([["O", "O"], []], [["O", "O"], []])
    assert scores.total == SpanCounts()
    assert scores.total.f1 == scores.total.precision == scores.total.recall == 0
    assert str(scores).splitlines()[-1].split() == ["all", "0.00%", "0.00%", "0.00%", "0"]


def test_bad_input_gets_a_clear_message():
    for tag in ("X-a", "B", "B-", "b-a", "", "O-a"):
        with pytest.raises(ValueError, match=f"tag 1 is '{tag}'; expected O, or B- or I- and a type"):
            spans(["O", tag])
    with pytest.raises(ValueError, match="sequence 1 has 1 predicted tags and 2 right ones"):
        span_scores([["O"], ["O"]], [["O"], ["O", "O"]])
    with pytest.raises(ValueError, match="there are 1 predictions and 0 references"):
        span_scores([["O"]], [])
