"""A recurrent decoder: tokens from a condition, a memory that it attends to, or both."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.attention import attentional_vector
from seqjax.cells import LSTM, Cell
from seqjax.nn import functions, sequences
from seqjax.nn.attention import Attention
from seqjax.nn.attention import drawn as new_parameter
from seqjax.nn.attention_kinds import attention_factory
from seqjax.nn.ends import Embedding, LinearHead, TiedHead
from seqjax.nn.recurrent import Recurrent
from seqjax.nn.repeated import finished
from seqjax.nn.stacked import Stacked, dropout_layer


class DecoderCarry(NamedTuple):
    """What a decoder hands from step to step; every leaf ``[*batch, ...]``."""

    layers: Any
    """The carry of every recurrent layer."""
    query: jax.Array | None
    """The highest layer's output of the step before, where attention reads with it."""
    fed: jax.Array | None
    """The output vector of the step before, where it is fed back."""
    attention: Any
    """The state of the attention."""
    coverage: jax.Array | None = None
    """How much each position was read so far, 1 in the padding, ``[*batch, positions]``; where it was asked for."""


class Source(NamedTuple):
    """What a decoder decodes, the same at every step."""

    memory: Any = None
    """What it attends to, a :class:`seqjax.attention.Memory`, or ``None``."""
    condition: Any = None
    """What every step reads besides the token, ``[*batch, condition_size]``."""

    @property
    def batch_shape(self) -> tuple[int, ...] | None:
        """``None`` if there is nothing."""
        if self.memory is not None:
            return self.memory.values.shape[:-2]
        return None if self.condition is None else self.condition.shape[:-1]


class StepInputs(NamedTuple):
    """What one step of a run in training reads, ``[*batch, ...]``, and of all steps with time in front."""

    seen: jax.Array
    """The token's embedding with the condition."""
    masks: tuple[Any, ...]
    """Which of its inputs each layer sees; ``None`` for all."""
    noise: Any
    """Of the attention, if there is any."""
    replaced: Any = None
    """Scheduled sampling: whether the model's own token takes the place of the given one."""
    keys: Any = None
    """Scheduled sampling: a random key for each sequence."""


