"""What all tasks on sequences with targets share: data, batches, evaluations, predictions that a person can read."""

import dataclasses
import functools
import json
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from flax import nnx

from seqjax.config import LayersConfig
from seqjax.data import Dataset, Records, SequenceBatches
from seqjax.data.draws import Draws
from seqjax.data.lengths import limit
from seqjax.data.records import PARTS, Part
from seqjax.data.sources import load_dataset, read_input
from seqjax.errors import ConfigError
from seqjax.train.experiment import AtBatch, Batch, Experiment, build_learner
from seqjax.train.files import write_atomically
from seqjax.train.learner import Learner, Objective, TrainState

Outputs = list[dict[str, np.ndarray]]
"""What the objective measured, record by record."""

_SHOWN = 8
# Told apart from the draws of the order, which have the number of a bucket in this place.
_TOKEN_DROPOUT = 1_000_000


class Answer(NamedTuple):
    """A prediction as text, and its score where it has one: more is better."""

    text: str
    score: float | None = None


class SupervisedTask(Experiment):
    """Sequences with targets, in a training, a validation and a test part.

    A subclass says how records become arrays (:meth:`learn_symbols`, :meth:`read_symbols`, :meth:`columns`), what the
    model and its objective are, and how its outputs are scored and written. ``evaluate`` of its objective gives a
    mapping of arrays with the batch axis first, among them ``loss`` and ``weight`` of each record.

    Args:
        config: the configuration.
        symbols: those of a run which has begun; learnt from the training part if not given.
    """

    inputs: Any = None
    """How inputs become arrays, an :class:`~seqjax.train.tasks.inputs.Inputs`, of tasks that read some."""

    target_steps: Literal["inputs", "own"] | None = None
    """Whose steps the targets have: one for each of the inputs, their own, or none, as a class has."""

    def __init__(self, config: Any, symbols: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.truncated: list[str] = []
        if symbols is None:
            self.learn_symbols(self.dataset.train)
        else:
            self.read_symbols(symbols)
        self._unknown = self._number_of_unknown()
        self.learner = build_learner(config, self.make_model, self.objective())

    def _number_of_unknown(self) -> int | None:
        """What dropped tokens are read as."""
        if not self.config.data.token_dropout:
            return None
        unknown = None if self.inputs is None or self.inputs.tokens is None else self.inputs.tokens.unknown_number
        if unknown is None:
            raise ConfigError("data.token_dropout - the inputs are no tokens that could be unknown; set it to 0")
        return unknown

    @functools.cached_property
    def dataset(self) -> Dataset:
        """All three parts, limited as the configuration says.

        Raises:
            DataError: sequences over the maximum that are refused.
        """
        dataset = self.load()
        return dataclasses.replace(dataset, **{name: self._limited(dataset.part(name), name) for name in PARTS})

    def load(self) -> Dataset:
        """All three parts as the source has them."""
        data = self.config.data
        return load_dataset(data.source, root=data.root, **data.options)

    def _limited(self, records: Records, part: Part) -> Records:
        """The first records of a part, none of them over the maximum length.

        A target that goes with every step is cut with the input. One that has steps of its own is cut in the training
        part only: what is measured is measured against the whole.
        """
        data = self.config.data
        if data.limit is not None:
            records = records.take(np.arange(min(len(records), data.limit)))
        limited = functools.partial(limit, maximum=data.maximum_length, names=records.names)
        inputs, cut = limited(records.inputs, longer=data.longer, what=f"{part} input")
        changes = {"inputs": inputs}
        if cut:
            self.truncated.append(f"{cut:,} of {len(records):,} {part} inputs")
            if self.target_steps == "inputs":
                changes["targets"] = [target[: data.maximum_length] for target in records.targets]
        if self.target_steps == "own" and (part == "train" or data.longer == "refuse"):
            changes["targets"], cut = limited(records.targets, longer=data.longer, what=f"{part} target")
            if cut:
                self.truncated.append(f"{cut:,} of {len(records):,} {part} targets")
        return dataclasses.replace(records, **changes)

    @functools.cached_property
    def training_arrays(self) -> dict[str, Any]:
        """The training part as arrays."""
        return self.columns(self.dataset.train)

    @functools.cached_property
    def batches(self) -> SequenceBatches:
        """The batches to train on."""
        data = self.config.data
        return SequenceBatches(self.training_arrays, data.batch_size, seed=self.config.seed, shapes=data.shapes)

    @abstractmethod
    def learn_symbols(self, records: Records) -> None:
        """Set what is learnt from the training part: vocabularies, classes, means."""

    @abstractmethod
    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """The inverse of :meth:`symbols`."""

    @abstractmethod
    def columns(self, records: Records) -> dict[str, Any]:
        """Records as arrays by name: lists of arrays that differ in length, or one array with an entry a record."""

    def stack_options(self, layers: LayersConfig) -> dict[str, Any]:
        """What modules are told of their recurrent layers, the cell apart."""
        return {
            "hidden_size": layers.hidden_size,
            "num_layers": layers.num_layers,
            "dropout": layers.dropout,
            "residual": layers.residual,
            "normalization": layers.normalization,
            "mode": self.config.train.mode,
            "checkpoint": self.config.train.checkpoint_time,
        }

    @abstractmethod
    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """The model."""

    @abstractmethod
    def objective(self) -> Objective:
        """What the model is trained and measured for."""

    @abstractmethod
    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Measures of the outputs by name, what counts among them; the mean loss is added."""

    @abstractmethod
    def texts(self, records: Records, outputs: Outputs) -> list[str]:
        """The prediction for each record, in a line that a person can read."""

    def read(self, lines: Sequence[str]) -> Records:
        """Lines of text, none of them empty, as records whose targets are not known.

        A line has a sequence of tokens; where inputs are features, the path of a file that has them.

        Raises:
            DataError: a line that cannot be read.
        """
        data = self.config.data
        if self.inputs.tokens is None:
            return self.unlabelled([read_input(line.strip(), data.source, data.options) for line in lines])
        return self.unlabelled([self.inputs.tokens.parse(line) for line in lines])

    def unlabelled(self, inputs: Sequence[Any]) -> Records:
        """Inputs as records whose targets are not known: with any targets that :meth:`columns` takes."""
        raise ConfigError(f"the task {self.config.task} cannot read inputs without their targets")

    def answers(self, records: Records, outputs: Outputs) -> list[list[Answer]]:
        """The predictions for each record without its input, the best first."""
        return [[Answer(line.rpartition("\t")[2])] for line in self.texts(records, outputs)]

    def predict(self, state: TrainState, records: Records) -> list[list[Answer]]:
        """What ``seqjax decode`` says of records that were read."""
        return self.answers(records, self.outputs(state, records, final=True))

    @functools.cached_property
    def final_learner(self) -> Learner:
        """The compiled functions for the test part and new inputs: others where decoding there takes longer."""
        return self.learner

    @property
    def batches_per_epoch(self) -> int:
        """Of the training part."""
        return self.batches.batches_per_epoch

    def batch(self, step: int) -> Batch:
        """A shuffled batch of sequences of about a length."""
        arrays, data = self.batches[step], self.config.data
        if self._unknown is not None:
            draws = Draws(self.config.seed, step, _TOKEN_DROPOUT).uniform(*arrays["inputs"].shape)
            arrays["inputs"] = np.where(draws < data.token_dropout, np.int32(self._unknown), arrays["inputs"])
        lengths = arrays.get("inputs_lengths")
        return Batch(arrays, units=int(arrays["valid"].size if lengths is None else lengths.sum()))

    def outputs(
        self,
        state: TrainState,
        records: Records,
        at_batch: AtBatch = lambda number, batches: None,
        *,
        final: bool = False,
    ) -> Outputs:
        """What the objective measures, for each record in its place; with ``final``, that of :attr:`final_learner`."""
        data, learner = self.config.data, self.final_learner if final else self.learner
        # Without the data of the training, as for lines of text, the shapes are the records' own.
        shapes = self.batches.shapes if "dataset" in vars(self) else data.shapes
        batches = SequenceBatches(self.columns(records), data.batch_size, shapes=shapes, shuffle=False)
        found: list[Any] = [None] * len(records)
        for number in range(batches.batches_per_epoch):
            at_batch(number, batches.batches_per_epoch)
            arrays = batches[number]
            carry = learner.initial_carry(state.measured)
            _, measured = learner.evaluate(state, carry, arrays)
            measured = jax.device_get(measured)
            for row, index in enumerate(batches.indices(number)):
                found[index] = {name: array[row] for name, array in measured.items()}
        at_batch(batches.batches_per_epoch, batches.batches_per_epoch)
        return found

    def measures(self, records: Records, outputs: Outputs, part: str) -> dict[str, float]:
        """All measures of a part, by the names of part and measure."""
        # Summed on the host in double precision.
        loss, weight = (sum(float(output[name]) for output in outputs) for name in ("loss", "weight"))
        measured = {"loss": loss / max(weight, 1.0), **self.score(records, outputs)}
        return {f"{part}_{name}": value for name, value in measured.items()}

    def evaluate(self, state: TrainState, at_batch: AtBatch, part: str | None = None) -> dict[str, float]:
        """Loss and measures of a part; of one that is named, with :attr:`final_learner`."""
        name = self.parts[0] if part is None else part
        records = self.dataset.part(name)
        return self.measures(records, self.outputs(state, records, at_batch, final=part is not None), name)

    def checksum(self) -> int:
        """Of the training part."""
        value = 0
        for name, column in sorted(self.training_arrays.items()):
            value = zlib.crc32(name.encode(), value)
            for entry in column:
                value = zlib.crc32(np.ascontiguousarray(entry).tobytes(), value)
        return value

    def description(self) -> list[str]:
        """Data, batches and baselines."""
        dataset, steps = self.dataset, self.config.train.steps
        lines = [
            f"data: {dataset.name}, {len(dataset.train):,} sequences to train on, {len(dataset.validation):,} to "
            f"validate, {len(dataset.test):,} to test",
            *str(self.batches.report()).splitlines(),
        ]
        if self.truncated:
            lines.append(
                f"truncated to data.maximum_length={self.config.data.maximum_length}: {', '.join(self.truncated)}"
            )
        if self.baselines:
            values = ", ".join(f"{name} {value:.4f}" for name, value in self.baselines.items())
            lines.append(f"{self.metric.replace('_', ' ')} without learning: {values}")
        passes = steps / self.batches_per_epoch
        return [
            *lines,
            f"{steps:,} steps of {self.config.data.batch_size} sequences, {passes:.1f} passes over the data",
        ]

    def finish(self, state: TrainState, run_directory: Path) -> tuple[dict[str, Any], str]:
        """Measure the test part and write its predictions."""
        records = self.dataset.test
        outputs = self.outputs(state, records, final=True)
        measured = self.measures(records, outputs, "test")
        lines = self.texts(records, outputs)
        write_atomically(run_directory / "predictions.txt", "".join(f"{line}\n" for line in lines))
        write_atomically(run_directory / "test.json", json.dumps(measured, indent=2) + "\n")
        numbers = "\n".join(f"{name.replace('_', ' ')}: {value:.4f}" for name, value in measured.items())
        shown = "\n".join(lines[:_SHOWN])
        return {"test": measured}, f"{numbers}\n\n--- predictions.txt begins ---\n{shown}\n---"


def mapped(lines: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """Inputs and what was said of them, tab between."""
    return [f"{line}\t{output}" for line, output in zip(lines, outputs, strict=True)]
