"""The schema of a recognition: labels from more frames, by connectionist temporal classification."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import SequencesConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class CTCModelConfig(LayersConfig):
    """A front end that makes sequences shorter, recurrent layers, and scores of labels and a blank at every step.

    A sequence must keep a step for each label, and one between two equal labels.

    Attributes:
        bidirectional: read the sequence from both ends.
        convolution_size: features of a convolution over time; no convolution if not given.
        convolution_width: frames that it sees.
        convolution_stride: frames that it moves on by.
        stack_frames: frames, or outputs of the convolution, that are put side by side.
    """

    hidden_size: Annotated[int, Field(gt=0)] = 128
    bidirectional: bool = True
    convolution_size: Annotated[int, Field(gt=0)] | None = None
    convolution_width: Annotated[int, Field(gt=0)] = 5
    convolution_stride: Annotated[int, Field(gt=0)] = 1
    stack_frames: Annotated[int, Field(gt=0)] = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class CTCDecodeConfig:
    """How labels are found in the end; in training, evaluations take those of the most probable path.

    Attributes:
        method: the labels of the most probable path (``greedy``), or the most probable labels that a prefix ``beam``
            search finds.
        beam_size: label sequences that the search follows.
    """

    method: Literal["greedy", "beam"] = "greedy"
    beam_size: Annotated[int, Field(gt=0)] = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class CTCExperiment(ExperimentConfig):
    """Learn the labels of a sequence of features that is longer, and not aligned with them.

    Attributes:
        task: fewer labels than frames.
        data: sequences of features, and the labels of each.
        label: what a label is: measures are called after it, such as ``digit_error_rate``.
        standardize: bring every feature to mean 0 and variance 1, as measured in the training part.
        decode: how labels are found in the end.
    """

    task: Literal["ctc"] = "ctc"
    data: SequencesConfig = dataclasses.field(default_factory=SequencesConfig)
    model: CTCModelConfig = dataclasses.field(default_factory=CTCModelConfig)
    label: Literal["label", "digit", "character", "phone", "word"] = "label"
    standardize: bool = True
    decode: CTCDecodeConfig = dataclasses.field(default_factory=CTCDecodeConfig)
