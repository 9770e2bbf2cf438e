"""The labels of longer sequences of features, by connectionist temporal classification: many to fewer."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax.config.tasks.ctc import CTCDecodeConfig
from seqjax.data import Records, TokenVocabulary
from seqjax.decoding import ctc_beam_search, ctc_greedy
from seqjax.errors import ConfigError
from seqjax.losses import ctc_alignable, ctc_loss
from seqjax.metrics import count_edits, exact_match
from seqjax.nn import CTCModel
from seqjax.nn.functions import to_time_major
from seqjax.train.experiment import cell_maker
from seqjax.train.learner import Objective
from seqjax.train.tasks.decoded import DecodedTask
from seqjax.train.tasks.inputs import Inputs
from seqjax.train.tasks.supervised import Outputs

BLANK = "<blank>"
"""The first token of the labels' vocabulary, number 0."""


class LabelsOfFrames(Objective):
    """The CTC loss in nats a label; a batch has ``inputs`` and ``labels``, both with lengths, and ``valid``.

    The mean is over labels, not sequences: that is what error rates are over, and it stays the same when sequences are
    joined. A row whose steps are too few for its labels, or that has a label of no class (-1), has no finite loss: it
    is left out of the sum and of the number of labels, and an evaluation says which rows those are.
    """

    def __init__(self, decode: CTCDecodeConfig) -> None:
        self._decode = decode

    def loss(self, model: CTCModel, carry: Any, batch: Any, step: jax.Array) -> Any:
        """Nats, and how many labels."""
        losses, weights, *_ = self._losses(model, batch)
        return carry, jnp.sum(losses), jnp.sum(weights)

    def evaluate(self, model: CTCModel, carry: Any, batch: Any) -> Any:
        """Losses, whether each row can be aligned, and results: labels, -1 after their end, and log-probabilities."""
        losses, weights, alignable, logits, lengths = self._losses(model, batch)
        if self._decode.method == "greedy":
            tokens, _, scores = ctc_greedy(logits, lengths=lengths)
            tokens, scores = tokens[:, None], scores[:, None]
        else:
            beam_size, n_best = self._decode.beam_size, self._decode.n_best
            tokens, _, scores = ctc_beam_search(logits, lengths=lengths, beam_size=beam_size, n_best=n_best)
        measured = {"loss": losses, "weight": weights, "alignable": alignable, "tokens": tokens, "scores": scores}
        return carry, measured

    def _losses(self, model: CTCModel, batch: Any) -> Any:
        labels, label_lengths = batch["labels"], batch["labels_lengths"]
        logits, lengths = model(batch["inputs"], batch["inputs_lengths"])
        logits = to_time_major(logits)
        alignable = ctc_alignable(labels, lengths=lengths, label_lengths=label_lengths) & jnp.all(labels >= 0, axis=-1)
        losses = ctc_loss(logits, labels, lengths=lengths, label_lengths=label_lengths)
        return jnp.where(alignable, losses, 0), jnp.where(alignable, label_lengths, 0), alignable, logits, lengths


