"""Many to one: a vector, or scores of classes, of a whole sequence."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import LSTM, Cell
from seqjax.nn.ends import LinearHead, input_end, read_inputs
from seqjax.nn.pooling import Kind, Pooling
from seqjax.nn.stacked import Stacked, dropout_layer


class SequenceEncoder(nnx.Module):
    """A sequence as one vector: an end for the inputs, stacked recurrent layers, pooling over time.

    Args:
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        vocabulary_size: where inputs are tokens, how many there are.
        input_size: where inputs are features, how many there are.
        embedding_size: features of a token's embedding; one-hot if not given.
        pooling: what stands for the sequence: the ``"last"`` output (of both directions), the ``"mean"`` or ``"max"``,
            or a mean weighted by ``"attention"``; see :class:`Pooling`.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        stack: ``hidden_size``, ``num_layers``, ``bidirectional`` and the other options of :meth:`Stacked.from_cell`.
    """

    def __init__(
        self,
        cell: Callable[..., Cell] = LSTM,
        *,
        vocabulary_size: int | None = None,
        input_size: int | None = None,
        embedding_size: int | None = None,
        pooling: Kind = "last",
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **stack: Any,
    ) -> None:
        self.embedding = input_end(vocabulary_size, input_size, embedding_size, rngs=rngs, param_dtype=param_dtype)
        self.layers = Stacked.from_cell(cell, self.embedding.output_size, rngs=rngs, param_dtype=param_dtype, **stack)
        self.pooling = Pooling(pooling, self.layers, rngs=rngs, param_dtype=param_dtype)
        self.output_size = self.layers.output_size

    def __call__(self, inputs: Any, lengths: Any = None) -> jax.Array:
        """``[*batch, output_size]``.

        Args:
            inputs: whole numbers ``[*batch, time]``, or features ``[*batch, time, input_size]``.
            lengths: whole numbers ``[*batch]``; a sequence of length 0 gives zeros.
        """
        _, outputs = self.layers.time_major(read_inputs(self.embedding, inputs, lengths), lengths=lengths)
        return self.pooling(outputs, lengths)


class SequenceClassifier(nnx.Module):
    """Scores of classes, or any numbers, of a whole sequence: a :class:`SequenceEncoder` and a linear head.

    Args:
        classes: how many numbers.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        dropout: share of every layer's outputs, and of the vector, that is dropped in training (``model.train()``,
            ``model.eval()``).
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        encoder: ``vocabulary_size`` or ``input_size``, ``pooling``, and the other options of :class:`SequenceEncoder`.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> model = seqjax.nn.SequenceClassifier(
        ...     3, seqjax.cells.GRU, vocabulary_size=9, hidden_size=5, bidirectional=True, rngs=nnx.Rngs(0)
        ... )
        >>> model(jnp.ones([2, 7], int), lengths=jnp.array([7, 4])).shape
        (2, 3)
    """

    def __init__(
        self,
        classes: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **encoder: Any,
    ) -> None:
        self.encoder = SequenceEncoder(cell, dropout=dropout, rngs=rngs, param_dtype=param_dtype, **encoder)
        self.dropout = dropout_layer(dropout, rngs)
        self.head = LinearHead(self.encoder.output_size, classes, rngs=rngs, param_dtype=param_dtype)

    def __call__(self, inputs: Any, lengths: Any = None) -> jax.Array:
        """Logits ``[*batch, classes]``; arguments are those of :class:`SequenceEncoder`."""
        vector = self.encoder(inputs, lengths)
        return self.head(vector if self.dropout is None else self.dropout(vector))
