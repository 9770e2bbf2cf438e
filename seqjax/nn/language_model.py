"""A recurrent language model."""

from collections.abc import Callable
from typing import Any

from flax import nnx

from seqjax.cells import LSTM, Cell
from seqjax.nn.sequence_model import SequenceModel


class LanguageModel(SequenceModel):
    """A recurrent language model: embedding, stacked recurrent layers, a linear head.

    Calls are those of :class:`SequenceModel`: the logits of the token that follows each token,
    ``[*batch, time, vocabulary_size]``.

    Args:
        vocabulary_size: number of tokens.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        hidden_size: hidden units of every layer.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        options: ``embedding_size`` (one-hot if not given), ``dropout`` and ``param_dtype`` as for
            :class:`SequenceModel`; ``num_layers``, ``residual``, ``normalization``, ``mode``, ``checkpoint`` and
            ``compile_once`` as for :meth:`Stacked.from_cell`.

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
        rngs: nnx.Rngs,
        **options: Any,
    ) -> None:
        super().__init__(
            vocabulary_size, cell, vocabulary_size=vocabulary_size, hidden_size=hidden_size, rngs=rngs, **options
        )
        self.vocabulary_size = vocabulary_size
