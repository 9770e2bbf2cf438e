"""A decoder over given tokens: the training pass.

Where nothing of a step's attention goes into the next step's layers, the layers run over all steps as any stack does,
and attention reads for all steps at once. Otherwise the decoder's whole step is one :func:`seqjax.scan`.
"""

import dataclasses
from typing import Any

import jax
from flax import nnx

from seqjax.engine import scan
from seqjax.nn import functions, sequences
from seqjax.nn.decoder import Decoder, DecoderCarry, Source, StepInputs


def run_decoder(
    decoder: Decoder,
    tokens: jax.Array,
    carry: DecoderCarry,
    source: Source,
    lengths: Any = None,
    sampling: tuple[Any, jax.Array] | None = None,
) -> tuple[jax.Array, Any]:
    """The output vectors and attention weights of all steps.

    Args:
        decoder: the decoder; in training its dropout and noise are drawn.
        tokens: what each step reads, whole numbers ``[time, *batch]``.
        carry: before the first token.
        source: what is decoded.
        lengths: whole numbers ``[*batch]``; vectors and weights after the end are zero.
        sampling: scheduled sampling (Bengio et al. 2015): with this probability a step reads, in place of the given
            token, one drawn from the model's own logits of the step before; and a random key.

    Returns:
        ``(vectors, weights)``: ``[time, *batch, output_size]``, and ``[time, *batch, positions]`` or ``None``.
    """
    if lengths is not None:
        tokens = functions.zero_padding(tokens, lengths)
    inputs = decoder.seen(tokens, source)
    if sampling is None and carry.query is None and carry.fed is None:
        return _layers_first(decoder, inputs, carry, source, lengths)
    layers = decoder.recurrent
    starts = [layer.start(inputs, layer_carry) for layer, layer_carry in zip(layers, carry.layers, strict=True)]
    noise = None if decoder.attention is None else decoder.attention.noise(tokens.shape, source.memory)
    step_inputs, own = StepInputs(inputs, decoder.layers.dropout_masks(tokens.shape), noise), None
    if sampling is not None:
        step_inputs, own = StepInputs(*step_inputs[:3], *sequences.coins(tokens.shape, *sampling)), tokens[0]
    graph, state = nnx.split(decoder)
    _, (vectors, weights) = scan(
        _DecoderStep(graph),
        (state, tuple(values for values, _, _ in starts), source),
        step_inputs,
        (carry._replace(layers=tuple(noisy for _, noisy, _ in starts)), own),
        lengths=lengths,
        mode=layers[0].mode,
        checkpoint=layers[0].checkpoint,
    )
    return vectors, weights


@dataclasses.dataclass(frozen=True)
class _DecoderStep:
    """Equal for equal graphs, so that :func:`seqjax.scan` compiles it once."""

    graph: Any

    def __call__(self, params: Any, carry: Any, inputs: StepInputs) -> tuple[Any, Any]:
        state, values, source = params
        decoder, (carry, own) = nnx.merge(self.graph, state), carry
        if inputs.replaced is not None:
            own_inputs = decoder.seen(own, source)
            inputs = inputs._replace(seen=sequences.where_flagged(inputs.replaced, own_inputs, inputs.seen))
        carry, vector, weights = decoder.advance(values, carry, source, inputs)
        if inputs.replaced is not None:
            own = sequences.drawn_tokens(decoder.logits(vector), inputs.keys, own.dtype)
        return (carry, own), (vector, weights)


def _layers_first(
    decoder: Decoder, inputs: jax.Array, carry: DecoderCarry, source: Source, lengths: Any
) -> tuple[jax.Array, Any]:
    _, outputs = decoder.layers.time_major(inputs, carry.layers, lengths=lengths)
    if decoder.attention is None:
        return outputs, None
    noise = decoder.attention.noise(outputs.shape[:-1], source.memory)
    if decoder.attention.stateful:
        graph, state = nnx.split(decoder.attention)
        params = (state, source.memory)
        _, (context, weights) = scan(_AttentionStep(graph), params, (outputs, noise), carry.attention, lengths=lengths)
    else:
        context, weights, _ = decoder.attention(outputs, source.memory, noise=noise)
    vectors = decoder.vector(context, outputs)
    if lengths is None:
        return vectors, weights
    return functions.zero_padding(vectors, lengths), functions.zero_padding(weights, lengths)


@dataclasses.dataclass(frozen=True)
class _AttentionStep:
    graph: Any

    def __call__(self, params: Any, state: Any, inputs: Any) -> tuple[Any, Any]:
        (module_state, memory), (query, noise) = params, inputs
        context, weights, state = nnx.merge(self.graph, module_state)(query, memory, state, noise=noise)
        return state, (context, weights)
