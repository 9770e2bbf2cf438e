"""Which symbol follows in a text."""

import functools
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax import data
from seqjax.config import LanguageModelExperiment, SampleConfig
from seqjax.data import ContiguousStreams, Vocabulary, vocabulary_from_json
from seqjax.errors import DataError
from seqjax.losses import bits_per_symbol, cross_entropy
from seqjax.nn import LanguageModel, generate
from seqjax.train.curves import Curves
from seqjax.train.experiment import AtBatch, Batch, Experiment, build_learner, cell_maker
from seqjax.train.files import write_atomically
from seqjax.train.learner import Learner, Objective, TrainState


class NextSymbol(Objective):
    """The cross-entropy of the next symbol in nats; a batch is ``(inputs, targets)``, in evaluations with a mask."""

    def initial_carry(self, model: LanguageModel, batch_size: int) -> Any:
        """The model's."""
        return model.initial_carry(batch_size)

    def loss(self, model: LanguageModel, carry: Any, batch: Any, step: jax.Array) -> tuple[Any, jax.Array, int]:
        """Nats, and how many symbols."""
        inputs, targets = batch
        carry, logits = model(inputs, carry)
        return carry, jnp.sum(cross_entropy(logits, targets)), targets.size

    def evaluate(self, model: LanguageModel, carry: Any, batch: Any) -> tuple[Any, jax.Array]:
        """Nats."""
        inputs, targets, mask = batch
        carry, logits = model(inputs, carry)
        return carry, jnp.sum(cross_entropy(logits, targets, mask))


