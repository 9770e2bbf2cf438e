"""Symbols and their numbers."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seqjax.data.config import TextConfig
from seqjax.data.corpora import Corpus
from seqjax.errors import DataError


@dataclasses.dataclass(frozen=True)
class CharacterVocabulary:
    """One symbol a character (a Unicode code point), numbered in the order of the code points.

    Attributes:
        characters: all of them, ascending, each once.
    """

    kind: ClassVar[str] = "character"
    characters: str

    def __post_init__(self) -> None:
        if not self.characters or self.characters != "".join(sorted(set(self.characters))):
            raise DataError(
                "a character vocabulary needs its characters in ascending order, each once, at least one, "
                f"got {self.characters!r}; make one with CharacterVocabulary.from_text"
            )

    @classmethod
    def from_text(cls, text: str) -> "CharacterVocabulary":
        """The vocabulary of the characters that occur in a text."""
        return cls("".join(sorted(set(text))))

    @property
    def size(self) -> int:
        """Number of symbols."""
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The numbers of a text's characters, [len(text)] int32.

        Raises:
            DataError: for a character that the vocabulary does not have.
        """
        known, wanted = _code_points(self.characters), _code_points(text)
        numbers = np.minimum(np.searchsorted(known, wanted), self.size - 1)
        missing = np.flatnonzero(known[numbers] != wanted)
        if missing.size:
            position = int(missing[0])
            character = text[position]
            raise DataError(
                f"character {character!r} (U+{ord(character):04X}) at position {position} is not among the {self.size} "
                "of the vocabulary; leave it out of the text, or train with data.vocabulary=byte, which has every text"
            )
        return numbers.astype(np.int32)

    def decode(self, numbers: npt.ArrayLike) -> str:
        """The text of the numbers of characters."""
        numbers = _in_range(numbers, self.size)
        return _code_points(self.characters)[numbers].tobytes().decode("utf-32-le", "surrogatepass")

    def to_json(self) -> dict[str, Any]:
        """What :func:`vocabulary_from_json` reads."""
        return {"kind": self.kind, "characters": self.characters}


@dataclasses.dataclass(frozen=True)
class ByteVocabulary:
    """One symbol a byte of UTF-8: 256 of them, and every text can be written."""

    kind: ClassVar[str] = "byte"
    size: ClassVar[int] = 256

    def encode(self, text: str | bytes) -> np.ndarray:
        """The bytes of a text, [number of bytes] int32."""
        # Command-line arguments that are not UTF-8 reach Python as escaped surrogates; this gives back their bytes.
        content = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        return np.frombuffer(content, np.uint8).astype(np.int32)

    def decode_bytes(self, numbers: npt.ArrayLike) -> bytes:
        """Exactly the bytes that were encoded."""
        return _in_range(numbers, self.size).astype(np.uint8).tobytes()

    def decode(self, numbers: npt.ArrayLike) -> str:
        """The text of bytes, with U+FFFD for bytes that are not UTF-8, as a sample may well have."""
        return self.decode_bytes(numbers).decode(errors="replace")

    def to_json(self) -> dict[str, Any]:
        """What :func:`vocabulary_from_json` reads."""
        return {"kind": self.kind}


Vocabulary = CharacterVocabulary | ByteVocabulary


def vocabulary_for(config: TextConfig, corpus: Corpus) -> Vocabulary:
    """The vocabulary that a configuration asks for.

    A character vocabulary is that of both parts of the corpus. The model is thus told which characters there are and
    learns nothing of those that only the held-out part has, so it pays for each of them in full; none is folded into a
    cheap "unknown" symbol. The baselines are given the same alphabet.
    """
    if config.vocabulary == "byte":
        return ByteVocabulary()
    return CharacterVocabulary.from_text(corpus.train + corpus.heldout)


def vocabulary_from_json(data: Mapping[str, Any]) -> Vocabulary:
    """The inverse of ``to_json``.

    Raises:
        DataError: if the data is not that of a vocabulary.
    """
    match data:
        case {"kind": CharacterVocabulary.kind, "characters": str(characters)}:
            return CharacterVocabulary(characters)
        case {"kind": ByteVocabulary.kind}:
            return ByteVocabulary()
    raise DataError(
        f"not a vocabulary: {data!r}; expected kind 'character' with its characters, or kind 'byte'; "
        "take the file from the run that trained the model"
    )


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _in_range(numbers: npt.ArrayLike, size: int) -> np.ndarray:
    numbers = np.asarray(numbers)
    if numbers.size == 0:
        return numbers.astype(np.int64)
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer) or numbers.min() < 0 or numbers.max() >= size:
        raise DataError(
            f"cannot decode {numbers.dtype}{list(numbers.shape)} with values from {numbers.min()} to {numbers.max()}; "
            f"expected one axis of integers from 0 to {size - 1}: was the model trained with another vocabulary?"
        )
    return numbers
