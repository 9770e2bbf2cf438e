"""French and English."""

import os
import re
import unicodedata
from typing import Any, Literal

from seqjax.data.archives import zipped
from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import divide
from seqjax.errors import DataError

_TOKENS = {
    # An apostrophe belongs to the word before it in French (l' eau), and is inside a word in English (don't).
    "french": re.compile(r"\w+(?:-\w+)*'?|[^\w\s]"),
    "english": re.compile(r"\w+(?:[-'.]\w+)*|[^\w\s]"),
}


def french_english(
    root: str | os.PathLike[str] | None = None,
    source: Literal["french", "english"] = "french",
    level: Literal["word", "text"] = "word",
    maximum_length: int = 12,
    validation: float = 0.02,
    test: float = 0.02,
    seed: int = 0,
) -> Dataset:
    """Sentences and their translations, from Tatoeba: 142,787 pairs of 2017.

    Letters are made lower case, spaces and apostrophes alike, words and punctuation are taken apart; ``level="text"``
    gives the same without taking apart, for vocabularies of characters or pieces. Pairs with more than
    ``maximum_length`` words on a side are left out and counted. Translations of a sentence, translations of those, and
    so on, are in one part, so that no sentence of either language is in two. Training has a record for each pair;
    validation and test have one for each sentence, with all its translations as references.

    Raises:
        DataError: no pair is left.
    """
    text = zipped(read_verified("tatoeba_fra_eng/fra-eng.zip", root), "fra.txt").decode()
    pairs: dict[tuple[str, str], None] = {}
    left_out = 0
    for line in text.splitlines():
        english, french = (_normalized(side) for side in line.split("\t"))
        if max(len(_tokens(french, "french")), len(_tokens(english, "english"))) > maximum_length:
            left_out += 1
        else:
            pairs[(french, english) if source == "french" else (english, french)] = None
    if not pairs:
        raise DataError(
            f"french-english: no sentence has at most maximum_length={maximum_length} words; make it larger"
        )

    def sequence(side: str, language: str) -> Any:
        return side if level == "text" else _tokens(side, language)

    target = {"french": "english", "english": "french"}[source]
    unique = list(pairs)
    # Texts that differ in spaces only are the same sentence.
    sentences = [(" ".join(_tokens(a, source)), " ".join(_tokens(b, target))) for a, b in unique]
    kept, *heldout = divide(_families(sentences), [test, validation], seed)
    train = [unique[index] for index in kept.tolist()]
    parts = [Records([sequence(a, source) for a, _ in train], [sequence(b, target) for _, b in train])]
    for part in heldout:
        translations: dict[str, list[Any]] = {}
        for index in part.tolist():
            sentence, translation = unique[index]
            translations.setdefault(sentence, []).append(sequence(translation, target))
        parts.append(
            Records(
                [sequence(sentence, source) for sentence in translations],
                [each[0] for each in translations.values()],
                references=list(translations.values()),
            )
        )
    return Dataset("french-english", parts[0], parts[2], parts[1], details={"left_out": left_out})


def _normalized(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("‘", "'")
    return " ".join("".join(" " if c.isspace() else c for c in text if unicodedata.category(c) != "Cf").split())


def _tokens(text: str, language: str) -> list[str]:
    return _TOKENS[language].findall(text)


def _families(pairs: list[tuple[str, str]]) -> list[int]:
    """For each pair a number that is the same for pairs which a chain of translations connects."""
    parent: dict[tuple[int, str], tuple[int, str]] = {}

    def root(node: tuple[int, str]) -> tuple[int, str]:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for first, second in pairs:
        parent[root((0, first))] = root((1, second))
    numbers: dict[tuple[int, str], int] = {}
    return [numbers.setdefault(root((0, first)), len(numbers)) for first, _ in pairs]
