"""Attention modules: the parameters, and which pure functions of :mod:`seqjax.attention` they go to."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax import attention
from seqjax.attention import Memory
from seqjax.cells.initializers import Initializer, initialize
from seqjax.nn import functions, sequences


class Attention(nnx.Module):
    """Which positions of a memory a query reads: ``context, weights, state = module(query, memory, state)``.

    :meth:`prepare` makes the memory once a sequence. The state is what one step hands to the next, ``None`` where the
    scores need nothing of the past (``stateful`` is False): then queries of all steps may come at once,
    ``[time, *batch, query_size]``.

    A subclass gives :meth:`scores`; one with a state also :meth:`initial_state` and :meth:`next_state`.

    Args:
        query_size: features of a query.
        memory_size: features of a position of the memory, and of the context.
    """

    stateful: bool = False

    def __init__(self, query_size: int, memory_size: int) -> None:
        self.query_size = query_size
        self.memory_size = memory_size

    def prepare(self, states: Any, lengths: Any = None) -> Memory:
        """The memory ``[*batch, positions, memory_size]`` with what does not depend on queries.

        ``lengths`` are whole numbers ``[*batch]``; what comes after the end, NaN too, touches nothing, and a memory of
        length 0 gives a context of zeros.
        """
        if jnp.shape(states)[-1:] != (self.memory_size,):
            raise ValueError(
                f"{type(self).__name__} got a memory of shape {jnp.shape(states)}, expected "
                f"[*batch, positions, {self.memory_size}]"
            )
        mask = None if lengths is None else functions.valid_positions(jnp.shape(states)[-2], lengths)
        return attention.prepare(states, mask, self.key_kernel)

    @property
    def key_kernel(self) -> Any:
        """What projects the keys, ``None`` if nothing does."""
        return None

    def initial_state(self, memory: Memory) -> Any:
        """The state before the first query."""
        del memory
        return None

    def noise(self, leading_shape: tuple[int, ...], memory: Memory) -> Any:
        """Random numbers of calls in training, ``[*leading_shape, positions]``; ``None`` where there is no noise."""
        del leading_shape, memory
        return None

    def __call__(self, query: Any, memory: Memory, state: Any = None, *, noise: Any = None) -> tuple[Any, Any, Any]:
        """Read.

        Args:
            query: ``[*batch, query_size]``.
            memory: of :meth:`prepare`.
            state: of the query before, or of :meth:`initial_state`.
            noise: of :meth:`noise`, for each query its own.

        Returns:
            ``(context, weights, state)``: ``[*batch, memory_size]``, ``[*batch, positions]``, and the next state.
        """
        weights = self.weights(self.scores(query, memory, state), memory, state, noise)
        return attention.read(weights, memory.values), weights, self.next_state(state, weights)

    def scores(self, query: Any, memory: Memory, state: Any) -> jax.Array:
        """How well each position answers the query, ``[*batch, positions]``."""
        raise NotImplementedError

    def weights(self, scores: jax.Array, memory: Memory, state: Any, noise: Any) -> jax.Array:
        """The scores, normalised."""
        del state, noise
        return attention.masked_softmax(scores, memory.mask)

    def next_state(self, state: Any, weights: jax.Array) -> Any:
        """The state after these weights."""
        del weights
        return state


class DotAttention(Attention):
    r"""Multiplicative attention (Luong, Pham, Manning 2015).

    .. math:: e_j = q^\top h_j \quad \text{(dot)}, \qquad q^\top W h_j \quad \text{(general)}, \qquad
        q^\top h_j / \sqrt{\mathrm{features}} \quad \text{(scaled\_dot, Vaswani et al. 2017)}

    Args:
        query_size: features of a query.
        memory_size: features of a position of the memory; those of a query, unless the score is ``"general"``.
        score: ``"dot"``, ``"general"`` or ``"scaled_dot"``.
        rngs: the stream ``params`` draws the parameters.
        param_dtype: type of the parameters.

    Raises:
        ValueError: an unknown score, or sizes that need ``"general"``.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> attention = seqjax.nn.DotAttention(4, 6, score="general", rngs=nnx.Rngs(0))
        >>> memory = attention.prepare(jnp.ones([2, 5, 6]), lengths=jnp.array([5, 3]))
        >>> context, weights, _ = attention(jnp.ones([2, 4]), memory)
        >>> context.shape, weights[1].tolist()[3:]
        ((2, 6), [0.0, 0.0])
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        score: Literal["dot", "general", "scaled_dot"] = "dot",
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        super().__init__(query_size, memory_size)
        if score not in ("dot", "general", "scaled_dot"):
            raise ValueError(f"score must be 'dot', 'general' or 'scaled_dot', got {score!r}")
        if score != "general" and query_size != memory_size:
            raise ValueError(
                f"score {score!r} multiplies queries of {query_size} features with a memory of {memory_size}; make "
                "them equal, or use score='general'"
            )
        self.score = score
        self.kernel = drawn((memory_size, query_size), rngs, param_dtype) if score == "general" else nnx.data(None)

    @property
    def key_kernel(self) -> Any:
        """That of the score ``"general"``."""
        return None if self.kernel is None else self.kernel[...]

    def scores(self, query: Any, memory: Memory, state: Any) -> jax.Array:
        """Products."""
        del state
        return attention.dot_scores(query, memory.keys, scaled=self.score == "scaled_dot")


