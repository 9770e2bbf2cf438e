"""Vocabularies of tokens, bytes and pieces: what is encoded comes back, and what cannot be encoded is said."""

import json
import sys

import numpy as np
import pytest

from seqjax.data import BytePairVocabulary, ByteTokenVocabulary, TokenVocabulary, token_vocabulary_from_json
from seqjax.data.token_vocabulary import BEGIN, END, PADDING, UNKNOWN
from seqjax.errors import DataError, MissingExtra

SPECIAL = (PADDING, UNKNOWN, BEGIN, END)
TEXTS = ["héllo 漢字", "", " two  spaces ", "a\nb\tc", "<end> <padding>", "\x00\x7f", "🎵 music"]


def test_frequent_tokens_come_first_and_rare_ones_may_be_left_out():
    sentences = [["b", "a", "b"], ["c", "b", "a"], ["d"]]
    assert TokenVocabulary.learn(sentences, special=()).tokens == ("b", "a", "c", "d")
    assert TokenVocabulary.learn(sentences, special=SPECIAL, minimum_count=2).tokens == (*SPECIAL, "b", "a")
    assert TokenVocabulary.learn(sentences, maximum_size=3).tokens == (UNKNOWN, "b", "a")
    assert TokenVocabulary.of_counts({"x": 1, "y": 3}) == TokenVocabulary.learn("yxyy")


def test_tokens_come_back():
    vocabulary = TokenVocabulary.learn([["play", "jazz"]], special=SPECIAL)
    numbers = vocabulary.encode(["jazz", "play"])
    assert numbers.dtype == np.int32
    assert vocabulary.decode(numbers) == ["jazz", "play"]
    assert vocabulary.text([2, *numbers, 3, 4, 4]) == "jazz play"
    assert vocabulary.text([1, 4, 0, 0]) == "<unknown> jazz"
    characters = TokenVocabulary.learn(["abc"], special=(END,))
    assert characters.text(characters.encode("cab"), separator="") == "cab"
    assert TokenVocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


def test_unknown_tokens_are_mapped_and_counted_or_refused():
    vocabulary = TokenVocabulary.learn([["play", "jazz"]])
    assert vocabulary.encode(["play", "polka", "polka"]).tolist() == [vocabulary.number("play"), 0, 0]
    assert vocabulary.unknown_count(["play", "polka", "polka"]) == 2
    with pytest.raises(DataError, match="token 'polka' at position 1 is not among the 3"):
        vocabulary.encode(["play", "polka"], unknown="refuse")
    with pytest.raises(DataError, match="token 'x' at position 0 is not among the 2"):
        TokenVocabulary(("a", "b")).encode("x")
    with pytest.raises(DataError, match=r"cannot decode numbers from -1 to 5; expected 0 to 2"):
        vocabulary.decode([-1, 5])
    with pytest.raises(DataError, match="got 2 of which 1 differ"):
        TokenVocabulary(("a", "a"))
    with pytest.raises(DataError, match="not a vocabulary"):
        token_vocabulary_from_json({"kind": "else"})


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_come_back(text):
    vocabulary = ByteTokenVocabulary(SPECIAL)
    numbers = vocabulary.encode(text)
    assert numbers.tolist() == [byte + 4 for byte in text.encode()]
    assert vocabulary.text([2, *numbers, 3, 0, 99]) == text
    assert vocabulary.size == 260
    assert vocabulary.number(END) == 3
    assert token_vocabulary_from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@pytest.fixture(scope="module")
def pieces():
    pytest.importorskip("tokenizers")
    return BytePairVocabulary.learn(["the cat sat on the mat"] * 20, 280, SPECIAL)


@pytest.mark.parametrize("text", [*TEXTS, "the cat sat"])
def test_pieces_come_back_whatever_was_not_in_the_training(pieces, text):
    numbers = pieces.encode(text)
    assert numbers.dtype == np.int32
    assert not numbers.size or (numbers.min() >= 4 and numbers.max() < pieces.size)
    assert pieces.text([2, *numbers, 3, 0, 99]) == text
    again = token_vocabulary_from_json(json.loads(json.dumps(pieces.to_json())))
    assert again == pieces
    np.testing.assert_array_equal(again.encode(text), numbers)


def test_pieces_are_learnt(pieces):
    assert 260 < pieces.size <= 280
    assert len(pieces.encode("the cat")) < len("the cat")
    assert pieces == BytePairVocabulary.learn(["the cat sat on the mat"] * 20, 280, SPECIAL)
    with pytest.raises(DataError, match=r"at least 256 \+ 4 special tokens, got 100"):
        BytePairVocabulary.learn(["a"], 100, SPECIAL)
    with pytest.raises(DataError, match=r"cannot decode numbers from 0 to 5000"):
        pieces.text([0, 5000])


def test_pieces_without_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'seqjax\[tokenizers\]'"):
        BytePairVocabulary.learn(["a"], 300)
