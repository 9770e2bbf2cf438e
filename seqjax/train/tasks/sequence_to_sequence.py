"""A sequence from another: translation, transduction, autoencoders."""

import collections
import dataclasses
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from seqjax.analysis import plots
from seqjax.analysis.code_plots import codes_map
from seqjax.config.tasks.sequence_to_sequence import DecodeConfig, SequenceToSequenceExperiment
from seqjax.data import Dataset, Records
from seqjax.errors import DataError
from seqjax.metrics import bleu, count_edits, exact_match
from seqjax.nn import EncoderDecoder
from seqjax.train.experiment import cell_maker
from seqjax.train.learner import Objective, TrainState
from seqjax.train.tasks.codes import codes_of
from seqjax.train.tasks.decoded import DecodedTask
from seqjax.train.tasks.inputs import Inputs
from seqjax.train.tasks.supervised import Outputs
from seqjax.train.tasks.target_sequences import TargetSequence, decoder_of
from seqjax.train.tasks.tokens import Tokens

# Attention is drawn for the longest of so many test records.
_LOOKED_AT = 8


class SequenceToSequenceTask(DecodedTask):
    """Sequences of tokens or features, and the sequences of tokens that they become."""

    def __init__(self, config: SequenceToSequenceExperiment, symbols: Mapping[str, Any] | None = None) -> None:
        self.target_steps = "inputs" if config.autoencode else "own"
        super().__init__(config, symbols)
        self.higher_is_better = config.metric != "error_rate"

    def load(self) -> Dataset:
        """All three parts; of an autoencoder, with the inputs as targets."""
        dataset = super().load()
        if not self.config.autoencode:
            return dataset
        parts = {
            part: dataclasses.replace(records, targets=records.inputs, references=None)
            for part in ("train", "validation", "test")
            for records in [dataset.part(part)]
        }
        return dataclasses.replace(dataset, **parts)

    def learn_symbols(self, records: Records) -> None:
        """Inputs, tokens of the targets, and how long targets are.

        Raises:
            DataError: targets that are no tokens.
        """
        data = self.config.data
        if isinstance(records.targets[0], np.ndarray):
            raise DataError(
                f"{data.source}: targets are arrays {[*records.targets[0].shape]}, and a sequence_to_sequence writes "
                "tokens; choose another source, or the task regression or multi_label"
            )
        self.inputs = Inputs.learn(list(records.inputs), data)
        self.targets = Tokens.learn(records.targets, data, ends=True)
        self.longest = max(map(len, self.training_arrays["targets"])) - 1

    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """As stored."""
        self.inputs, self.targets = Inputs.from_json(symbols["inputs"]), Tokens.from_json(symbols["targets"])
        self.longest = symbols["longest"]

    def symbols(self) -> dict[str, Any]:
        """Both vocabularies, and the length of the longest target."""
        return {"inputs": self.inputs.to_json(), "targets": self.targets.to_json(), "longest": self.longest}

    @property
    def unit(self) -> str:
        """Token or frame, of the inputs."""
        return self.inputs.unit

    @property
    def metric(self) -> str:
        """What the configuration says."""
        return f"validation_{self._measure}"

    @property
    def baselines(self) -> Mapping[str, float]:
        """Saying the most frequent target of the training part always; saying the input."""
        validation = self.dataset.validation
        most, _ = collections.Counter(map(tuple, self.dataset.train.targets)).most_common(1)[0]
        said = {"most frequent target": [most] * len(validation)}
        if self.inputs.tokens is not None and not self.config.autoencode:
            said["the input itself"] = [tuple(tokens) for tokens in validation.inputs]
        return {name: self._measures(validation, each)[self._measure] for name, each in said.items()}

    def columns(self, records: Records) -> dict[str, Any]:
        """Inputs, and targets with the end token."""
        return {
            "inputs": self.inputs.encode(records.inputs),
            "targets": [
                np.append(self.targets.encode(target), np.int32(self.targets.end)) for target in records.targets
            ],
        }

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """Encoder and decoder."""
        model = self.config.model
        options = self.inputs.model_options
        if "vocabulary_size" in options:
            options = {"input_vocabulary_size": options["vocabulary_size"]}
        return EncoderDecoder.from_cell(
            self.targets.size,
            cell_maker(model),
            **options,
            embedding_size=model.embedding_size,
            bidirectional=model.bidirectional,
            attention=model.attention,
            query=model.query,
            input_feeding=model.input_feeding,
            summary=model.summary,
            tied_embeddings=model.tied_embeddings,
            start_token=self.targets.end,
            rngs=rngs,
            **self.stack_options(model),
        )

    def objective(self) -> Objective:
        """Cross-entropy, and greedy decoding."""
        decode = self.config.decode
        greedy = dataclasses.replace(decode, method="greedy", n_best=1, coverage_penalty=0.0, no_repeat_ngram=None)
        return self.decoded_by(greedy)

    def decoded_by(self, decode: DecodeConfig) -> Objective:
        """Cross-entropy, and the targets that the decoder finds."""
        config = self.config
        return TargetSequence(
            decoder_of(decode, self.targets, self.longest),
            seed=config.seed,
            label_smoothing=config.label_smoothing,
            coverage_loss=config.coverage_loss,
            scheduled_sampling=config.scheduled_sampling,
        )

    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Exact matches, edits, and BLEU where it counts."""
        return self._measures(records, [said[0] for said in self.said(outputs)])

    def codes(self, state: TrainState, records: Records) -> np.ndarray:
        """What the encoder hands to the decoder for each record, ``[records, size]``: all of it without attention."""
        return codes_of(self.learner.model(state), self.columns(records), self.config.data.batch_size)

    def description(self) -> list[str]:
        """Data, what is unknown, batches and baselines."""
        lines = super().description()
        for name, tokens in (("inputs", self.inputs.tokens), ("targets", self.targets)):
            if tokens is None:
                continue
            unknown = sum(len(tokens.unknown(sequence)) for sequence in getattr(self.dataset.validation, name))
            lines.append(
                f"{name}: vocabulary of {tokens.size:,}; {unknown:,} tokens of the validation part are unknown"
            )
        return lines

    def finish(self, state: TrainState, run_directory: Path) -> tuple[dict[str, Any], str]:
        """Measure the test part and write its predictions; draw where one looked, or the codes without attention."""
        left, text = super().finish(state, run_directory)
        records = self.dataset.test
        longest = max(range(min(_LOOKED_AT, len(records))), key=lambda index: len(records.inputs[index]))
        if importlib.util.find_spec("matplotlib") is None or not len(records.inputs[longest]):
            return left, text
        if self.config.model.attention is None:
            labels = [self.inputs.text(sequence) for sequence in records.inputs]
            picture = plots.save(codes_map(self.codes(state, records), labels), run_directory / "codes")[0]
        else:
            picture = self._draw_attention(state, records.take([longest]), run_directory)
        return left, f"{text}\npicture: {picture}"

    def _draw_attention(self, state: TrainState, record: Records, directory: Path) -> Path:
        """Of what is said of a single record, as ``attention.png`` and ``.svg``."""
        output, inputs = self.outputs(state, record, final=True)[0], self.columns(record)["inputs"][0]
        tokens = self.inputs.tokens
        said = output["tokens"][0, : output["lengths"][0]]
        _, weights = self.learner.model(state)(inputs[None], said[None], return_weights=True)
        read = None if tokens is None else tokens.steps(inputs)
        figure = plots.attention_map(weights[0], read, self.targets.steps(said))
        return plots.save(figure, directory / "attention")[0]

    @property
    def _measure(self) -> str:
        unit = self.config.target_unit
        return f"{unit}_error_rate" if self.config.metric == "error_rate" else self.config.metric

    def said_text(self, tokens: Sequence[str]) -> str:
        """Tokens in a line."""
        return self.targets.text(tokens)

    def said(self, outputs: Outputs) -> list[list[list[str]]]:
        """Tokens without the end."""
        return [
            [
                self.targets.decode(tokens[: length - (length > 0 and tokens[length - 1] == self.targets.end)])
                for tokens, length in zip(output["tokens"], output["lengths"], strict=True)
            ]
            for output in outputs
        ]

    def _measures(self, records: Records, said: Sequence[Sequence[str]]) -> dict[str, float]:
        references = records.references
        if references is None:
            references = [[target] for target in records.targets]
        measures = {
            "exact_match": exact_match(said, references, several=True).value,
            f"{self.config.target_unit}_error_rate": count_edits(said, references, several=True).rate,
        }
        if self.config.metric == "bleu":
            lists = [[list(reference) for reference in each] for each in references]
            measures["bleu"] = bleu(list(map(list, said)), lists, several=True).score()
        return measures