class CTCTask(DecodedTask):
    """Sequences of features, and the labels of each."""

    def learn_symbols(self, records: Records) -> None:
        """The scale of features, and the labels after the blank.

        Raises:
            ConfigError: the inputs are no features.
        """
        self.inputs = Inputs.learn(records.inputs, self.config.data, standardize=self.config.standardize)
        if self.inputs.tokens is not None:
            raise ConfigError(
                f"data.source - the task ctc reads features, and {self.config.data.source} has tokens; choose a source "
                "of features, such as tone-strings, or the task sequence_to_sequence"
            )
        self.labels = TokenVocabulary.learn(records.targets, special=(BLANK,))
        self.joined = all(isinstance(target, str) for target in records.targets)

    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """As stored."""
        self.inputs, self.joined = Inputs.from_json(symbols["inputs"]), symbols["joined"]
        self.labels = TokenVocabulary.from_json(symbols["labels"])

    def symbols(self) -> dict[str, Any]:
        """The inputs' scale, labels, and whether they are characters of one string."""
        return {"inputs": self.inputs.to_json(), "labels": self.labels.to_json(), "joined": self.joined}

    @property
    def unit(self) -> str:
        """Frame."""
        return self.inputs.unit

    @property
    def metric(self) -> str:
        """Edits for each right label."""
        return f"validation_{self._error_rate}"

    @property
    def baselines(self) -> Mapping[str, float]:
        """Saying nothing."""
        return {"no labels": 1.0}

    @property
    def _error_rate(self) -> str:
        return f"{self.config.target_unit}_error_rate"

    def columns(self, records: Records) -> dict[str, Any]:
        """Features and numbers of labels, -1 for those that the training part does not have.

        Raises:
            DataError: features of another number.
        """
        known = self.labels
        numbers = ([known.number(label) if label in known else -1 for label in target] for target in records.targets)
        return {
            "inputs": self.inputs.encode(records.inputs),
            "labels": [np.array(each, np.int32) for each in numbers],
        }

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """Convolution, recurrent layers, head."""
        model = self.config.model
        return CTCModel(
            self.labels.size,
            cell_maker(model),
            **self.inputs.model_options,
            convolution_size=model.convolution_size,
            convolution_width=model.convolution_width,
            convolution_stride=model.convolution_stride,
            stack_frames=model.stack_frames,
            bidirectional=model.bidirectional,
            rngs=rngs,
            **self.stack_options(model),
        )

    def objective(self) -> Objective:
        """CTC, and the labels of the most probable path."""
        return self.decoded_by(CTCDecodeConfig())

    def decoded_by(self, decode: CTCDecodeConfig) -> Objective:
        """CTC, and the labels that the decoder finds, with log-probabilities: of one path if it is greedy."""
        return LabelsOfFrames(decode)

    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Edits, sequences without any error, and how many cannot be aligned, which no decoder can get right."""
        said, right = [each[0] for each in self.said(outputs)], [list(target) for target in records.targets]
        return {
            self._error_rate: count_edits(said, right).rate,
            "exact_match": exact_match(said, right).value,
            "not_alignable": float(sum(not output["alignable"] for output in outputs)),
        }

    def check_ending(self) -> None:
        """Some sequences to train on must have steps enough for their labels."""
        if not self._alignable.any():
            raise ConfigError(
                "model - leaves fewer steps than labels of every sequence to train on; lower convolution_stride or "
                "stack_frames"
            )

    def description(self) -> list[str]:
        """Data, batches, baselines, and how many sequences to train on cannot be aligned."""
        lines, missing = super().description(), int(np.sum(~self._alignable))
        if missing:
            name = self.dataset.train.name(int(np.argmin(self._alignable)))
            lines.append(
                f"{missing:,} of {len(self.dataset.train):,} sequences to train on have fewer steps than their labels "
                f"need ({name} is the first) and are left out of the loss; lower convolution_stride or stack_frames"
            )
        return lines

    @functools.cached_property
    def _alignable(self) -> np.ndarray:
        """Which sequences to train on have steps enough."""
        model, columns = self.learner.model(self.learner.initial_state()), self.training_arrays
        steps = model.output_lengths(np.array([len(frames) for frames in columns["inputs"]]))
        counts = np.array([len(labels) for labels in columns["labels"]])
        labels = np.zeros((counts.size, counts.max()), np.int32)
        for row, entries in zip(labels, columns["labels"], strict=True):
            row[: len(entries)] = entries
        return np.asarray(ctc_alignable(labels, lengths=steps, label_lengths=counts))

    def said(self, outputs: Outputs) -> list[list[list[str]]]:
        """Labels."""
        return [[self.labels.decode(tokens[tokens >= 0]) for tokens in output["tokens"]] for output in outputs]

    def said_text(self, tokens: Sequence[str]) -> str:
        """Labels in a line."""
        return ("" if self.joined else " ").join(tokens)
