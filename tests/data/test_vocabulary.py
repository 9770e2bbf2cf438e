"""Round trips, and what happens to symbols that a vocabulary does not have."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqjax.data import (
    ByteVocabulary,
    CharacterVocabulary,
    Corpus,
    TextConfig,
    vocabulary_for,
    vocabulary_from_json,
)
from seqjax.errors import DataError

ANY_TEXT = st.text(st.characters(), min_size=1)


@given(ANY_TEXT)
def test_characters_round_trip(text):
    vocabulary = CharacterVocabulary.from_text(text)
    numbers = vocabulary.encode(text)
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [sorted(set(text)).index(character) for character in text]
    assert vocabulary.decode(numbers) == text
    assert vocabulary.size == len(set(text))


@given(st.binary())
def test_bytes_round_trip(content):
    vocabulary = ByteVocabulary()
    numbers = vocabulary.encode(content)
    assert numbers.dtype == np.int32
    assert numbers.tolist() == list(content)
    assert vocabulary.decode_bytes(numbers) == content
    assert vocabulary.decode(numbers) == content.decode(errors="replace")
    # What the shell hands over for an argument that is not UTF-8.
    np.testing.assert_array_equal(vocabulary.encode(content.decode(errors="surrogateescape")), numbers)


@given(st.text())
def test_texts_round_trip_as_bytes(text):
    assert ByteVocabulary().decode(ByteVocabulary().encode(text)) == text


def test_bytes_that_are_not_text_are_replaced():
    assert ByteVocabulary().decode([0x61, 0xFF, 0x62]) == "a\ufffdb"


@pytest.mark.parametrize("vocabulary", [CharacterVocabulary.from_text('h\n"é漢\ud800'), ByteVocabulary()])
def test_json(vocabulary):
    assert vocabulary_from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@pytest.mark.parametrize("data", [{}, {"kind": "word"}, {"kind": "character"}, {"kind": "character", "characters": 3}])
def test_json_of_something_else(data):
    with pytest.raises(DataError, match="not a vocabulary"):
        vocabulary_from_json(data)


@pytest.mark.parametrize("characters", ["", "ba", "aa"])
def test_characters_out_of_order(characters):
    with pytest.raises(DataError, match="ascending order"):
        vocabulary_from_json({"kind": "character", "characters": characters})


@pytest.mark.parametrize(("text", "named"), [("abé", "'é' (U+00E9) at position 2"), ("\U0001f600a", "at position 0")])
def test_a_character_that_is_not_there(text, named):
    with pytest.raises(DataError, match=r"not among the 3 of the vocabulary.*vocabulary=byte") as caught:
        CharacterVocabulary.from_text("abc").encode(text)
    assert named in str(caught.value)


@pytest.mark.parametrize("numbers", [[3], [-1], [0.5], [[0]]])
def test_numbers_that_are_no_symbols(numbers):
    with pytest.raises(DataError, match="expected one axis of integers from 0 to 2"):
        CharacterVocabulary.from_text("abc").decode(numbers)


def test_nothing_is_nothing():
    for vocabulary in (CharacterVocabulary.from_text("abc"), ByteVocabulary()):
        assert vocabulary.encode("").shape == (0,)
        assert vocabulary.decode([]) == ""


def test_the_vocabulary_of_a_corpus_has_the_heldout_characters_too():
    corpus = Corpus("test", "abab", "abc")
    vocabulary = vocabulary_for(TextConfig(), corpus)
    assert vocabulary == CharacterVocabulary("abc")
    assert vocabulary.encode(corpus.heldout).tolist() == [0, 1, 2]
    assert vocabulary_for(TextConfig(vocabulary="byte"), corpus) == ByteVocabulary()
