"""The class of a sequence: many to one."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax.data import Records
from seqjax.errors import DataError, nearest
from seqjax.losses import cross_entropy
from seqjax.nn import SequenceClassifier
from seqjax.train.experiment import cell_maker
from seqjax.train.learner import Objective
from seqjax.train.tasks.inputs import Inputs
from seqjax.train.tasks.supervised import Outputs, SupervisedTask, mapped


class ClassOfSequence(Objective):
    """Cross-entropy of the class in nats; a batch has ``inputs``, ``inputs_lengths``, ``classes`` and ``valid``."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self._label_smoothing = label_smoothing

    def loss(self, model: SequenceClassifier, carry: Any, batch: Any, step: jax.Array) -> Any:
        """Nats, and how many sequences."""
        logits = model(batch["inputs"], lengths=batch["inputs_lengths"])
        losses = cross_entropy(logits, batch["classes"], batch["valid"], label_smoothing=self._label_smoothing)
        return carry, jnp.sum(losses), jnp.sum(batch["valid"])

    def evaluate(self, model: SequenceClassifier, carry: Any, batch: Any) -> Any:
        """Losses without smoothing, and log-probabilities."""
        logits = model(batch["inputs"], lengths=batch["inputs_lengths"])
        losses = cross_entropy(logits, batch["classes"], batch["valid"])
        return carry, {"loss": losses, "weight": batch["valid"], "log_probabilities": jax.nn.log_softmax(logits)}


class ClassificationTask(SupervisedTask):
    """Sequences of tokens or features, and the class of each."""

    metric = "validation_accuracy"
    higher_is_better = True

    def learn_symbols(self, records: Records) -> None:
        """Inputs, and the names of the classes."""
        self.inputs = Inputs.learn(records.inputs, self.config.data)
        self.classes = sorted(set(records.targets))

    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """As stored."""
        self.inputs, self.classes = Inputs.from_json(symbols["inputs"]), list(symbols["classes"])

    def symbols(self) -> dict[str, Any]:
        """Inputs and classes."""
        return {"inputs": self.inputs.to_json(), "classes": self.classes}

    @property
    def unit(self) -> str:
        """Token or frame."""
        return self.inputs.unit

    @property
    def baselines(self) -> Mapping[str, float]:
        """Saying the most frequent class of the training part always."""
        most, _ = collections.Counter(self.dataset.train.targets).most_common(1)[0]
        return {"majority": float(np.mean([target == most for target in self.dataset.validation.targets]))}

    def columns(self, records: Records) -> dict[str, Any]:
        """Inputs and numbers of classes.

        Raises:
            DataError: a class that the training part does not have.
        """
        numbers = {name: number for number, name in enumerate(self.classes)}
        for index, target in enumerate(records.targets):
            if target not in numbers:
                raise DataError(
                    f"{records.name(index)}: class {target!r} is not among those of the training part; "
                    f"{nearest(str(target), self.classes)}"
                )
        classes = np.array([numbers[target] for target in records.targets], np.int32)
        return {"inputs": self.inputs.encode(records.inputs), "classes": classes}

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """Embedding, recurrent layers, pooling, head."""
        model = self.config.model
        return SequenceClassifier(
            len(self.classes),
            cell_maker(model),
            **self.inputs.model_options,
            embedding_size=model.embedding_size,
            bidirectional=model.bidirectional,
            pooling=model.pooling,
            rngs=rngs,
            **self.stack_options(model),
        )

    def objective(self) -> Objective:
        """Cross-entropy."""
        return ClassOfSequence(self.config.label_smoothing)

    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Share of right classes."""
        right = [name == target for name, target in zip(self._said(outputs), records.targets, strict=True)]
        return {"accuracy": float(np.mean(right))}

    def unlabelled(self, inputs: Sequence[Any]) -> Records:
        """With a class that means nothing."""
        return Records(inputs, [self.classes[0]] * len(inputs))

    def texts(self, records: Records, outputs: Outputs) -> list[str]:
        """The class and its probability."""
        sure = [float(np.exp(output["log_probabilities"].max())) for output in outputs]
        said = [f"{name} {share:.3f}" for name, share in zip(self._said(outputs), sure, strict=True)]
        return mapped([self.inputs.text(sequence) for sequence in records.inputs], said)

    def _said(self, outputs: Outputs) -> list[str]:
        return [self.classes[int(np.argmax(output["log_probabilities"]))] for output in outputs]
