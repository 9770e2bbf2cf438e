"""A recurrent language model, and the modules at its two ends."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import LSTM, Cell
from seqjax.nn import functions
from seqjax.nn.recurrent import Recurrent
from seqjax.nn.stacked import Stacked, dropout_layer


class Embedding(nnx.Module):
    """Tokens as vectors: learned ones, or one-hot where ``embedding_size`` is ``None``."""

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int | None,
        *,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.output_size = vocabulary_size if embedding_size is None else embedding_size
        self.param_dtype = param_dtype
        self.table = (
            None
            if embedding_size is None
            else nnx.Embed(vocabulary_size, embedding_size, param_dtype=param_dtype, rngs=rngs)
        )

    def __call__(self, tokens: Any) -> jax.Array:
        """``[*shape]`` whole numbers to ``[*shape, output_size]``."""
        if not jnp.issubdtype(jnp.result_type(tokens), jnp.integer):
            raise ValueError(f"tokens must be whole numbers, got {jnp.result_type(tokens)}")
        if self.table is None:
            return functions.one_hot(tokens, self.vocabulary_size, self.param_dtype)
        return self.table(tokens)


class LinearHead(nnx.Linear):
    """An affine map from ``input_size`` features to ``output_size`` logits."""

    def __init__(
        self, input_size: int, output_size: int, *, rngs: nnx.Rngs, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        super().__init__(input_size, output_size, param_dtype=param_dtype, rngs=rngs)


class LanguageModel(nnx.Module):
    """A recurrent language model: embedding, stacked recurrent layers, a linear head.

    Args:
        vocabulary_size: number of tokens.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        hidden_size: hidden units of every layer.
        num_layers: recurrent layers on top of each other.
        embedding_size: features of a token's embedding; one-hot if not given.
        dropout: share of every layer's outputs that is dropped in training (``model.train()``, ``model.eval()``).
        residual: as for :class:`Stacked`.
        normalization: as for :class:`Stacked`.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        mode: as for :func:`seqjax.scan`.
        checkpoint: as for :func:`seqjax.scan`.
        param_dtype: type of the parameters.
        compile_once: as for :class:`Stacked`.

    Example:
        >>> import functools, jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> cell = functools.partial(seqjax.cells.LSTM, forget_bias=2.0)
        >>> model = seqjax.nn.LanguageModel(11, cell, hidden_size=5, num_layers=2, rngs=nnx.Rngs(0))
        >>> carry, logits = model(jnp.zeros([3, 7], int))
        >>> carry, logits = model(jnp.zeros([3, 7], int), carry)
        >>> logits.shape
        (3, 7, 11)
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        hidden_size: int,
        num_layers: int = 1,
        embedding_size: int | None = None,
        dropout: float = 0.0,
        residual: bool = False,
        normalization: Literal["layer", "rms"] | None = None,
        rngs: nnx.Rngs,
        mode: Literal["auto", "lax"] = "auto",
        checkpoint: Literal["sqrt"] | int | None = None,
        param_dtype: DTypeLike = jnp.float32,
        compile_once: bool = False,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.embedding = Embedding(vocabulary_size, embedding_size, rngs=rngs, param_dtype=param_dtype)
        layers = []
        for _ in range(num_layers):
            input_size = layers[-1].output_size if layers else self.embedding.output_size
            layer_cell = cell(input_size=input_size, hidden_size=hidden_size)
            layers.append(Recurrent(layer_cell, rngs=rngs, mode=mode, checkpoint=checkpoint, param_dtype=param_dtype))
        self.layers = Stacked(
            layers,
            residual=residual,
            dropout=dropout,
            normalization=normalization,
            rngs=rngs,
            param_dtype=param_dtype,
            compile_once=compile_once,
        )
        self.dropout = dropout_layer(dropout, rngs)
        self.head = LinearHead(self.layers.output_size, vocabulary_size, rngs=rngs, param_dtype=param_dtype)

    def __call__(
        self, tokens: Any, carry: Any = None, *, lengths: Any = None, resets: Any = None
    ) -> tuple[Any, jax.Array]:
        """The logits of the token that follows each token.

        Args:
            tokens: whole numbers ``[*batch, time]``.
            carry: the carry of the text before; the initial carry if not given.
            lengths: whole numbers ``[*batch]``; after the end the logits mean nothing: mask the loss there.
            resets: booleans ``[*batch, time]``; where True a new text starts at that token.

        Returns:
            ``(carry, logits)`` with logits ``[*batch, time, vocabulary_size]``.
        """
        if resets is not None:
            resets = functions.to_time_major(resets, feature_axes=0)
        inputs = self.embedding(functions.to_time_major(tokens, feature_axes=0))
        carry, outputs = self.layers.time_major(inputs, carry, lengths=lengths, resets=resets)
        return carry, self._logits(functions.to_batch_major(outputs))

    def step(self, tokens: Any, carry: Any) -> tuple[Any, jax.Array]:
        """One token ``[*batch]``: ``carry, logits`` with logits ``[*batch, vocabulary_size]``."""
        carry, outputs = self.layers.step(self.embedding(tokens), carry)
        return carry, self._logits(outputs)

    def initial_carry(self, batch_size: int | tuple[int, ...] = ()) -> Any:
        """The carry before the first token, for a batch of that size or shape."""
        return self.layers.initial_carry(batch_size)

    def _logits(self, outputs: jax.Array) -> jax.Array:
        return self.head(outputs if self.dropout is None else self.dropout(outputs))
