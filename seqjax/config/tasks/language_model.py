"""The schema of a language model."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import TextConfig
from seqjax.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(LayersConfig):
    """A recurrent language model: embedding, stacked recurrent layers, a linear head.

    Attributes:
        embedding_size: features of a symbol's embedding; one-hot if not given.
    """

    embedding_size: Annotated[int, Field(gt=0)] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """The sample that ends a training run.

    Attributes:
        prompt: what the sample continues.
        length: number of symbols.
        temperature: 0 takes the most probable symbol, 1 samples from the model as it is.
        top_k: draw only from so many most probable symbols.
        top_p: draw only from the fewest symbols that together have at least this probability (Holtzman et al. 2020).
        min_p: draw only from symbols at least this times as probable as the most probable one (Nguyen et al. 2024).
    """

    prompt: str = "The "
    length: Annotated[int, Field(ge=0)] = 400
    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_k: Annotated[int, Field(gt=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    min_p: Annotated[float, Field(gt=0, le=1)] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModelExperiment(ExperimentConfig):
    """Learn which symbol follows in a text.

    Attributes:
        task: the next symbol of a text.
        data: the text.
        sample: the sample at the end.
    """

    task: Literal["language_model"] = "language_model"
    data: TextConfig = dataclasses.field(default_factory=TextConfig)
    model: LanguageModelConfig = dataclasses.field(default_factory=LanguageModelConfig)
    sample: SampleConfig = dataclasses.field(default_factory=SampleConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train.gradient_flow_every and self.data.length < 2:
            raise ConfigError(
                "train.gradient_flow_every - gradients through time need a data.length of at least 2 "
                f"(got {self.data.length})"
            )
