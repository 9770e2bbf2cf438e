"""What a configuration and its text define, before anything is trained."""

import dataclasses
import functools
import zlib
from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from seqjax import data
from seqjax.config import ExperimentConfig, SampleConfig, apply_transforms, build_cell
from seqjax.data import ContiguousStreams, Corpus, EvaluationBatch, Vocabulary
from seqjax.errors import ConfigError, DataError
from seqjax.losses import bits_per_symbol
from seqjax.nn import LanguageModel, generate
from seqjax.optim import optimizer
from seqjax.train.learner import Learner, TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A text, its symbols and batches, and the compiled functions of the model.

    Attributes:
        config: the configuration.
        corpus: the text.
        vocabulary: its symbols.
        streams: the batches to train on.
        heldout: the batches to evaluate on.
        learner: the compiled functions.
    """

    config: ExperimentConfig
    corpus: Corpus
    vocabulary: Vocabulary
    streams: ContiguousStreams
    heldout: list[EvaluationBatch]
    learner: Learner

    @property
    def unit(self) -> str:
        """What a symbol is: ``character`` or ``byte``."""
        return self.vocabulary.kind

    @property
    def metric(self) -> str:
        """The name of what is measured on the held-out text."""
        return f"heldout_bits_per_{self.unit}"

    @property
    def batch_tokens(self) -> int:
        """Symbols that one update reads."""
        return self.config.data.batch_size * self.config.data.length

    def text_checksum(self) -> int:
        """Of both parts of the text: a run goes on with the text it began with."""
        return zlib.crc32(self.corpus.heldout.encode(), zlib.crc32(self.corpus.train.encode()))

    @functools.cached_property
    def baselines(self) -> dict[str, float]:
        """Bits per symbol that need no neural network, on the same split."""
        parts = (self.corpus.train, self.corpus.heldout)
        return data.baselines(*(part.encode() for part in parts)) if self.unit == "byte" else data.baselines(*parts)


def build(config: ExperimentConfig, vocabulary: Vocabulary | None = None) -> Experiment:
    """Load the text and build the model.

    Args:
        config: the configuration.
        vocabulary: that of a run which has begun; the text's own if not given.

    Raises:
        ConfigError: if the cell's options have values that it refuses.
        DataError: if the text is missing, damaged, or has characters that the vocabulary does not have.
    """
    corpus = data.load_corpus(config.data)
    vocabulary = data.vocabulary_for(config.data, corpus) if vocabulary is None else vocabulary
    try:
        train, heldout = vocabulary.encode(corpus.train), vocabulary.encode(corpus.heldout)
    except DataError as error:
        raise DataError(f"the text {corpus.name} is not the one that the run was trained on: {error}") from None
    return Experiment(
        config=config,
        corpus=corpus,
        vocabulary=vocabulary,
        streams=ContiguousStreams(train, config.data.batch_size, config.data.length, config.seed),
        heldout=data.evaluation_batches(heldout, config.data.batch_size, config.data.length),
        learner=build_learner(config, vocabulary.size),
    )


def build_learner(config: ExperimentConfig, vocabulary_size: int) -> Learner:
    """Build the model and its compiled functions, which need no text.

    Raises:
        ConfigError: if the cell's options have values that it refuses.
    """
    return Learner(
        _model(config, vocabulary_size),
        optimizer(config.optimizer, config.train.steps),
        batch_size=config.data.batch_size,
        allowed_failures=config.optimizer.skip_nonfinite,
        devices=config.train.devices,
    )


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


def heldout_bits(experiment: Experiment, state: TrainState, at_batch: Callable[[int, int], None]) -> float:
    """Bits per symbol on the held-out text.

    Args:
        experiment: the text and the model.
        state: the parameters.
        at_batch: called before each batch with its number and how many there are, and once with both equal at the end.
    """
    learner, batches = experiment.learner, experiment.heldout
    carry, sums = None, []
    for number, batch in enumerate(batches):
        at_batch(number, len(batches))
        if carry is None or batch.fresh:
            carry = learner.initial_carry(state.parameters)
        carry, nats = learner.evaluate(state, carry, batch.inputs, batch.targets, batch.mask)
        sums.append(nats)
    # Summed on the host in double precision, and fetched once.
    total = sum(float(nats) for nats in jax.device_get(sums))
    at_batch(len(batches), len(batches))
    return bits_per_symbol(total / sum(int(batch.mask.sum()) for batch in batches))


def sample_text(model: LanguageModel, vocabulary: Vocabulary, wanted: SampleConfig, seed: int) -> str:
    """The prompt and what the model goes on with."""
    prompt = encode_prompt(vocabulary, wanted.prompt)
    drawn = generate(model, prompt, wanted.length, jax.random.key(seed), wanted.temperature)
    return vocabulary.decode(np.concatenate([prompt, np.asarray(drawn.tokens)]))


def _model(config: ExperimentConfig, vocabulary_size: int) -> LanguageModel:
    model = config.model
    cell = lambda **sizes: apply_transforms(
        build_cell(model.cell, {**sizes, **model.cell_options}), model.cell_transforms, "cell_transforms"
    )
    parameter_key, dropout_key = jax.random.split(jax.random.key(config.seed))
    try:
        return LanguageModel(
            vocabulary_size,
            cell,
            hidden_size=model.hidden_size,
            num_layers=model.num_layers,
            embedding_size=model.embedding_size,
            dropout=model.dropout,
            residual=model.residual,
            normalization=model.normalization,
            rngs=nnx.Rngs(params=parameter_key, dropout=dropout_key),
            mode=config.train.mode,
            checkpoint=config.train.checkpoint_time,
        )
    except ConfigError as error:
        raise ConfigError(f"model - {error}; see `seqjax cells {model.cell}`") from error
