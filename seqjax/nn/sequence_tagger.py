"""Many to many of equal length: a label of every word, and perhaps one of the sentence."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import LSTM, Cell
from seqjax.nn import functions
from seqjax.nn.ends import LinearHead, input_end, read_inputs
from seqjax.nn.pooling import Kind, Pooling
from seqjax.nn.sequence_classifier import SequenceEncoder
from seqjax.nn.stacked import Stacked, dropout_layer


class SequenceTagger(nnx.Module):
    """Scores of labels at every step: words, and perhaps their characters, through stacked layers to one or two heads.

    The second head scores labels of the whole sequence (slots and intents: Liu and Lane 2016). The characters of each
    word go through a :class:`SequenceEncoder` of their own, whose vector joins the word's embedding (Lample et al.
    2016).

    Args:
        label_size: labels of a step.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        sequence_label_size: labels of a sequence, if it has any.
        characters: the encoder of a word's characters, if they are read.
        vocabulary_size: where inputs are tokens, how many there are.
        input_size: where inputs are features, how many there are.
        embedding_size: features of a token's embedding; one-hot if not given.
        bidirectional: read the sequence from both ends.
        pooling: what the second head reads, as for :class:`SequenceEncoder`.
        dropout: share of the words' vectors, of every layer's outputs, and of what the heads read, that is dropped in
            training (``model.train()``, ``model.eval()``).
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        stack: ``hidden_size``, ``num_layers`` and the other options of :meth:`Stacked.from_cell`.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> rngs = nnx.Rngs(0)
        >>> characters = seqjax.nn.SequenceEncoder(
        ...     vocabulary_size=30, embedding_size=4, hidden_size=3, bidirectional=True, rngs=rngs
        ... )
        >>> model = seqjax.nn.SequenceTagger(
        ...     5, vocabulary_size=11, hidden_size=6, sequence_label_size=2, characters=characters, rngs=rngs
        ... )
        >>> words, letters = jnp.ones([2, 7], int), jnp.ones([2, 7, 9], int)
        >>> logits, sequence_logits = model(words, characters=letters, character_lengths=jnp.full([2, 7], 9))
        >>> logits.shape, sequence_logits.shape
        ((2, 7, 5), (2, 2))
    """

    pooling: Any
    sequence_head: Any

    def __init__(
        self,
        label_size: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        sequence_label_size: int | None = None,
        characters: SequenceEncoder | None = None,
        vocabulary_size: int | None = None,
        input_size: int | None = None,
        embedding_size: int | None = None,
        bidirectional: bool = True,
        pooling: Kind = "last",
        dropout: float = 0.0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **stack: Any,
    ) -> None:
        self.embedding = input_end(vocabulary_size, input_size, embedding_size, rngs=rngs, param_dtype=param_dtype)
        self.characters = nnx.data(None) if characters is None else characters
        size = sum(end.output_size for end in (self.embedding, characters) if end is not None)
        options: dict[str, Any] = {"dropout": dropout, "rngs": rngs, "param_dtype": param_dtype}
        self.layers = Stacked.from_cell(cell, size, bidirectional=bidirectional, **options, **stack)
        self.dropout = dropout_layer(dropout, rngs)
        self.head = LinearHead(self.layers.output_size, label_size, rngs=rngs, param_dtype=param_dtype)
        self.pooling = self.sequence_head = nnx.data(None)
        if sequence_label_size is not None:
            self.pooling = Pooling(pooling, self.layers, rngs=rngs, param_dtype=param_dtype)
            self.sequence_head = LinearHead(
                self.layers.output_size, sequence_label_size, rngs=rngs, param_dtype=param_dtype
            )

    def __call__(
        self, inputs: Any, lengths: Any = None, *, characters: Any = None, character_lengths: Any = None
    ) -> Any:
        """Run over the sequence.

        Args:
            inputs: whole numbers ``[*batch, time]``, or features ``[*batch, time, input_size]``.
            lengths: whole numbers ``[*batch]``; after the end the logits mean nothing: mask the loss there.
            characters: whole numbers ``[*batch, time, characters]``, where the model reads them.
            character_lengths: whole numbers ``[*batch, time]``; a word may have none.

        Returns:
            Logits ``[*batch, time, label_size]``; with a second head ``(logits, sequence_logits)``, the latter
            ``[*batch, sequence_label_size]``.

        Raises:
            ValueError: characters that are missing, or that the model does not read.
        """
        if (characters is None) != (self.characters is None):
            raise ValueError(
                "the model was built without an encoder of characters and got some; build it with characters="
                if self.characters is None
                else "the model reads the characters of every word; pass characters [*batch, time, characters]"
            )
        seen = read_inputs(self.embedding, inputs, lengths)
        if self.characters is not None:
            spelled = self.characters(characters, character_lengths)
            seen = functions.side_by_side([seen, functions.to_time_major(spelled)])
        drop = (lambda features: features) if self.dropout is None else self.dropout
        _, outputs = self.layers.time_major(drop(seen), lengths=lengths)
        logits = self.head(drop(functions.to_batch_major(outputs)))
        if self.sequence_head is None:
            return logits
        return logits, self.sequence_head(drop(self.pooling(outputs, lengths)))
