"""What a model of sequences reads: tokens, or features."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqjax.data import SequencesConfig
from seqjax.data.features import FeatureScale
from seqjax.errors import DataError
from seqjax.train.tasks.tokens import Tokens


@dataclasses.dataclass(frozen=True)
class Inputs:
    """How inputs become arrays; either tokens or a size is set.

    Attributes:
        tokens: how tokens become numbers.
        size: number of features.
        scale: what features are brought to; they stay as they are if not given.
    """

    tokens: Tokens | None = None
    size: int | None = None
    scale: FeatureScale | None = None

    @classmethod
    def learn(
        cls, inputs: Sequence[Any] | np.ndarray, config: SequencesConfig, *, standardize: bool = False
    ) -> "Inputs":
        """From the inputs of the training part; on request features are brought to its mean 0 and variance 1."""
        first = inputs[0]
        if isinstance(first, np.ndarray) and np.issubdtype(first.dtype, np.inexact):
            return cls(size=int(first.shape[-1]), scale=FeatureScale.of(list(inputs)) if standardize else None)
        return cls(tokens=Tokens.learn(inputs, config))

    @property
    def model_options(self) -> dict[str, int]:
        """What the model is told."""
        if self.tokens is not None:
            return {"vocabulary_size": self.tokens.size}
        assert self.size is not None
        return {"input_size": self.size}

    @property
    def unit(self) -> str:
        """What is counted."""
        return "frame" if self.tokens is None else "token"

    def encode(self, inputs: Sequence[Any] | np.ndarray) -> list[np.ndarray]:
        """An array a record: ``[time]`` of whole numbers, or ``[time, size]``."""
        if self.tokens is not None:
            return [self.tokens.encode(sequence) for sequence in inputs]
        arrays = [np.asarray(sequence, np.float32) for sequence in inputs]
        for number, array in enumerate(arrays):
            if array.ndim != 2 or array.shape[1] != self.size:
                raise DataError(f"input {number} has shape {array.shape}, expected [time, {self.size}]")
        return arrays if self.scale is None else [self.scale(array) for array in arrays]

    def text(self, sequence: Any) -> str:
        """An input in a line."""
        return f"[{len(sequence)} frames]" if self.tokens is None else self.tokens.text(sequence)

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        tokens = None if self.tokens is None else self.tokens.to_json()
        scale = self.scale and {"mean": self.scale.mean.tolist(), "deviation": self.scale.deviation.tolist()}
        return {"tokens": tokens, "size": self.size, "scale": scale}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Inputs":
        """The inverse of :meth:`to_json`."""
        tokens, scale = values["tokens"], values["scale"]
        return cls(
            tokens=None if tokens is None else Tokens.from_json(tokens),
            size=values["size"],
            scale=None if scale is None else FeatureScale(np.array(scale["mean"]), np.array(scale["deviation"])),
        )