class Decoder(nnx.Module):
    r"""A recurrent decoder with or without attention, time-major.

    .. math::
        h_t &= \mathrm{layers}([e(y_{t-1}); \text{condition}; \text{fed}_t]) \\
        c_t &= \mathrm{attend}(q_t) \\
        o_t &= \tanh([c_t; h_t] \, W) \\
        z_t &= o_t W_o + b_o

    ``query="current"`` attends with :math:`q_t = h_t` (Luong, Pham, Manning 2015); with ``input_feeding`` the layers
    are fed :math:`o_{t-1}`. ``query="previous"`` attends with :math:`q_t = h_{t-1}` before the layers run, which are
    fed :math:`c_t` (Bahdanau, Cho, Bengio 2015). Without attention :math:`o_t = h_t` (Sutskever, Vinyals, Le 2014).

    Args:
        vocabulary_size: number of tokens.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        hidden_size: hidden units of every layer.
        embedding_size: features of a token's embedding; one-hot if not given.
        condition_size: features of the condition that every step reads; 0 for none.
        memory_size: features of a position of the memory that is attended to; 0 for none.
        attention: an attention class such as :class:`DotAttention`, any function of ``query_size``, ``memory_size`` and
            ``rngs`` that makes one, a name of :data:`seqjax.nn.ATTENTIONS`, or ``None`` for none.
        query: ``"current"`` or ``"previous"``; see above.
        input_feeding: see above.
        vector_size: features of :math:`o_t` with attention; ``hidden_size`` if not given.
        tied_embeddings: the head's kernel is the embedding's table; features of embedding and :math:`o_t` must agree.
        dropout: share of every layer's outputs and of :math:`o_t` that is dropped in training.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        stack: ``num_layers`` and the other options of :meth:`Stacked.from_cell`.

    Raises:
        ValueError: options that exclude each other, or sizes that do not fit.
    """

    attention: Any
    attentional_kernel: Any

    def __init__(
        self,
        vocabulary_size: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        hidden_size: int,
        embedding_size: int | None = None,
        condition_size: int = 0,
        memory_size: int = 0,
        attention: str | Callable[..., Attention] | None = None,
        query: Literal["current", "previous"] = "current",
        input_feeding: bool = False,
        vector_size: int | None = None,
        tied_embeddings: bool = False,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **stack: Any,
    ) -> None:
        _check_options(attention, memory_size, query, input_feeding)
        if stack.get("bidirectional"):
            raise ValueError("a decoder writes one token after the other and has no backward direction")
        self.query = query
        self.input_feeding = input_feeding
        drawn: dict[str, Any] = {"rngs": rngs, "param_dtype": param_dtype}
        self.embedding = Embedding(vocabulary_size, embedding_size, **drawn)
        vector_size = hidden_size if vector_size is None else vector_size
        fed = {"previous": memory_size, "current": vector_size if input_feeding else 0}[query] if attention else 0
        input_size = sum((self.embedding.output_size, condition_size, fed))
        self.layers = Stacked.from_cell(cell, input_size, hidden_size=hidden_size, dropout=dropout, **drawn, **stack)
        size = self.layers.output_size
        self.attention = attention_factory(attention)(size, memory_size, **drawn) if attention else nnx.data(None)
        shape = (sum((memory_size, size)), vector_size)
        self.attentional_kernel = new_parameter(shape, rngs, param_dtype) if attention else nnx.data(None)
        self.output_size = vector_size if attention else size
        self.dropout = dropout_layer(dropout, rngs)
        head = TiedHead if tied_embeddings else LinearHead
        self.head = head(self.output_size, vocabulary_size, **drawn)
        if tied_embeddings and embedding_size != self.output_size:
            raise ValueError(
                f"tied_embeddings multiply output vectors of {self.output_size} features with an embedding of "
                f"{embedding_size}; make embedding_size and {'vector_size' if attention else 'hidden_size'} equal"
            )

    @property
    def recurrent(self) -> list[Recurrent]:
        """The layers, the lowest first."""
        return [layer for layer in self.layers.layers if isinstance(layer, Recurrent)]

    def initial_carry(self, layers: Any, source: Source, *, coverage: bool = False) -> DecoderCarry:
        """The carry before the first token, from the carry of every layer; with ``coverage`` it sums up the weights."""
        memory, query, fed, state = source.memory, None, None, None
        if self.attention is not None:
            batch, dtype = memory.values.shape[:-2], memory.values.dtype
            state = self.attention.initial_state(memory)
            if self.query == "previous":
                query = sequences.output_in(self.recurrent[-1].cell, layers[-1])
                query = sequences.zeros((*batch, self.layers.output_size), dtype) if query is None else query
            elif self.input_feeding:
                fed = sequences.zeros((*batch, self.output_size), dtype)
        covered = sequences.nothing_covered(memory) if coverage and self.attention is not None else None
        return DecoderCarry(layers, query, fed, state, covered)

    def step(self, token: Any, carry: DecoderCarry, source: Source) -> tuple[DecoderCarry, jax.Array, Any]:
        """One token ``[*batch]``: ``carry, logits, weights``, without dropout."""
        values = tuple(layer.param_values for layer in self.recurrent)
        inputs = StepInputs(self.seen(token, source), tuple(None for _ in values), None)
        carry, vector, weights = self.advance(values, carry, source, inputs)
        return carry, self.logits(vector), weights

    def logits(self, vectors: jax.Array) -> jax.Array:
        """The logits of output vectors ``[*batch, output_size]``."""
        return self.head(vectors) if isinstance(self.head, LinearHead) else self.head(vectors, self.embedding)

    def seen(self, tokens: Any, source: Source) -> jax.Array:
        """Tokens' embeddings ``[*shape, features]`` with the condition."""
        embedded = self.embedding(tokens)
        return embedded if source.condition is None else sequences.with_context(embedded, source.condition)

    def advance(
        self, values: tuple[Any, ...], carry: DecoderCarry, source: Source, inputs: StepInputs
    ) -> tuple[DecoderCarry, jax.Array, Any]:
        """One step with the layers' parameters ``values``: ``carry, vector, weights``."""
        seen, state, coverage = inputs.seen, carry.attention, carry.coverage
        weights: Any = None
        if self.attention is not None and self.query == "previous":
            context, weights, state = self.attention(carry.query, source.memory, state, noise=inputs.noise)
            seen = functions.side_by_side([seen, context])
        elif carry.fed is not None:
            seen = functions.side_by_side([seen, carry.fed])
        layers, outputs = self._through_layers(values, carry.layers, seen, inputs.masks)
        vector = outputs
        if self.attention is not None:
            if self.query == "current":
                context, weights, state = self.attention(outputs, source.memory, state, noise=inputs.noise)
            vector = self.vector(context, outputs)
            coverage = None if coverage is None else sequences.total(coverage, weights)
        query, fed = None if carry.query is None else outputs, None if carry.fed is None else vector
        return DecoderCarry(layers, query, fed, state, coverage), vector, weights

    def vector(self, context: jax.Array, outputs: jax.Array) -> jax.Array:
        """The output vector with attention."""
        return attentional_vector(context, outputs, self.attentional_kernel[...])

    def _through_layers(
        self, values: tuple[Any, ...], carries: tuple[Any, ...], inputs: jax.Array, masks: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...], jax.Array]:
        stack, new = self.layers, []
        for index, layer in enumerate(self.recurrent):
            seen = inputs if masks[index] is None else stack.dropped(inputs, masks[index])
            carry, outputs = layer.cell(values[index], carries[index], seen)
            inputs = finished(layer, stack.norms[index] if stack.norms else None, stack.residual, inputs, outputs)
            new.append(carry)
        return tuple(new), inputs


def _check_options(attention: Any, memory_size: int, query: str, input_feeding: bool) -> None:
    if query not in ("current", "previous"):
        raise ValueError(f"query must be 'current' or 'previous', got {query!r}")
    if attention is None and (input_feeding or query == "previous"):
        raise ValueError("input_feeding and query='previous' are options of attention; give attention, or leave them")
    if input_feeding and query == "previous":
        raise ValueError("with query='previous' the layers are fed the context; input_feeding is for query='current'")
    if attention is not None and not memory_size:
        raise ValueError("attention needs memory_size, the features of what it reads")
