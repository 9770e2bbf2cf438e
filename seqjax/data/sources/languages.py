"""Formal languages: strings that belong to them, and strings that nearly do."""

import re
from collections.abc import Callable, Mapping
from typing import Literal

from seqjax.data.draws import Draws
from seqjax.data.records import Dataset, Records
from seqjax.errors import DataError


def formal_language(
    language: Literal["anbn", "anbncn", "dyck", "tomita4"] = "dyck",
    longest: int = 20,
    longest_tested: int = 40,
    train: int = 4000,
    validation: int = 500,
    test: int = 500,
    seed: int = 0,
) -> Dataset:
    """Strings that belong to a language (``yes``) and strings that nearly do (``no``), one half each.

    ``anbn`` and ``anbncn`` have equal numbers of each letter in order, ``dyck`` brackets of two kinds that match,
    ``tomita4`` zeros and ones without three zeros in a row. Training and validation have strings of up to ``longest``
    symbols, the test longer ones of up to ``longest_tested``. A language has few words of each length, so strings are
    repeated, and validation shows how well they are known by heart: the test is the measure.

    Raises:
        DataError: lengths out of order.
    """
    if not 6 <= longest < longest_tested:
        raise DataError(f"formal-language: expected 6 <= longest < longest_tested, got {longest} and {longest_tested}")
    parts = []
    for number, (count, shortest, most) in enumerate(
        ((train, 0, longest), (validation, 0, longest), (test, longest + 1, longest_tested))
    ):
        draws, inputs, targets = Draws(seed, number), [], []
        while len(inputs) < count:
            word = _MEMBERS[language](draws, draws.integer(max(shortest, 2), most + 1))
            wanted = len(inputs) % 2 == 0
            text = word if wanted else _spoilt(word, draws)
            if shortest <= len(text) <= most and belongs(language, text) == wanted:
                inputs.append(text)
                targets.append("yes" if wanted else "no")
        parts.append(Records(inputs, targets))
    return Dataset("formal-language", *parts)


def belongs(language: str, text: str) -> bool:
    """Whether a string is a word of a language of :func:`formal_language`."""
    if language == "dyck":
        previous = None
        while previous != text:
            previous, text = text, text.replace("()", "").replace("[]", "")
        return not text
    if language == "tomita4":
        return "000" not in text
    letters = {"anbn": "ab", "anbncn": "abc"}[language]
    return text == "".join(letter * (len(text) // len(letters)) for letter in letters)


def _dyck(draws: Draws, length: int) -> str:
    text, open_brackets = "", ""
    for left in range(length - length % 2, 0, -1):
        if open_brackets and (len(open_brackets) == left or draws.integer(0, 2)):
            text, open_brackets = text + open_brackets[-1], open_brackets[:-1]
        else:
            kind = draws.integer(0, 2)
            text, open_brackets = text + "(["[kind], open_brackets + ")]"[kind]
    return text


def _tomita4(draws: Draws, length: int) -> str:
    return re.sub("000", "001", "".join(map(str, draws.integers(0, 2, length))))


def _spoilt(word: str, draws: Draws) -> str:
    """One symbol exchanged for another, left out, or doubled."""
    place, symbols = draws.integer(0, len(word)), sorted(set(word))
    middle = (symbols[draws.integer(0, len(symbols))], "", 2 * word[place])[draws.integer(0, 3)]
    return word[:place] + middle + word[place + 1 :]


_MEMBERS: Mapping[str, Callable[[Draws, int], str]] = {
    "anbn": lambda draws, length: "a" * (length // 2) + "b" * (length // 2),
    "anbncn": lambda draws, length: "".join(letter * (length // 3) for letter in "abc"),
    "dyck": _dyck,
    "tomita4": _tomita4,
}
