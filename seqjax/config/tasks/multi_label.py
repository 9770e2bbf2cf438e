"""The schema of labels of which any number may hold at every step."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import SequencesConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiLabelModelConfig(LayersConfig):
    """Recurrent layers, and a linear head with one number a label at every step.

    Attributes:
        embedding_size: features of a token's embedding, where inputs are tokens; one-hot if not given.
        bidirectional: read the sequence from both ends; not where a target is a later input.
    """

    embedding_size: Annotated[int, Field(gt=0)] | None = None
    bidirectional: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiLabelExperiment(ExperimentConfig):
    """Learn which labels hold at every step, such as the notes that sound next.

    Attributes:
        task: the labels of every step.
        data: sequences, and arrays of zeros and ones.
    """

    task: Literal["multi_label"] = "multi_label"
    data: SequencesConfig = dataclasses.field(default_factory=lambda: SequencesConfig(source="jsb"))
    model: MultiLabelModelConfig = dataclasses.field(default_factory=MultiLabelModelConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.data.check_tokens("every step has labels of its own, and pieces of a token have none")
