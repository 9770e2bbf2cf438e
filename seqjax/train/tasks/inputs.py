"""What a model of sequences reads: tokens by a vocabulary, or features."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqjax.data import SequencesConfig, TokenVocabulary
from seqjax.data.features import FeatureScale
from seqjax.errors import DataError


@dataclasses.dataclass(frozen=True)
class Inputs:
    """How inputs become arrays; either a vocabulary or a size is set.

    Attributes:
        vocabulary: of tokens.
        size: number of features.
        scale: what features are brought to; they stay as they are if not given.
        words: a token is a word, and a line of text has its tokens between spaces; else it is a character.
    """

    vocabulary: TokenVocabulary | None = None
    size: int | None = None
    scale: FeatureScale | None = None
    words: bool = False

    @classmethod
    def learn(
        cls, inputs: Sequence[Any] | np.ndarray, config: SequencesConfig, *, standardize: bool = False
    ) -> "Inputs":
        """From the inputs of the training part; on request features are brought to its mean 0 and variance 1."""
        first = inputs[0]
        if isinstance(first, np.ndarray) and np.issubdtype(first.dtype, np.inexact):
            return cls(size=int(first.shape[-1]), scale=FeatureScale.of(list(inputs)) if standardize else None)
        vocabulary = TokenVocabulary.learn(inputs, minimum_count=config.minimum_count)
        return cls(vocabulary=vocabulary, words=not isinstance(first, str))

    @property
    def model_options(self) -> dict[str, int]:
        """What the model is told."""
        if self.vocabulary is not None:
            return {"vocabulary_size": self.vocabulary.size}
        assert self.size is not None
        return {"input_size": self.size}

    @property
    def unit(self) -> str:
        """What is counted."""
        return "frame" if self.vocabulary is None else "token"

    def encode(self, inputs: Sequence[Any] | np.ndarray) -> list[np.ndarray]:
        """An array a record: ``[time]`` of whole numbers, or ``[time, size]``."""
        if self.vocabulary is not None:
            return [self.vocabulary.encode(sequence) for sequence in inputs]
        arrays = [np.asarray(sequence, np.float32) for sequence in inputs]
        for number, array in enumerate(arrays):
            if array.ndim != 2 or array.shape[1] != self.size:
                raise DataError(f"input {number} has shape {array.shape}, expected [time, {self.size}]")
        return arrays if self.scale is None else [self.scale(array) for array in arrays]

    def text(self, sequence: Any) -> str:
        """An input in a line."""
        if self.vocabulary is None:
            return f"[{len(sequence)} frames]"
        return " ".join(sequence) if self.words else "".join(sequence)

    def parse(self, line: str) -> Any:
        """The inverse of :meth:`text` for tokens."""
        return line.split() if self.words else line

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        vocabulary = None if self.vocabulary is None else self.vocabulary.to_json()
        scale = self.scale and {"mean": self.scale.mean.tolist(), "deviation": self.scale.deviation.tolist()}
        return {"vocabulary": vocabulary, "size": self.size, "scale": scale, "words": self.words}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Inputs":
        """The inverse of :meth:`to_json`."""
        vocabulary, scale = values["vocabulary"], values["scale"]
        return cls(
            vocabulary=None if vocabulary is None else TokenVocabulary.from_json(vocabulary),
            size=values["size"],
            scale=None if scale is None else FeatureScale(np.array(scale["mean"]), np.array(scale["deviation"])),
            words=values["words"],
        )
