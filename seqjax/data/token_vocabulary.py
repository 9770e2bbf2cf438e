"""Tokens - words, phones, tags, characters - and their numbers."""

import collections
import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from seqjax.errors import DataError, nearest

PADDING = "<padding>"
UNKNOWN = "<unknown>"
BEGIN = "<begin>"
END = "<end>"


@dataclasses.dataclass(frozen=True)
class TokenVocabulary:
    """Tokens by their numbers; special ones stand first.

    Attributes:
        tokens: all of them, each once.

    Example:
        >>> words = TokenVocabulary.learn([["play", "some", "jazz"], ["play", "it"]], special=(UNKNOWN, END))
        >>> words.tokens
        ('<unknown>', '<end>', 'play', 'it', 'jazz', 'some')
        >>> words.encode(["play", "polka"]).tolist(), words.decode([2, 4])
        ([2, 0], ['play', 'jazz'])
    """

    kind: ClassVar[str] = "token"
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.tokens or len(set(self.tokens)) != len(self.tokens):
            raise DataError(
                f"a vocabulary needs tokens, each once, got {len(self.tokens)} of which {len(set(self.tokens))} "
                "differ; make one with TokenVocabulary.learn"
            )

    @classmethod
    def learn(
        cls,
        sequences: Iterable[Iterable[str]],
        *,
        special: Sequence[str] = (UNKNOWN,),
        minimum_count: int = 1,
        maximum_size: int | None = None,
    ) -> "TokenVocabulary":
        """The tokens of sequences, the most frequent first, after the special ones.

        Args:
            sequences: each a list of tokens, or a string, whose tokens are its characters.
            special: tokens that are there in any case; with :data:`UNKNOWN` among them, every token has a number.
            minimum_count: leave out those that occur less often.
            maximum_size: leave out the rarest so that no more are left, special ones included.
        """
        counts = collections.Counter(token for sequence in sequences for token in sequence)
        return cls.of_counts(counts, special=special, minimum_count=minimum_count, maximum_size=maximum_size)

    @classmethod
    def of_counts(
        cls,
        counts: Mapping[str, int],
        *,
        special: Sequence[str] = (UNKNOWN,),
        minimum_count: int = 1,
        maximum_size: int | None = None,
    ) -> "TokenVocabulary":
        """As :meth:`learn`, where it is known how often each token occurs."""
        found = sorted((-count, token) for token, count in counts.items() if count >= minimum_count)
        return cls((*special, *(token for _, token in found if token not in special))[:maximum_size])

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.tokens)

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def __contains__(self, token: str) -> bool:
        return token in self._numbers

    def number(self, token: str) -> int:
        """The number of a token.

        Raises:
            DataError: a token that the vocabulary does not have.
        """
        if token not in self._numbers:
            raise DataError(
                f"token {token!r} is not among the {self.size} of the vocabulary; {nearest(token, self.tokens)}"
            )
        return self._numbers[token]

    def encode(self, tokens: Sequence[str], unknown: Literal["map", "refuse"] = "map") -> np.ndarray:
        """The numbers of tokens, [len(tokens)] int32; those it does not have are :data:`UNKNOWN`.

        Args:
            tokens: a list of them, or a string, whose tokens are its characters.
            unknown: ``refuse`` tokens that the vocabulary does not have, even if it has a number for them.

        Raises:
            DataError: a token that the vocabulary does not have, and it is refused or there is no :data:`UNKNOWN`.
        """
        number = self._numbers.get(UNKNOWN) if unknown == "map" else None
        numbers = [self._numbers.get(token, number) for token in tokens]
        if None in numbers:
            position = numbers.index(None)
            raise DataError(
                f"token {tokens[position]!r} at position {position} is not among the {self.size} of the vocabulary, "
                "and unknown ones have no number; leave the token out, or train with data that has it"
            )
        return np.array(numbers, np.int32)

    def unknown_count(self, tokens: Sequence[str]) -> int:
        """How many of the tokens the vocabulary does not have."""
        return sum(token not in self._numbers for token in tokens)

    def decode(self, numbers: npt.ArrayLike) -> list[str]:
        """The tokens of numbers.

        Raises:
            DataError: a number that no token has.
        """
        values = np.asarray(numbers)
        if values.size and (values.min() < 0 or values.max() >= self.size):
            raise DataError(
                f"cannot decode numbers from {values.min()} to {values.max()}; expected 0 to {self.size - 1}: was the "
                "model trained with another vocabulary?"
            )
        return [self.tokens[number] for number in values.tolist()]

    def text(self, numbers: npt.ArrayLike, separator: str = " ") -> str:
        """The tokens of numbers up to :data:`END`, without special ones but :data:`UNKNOWN`, and with spaces between.

        Args:
            numbers: of tokens.
            separator: what stands between them; empty for characters.
        """
        tokens = self.decode(numbers)
        tokens = tokens[: tokens.index(END)] if END in tokens else tokens
        return separator.join(token for token in tokens if token not in (PADDING, BEGIN))

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` reads."""
        return {"kind": self.kind, "tokens": list(self.tokens)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TokenVocabulary":
        """The inverse of :meth:`to_json`.

        Raises:
            DataError: values that are not those of a vocabulary.
        """
        match values:
            case {"kind": cls.kind, "tokens": [*tokens]}:
                return cls(tuple(tokens))
        raise DataError(
            f"not a vocabulary: {str(values)[:80]}; expected kind 'token' with its tokens; take the file from the run "
            "that trained the model"
        )
