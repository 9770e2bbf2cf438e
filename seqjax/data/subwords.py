"""Texts as bytes or as frequent pieces of words: vocabularies that no text has an unknown token for."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from seqjax.data.token_vocabulary import END, TokenVocabulary
from seqjax.errors import DataError, require


@dataclasses.dataclass(frozen=True)
class ByteTokenVocabulary:
    """The 256 bytes of UTF-8 after special tokens.

    Attributes:
        special: what stands before the bytes.

    Example:
        >>> vocabulary = ByteTokenVocabulary(special=("<end>",))
        >>> vocabulary.encode("hé").tolist(), vocabulary.text([105, 196, 170, 0, 105])
        ([105, 196, 170], 'hé')
    """

    kind: ClassVar[str] = "byte-token"
    special: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.special) + 256

    def number(self, token: str) -> int:
        """The number of a special token."""
        return TokenVocabulary(self.special).number(token)

    def encode(self, text: str) -> np.ndarray:
        """The numbers of a text's bytes, [number of bytes] int32."""
        # Command-line arguments that are not UTF-8 reach Python as escaped surrogates; this gives back their bytes.
        return np.frombuffer(text.encode(errors="surrogateescape"), np.uint8).astype(np.int32) + len(self.special)

    def text(self, numbers: npt.ArrayLike) -> str:
        """The text up to :data:`END`, without special tokens, with U+FFFD for bytes that are not UTF-8."""
        kept = _plain(numbers, self.special, self.size)
        return kept.astype(np.uint8).tobytes().decode(errors="replace")

    def to_json(self) -> dict[str, Any]:
        """What :func:`token_vocabulary_from_json` reads."""
        return {"kind": self.kind, "special": list(self.special)}


@dataclasses.dataclass(frozen=True)
class BytePairVocabulary:
    """Pieces of words by byte pair encoding (Sennrich, Haddow and Birch 2016), after special tokens.

    The pieces are of bytes, so that every text can be written; the package ``tokenizers`` learns and applies them. A
    special token is a number only: a text in which its name stands has no special token.

    Attributes:
        definition: the learnt pieces, in the JSON of ``tokenizers``.
        special: what stands before the pieces.
    """

    kind: ClassVar[str] = "byte-pair"
    definition: str
    special: tuple[str, ...] = ()

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, special: Sequence[str] = ()) -> "BytePairVocabulary":
        """The pieces of the texts of a training part.

        Args:
            texts: what is learnt from.
            size: of the vocabulary at most, special tokens included.
            special: what stands before the pieces.

        Raises:
            DataError: a size that the bytes and the special tokens alone are over.
            MissingExtra: ``tokenizers`` is not installed.
        """
        if size < 256 + len(special):
            raise DataError(f"byte pairs need a size of at least 256 + {len(special)} special tokens, got {size}")
        tokenizers = _tokenizers()
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        # Without all bytes in the alphabet those that do not occur would be dropped from texts without a word.
        alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size - len(special), initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str(), tuple(special))

    @functools.cached_property
    def _tokenizer(self) -> Any:
        return _tokenizers().Tokenizer.from_str(self.definition)

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.special) + self._tokenizer.get_vocab_size()

    def number(self, token: str) -> int:
        """The number of a special token."""
        return TokenVocabulary(self.special).number(token)

    def encode(self, text: str) -> np.ndarray:
        """The numbers of a text's pieces, int32."""
        return np.array(self._tokenizer.encode(text).ids, np.int32) + np.int32(len(self.special))

    def text(self, numbers: npt.ArrayLike) -> str:
        """The text up to :data:`END`, without special tokens."""
        return self._tokenizer.decode(_plain(numbers, self.special, self.size).tolist())

    def to_json(self) -> dict[str, Any]:
        """What :func:`token_vocabulary_from_json` reads."""
        return {"kind": self.kind, "definition": self.definition, "special": list(self.special)}


def token_vocabulary_from_json(
    values: Mapping[str, Any],
) -> TokenVocabulary | ByteTokenVocabulary | BytePairVocabulary:
    """The inverse of the vocabularies' ``to_json``.

    Raises:
        DataError: values that are not those of a vocabulary.
    """
    match values:
        case {"kind": ByteTokenVocabulary.kind, "special": [*special]}:
            return ByteTokenVocabulary(tuple(special))
        case {"kind": BytePairVocabulary.kind, "definition": str(definition), "special": [*special]}:
            return BytePairVocabulary(definition, tuple(special))
    return TokenVocabulary.from_json(values)


def _plain(numbers: npt.ArrayLike, special: tuple[str, ...], size: int) -> np.ndarray:
    """The numbers before :data:`END` without special tokens, counted from the first that is not special."""
    values = np.asarray(numbers, np.int64)
    if values.size and (values.min() < 0 or values.max() >= size):
        raise DataError(
            f"cannot decode numbers from {values.min()} to {values.max()}; expected 0 to {size - 1}: was the model "
            "trained with another vocabulary?"
        )
    ends = np.flatnonzero(values == special.index(END)) if END in special else np.array([], np.int64)
    values = values[: ends[0]] if ends.size else values
    return values[values >= len(special)] - len(special)


def _tokenizers() -> Any:
    return require("tokenizers", "tokenizers", "cuts words into frequent pieces")
