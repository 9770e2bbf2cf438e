"""Words and characters as numbers: by a vocabulary, in bytes, or in frequent pieces."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqjax.data import (
    BytePairVocabulary,
    ByteTokenVocabulary,
    SequencesConfig,
    TokenVocabulary,
    token_vocabulary_from_json,
)
from seqjax.data.token_vocabulary import END, UNKNOWN
from seqjax.decoding import Automaton


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Sequences of tokens, or strings of characters, as the numbers that a model reads and writes.

    Attributes:
        vocabulary: of the tokens, or of pieces of the text that they make.
        words: a token is a word, and a line of text has its tokens between spaces; else it is a character.
    """

    vocabulary: TokenVocabulary | ByteTokenVocabulary | BytePairVocabulary
    words: bool = False

    @classmethod
    def learn(cls, sequences: Sequence[Any] | np.ndarray, config: SequencesConfig, *, ends: bool = False) -> "Tokens":
        """From the training part.

        Args:
            sequences: each a list of tokens, or a string.
            config: which vocabulary.
            ends: there is a token that ends a sequence.
        """
        words, special = not isinstance(sequences[0], str), (END,) if ends else ()
        if config.vocabulary == "bytes":
            return cls(ByteTokenVocabulary(special), words)
        if config.vocabulary == "byte_pairs":
            texts = (" ".join(sequence) if words else sequence for sequence in sequences)
            return cls(BytePairVocabulary.learn(texts, config.vocabulary_size, special), words)
        known = TokenVocabulary.learn(sequences, special=(UNKNOWN, *special), minimum_count=config.minimum_count)
        return cls(known, words)

    @property
    def size(self) -> int:
        """Number of different numbers."""
        return self.vocabulary.size

    @property
    def end(self) -> int:
        """The number of the token that ends a sequence."""
        return self.vocabulary.number(END)

    @property
    def unknown_number(self) -> int | None:
        """The number of what the vocabulary does not have; none where there is nothing that it does not have."""
        vocabulary = self.vocabulary
        return vocabulary.number(UNKNOWN) if isinstance(vocabulary, TokenVocabulary) and UNKNOWN in vocabulary else None

    def known_only(self) -> Automaton | None:
        """Permits a decoder every token but the unknown one; none where there is no such token."""
        if self.unknown_number is None:
            return None
        transitions = np.zeros((1, self.size), np.int32)
        transitions[0, self.unknown_number] = -1
        return Automaton(transitions)

    def encode(self, sequence: Any) -> np.ndarray:
        """The numbers of a sequence, int32."""
        if isinstance(self.vocabulary, TokenVocabulary):
            return self.vocabulary.encode(sequence)
        return self.vocabulary.encode(self.text(sequence))

    def decode(self, numbers: npt.ArrayLike) -> list[str]:
        """The tokens of numbers; in pieces, up to the end, and without special ones."""
        if isinstance(self.vocabulary, TokenVocabulary):
            return self.vocabulary.decode(numbers)
        return list(self.parse(self.vocabulary.text(numbers)))

    def steps(self, numbers: npt.ArrayLike) -> list[str]:
        """What each number stands for: a token, or a piece."""
        if isinstance(self.vocabulary, TokenVocabulary):
            return self.vocabulary.decode(numbers)
        return [self.vocabulary.text([number]) for number in np.asarray(numbers).tolist()]

    def unknown(self, sequence: Any) -> list[str]:
        """The tokens that the vocabulary does not have."""
        if isinstance(self.vocabulary, TokenVocabulary):
            return [token for token in sequence if token not in self.vocabulary]
        return []

    def text(self, sequence: Any) -> str:
        """A sequence in a line."""
        return " ".join(sequence) if self.words else "".join(sequence)

    def parse(self, line: str) -> Any:
        """The inverse of :meth:`text`."""
        return line.split() if self.words else line

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"vocabulary": self.vocabulary.to_json(), "words": self.words}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Tokens":
        """The inverse of :meth:`to_json`."""
        return cls(token_vocabulary_from_json(values["vocabulary"]), values["words"])
