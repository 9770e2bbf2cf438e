"""What a configuration and its data define, before anything is trained."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
from flax import nnx

from seqjax.cells import Cell
from seqjax.config import ExperimentConfig, LayersConfig, apply_transforms, build_cell
from seqjax.errors import ConfigError
from seqjax.optim import optimizer
from seqjax.train.curves import Curves
from seqjax.train.learner import Learner, Objective, TrainState

AtBatch = Callable[[int, int], None]
"""Called before each batch of an evaluation with its number and how many there are, and once with both equal."""


class Batch(NamedTuple):
    """What one update reads.

    Attributes:
        arrays: a tree of arrays, each with the batch axis first, as the objective reads it.
        units: how many of the experiment's units there are in it.
        fresh: the carry of the batch before must not be used.
    """

    arrays: Any
    units: int
    fresh: bool = False


class Experiment(ABC):
    """Data, batches, and the compiled functions of the model; each task is a subclass.

    Attributes:
        config: the configuration.
        learner: the compiled functions.
        parts: what can be measured; the first is, in training.
        next_command: what to do with a finished run, whose directory stands in the braces.
        higher_is_better: whether more of the metric is better.
    """

    config: Any
    learner: Learner
    parts: ClassVar[tuple[str, ...]] = ("validation", "test")
    next_command: ClassVar[str] = "seqjax decode {} --input FILE"
    higher_is_better: bool = False

    @property
    @abstractmethod
    def unit(self) -> str:
        """What is counted of what an update reads: ``character``, ``token``, ``frame``."""

    @property
    @abstractmethod
    def metric(self) -> str:
        """The name of what counts in an evaluation."""

    @property
    @abstractmethod
    def baselines(self) -> Mapping[str, float]:
        """The metric of what needs no neural network, by name."""

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """Updates in one pass over the training data."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """What update ``step`` reads: a pure function of the configuration and ``step``."""

    @abstractmethod
    def evaluate(self, state: TrainState, at_batch: AtBatch, part: str | None = None) -> dict[str, float]:
        """Measure on held-out data.

        Args:
            state: the parameters.
            at_batch: is told how far it has come.
            part: one of :attr:`parts`; the first if not given.

        Returns:
            What was measured, by name: that of the part and of the measure.
        """

    @abstractmethod
    def checksum(self) -> int:
        """Of the data: a run goes on with the data it began with."""

    @abstractmethod
    def symbols(self) -> dict[str, Any]:
        """What a trained model needs to read its inputs and to say its outputs, as JSON values."""

    @abstractmethod
    def description(self) -> list[str]:
        """Lines on the data and the baselines for the person who starts a run."""

    def check_ending(self) -> None:
        """Raise before the training what would come to light at its end only."""
        return

    @abstractmethod
    def finish(self, state: TrainState, run_directory: Path) -> tuple[dict[str, Any], str]:
        """Write what a finished run leaves besides curve and summary: entries for the summary, and a text to show."""

    def training_columns(self, loss: float | None) -> dict[str, float | None]:
        """The mean training loss, as it stands in a row of the metrics file."""
        return {"loss": loss}

    def curves(self) -> Curves:
        """What is drawn of a run."""
        label = self.metric.removeprefix("validation_").replace("_", " ")
        return Curves(self.unit, "loss", "validation_loss", self.metric, "loss", label, self.baselines)

    def row_text(self, row: Mapping[str, Any]) -> str:
        """The text that stands for a row of the metrics file."""
        parts = [] if row["loss"] is None else [f"loss {row['loss']:.4f}"]
        if self.metric in row:
            parts.append(f"{self.metric.replace('_', ' ')} {row[self.metric]:.4f}")
        return "  ".join(parts)

    def result_text(self, value: float) -> str:
        """The metric of a finished run in words."""
        return f"{self.metric.replace('_', ' ')}: {value:.4f}"


def build_learner(config: ExperimentConfig, model: Callable[[nnx.Rngs], nnx.Module], objective: Objective) -> Learner:
    """The compiled functions of a configuration's model.

    Args:
        config: the configuration.
        model: makes the module from its random streams ``params`` and ``dropout``.
        objective: what it is trained for.

    Raises:
        ConfigError: if the cell's options have values that it refuses.
    """
    parameter_key, dropout_key, noise_key = jax.random.split(jax.random.key(config.seed), 3)
    try:
        module = model(nnx.Rngs(params=parameter_key, dropout=dropout_key))
    except ConfigError as error:
        raise ConfigError(f"model - {error}") from error
    return Learner(
        module,
        objective,
        optimizer(config.optimizer, config.train.steps),
        batch_size=config.data.batch_size,
        allowed_failures=config.optimizer.skip_nonfinite,
        devices=config.train.devices,
        weight_noise=config.train.weight_noise,
        noise_key=noise_key,
        average_decay=config.train.average_decay,
    )


def cell_maker(layers: LayersConfig) -> Callable[..., Cell]:
    """Makes the cells of a configuration from ``input_size`` and ``hidden_size``.

    Raises:
        ConfigError: if the cell's options have values that it refuses, when it is made.
    """

    def make(**sizes: int) -> Cell:
        try:
            cell = build_cell(layers.cell, {**sizes, **layers.cell_options})
            return apply_transforms(cell, layers.cell_transforms, "cell_transforms")
        except ConfigError as error:
            raise ConfigError(f"{error}; see `seqjax cells {layers.cell}`") from error

    return make