class LanguageModelTask(Experiment):
    """A text, its symbols and batches, and the compiled functions of the model.

    Args:
        config: the configuration.
        symbols: the vocabulary of a run which has begun; the text's own if not given.

    Attributes:
        corpus: the text.
        vocabulary: its symbols.
        streams: the batches to train on.
        heldout: the batches to evaluate on.

    Raises:
        ConfigError: if the cell's options have values that it refuses.
        DataError: if the text is missing, damaged, or has characters that the vocabulary does not have.
    """

    def __init__(self, config: LanguageModelExperiment, symbols: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.corpus = data.load_corpus(config.data)
        given = symbols is not None
        self.vocabulary = vocabulary_from_json(symbols) if given else data.vocabulary_for(config.data, self.corpus)
        try:
            train, heldout = self.vocabulary.encode(self.corpus.train), self.vocabulary.encode(self.corpus.heldout)
        except DataError as error:
            raise DataError(
                f"the text {self.corpus.name} is not the one that the run was trained on: {error}"
            ) from None
        batch_size, length = config.data.batch_size, config.data.length
        self.streams = ContiguousStreams(train, batch_size, length, config.seed)
        self.heldout = data.evaluation_batches(heldout, batch_size, length)
        self.learner = language_model_learner(config, self.vocabulary.size)

    parts = ("heldout",)
    next_command = "seqjax sample {} --length 1000 --seed 1"

    @property
    def unit(self) -> str:
        """What a symbol is: ``character`` or ``byte``."""
        return self.vocabulary.kind

    @property
    def metric(self) -> str:
        """Bits per symbol of the held-out text."""
        return f"heldout_bits_per_{self.unit}"

    @functools.cached_property
    def baselines(self) -> Mapping[str, float]:
        """Bits per symbol that need no neural network, on the same split."""
        parts = (self.corpus.train, self.corpus.heldout)
        return data.baselines(*(part.encode() for part in parts)) if self.unit == "byte" else data.baselines(*parts)

    @property
    def batches_per_epoch(self) -> int:
        """Of the streams."""
        return self.streams.batches_per_epoch

    def batch(self, step: int) -> Batch:
        """The window of every stream."""
        window = self.streams[step]
        return Batch((window.inputs, window.targets), units=window.inputs.size, fresh=window.fresh)

    def evaluate(self, state: TrainState, at_batch: AtBatch, part: str | None = None) -> dict[str, float]:
        """Bits per symbol of the held-out text."""
        carry, sums = None, []
        for number, batch in enumerate(self.heldout):
            at_batch(number, len(self.heldout))
            if carry is None or batch.fresh:
                carry = self.learner.initial_carry(state.measured)
            carry, nats = self.learner.evaluate(state, carry, (batch.inputs, batch.targets, batch.mask))
            sums.append(nats)
        # Summed on the host in double precision, and fetched once.
        total = sum(float(nats) for nats in jax.device_get(sums))
        at_batch(len(self.heldout), len(self.heldout))
        return {self.metric: bits_per_symbol(total / sum(int(batch.mask.sum()) for batch in self.heldout))}

    def check_ending(self) -> None:
        """The prompt of the sample."""
        encode_prompt(self.vocabulary, self.config.sample.prompt)

    def checksum(self) -> int:
        """Of both parts of the text."""
        return zlib.crc32(self.corpus.heldout.encode(), zlib.crc32(self.corpus.train.encode()))

    def symbols(self) -> dict[str, Any]:
        """The vocabulary."""
        return self.vocabulary.to_json()

    def description(self) -> list[str]:
        """Text, baselines and steps."""
        unit, settings, steps = self.unit, self.config.data, self.config.train.steps
        heldout = sum(int(batch.mask.sum()) for batch in self.heldout) + 1
        bits = ", ".join(f"{name} {value:.3f}" for name, value in self.baselines.items())
        return [
            f"text: {self.corpus.name}, {self.streams.tokens.size:,} {unit}s to train on, {heldout:,} held out, "
            f"vocabulary of {self.vocabulary.size}",
            f"baselines in bits per {unit} of the held-out text: {bits}",
            f"{steps:,} steps of {settings.batch_size} x {settings.length} {unit}s, "
            f"{steps / self.batches_per_epoch:.1f} passes over the text",
        ]

    def finish(self, state: TrainState, run_directory: Path) -> tuple[dict[str, Any], str]:
        """A sample."""
        wanted = self.config.sample
        text = sample_text(self.learner.model(state), self.vocabulary, wanted, self.config.seed)
        write_atomically(run_directory / "sample.txt", text + "\n")
        return {}, f"--- sample at temperature {wanted.temperature:g} ---\n{text}\n---"

    def training_columns(self, loss: float | None) -> dict[str, float | None]:
        """Nats and bits."""
        return {"loss": loss, f"bits_per_{self.unit}": None if loss is None else bits_per_symbol(loss)}

    def curves(self) -> Curves:
        """Bits per symbol, training and held-out text in one."""
        label = f"bits per {self.unit}"
        bits = f"bits_per_{self.unit}"
        return Curves(self.unit, bits, self.metric, self.metric, label, label, self.baselines)

    def row_text(self, row: Mapping[str, Any]) -> str:
        """Nats, bits, and held-out bits."""
        parts = []
        if row["loss"] is not None:
            parts.append(f"loss {row['loss']:.3f} nats, {row[f'bits_per_{self.unit}']:.3f} bits/{self.unit}")
        if self.metric in row:
            parts.append(f"held out {row[self.metric]:.3f}")
        return "  ".join(parts)

    def result_text(self, value: float) -> str:
        """Bits per symbol."""
        return f"held out: {value:.3f} bits per {self.unit}"


def language_model_learner(config: LanguageModelExperiment, vocabulary_size: int) -> Learner:
    """The compiled functions of a language model, which need no text.

    Raises:
        ConfigError: if the cell's options have values that it refuses.
    """
    model = config.model

    def make(rngs: nnx.Rngs) -> LanguageModel:
        return LanguageModel(
            vocabulary_size,
            cell_maker(model),
            hidden_size=model.hidden_size,
            num_layers=model.num_layers,
            embedding_size=model.embedding_size,
            dropout=model.dropout,
            residual=model.residual,
            normalization=model.normalization,
            rngs=rngs,
            mode=config.train.mode,
            checkpoint=config.train.checkpoint_time,
        )

    return build_learner(config, make, NextSymbol())


def encode_prompt(vocabulary: Vocabulary, prompt: str) -> np.ndarray:
    """A prompt's symbols.

    Raises:
        DataError: if it is empty, or has a character that the vocabulary does not have.
    """
    if not prompt:
        raise DataError("the prompt is empty; give at least one character to go on from, such as a line's end")
    try:
        return vocabulary.encode(prompt)
    except DataError as error:
        raise DataError(f"the prompt {prompt!r} cannot be read by the model: {error}") from None


def sample_text(model: LanguageModel, vocabulary: Vocabulary, wanted: SampleConfig, seed: int) -> str:
    """The prompt and what the model goes on with."""
    prompt = encode_prompt(vocabulary, wanted.prompt)
    drawn = generate(
        model,
        prompt,
        wanted.length,
        jax.random.key(seed),
        wanted.temperature,
        top_k=wanted.top_k and min(wanted.top_k, vocabulary.size),
        top_p=wanted.top_p,
        min_p=wanted.min_p,
    )
    return vocabulary.decode(np.concatenate([prompt, np.asarray(drawn.tokens)]))
