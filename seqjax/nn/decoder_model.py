"""What every model with a decoder has in common: teacher forcing, and a step for :mod:`seqjax.decoding`."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from seqjax.nn import functions, sequences
from seqjax.nn.decoder import Decoder, DecoderCarry, Source
from seqjax.nn.teacher_forcing import run_decoder


class DecoderStart(NamedTuple):
    """What :func:`seqjax.decoding.sample`, ``greedy`` and ``beam_search`` begin with, in their order."""

    step: jax.tree_util.Partial
    """``carry, logits = step(carry, token)``. It holds the parameters and what is decoded as arguments, so that a
    decoding is compiled once for all of them."""
    carry: DecoderCarry
    """The carry before the first token."""
    first_token: jax.Array
    """The start token, whole numbers ``[*batch]``."""


class DecoderModel(nnx.Module):
    """A model that makes tokens of something else.

    A subclass has a ``decoder``, a ``start_token``, the token that stands before the first, ``input_axes``, how many
    axes its inputs have without batch axes, and gives :meth:`source`.
    """

    decoder: Decoder
    start_token: int
    input_axes: int

    def source(self, inputs: Any, input_lengths: Any = None) -> tuple[Any, Source]:
        """What is decoded, read: the first carry of every layer of the decoder, and what its steps read."""
        raise NotImplementedError

    def __call__(
        self,
        inputs: Any,
        targets: Any,
        input_lengths: Any = None,
        target_lengths: Any = None,
        *,
        sampling_probability: Any = None,
        key: jax.Array | None = None,
        return_weights: bool = False,
    ) -> Any:
        """The logits of each target given the inputs and the targets before it (teacher forcing).

        The targets are shifted in here: give them as the loss reads them, without the start token, and with the end
        token where there is one.

        Args:
            inputs: what is decoded, ``[*batch, ...]``.
            targets: whole numbers ``[*batch, time]``.
            input_lengths: whole numbers ``[*batch]``; what comes after the end of the inputs touches nothing.
            target_lengths: whole numbers ``[*batch]``; after the end the logits mean nothing: mask the loss there.
            sampling_probability: of reading, in place of the target before, a token that is drawn from the model's own
                logits of the step before (scheduled sampling, Bengio et al. 2015). It may be traced, so that a schedule
                compiles nothing; gradients do not flow through the draw.
            key: random key of scheduled sampling.
            return_weights: also return the attention weights. Those of a decoding are those of its tokens as targets,
                in ``model.eval()``.

        Returns:
            Logits ``[*batch, time, vocabulary_size]``; with ``return_weights``, ``(logits, weights)`` with weights
            ``[*batch, time, positions]``, ``None`` without attention.

        Raises:
            ValueError: scheduled sampling without a key, or shapes that do not fit.
        """
        if (sampling_probability is None) != (key is None):
            raise ValueError("scheduled sampling needs both sampling_probability and key; give both or none")
        sampling = None if key is None else (sampling_probability, key)
        layers, source = self.source(inputs, input_lengths)
        targets = functions.to_time_major(jnp.asarray(targets), feature_axes=0)
        tokens = sequences.shifted(targets, self.start_token)
        carry = self.decoder.initial_carry(layers, source)
        vectors, weights = run_decoder(self.decoder, tokens, carry, source, target_lengths, sampling)
        dropout = self.decoder.dropout
        logits = self.decoder.logits(functions.to_batch_major(vectors if dropout is None else dropout(vectors)))
        return (logits, None if weights is None else functions.to_batch_major(weights)) if return_weights else logits

    def decoder_step(self, inputs: Any, input_lengths: Any = None, *, coverage: bool = False) -> DecoderStart:
        """The inputs read, and the decoder as a pure step, without dropout.

        Args:
            inputs: what is decoded, ``[*batch, ...]``.
            input_lengths: as for the call.
            coverage: sum up the attention in the carry's field ``coverage``, for
                :class:`seqjax.decoding.CoveragePenalty`.

        Example:
            >>> import jax, jax.numpy as jnp, seqjax
            >>> from flax import nnx
            >>> model = seqjax.nn.ConditionalGenerator(7, classes=3, hidden_size=5, rngs=nnx.Rngs(0))
            >>> step, carry, first_token = model.decoder_step(jnp.array([0, 2]))
            >>> seqjax.decoding.sample(step, carry, first_token, 4, jax.random.key(0)).tokens.shape
            (4, 2)
        """
        view = nnx.view(self, deterministic=True, raise_if_not_found=False)
        graph, state = nnx.split(view)
        carry, source = _start(graph, coverage, state, jnp.asarray(inputs), input_lengths)
        decoder_graph, decoder_state = nnx.split(view.decoder)
        step = jax.tree_util.Partial(_TokenStep(decoder_graph), decoder_state, source)
        shape = jnp.shape(inputs)
        first_token = sequences.filled(shape[: len(shape[self.input_axes :])], self.start_token)
        return DecoderStart(step, carry, first_token)


@partial(jax.jit, static_argnums=(0, 1))
def _start(graph: Any, coverage: bool, state: Any, inputs: jax.Array, input_lengths: Any) -> Any:
    model = nnx.merge(graph, state)
    layers, source = model.source(inputs, input_lengths)
    return model.decoder.initial_carry(layers, source, coverage=coverage), source


@dataclasses.dataclass(frozen=True)
class _TokenStep:
    """Equal for equal graphs, so that a :class:`jax.tree_util.Partial` of it is compiled once."""

    graph: Any

    def __call__(self, state: Any, source: Source, carry: DecoderCarry, token: jax.Array) -> tuple[Any, jax.Array]:
        if source.batch_shape not in (None, jnp.shape(token)):
            raise ValueError(
                f"the step got tokens of shape {jnp.shape(token)} for sources of shape {source.batch_shape}; where a "
                "source has several hypotheses, add their axis with jax.vmap"
            )
        carry, logits, _ = nnx.merge(self.graph, state).step(token, carry, source)
        return carry, logits
