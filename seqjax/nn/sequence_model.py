"""Outputs at every step: the topology of tagging, forecasting, music and language models."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import LSTM, Cell
from seqjax.nn import functions
from seqjax.nn.ends import LinearHead, input_end, read_inputs
from seqjax.nn.stacked import Stacked, dropout_layer


class SequenceModel(nnx.Module):
    """Many to many of equal length: an end for the inputs, stacked recurrent layers, a linear head at every step.

    What the outputs mean is the loss's business: class scores, the notes of a chord, quantiles of a forecast.

    Args:
        output_size: numbers at every step; a tuple is their shape, such as ``(horizon, quantiles)``.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        vocabulary_size: where inputs are tokens, how many there are.
        input_size: where inputs are features, how many there are.
        embedding_size: features of a token's embedding; one-hot if not given.
        dropout: share of every layer's outputs that is dropped in training (``model.train()``, ``model.eval()``).
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        stack: ``hidden_size``, ``num_layers``, ``bidirectional`` and the other options of :meth:`Stacked.from_cell`.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> model = seqjax.nn.SequenceModel((4, 3), seqjax.cells.GRU, input_size=2, hidden_size=5, rngs=nnx.Rngs(0))
        >>> carry, outputs = model(jnp.ones([6, 7, 2]))
        >>> outputs.shape
        (6, 7, 4, 3)
    """

    def __init__(
        self,
        output_size: int | tuple[int, ...],
        cell: Callable[..., Cell] = LSTM,
        *,
        vocabulary_size: int | None = None,
        input_size: int | None = None,
        embedding_size: int | None = None,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **stack: Any,
    ) -> None:
        self.output_shape = output_size if isinstance(output_size, tuple) else (output_size,)
        self.embedding = input_end(vocabulary_size, input_size, embedding_size, rngs=rngs, param_dtype=param_dtype)
        self.layers = Stacked.from_cell(
            cell, self.embedding.output_size, dropout=dropout, rngs=rngs, param_dtype=param_dtype, **stack
        )
        self.dropout = dropout_layer(dropout, rngs)
        size = math.prod(self.output_shape)
        self.head = LinearHead(self.layers.output_size, size, rngs=rngs, param_dtype=param_dtype)

    def __call__(
        self, inputs: Any, carry: Any = None, *, lengths: Any = None, resets: Any = None
    ) -> tuple[Any, jax.Array]:
        """Run over time.

        Args:
            inputs: whole numbers ``[*batch, time]``, or features ``[*batch, time, input_size]``.
            carry: the carry of the sequence before; the initial carry if not given.
            lengths: whole numbers ``[*batch]``; after the end the outputs mean nothing: mask the loss there.
            resets: booleans ``[*batch, time]``; where True a new sequence starts at that step.

        Returns:
            ``(carry, outputs)`` with outputs ``[*batch, time, *output_size]``.
        """
        if resets is not None:
            resets = functions.to_time_major(resets, feature_axes=0)
        seen = read_inputs(self.embedding, inputs, lengths)
        carry, outputs = self.layers.time_major(seen, carry, lengths=lengths, resets=resets)
        return carry, self._outputs(functions.to_batch_major(outputs))

    def step(self, inputs: Any, carry: Any) -> tuple[Any, jax.Array]:
        """One step, inputs ``[*batch]`` or ``[*batch, input_size]``: ``carry, outputs``."""
        carry, outputs = self.layers.step(self.embedding(inputs), carry)
        return carry, self._outputs(outputs)

    def initial_carry(self, batch_size: int | tuple[int, ...] = ()) -> Any:
        """The carry before the first step, for a batch of that size or shape."""
        return self.layers.initial_carry(batch_size)

    def _outputs(self, outputs: jax.Array) -> jax.Array:
        outputs = self.head(outputs if self.dropout is None else self.dropout(outputs))
        return outputs.reshape(*outputs.shape[:-1], *self.output_shape) if len(self.output_shape) > 1 else outputs
