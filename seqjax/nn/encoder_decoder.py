"""Sequence to sequence."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import LSTM, Cell
from seqjax.nn import functions
from seqjax.nn.attention import Attention
from seqjax.nn.bridge import Bridge
from seqjax.nn.decoder import Decoder, Source
from seqjax.nn.decoder_model import DecoderModel
from seqjax.nn.ends import Embedding, Features, input_end, read_inputs
from seqjax.nn.layer import Layer
from seqjax.nn.pooling import Pooling
from seqjax.nn.stacked import Stacked


class EncoderDecoder(DecoderModel):
    """An encoder reads a sequence, a decoder writes another (Sutskever, Vinyals, Le 2014; Cho et al. 2014).

    The decoder's layers start where a :class:`Bridge` takes the encoder's final carry, and may attend to the encoder's
    outputs; see :class:`Decoder` for the kinds of attention. Without attention the sequence passes through the bridge
    alone: with the inputs as targets it is a sequence autoencoder, whose code is ``model.source(inputs)[0]``.

    Args:
        encoder: :class:`Recurrent`, :class:`Bidirectional` or :class:`Stacked` layers.
        vocabulary_size: number of tokens that are written.
        cell: of the decoder: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        embedding: what turns inputs into the encoder's features; :class:`Embedding` for tokens, features if not given.
        attention: as for :class:`Decoder`.
        summary: every step of the decoder also reads the encoder's last outputs (Cho et al. 2014).
        start_token: what stands before the first token that is written.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        decoder: ``hidden_size`` and the other options of :class:`Decoder`.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> model = seqjax.nn.EncoderDecoder.from_cell(
        ...     9, input_vocabulary_size=7, hidden_size=5, bidirectional=True, attention="additive", rngs=nnx.Rngs(0)
        ... )
        >>> inputs, targets = jnp.ones([2, 6], int), jnp.ones([2, 4], int)
        >>> logits, weights = model(inputs, targets, input_lengths=jnp.array([6, 3]), return_weights=True)
        >>> logits.shape, weights.shape
        ((2, 4, 9), (2, 4, 6))
        >>> step, carry, first_token = model.decoder_step(inputs)
        >>> carry, logits = step(carry, first_token)
        >>> logits.shape
        (2, 9)
    """

    def __init__(
        self,
        encoder: Layer,
        vocabulary_size: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        embedding: Embedding | None = None,
        attention: str | Callable[..., Attention] | None = None,
        summary: bool = False,
        start_token: int = 0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **decoder: Any,
    ) -> None:
        self.embedding = Features(encoder.input_size) if embedding is None else embedding
        self.encoder = encoder
        self.decoder = Decoder(
            vocabulary_size,
            cell,
            memory_size=encoder.output_size,
            condition_size=encoder.output_size if summary else 0,
            attention=attention,
            rngs=rngs,
            param_dtype=param_dtype,
            **decoder,
        )
        self.summary = Pooling("last", encoder, rngs=rngs) if summary else nnx.data(None)
        carry = self._by_layer(jax.eval_shape(encoder.initial_carry))
        cells = [layer.cell for layer in self.decoder.recurrent]
        self.bridge = Bridge(carry, cells, rngs=rngs, param_dtype=param_dtype)
        self.start_token = start_token
        self.input_axes = self.embedding.sequence_axes

    @classmethod
    def from_cell(
        cls,
        vocabulary_size: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        hidden_size: int,
        num_layers: int = 1,
        input_vocabulary_size: int | None = None,
        input_size: int | None = None,
        embedding_size: int | None = None,
        bidirectional: bool = False,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **options: Any,
    ) -> "EncoderDecoder":
        """Encoder and decoder of one kind of cell, with as many layers of as many units.

        Args:
            vocabulary_size: number of tokens that are written.
            cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
            hidden_size: hidden units of every layer, and of each direction of the encoder.
            num_layers: layers of the encoder, and of the decoder.
            input_vocabulary_size: where inputs are tokens, how many there are.
            input_size: where inputs are features, how many there are.
            embedding_size: features of a token's embedding, on both sides; one-hot if not given.
            bidirectional: the encoder reads from both ends.
            rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
            param_dtype: type of the parameters.
            options: ``attention``, ``summary``, ``start_token`` and the other options of :class:`Decoder`; ``dropout``,
                ``residual``, ``normalization``, ``mode``, ``checkpoint`` and ``compile_once`` are the encoder's too.
        """
        embedding = input_end(input_vocabulary_size, input_size, embedding_size, rngs=rngs, param_dtype=param_dtype)
        both: dict[str, Any] = {
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "rngs": rngs,
            "param_dtype": param_dtype,
        }
        names = ("dropout", "residual", "normalization", "mode", "checkpoint", "compile_once")
        shared = {name: options[name] for name in names if name in options}
        encoder = Stacked.from_cell(cell, embedding.output_size, bidirectional=bidirectional, **both, **shared)
        tokens = embedding if isinstance(embedding, Embedding) else None
        return cls(encoder, vocabulary_size, cell, embedding=tokens, embedding_size=embedding_size, **both, **options)

    def source(self, inputs: Any, input_lengths: Any = None) -> tuple[Any, Source]:
        """The encoder's work: the first carry of every layer of the decoder, and what its steps read."""
        seen = read_inputs(self.embedding, inputs, input_lengths)
        carry, outputs = self.encoder.time_major(seen, lengths=input_lengths)
        start = self.decoder.layers.initial_carry(seen.shape[1:-1])
        attention, memory = self.decoder.attention, None
        if attention is not None:
            memory = attention.prepare(functions.to_batch_major(outputs), input_lengths)
        condition = None if self.summary is None else self.summary(outputs, input_lengths)
        return self.bridge(self._by_layer(carry), start), Source(memory, condition)

    def _by_layer(self, carry: Any) -> tuple[Any, ...]:
        return carry if isinstance(self.encoder, Stacked) else (carry,)
