"""The schema of a recognition: labels from more frames, by connectionist temporal classification."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import SequencesConfig
from seqjax.errors import ConfigError


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
    """How labels are found for the test part and by ``seqjax decode``; evaluations in training are greedy.

    Attributes:
        method: ``greedy`` takes the labels of the most probable path, a prefix ``beam`` search the most probable labels
            that it finds, summed over their paths.
        beam_size: label sequences that the search follows.
        n_best: how many results ``seqjax decode`` writes for each input; at most ``beam_size``.
    """

    method: Literal["greedy", "beam"] = "greedy"
    beam_size: Annotated[int, Field(gt=0)] = 8
    n_best: Annotated[int, Field(gt=0)] = 1

    def __post_init__(self) -> None:
        most = self.beam_size if self.method == "beam" else 1
        if self.n_best > most:
            raise ConfigError(
                f"decode.n_best={self.n_best}, but a {self.method} decoder gives at most {most}; set decode.method to "
                f"beam and decode.beam_size to at least {self.n_best}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CTCExperiment(ExperimentConfig):
    """Learn the labels of a sequence of features that is longer, and not aligned with them.

    Attributes:
        task: fewer labels than frames.
        data: sequences of features, and the labels of each.
        target_unit: what a label is called in measures: ``digit`` gives ``digit_error_rate``.
        standardize: bring every feature to mean 0 and variance 1, as measured in the training part.
        decode: how labels are found.
    """

    task: Literal["ctc"] = "ctc"
    data: SequencesConfig = dataclasses.field(default_factory=lambda: SequencesConfig(source="tone-strings"))
    model: CTCModelConfig = dataclasses.field(default_factory=CTCModelConfig)
    target_unit: Annotated[str, Field(pattern=r"^[a-z]+$")] = "label"
    standardize: bool = True
    decode: CTCDecodeConfig = dataclasses.field(default_factory=CTCDecodeConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data.longer == "truncate":
            raise ConfigError("data.longer=truncate would cut off frames and keep their labels; set it to refuse")
        self.data.check_tokens("labels are recognised one by one")
