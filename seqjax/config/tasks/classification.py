"""The schema of a classification of whole sequences."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import SequencesConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationModelConfig(LayersConfig):
    """Embedding, recurrent layers, one vector of the whole sequence, a linear head.

    Attributes:
        embedding_size: features of a token's embedding, where inputs are tokens; one-hot if not given.
        bidirectional: read the sequence from both ends.
        pooling: what stands for the sequence: the ``last`` output (of both directions), the ``mean`` or ``max`` of all,
            or their sum weighted by ``attention``.
    """

    embedding_size: Annotated[int, Field(gt=0)] | None = None
    bidirectional: bool = False
    pooling: Literal["last", "mean", "max", "attention"] = "last"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationExperiment(ExperimentConfig):
    """Learn the class of a sequence.

    Attributes:
        task: the class of a sequence.
        data: sequences and their classes.
        label_smoothing: share of each target that is spread over all classes (Szegedy et al. 2016).
    """

    task: Literal["classification"] = "classification"
    data: SequencesConfig = dataclasses.field(default_factory=SequencesConfig)
    model: ClassificationModelConfig = dataclasses.field(default_factory=ClassificationModelConfig)
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
