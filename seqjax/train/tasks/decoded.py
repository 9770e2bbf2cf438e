"""What tasks share whose predictions are sequences that a decoder finds."""

import functools
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from seqjax.data import Records
from seqjax.train.experiment import build_learner
from seqjax.train.learner import Learner, Objective
from seqjax.train.tasks.supervised import Answer, Outputs, SupervisedTask


class DecodedTask(SupervisedTask):
    """A task with a decoder: greedy while it is trained, and that of the configuration in the end."""

    @abstractmethod
    def decoded_by(self, decode: Any) -> Objective:
        """The objective whose evaluations decode as a section of the configuration says.

        They measure ``scores`` ``[batch, results]`` among others, ``-inf`` where there are fewer results.
        """

    @abstractmethod
    def said(self, outputs: Outputs) -> list[list[list[str]]]:
        """The tokens of all results for each record, the best first."""

    @abstractmethod
    def said_text(self, tokens: Sequence[str]) -> str:
        """A result, or a target, in a line."""

    @functools.cached_property
    def final_learner(self) -> Learner:
        """With the decoder of the configuration."""
        decode = self.config.decode
        if decode.method == "greedy":
            return self.learner
        return build_learner(self.config, self.make_model, self.decoded_by(decode))

    def unlabelled(self, inputs: Sequence[Any]) -> Records:
        """With empty targets."""
        return Records(inputs, [""] * len(inputs))

    def texts(self, records: Records, outputs: Outputs) -> list[str]:
        """The input, or the name of a record of features; the result; and the target where that is another."""
        lines = []
        for index, (said, target) in enumerate(zip(self.said(outputs), records.targets, strict=True)):
            tokens = self.inputs.tokens
            read = records.name(index) if tokens is None else tokens.text(records.inputs[index])
            right = [] if said[0] == list(target) else [self.said_text(target)]
            lines.append("\t".join([read, self.said_text(said[0]), *right]))
        return lines

    def answers(self, records: Records, outputs: Outputs) -> list[list[Answer]]:
        """As many results as the decoder gives, with their scores."""
        return [
            [
                Answer(self.said_text(tokens), float(score))
                for tokens, score in zip(said, output["scores"], strict=True)
                if np.isfinite(score)
            ]
            for said, output in zip(self.said(outputs), outputs, strict=True)
        ]
