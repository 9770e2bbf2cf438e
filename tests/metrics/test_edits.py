"""Edits against brute force, jiwer, and what any alignment must be."""

import functools
import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqjax.metrics import Edits, Mean, align, count_edits, edit_distance, exact_match

TOKENS = st.lists(st.integers(0, 2), max_size=7)


@functools.cache
def brute_force(said, right):
    """Fewest edits, then fewest insertions and deletions: the recursion that defines them."""
    if not said or not right:
        return len(said) + len(right), len(said) + len(right)
    edits, gaps = brute_force(said[:-1], right[:-1])
    choices = [(edits + (said[-1] != right[-1]), gaps)]
    for shorter in (brute_force(said[:-1], right), brute_force(said, right[:-1])):
        choices.append((shorter[0] + 1, shorter[1] + 1))
    return min(choices)


def test_equals_brute_force_on_all_short_sequences():
    every = [tuple(tokens) for size in range(5) for tokens in itertools.product("ab", repeat=size)]
    for said, right in itertools.product(every, every):
        found = count_edits([said], [right])
        assert (found.total, found.insertions + found.deletions) == brute_force(said, right)


@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=6))
def test_items_together_are_what_they_are_alone_and_alignments_agree(pairs):
    total = Edits()
    for said, right in pairs:
        alone, places = count_edits([said], [right]), align(said, right)
        kinds = [place.kind for place in places]
        assert [place.prediction for place in places if place.kind != "deletion"] == said
        assert [place.reference for place in places if place.kind != "insertion"] == right
        assert all((place.prediction == place.reference) == (place.kind == "match") for place in places)
        counts = (kinds.count(kind) for kind in ("substitution", "insertion", "deletion"))
        assert Edits(*counts, length=len(right)) == alone
        assert (alone.total, alone.insertions + alone.deletions) == brute_force(tuple(said), tuple(right))
        total += alone
    assert count_edits([said for said, _ in pairs], [right for _, right in pairs]) == total


def test_more_items_than_a_block_of_many_lengths(rng):
    said = [tuple(rng.integers(0, 3, rng.integers(0, 9)).tolist()) for _ in range(2500)]
    right = [tuple(rng.integers(0, 3, rng.integers(0, 9)).tolist()) for _ in range(2500)]
    found = count_edits(said, right)
    assert found.total == sum(brute_force(*pair)[0] for pair in zip(said, right))
    assert found.length == sum(map(len, right))


def test_word_and_character_error_rates_equal_jiwer(rng):
    jiwer = pytest.importorskip("jiwer")
    words = np.array(["a", "bc", "abc", "cab"])
    said, right = ([" ".join(rng.choice(words, rng.integers(1, 12))) for _ in range(300)] for _ in range(2))
    found = count_edits([text.split() for text in said], [text.split() for text in right])
    theirs = jiwer.process_words(right, said)
    assert found.rate == pytest.approx(theirs.wer)
    assert found.total == theirs.substitutions + theirs.insertions + theirs.deletions
    assert found.insertions - found.deletions == theirs.insertions - theirs.deletions
    assert count_edits(said, right).rate == pytest.approx(jiwer.cer(right, said))


def test_of_several_references_the_nearest_counts():
    """As for words with several pronunciations: its length is the one that is divided by."""
    said, right = ["ab", "xyz"], [["abcd", "abc", "a"], ["uvw"]]
    assert count_edits(said, right, several=True) == Edits(deletions=1, substitutions=3, length=6)
    assert exact_match(["ab", "ab"], [["x", "ab"], ["b"]], several=True) == Mean(1, 2)


def test_exact_match_reads_lists_arrays_and_strings():
    said = ["ab", [1, 2], np.array([1, 2]), [], [1]]
    right = ["ab", np.array([1, 2]), (1, 2), [], [1, 1]]
    assert exact_match(said, right) == Mean(4, 5)
    assert count_edits(said, right) == Edits(deletions=1, length=8)


def test_rates_where_there_is_nothing():
    assert math.isnan(count_edits([[]], [[]]).rate)
    assert count_edits(["abc"], [""]).rate == math.inf
    assert count_edits([], []) == Edits()
    assert count_edits(["abc", ""], ["a", ""]).rate == 2


def test_a_hundred_thousand_short_sequences_take_seconds(rng):
    said, right = ([row.tolist() for row in rng.integers(0, 40, (100_000, 8))] for _ in range(2))
    started = time.process_time()
    found = count_edits(said, right)
    assert found.length == 800_000
    assert time.process_time() - started < 10


def test_long_sequences_need_no_square_table(rng):
    right = rng.integers(0, 50, 3000)
    said = np.delete(right, np.arange(0, 3000, 10))
    assert count_edits([said], [right]) == Edits(deletions=300, length=3000)
    assert edit_distance(right, said) == 300


def test_bad_input_gets_a_clear_message():
    with pytest.raises(TypeError, match="predictions must be a list with a sequence of tokens for each item"):
        count_edits("abc", "abd")
    with pytest.raises(ValueError, match="there are 1 predictions and 2 references"):
        exact_match(["a"], ["a", "b"])
    for reference in ([], "ab"):
        with pytest.raises(ValueError, match="item 1 needs a list of at least one right sequence"):
            count_edits(["a", "b"], [["a"], reference], several=True)