class AdditiveAttention(Attention):
    r"""Additive attention (Bahdanau, Cho, Bengio 2015), with coverage if wanted (See, Liu, Manning 2017).

    .. math:: e_j = v^\top \tanh(q W_q + h_j W_h + b \; [+ w_c \textstyle\sum_{s<t} \alpha_{s,j}])

    Args:
        query_size: features of a query.
        memory_size: features of a position of the memory.
        units: of the scoring network; those of a query if not given.
        coverage: let scores depend on how much each position was read before, the state;
            :func:`seqjax.attention.coverage_loss` is the loss that goes with it.
        rngs: the stream ``params`` draws the parameters.
        param_dtype: type of the parameters.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        units: int | None = None,
        coverage: bool = False,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        super().__init__(query_size, memory_size)
        units = query_size if units is None else units
        self.query_projection = nnx.Linear(query_size, units, rngs=rngs, param_dtype=param_dtype)
        self.memory_kernel = drawn((memory_size, units), rngs, param_dtype)
        self.score_kernel = drawn((units, 1), rngs, param_dtype)
        self.coverage_kernel = drawn((1, units), rngs, param_dtype) if coverage else nnx.data(None)
        self.stateful = coverage

    @property
    def key_kernel(self) -> Any:
        """The memory's half of the scoring network."""
        return self.memory_kernel[...]

    def initial_state(self, memory: Memory) -> Any:
        """Nothing has been read."""
        return sequences.unread(memory) if self.stateful else None

    def scores(self, query: Any, memory: Memory, state: Any) -> jax.Array:
        """The scoring network."""
        features = self.features(state)
        return attention.additive_scores(
            self.query_projection(query), memory.keys, self.score_kernel[...][:, 0], features
        )

    def features(self, state: Any) -> Any:
        """What the past adds for each position before the nonlinearity, ``None`` if nothing."""
        return None if self.coverage_kernel is None else attention.coverage_features(state, self.coverage_kernel[...])

    def next_state(self, state: Any, weights: jax.Array) -> Any:
        """The sum of the weights so far."""
        return sequences.total(state, weights) if self.stateful else state


def drawn(
    shape: tuple[int, ...], rngs: nnx.Rngs, dtype: DTypeLike, initializer: Initializer = "glorot_uniform"
) -> nnx.Param:
    """A new parameter."""
    return nnx.Param(initialize(initializer, rngs.params(), shape, dtype))
