"""One vector of a whole sequence."""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax import attention
from seqjax.nn import functions, sequences
from seqjax.nn.attention import drawn
from seqjax.nn.bidirectional import Bidirectional
from seqjax.nn.layer import Layer
from seqjax.nn.recurrent import Recurrent
from seqjax.nn.stacked import Stacked

Kind = Literal["last", "mean", "max", "attention"]


class Pooling(nnx.Module):
    r"""A layer's outputs as one vector of the same size; a sequence of length 0 gives zeros.

    ``"last"`` is the output at the last valid step, of a backward direction the one at the first step; ``"mean"`` and
    ``"max"`` are over the valid steps; ``"attention"`` is a learned mean (Yang et al. 2016),

    .. math:: \sum_t \alpha_t h_t, \qquad \alpha = \mathrm{softmax}_t(v^\top \tanh(h_t W + b))

    Args:
        kind: which of them.
        layer: the layer whose outputs are pooled.
        rngs: the stream ``params`` draws the parameters.
        param_dtype: type of the parameters.

    Raises:
        ValueError: an unknown kind, or ``"last"`` of two directions that are not side by side.
    """

    key_kernel: Any
    bias: Any
    score_kernel: Any

    def __init__(self, kind: Kind, layer: Layer, *, rngs: nnx.Rngs, param_dtype: DTypeLike = jnp.float32) -> None:
        if kind not in get_args(Kind):
            raise ValueError(f"pooling must be one of {', '.join(map(repr, get_args(Kind)))}, got {kind!r}")
        self.kind = kind
        self.forward_size = forward_size(layer) if kind == "last" else 0
        size = layer.output_size
        learned = kind == "attention"
        self.key_kernel = drawn((size, size), rngs, param_dtype) if learned else nnx.data(None)
        self.bias = drawn((size,), rngs, param_dtype, "zeros") if learned else nnx.data(None)
        self.score_kernel = drawn((size, 1), rngs, param_dtype) if learned else nnx.data(None)

    def __call__(self, outputs: jax.Array, lengths: Any = None) -> jax.Array:
        """``[*batch, features]`` of outputs ``[time, *batch, features]`` that are zero after each sequence's end."""
        if self.kind == "last":
            return sequences.last_outputs(outputs, lengths, self.forward_size)
        if self.kind == "mean":
            return sequences.mean_over_time(outputs, lengths)
        if self.kind == "max":
            return sequences.max_over_time(outputs, lengths)
        mask = None if lengths is None else functions.valid_positions(outputs.shape[0], lengths)
        memory = attention.prepare(functions.to_batch_major(outputs), mask, self.key_kernel[...])
        scores = attention.additive_scores(self.bias[...], memory.keys, self.score_kernel[...][:, 0])
        return attention.read(attention.masked_softmax(scores, memory.mask), memory.values)


def forward_size(layer: Layer) -> int:
    """How many of a layer's output features come from a forward direction; the rest are from a backward one."""
    top = layer.layers[-1] if isinstance(layer, Stacked) else layer
    if isinstance(top, Bidirectional):
        if top.merge != "concatenate":
            raise ValueError(
                f"the last output of two directions needs them side by side, got merge={top.merge!r}; use "
                "merge='concatenate', or another pooling"
            )
        return top.forward.output_size
    return 0 if isinstance(top, Recurrent) and top.reverse else layer.output_size
