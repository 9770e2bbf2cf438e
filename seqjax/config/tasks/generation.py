"""The schema of sequences of a class."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import SequencesConfig
from seqjax.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationModelConfig(LayersConfig):
    """A class becomes the first carry, and what every step reads; recurrent layers write the tokens.

    Attributes:
        embedding_size: features of a token's embedding; one-hot if not given.
        class_embedding_size: features of a class; one-hot if not given.
        starts: the first carry is learnt from the class.
        every_step: every step reads the class.
    """

    embedding_size: Annotated[int, Field(gt=0)] | None = None
    class_embedding_size: Annotated[int, Field(gt=0)] | None = None
    starts: bool = True
    every_step: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationDecodeConfig:
    """How sequences are drawn.

    Attributes:
        samples: of each class, at the end of a run.
        maximum_length: tokens; that of the longest of the training part if not given.
        temperature: 0 takes the most probable token, 1 samples from the model as it is.
        top_p: draw only from the fewest tokens that together have at least this probability (Holtzman et al. 2020).
    """

    samples: Annotated[int, Field(gt=0)] = 4
    maximum_length: Annotated[int, Field(gt=0)] | None = None
    temperature: Annotated[float, Field(ge=0)] = 0.8
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationExperiment(ExperimentConfig):
    """Learn to write sequences of a class: the classification turned round.

    Attributes:
        task: sequences of a class.
        data: sequences and their classes.
        levels: where sequences are numbers from 0 to 1 (grey values), round them to so many levels, which are the
            tokens.
        decode: how sequences are drawn.
    """

    task: Literal["generation"] = "generation"
    data: SequencesConfig = dataclasses.field(default_factory=lambda: SequencesConfig(source="digits"))
    model: GenerationModelConfig = dataclasses.field(default_factory=GenerationModelConfig)
    levels: Annotated[int, Field(gt=1)] | None = None
    decode: GenerationDecodeConfig = dataclasses.field(default_factory=GenerationDecodeConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.model.starts or self.model.every_step):
            raise ConfigError("model.starts - the class goes nowhere; set model.starts or model.every_step to true")
