"""The schema of numbers of whole sequences: sums, forecasts."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig
from seqjax.config.tasks.classification import ClassificationModelConfig
from seqjax.data import SequencesConfig
from seqjax.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegressionExperiment(ExperimentConfig):
    """Learn numbers of a sequence: one, or one for each step of a forecast.

    Attributes:
        task: numbers of a sequence.
        data: sequences, and arrays of as many numbers each.
        loss: what falls in training: ``squared_error``, ``absolute_error``, ``huber``, or ``quantile``, which learns a
            range instead of one number.
        quantiles: those that ``quantile`` learns, ascending, the middle one 0.5.
    """

    task: Literal["regression"] = "regression"
    data: SequencesConfig = dataclasses.field(default_factory=lambda: SequencesConfig(source="sines"))
    model: ClassificationModelConfig = dataclasses.field(default_factory=ClassificationModelConfig)
    loss: Literal["squared_error", "absolute_error", "huber", "quantile"] = "squared_error"
    quantiles: list[Annotated[float, Field(gt=0, lt=1)]] = dataclasses.field(default_factory=lambda: [0.1, 0.5, 0.9])

    def __post_init__(self) -> None:
        super().__post_init__()
        if sorted(set(self.quantiles)) != self.quantiles or 0.5 not in self.quantiles:
            raise ConfigError(f"quantiles - must ascend and have 0.5 among them (got {self.quantiles})")
