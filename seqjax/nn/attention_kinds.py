"""Attention that knows where it looked before, and all kinds by name."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax import attention
from seqjax.attention import Memory
from seqjax.nn import sequences
from seqjax.nn.attention import AdditiveAttention, Attention, DotAttention, drawn


class LocationAwareAttention(AdditiveAttention):
    r"""Additive attention that knows where it looked (Chorowski et al. 2015).

    .. math:: e_j = v^\top \tanh(q W_q + h_j W_h + b + (F * \alpha_{t-1})_j \, U)

    Args:
        query_size: features of a query.
        memory_size: features of a position of the memory.
        units: of the scoring network; those of a query if not given.
        filters: how many filters go over the weights.
        width: positions that a filter sees, half of them before its own.
        cumulative: filter the sum of all weights so far, not those of the step before.
        rngs: the stream ``params`` draws the parameters.
        param_dtype: type of the parameters.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        units: int | None = None,
        filters: int = 10,
        width: int = 21,
        cumulative: bool = False,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        super().__init__(query_size, memory_size, units=units, rngs=rngs, param_dtype=param_dtype)
        self.stateful = True
        self.cumulative = cumulative
        self.filters = drawn((width, filters), rngs, param_dtype)
        self.filter_kernel = drawn((filters, self.score_kernel.shape[0]), rngs, param_dtype)

    def features(self, state: Any) -> Any:
        """The filtered weights."""
        return attention.location_features(state, self.filters[...], self.filter_kernel[...])

    def next_state(self, state: Any, weights: jax.Array) -> Any:
        """The weights, or their sum so far."""
        return sequences.total(state, weights) if self.cumulative else weights


class MonotonicAttention(AdditiveAttention):
    r"""Attention that only moves on (Raffel et al. 2017).

    .. math:: e_j = g \, \frac{v^\top}{\lVert v \rVert} \tanh(q W_q + h_j W_h + b) + r

    In training the weights are expected ones, with stopping probabilities :math:`\sigma(e_j + \text{noise})`. In
    evaluation (``model.eval()``) the reader decides: it stops at the first position from the one before with
    :math:`e_j > 0`, and where none comes it reads zeros from then on.

    Args:
        query_size: features of a query.
        memory_size: features of a position of the memory.
        units: of the scoring network; those of a query if not given.
        noise_deviation: of the normal noise in training, which drives the probabilities to 0 and 1.
        offset: initial value of :math:`r`; the longer the memory, the lower it should be.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the noise.
        param_dtype: type of the parameters.
    """

    def __init__(
        self,
        query_size: int,
        memory_size: int,
        *,
        units: int | None = None,
        noise_deviation: float = 1.0,
        offset: float = -1.0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        super().__init__(query_size, memory_size, units=units, rngs=rngs, param_dtype=param_dtype)
        self.stateful = True
        self.deterministic = False
        self.noise_deviation = noise_deviation
        self.rngs = rngs["dropout"].fork() if noise_deviation else nnx.data(None)
        self.gain = nnx.Param(jnp.asarray(_gain(self.score_kernel.shape[0]), param_dtype))
        self.offset = nnx.Param(jnp.asarray(offset, param_dtype))

    def set_view(self, deterministic: bool | None = None) -> None:
        """Called by ``nnx.view``."""
        if deterministic is not None:
            self.deterministic = deterministic

    def initial_state(self, memory: Memory) -> jax.Array:
        """The reader is at the first position."""
        return sequences.at_start(memory)

    def noise(self, leading_shape: tuple[int, ...], memory: Memory) -> Any:
        """Normal numbers in training."""
        if self.deterministic or self.rngs is None:
            return None
        return sequences.score_noise(self.rngs(), leading_shape, memory, self.noise_deviation)

    def scores(self, query: Any, memory: Memory, state: Any) -> jax.Array:
        """The scoring network with a normalised last layer."""
        kernel = attention.normalized(self.score_kernel[...][:, 0], self.gain[...])
        return attention.additive_scores(self.query_projection(query), memory.keys, kernel, offset=self.offset[...])

    def weights(self, scores: jax.Array, memory: Memory, state: Any, noise: Any) -> jax.Array:
        """Expected weights in training, decisions in evaluation."""
        if self.deterministic:
            return attention.monotonic_choice(state, scores, memory.mask)
        return attention.monotonic_weights(state, attention.stopping_probabilities(scores, memory.mask, noise))

    def next_state(self, state: Any, weights: jax.Array) -> Any:
        """The weights."""
        del state
        return weights


ATTENTIONS: dict[str, Callable[..., Attention]] = {
    "additive": AdditiveAttention,
    "coverage": lambda *sizes, **options: AdditiveAttention(*sizes, coverage=True, **options),
    "dot": DotAttention,
    "general": lambda *sizes, **options: DotAttention(*sizes, score="general", **options),
    "scaled_dot": lambda *sizes, **options: DotAttention(*sizes, score="scaled_dot", **options),
    "location": LocationAwareAttention,
    "monotonic": MonotonicAttention,
}


def attention_factory(kind: str | Callable[..., Attention]) -> Callable[..., Attention]:
    """The attention of that name, ``factory(query_size, memory_size, rngs=...)``; a callable is returned as it is."""
    if not isinstance(kind, str):
        return kind
    if kind not in ATTENTIONS:
        raise ValueError(f"attention must be one of {', '.join(map(repr, ATTENTIONS))}, or a factory, got {kind!r}")
    return ATTENTIONS[kind]


def _gain(units: int) -> float:
    return units**-0.5
