"""Labels of which any number may hold at every step, such as the notes of a chord: many to many of equal length."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax.data import Records, synthesize, write_wav
from seqjax.decoding import sample_labels
from seqjax.errors import DataError
from seqjax.losses import binary_cross_entropy
from seqjax.nn import SequenceModel
from seqjax.nn.functions import valid_positions
from seqjax.train.experiment import cell_maker
from seqjax.train.learner import Objective, TrainState
from seqjax.train.tasks.inputs import Inputs
from seqjax.train.tasks.supervised import Outputs, SupervisedTask, mapped

_KEYS, _PROMPT, _PLAYED, _RATE = 88, 8, 56, 22_050


class LabelsOfSteps(Objective):
    """The negative log-likelihood of a step's labels in nats; a batch has ``inputs`` and ``labels`` with lengths."""

    def loss(self, model: SequenceModel, carry: Any, batch: Any, step: jax.Array) -> Any:
        """Nats, and how many steps."""
        losses, _ = self._losses(model, batch)
        return carry, jnp.sum(losses), jnp.sum(batch["labels_lengths"])

    def evaluate(self, model: SequenceModel, carry: Any, batch: Any) -> Any:
        """Losses, and which labels are more probable than not."""
        losses, logits = self._losses(model, batch)
        return carry, {"loss": jnp.sum(losses, axis=-1), "weight": batch["labels_lengths"], "holds": logits > 0}

    def _losses(self, model: SequenceModel, batch: Any) -> tuple[jax.Array, jax.Array]:
        _, logits = model(batch["inputs"], lengths=batch["inputs_lengths"])
        mask = valid_positions(logits.shape[1], batch["labels_lengths"])
        return binary_cross_entropy(logits, batch["labels"], mask), logits


class MultiLabelTask(SupervisedTask):
    """Sequences, and for each step an array of zeros and ones."""

    higher_is_better = False
    target_steps = "inputs"
    metric = "validation_nats_per_step"

    def learn_symbols(self, records: Records) -> None:
        """Inputs, how many labels there are, and how often each holds."""
        self.inputs = Inputs.learn(records.inputs, self.config.data)
        self.shares = np.concatenate(list(records.targets)).mean(axis=0)

    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """As stored."""
        self.inputs, self.shares = Inputs.from_json(symbols["inputs"]), np.array(symbols["shares"])

    def symbols(self) -> dict[str, Any]:
        """Inputs and shares."""
        return {"inputs": self.inputs.to_json(), "shares": self.shares.tolist()}

    @property
    def unit(self) -> str:
        """Token or frame."""
        return self.inputs.unit

    @property
    def baselines(self) -> Mapping[str, float]:
        """Each label as probable as it is often in the training part, at every step."""
        # One step more of each: a label that never holds there may hold here.
        steps = sum(len(target) for target in self.dataset.train.targets)
        shares = (self.shares * steps + 0.5) / (steps + 1)
        targets = np.concatenate(list(self.dataset.validation.targets))
        nats = -(targets * np.log(shares) + (1 - targets) * np.log1p(-shares)).sum(axis=1)
        return {"independent labels": float(nats.mean())}

    def columns(self, records: Records) -> dict[str, Any]:
        """Inputs and labels.

        Raises:
            DataError: labels that are no zeros and ones, not as many as in the training part, or not one row a step.
        """
        labels = [np.asarray(target, np.float32) for target in records.targets]
        for index, (sequence, array) in enumerate(zip(records.inputs, labels, strict=True)):
            if array.shape != (len(sequence), self.shares.size):
                raise DataError(
                    f"{records.name(index)}: labels have shape {array.shape}, expected "
                    f"[{len(sequence)}, {self.shares.size}], a row a step"
                )
            if not np.isin(array, (0, 1)).all():
                raise DataError(f"{records.name(index)}: labels must be 0 or 1, got {array.min()} to {array.max()}")
        return {"inputs": self.inputs.encode(records.inputs), "labels": labels}

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """Recurrent layers and a head."""
        model = self.config.model
        return SequenceModel(
            self.shares.size,
            cell_maker(model),
            **self.inputs.model_options,
            embedding_size=model.embedding_size,
            bidirectional=model.bidirectional,
            rngs=rngs,
            **self.stack_options(model),
        )

    def objective(self) -> Objective:
        """Negative log-likelihood."""
        return LabelsOfSteps()

    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Nats of a step, and the accuracy of frames (Bay, Ehmann and Downie 2009): both among said or right."""
        said = [output["holds"][: len(target)] for output, target in zip(outputs, records.targets, strict=True)]
        pairs = [(holds, np.asarray(target) > 0) for holds, target in zip(said, records.targets, strict=True)]
        both = sum(int((holds & target).sum()) for holds, target in pairs)
        either = sum(int((holds | target).sum()) for holds, target in pairs)
        steps = sum(int(output["weight"]) for output in outputs)
        nats = sum(float(output["loss"]) for output in outputs)
        return {"nats_per_step": nats / max(steps, 1), "frame_accuracy": both / max(either, 1)}

    def unlabelled(self, inputs: Sequence[Any]) -> Records:
        """With labels that mean nothing."""
        return Records(inputs, [np.zeros((len(sequence), self.shares.size), np.float32) for sequence in inputs])

    def finish(self, state: TrainState, run_directory: Path) -> tuple[dict[str, Any], str]:
        """Measure the test part; where the labels are the keys of a piano and the inputs too, let the model play."""
        left, text = super().finish(state, run_directory)
        model = self.learner.model(state)
        if self.shares.size != _KEYS or self.inputs.size != _KEYS or self.config.model.bidirectional:
            return left, text
        prompt, key = self.dataset.test.inputs[0][:_PROMPT], jax.random.key(self.config.seed)
        carry, _ = model(prompt[None, :-1])
        drawn = sample_labels(lambda carry, keys: model.step(keys, carry), carry, prompt[-1:], _PLAYED, key)
        roll = np.concatenate([prompt, np.asarray(drawn.labels)[:, 0]])
        write_wav(run_directory / "sample.wav", synthesize(roll, rate=_RATE), _RATE)
        return (
            left,
            f"{text}\nto listen to: {run_directory / 'sample.wav'} (the first {_PROMPT} steps are of the test part)",
        )

    def texts(self, records: Records, outputs: Outputs) -> list[str]:
        """The numbers of the labels of each step."""
        lines = [
            " | ".join(" ".join(map(str, np.flatnonzero(row))) for row in output["holds"][: len(sequence)])
            for sequence, output in zip(records.inputs, outputs, strict=True)
        ]
        return mapped([self.inputs.text(sequence) for sequence in records.inputs], lines)
