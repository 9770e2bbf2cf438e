"""The objective of sequence to sequence, and its decoders."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.attention import coverage_loss as read_again
from seqjax.config.tasks.sequence_to_sequence import DecodeConfig, ScheduledSamplingConfig
from seqjax.decoding import (
    AverageLengthPenalty,
    CoveragePenalty,
    GNMTLengthPenalty,
    Hypotheses,
    beam_search,
    greedy,
)
from seqjax.losses import cross_entropy
from seqjax.nn import EncoderDecoder
from seqjax.nn.functions import valid_positions
from seqjax.train.learner import Objective
from seqjax.train.tasks.tokens import Tokens

Decode = Callable[[EncoderDecoder, Any, Any], Hypotheses]
"""From the model, inputs and their lengths."""


class TargetSequence(Objective):
    """Cross-entropy of each token of the target, the end token among them, in nats.

    A batch has ``inputs`` and ``targets``, both with lengths, and ``valid``.

    Args:
        decode: how targets are found in evaluations.
        seed: of scheduled sampling.
        label_smoothing: share of each target that is spread over all tokens.
        coverage_loss: weight of the loss for reading positions again.
        scheduled_sampling: how often the model reads its own tokens; never if not given.
    """

    def __init__(
        self,
        decode: Decode,
        *,
        seed: int = 0,
        label_smoothing: float = 0.0,
        coverage_loss: float = 0.0,
        scheduled_sampling: ScheduledSamplingConfig | None = None,
    ) -> None:
        self._decode, self._seed, self._label_smoothing = decode, seed, label_smoothing
        self._coverage_loss, self._sampling = coverage_loss, scheduled_sampling

    def loss(self, model: EncoderDecoder, carry: Any, batch: Any, step: jax.Array) -> Any:
        """Nats, and how many tokens."""
        options = {}
        if self._sampling is not None and self._sampling.probability:
            key = jax.random.fold_in(jax.random.key(self._seed), step)
            options = {"sampling_probability": sampling_probability(self._sampling, step), "key": key}
        logits, weights = model(*_arguments(batch), **options, return_weights=True)
        losses = self._losses(logits, batch, self._label_smoothing)
        if self._coverage_loss:
            mask = valid_positions(logits.shape[1], batch["targets_lengths"])
            losses += self._coverage_loss * read_again(jnp.moveaxis(weights, 1, 0), mask.T).T
        return carry, jnp.sum(losses), jnp.sum(batch["targets_lengths"])

    def evaluate(self, model: EncoderDecoder, carry: Any, batch: Any) -> Any:
        """Losses without smoothing, and what the decoder finds."""
        losses = self._losses(model(*_arguments(batch)), batch, 0.0)
        # Rows that fill up the batch would be decoded for long: nothing tells them to end.
        repeated = lambda leaf: jnp.where(batch["valid"].reshape(-1, *[1] * (leaf.ndim - 1)), leaf, leaf[:1])
        found = self._decode(model, repeated(batch["inputs"]), repeated(batch["inputs_lengths"]))
        return carry, {
            "loss": jnp.sum(losses, axis=-1),
            "weight": batch["targets_lengths"],
            "tokens": found.tokens,
            "lengths": found.lengths,
            "scores": found.scores,
        }

    def _losses(self, logits: jax.Array, batch: Any, smoothing: float) -> jax.Array:
        mask = valid_positions(logits.shape[1], batch["targets_lengths"])
        return cross_entropy(logits, batch["targets"], mask, label_smoothing=smoothing)


def sampling_probability(config: ScheduledSamplingConfig, step: Any) -> Any:
    """Of reading the model's own token after so many updates."""
    risen = (step - config.start) / max(config.ramp, 1) if config.ramp else step >= config.start
    return config.probability * jnp.clip(risen, 0.0, 1.0)


def decoder_of(config: DecodeConfig, targets: Tokens, longest: int) -> Decode:
    """The decoder of a configuration.

    Args:
        config: the configuration.
        targets: the tokens that are written.
        longest: tokens of the longest target that the model was trained on.
    """
    options: dict[str, Any] = {
        "end_token": targets.end,
        "minimum_length": config.minimum_length,
        "allowed": None if config.allow_unknown else targets.known_only(),
    }
    length = 1 + (2 * longest if config.maximum_length is None else config.maximum_length)
    if config.method == "greedy":
        return lambda model, inputs, lengths: _greedy(model, inputs, lengths, length, options)
    penalty = {
        "none": None,
        "average": AverageLengthPenalty(),
        "gnmt": GNMTLengthPenalty(config.length_penalty_alpha),
    }[config.length_penalty]

    def search(model: EncoderDecoder, inputs: Any, lengths: Any) -> Hypotheses:
        with_coverage = bool(config.coverage_penalty)
        start = model.decoder_step(inputs, lengths, coverage=with_coverage)
        coverage = jax.tree_util.Partial(_coverage)
        return beam_search(
            *start,
            length,
            beam_size=config.beam_size,
            n_best=config.n_best,
            length_penalty=penalty,
            coverage_penalty=CoveragePenalty(coverage, config.coverage_penalty) if with_coverage else None,
            no_repeat_ngram=config.no_repeat_ngram,
            **options,
        )

    return search


def _greedy(model: EncoderDecoder, inputs: Any, lengths: Any, length: int, options: dict[str, Any]) -> Hypotheses:
    samples = greedy(*model.decoder_step(inputs, lengths), length, **options)
    assert samples.lengths is not None
    log_probabilities = jnp.sum(samples.log_probabilities, axis=0)[:, None]
    tokens = jnp.moveaxis(samples.tokens, 0, 1)[:, None]
    return Hypotheses(
        tokens=tokens,
        lengths=samples.lengths[:, None],
        scores=log_probabilities,
        log_probabilities=log_probabilities,
        finished=tokens[..., -1] == options["end_token"],
    )


def _coverage(carry: Any) -> jax.Array:
    return carry.coverage


def _arguments(batch: Any) -> tuple[jax.Array, ...]:
    return batch["inputs"], batch["targets"], batch["inputs_lengths"], batch["targets_lengths"]
