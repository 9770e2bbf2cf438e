"""Numbers of a sequence: many to one, or to as many as a forecast has steps."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax import losses
from seqjax.data import Records
from seqjax.errors import DataError
from seqjax.metrics import absolute_error, quantile_coverage, squared_error
from seqjax.nn import SequenceClassifier
from seqjax.train.experiment import cell_maker
from seqjax.train.learner import Objective
from seqjax.train.tasks.inputs import Inputs
from seqjax.train.tasks.supervised import Outputs, SupervisedTask, mapped

_LOSSES = {
    "squared_error": losses.squared_error,
    "absolute_error": losses.absolute_error,
    "huber": losses.huber,
}


class NumbersOfSequence(Objective):
    """Errors of numbers; a batch has ``inputs`` with lengths, ``targets`` ``[batch, numbers]``, and ``valid``.

    Args:
        loss: of one number.
        quantiles: those that are learnt, ``None`` for one number.
    """

    def __init__(self, loss: str, quantiles: Sequence[float] | None) -> None:
        self._loss, self._quantiles = loss, quantiles

    def loss(self, model: SequenceClassifier, carry: Any, batch: Any, step: jax.Array) -> Any:
        """Errors, and how many numbers."""
        found, _ = self._losses(model, batch)
        return carry, jnp.sum(found), jnp.sum(batch["valid"]) * batch["targets"].shape[1]

    def evaluate(self, model: SequenceClassifier, carry: Any, batch: Any) -> Any:
        """Errors and predictions, ``[batch, numbers, quantiles]``."""
        found, predictions = self._losses(model, batch)
        weight = batch["valid"] * batch["targets"].shape[1]
        return carry, {"loss": jnp.sum(found, axis=-1), "weight": weight, "predictions": predictions}

    def _losses(self, model: SequenceClassifier, batch: Any) -> tuple[jax.Array, jax.Array]:
        targets = batch["targets"]
        predictions = model(batch["inputs"], lengths=batch["inputs_lengths"])
        predictions = predictions.reshape(*targets.shape, -1)
        mask = jnp.broadcast_to(batch["valid"][:, None], targets.shape)
        if self._quantiles is None:
            return _LOSSES[self._loss](predictions[..., 0], targets, mask), predictions
        found = losses.quantile_loss(predictions, targets, np.array(self._quantiles), mask)
        return jnp.sum(found, axis=-1), predictions


class RegressionTask(SupervisedTask):
    """Sequences, and an array of as many numbers each."""

    metric = "validation_mean_squared_error"

    def learn_symbols(self, records: Records) -> None:
        """Inputs, how many numbers there are, their mean, and what brings forecasts back to the units of the data."""
        self.inputs = Inputs.learn(records.inputs, self.config.data)
        targets = np.stack([np.ravel(target) for target in records.targets])
        details = self.dataset.details
        self.numbers, self.average = targets.shape[1], float(targets.mean())
        self.mean, self.scale = float(details.get("mean", 0.0)), float(details.get("scale", 1.0))

    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """As stored."""
        self.inputs = Inputs.from_json(symbols["inputs"])
        self.numbers, self.average = symbols["numbers"], symbols["average"]
        self.mean, self.scale = symbols["mean"], symbols["scale"]

    def symbols(self) -> dict[str, Any]:
        """Inputs, numbers and units."""
        return {
            "inputs": self.inputs.to_json(),
            "numbers": self.numbers,
            "average": self.average,
            "mean": self.mean,
            "scale": self.scale,
        }

    @property
    def unit(self) -> str:
        """Token or frame."""
        return self.inputs.unit

    @functools.cached_property
    def baselines(self) -> Mapping[str, float]:
        """Saying the mean of the training part always; in a forecast, saying the last value that is known."""
        records = self.dataset.validation
        targets = np.stack([np.ravel(target) for target in records.targets])
        found = {"mean of the training part": squared_error(np.full_like(targets, self.average), targets).value}
        if "scale" in self.dataset.details:
            last = np.stack([np.repeat(sequence[-1, :1], self.numbers) for sequence in records.inputs])
            found["last value"] = squared_error(last, targets).value
        return found

    @property
    def _quantiles(self) -> list[float] | None:
        return self.config.quantiles if self.config.loss == "quantile" else None

    def columns(self, records: Records) -> dict[str, Any]:
        """Inputs and targets.

        Raises:
            DataError: not as many numbers as in the training part, or numbers that are not finite.
        """
        targets = [np.ravel(np.asarray(target, np.float32)) for target in records.targets]
        for index, target in enumerate(targets):
            if target.size != self.numbers or not np.isfinite(target).all():
                raise DataError(
                    f"{records.name(index)}: expected {self.numbers} finite numbers, got {target.size}, of which "
                    f"{int(np.isfinite(target).sum())} are finite"
                )
        return {"inputs": self.inputs.encode(records.inputs), "targets": np.stack(targets)}

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """Recurrent layers, pooling, a head with a number for each target and quantile."""
        model = self.config.model
        return SequenceClassifier(
            self.numbers * len(self._quantiles or [0.5]),
            cell_maker(model),
            **self.inputs.model_options,
            embedding_size=model.embedding_size,
            bidirectional=model.bidirectional,
            pooling=model.pooling,
            rngs=rngs,
            **self.stack_options(model),
        )

    def objective(self) -> Objective:
        """The loss of the configuration."""
        return NumbersOfSequence(self.config.loss, self._quantiles)

    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Squared errors as the model sees them, errors in the units of the data, and how often quantiles hold."""
        targets = np.stack([np.ravel(target) for target in records.targets])
        predictions = np.stack([output["predictions"] for output in outputs])
        middle = predictions[..., self._middle]
        squared = squared_error(middle, targets)
        measures = {
            "mean_squared_error": squared.value,
            "root_mean_squared_error": squared.root * self.scale,
            "mean_absolute_error": absolute_error(middle, targets).value * self.scale,
        }
        for number, quantile in enumerate(self._quantiles or []):
            measures[f"share_below_quantile_{quantile:g}"] = quantile_coverage(predictions[..., number], targets).value
        return measures

    @property
    def _middle(self) -> int:
        return (self._quantiles or [0.5]).index(0.5)

    def unlabelled(self, inputs: Sequence[Any]) -> Records:
        """With numbers that mean nothing."""
        return Records(inputs, [np.zeros(self.numbers, np.float32)] * len(inputs))

    def texts(self, records: Records, outputs: Outputs) -> list[str]:
        """The numbers, in the units of the data."""
        lines = []
        for output in outputs:
            rows = output["predictions"] * self.scale + self.mean
            lines.append(" ".join("/".join(f"{value:.4g}" for value in row) for row in rows))
        names = [records.name(index) for index in range(len(records))]
        return mapped(names, lines)
