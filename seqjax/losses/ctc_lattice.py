r"""The lattice of connectionist temporal classification: its sums and its best path, for a whole batch at once.

A target of :math:`L` labels has :math:`S = 2L + 1` states: a blank, the first label, a blank, ... the last label, a
blank. A frame stays in its state, goes to the next, or skips a blank between two labels that differ.

Graves et al., "Connectionist temporal classification", 2006.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Lattice(NamedTuple):
    """What the recursions read. After the end of a sequence the blank is certain, which changes no sum over paths."""

    emissions: jax.Array
    """``[time, *batch, states]``: the log-probability of each state's symbol, at most 0."""
    skips: jax.Array
    """``[*batch, states]``: whether the state may be reached from the last but one."""
    final: jax.Array
    """``[*batch, states]``: whether a path may end in the state."""


def valid_frames(time_steps: int, lengths: jax.Array) -> jax.Array:
    """``[time, *batch]``: whether the frame is one of the row's."""
    return jnp.arange(time_steps).reshape(-1, *(1,) * lengths.ndim) < lengths


def lattice(
    logits: jax.Array, labels: jax.Array, valid: jax.Array, label_lengths: jax.Array, blank: int
) -> tuple[Lattice, jax.Array]:
    """The lattice of targets ``[*batch, label_length]`` that hold classes only, and the symbols of its states."""
    logits = jnp.where(valid[..., None], logits, 0)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    pairs = jnp.stack([jnp.full_like(labels, blank), labels], axis=-1)
    symbols = pairs.reshape(*labels.shape[:-1], 2 * labels.shape[-1])
    symbols = jnp.concatenate([symbols, jnp.full_like(symbols[..., :1], blank, shape=(*labels.shape[:-1], 1))], axis=-1)
    two_before = lax.pad(symbols, jnp.array(blank, symbols.dtype), _later(symbols.ndim, 2))
    emissions = jnp.where(valid[..., None], _log_softmax_of(logits, symbols), jnp.where(symbols == blank, 0, -jnp.inf))
    last = 2 * label_lengths[..., None]
    state = jnp.arange(symbols.shape[-1])
    final = (state == last) | (state == last - 1)
    return Lattice(emissions, (symbols != blank) & (symbols != two_before), final), symbols


def _log_softmax_of(logits: jax.Array, symbols: jax.Array) -> jax.Array:
    """The log-probabilities of a few of many classes, without an array of them all."""
    largest = lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    normalizer = jnp.log(jnp.sum(jnp.exp(logits - largest), axis=-1, keepdims=True))
    return jnp.take_along_axis(logits, symbols[None], axis=-1) - largest - normalizer


@jax.custom_jvp
def negative_log_likelihood(lattice: Lattice) -> jax.Array:
    """``[*batch]``: minus the log of the summed probability of all paths; infinite where there is none.

    The sum is of a part of all outcomes, so at most 1: what rounding puts above is cut off. The derivative is that of
    the exact sum, :func:`occupation`, zero where there is no path.
    """
    last, _, offsets = _forward(lattice)
    return _total(lattice, last, offsets)


@negative_log_likelihood.defjvp
def _derivative(primals: tuple[Lattice], tangents: tuple[Lattice]) -> tuple[jax.Array, jax.Array]:
    (of,), (change,) = primals, tangents
    last, alphas, offsets = _forward(of)
    return _total(of, last, offsets), -jnp.sum(_shares(of, alphas) * change.emissions, axis=(0, -1))


def occupation(lattice: Lattice) -> jax.Array:
    """``[time, *batch, states]``: the probability, given the target, that a frame is in a state; zero without a path.

    Forward and backward sums are scaled frame by frame, and so is their product: what a frame gives sums to 1 however
    small the probability of the target is.
    """
    _, alphas, _ = _forward(lattice)
    return _shares(lattice, alphas)


def _total(lattice: Lattice, last: jax.Array, offsets: jax.Array) -> jax.Array:
    log_likelihood = _log_sum(jnp.where(lattice.final, last, -jnp.inf)) + jnp.sum(offsets, axis=0)
    return jnp.maximum(-log_likelihood, 0)


def _shares(lattice: Lattice, alphas: jax.Array) -> jax.Array:
    def body(beta: jax.Array, frame: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        alpha, emission = frame
        joint = alpha + beta
        share = jnp.exp(joint - _finite(_log_sum(joint))[..., None])
        values = beta + emission
        skipped = jnp.where(lattice.skips, values, -jnp.inf)
        beta, _ = _scaled(_log_sum(jnp.stack([values, _moved(values, -1), _moved(skipped, -2)]), axis=0))
        return beta, share

    end = jnp.where(lattice.final, jnp.zeros_like(alphas, shape=lattice.final.shape), -jnp.inf)
    return lax.scan(body, end, (alphas, lattice.emissions), reverse=True)[1]


def best_states(lattice: Lattice) -> tuple[jax.Array, jax.Array]:
    """The states ``[time, *batch]`` of the most probable path (Viterbi), and its log-probability ``[*batch]``."""

    def forward(score: jax.Array, emission: jax.Array) -> tuple[jax.Array, jax.Array]:
        arrivals = jnp.stack(_arrivals(score, lattice.skips))
        return jnp.max(arrivals, axis=0) + emission, jnp.argmax(arrivals, axis=0).astype(jnp.int8)

    def backward(state: jax.Array, moves: jax.Array) -> tuple[jax.Array, jax.Array]:
        return state - jnp.take_along_axis(moves, state[..., None], axis=-1)[..., 0], state

    score, moves = lax.scan(forward, _start(lattice), lattice.emissions)
    score = jnp.where(lattice.final, score, -jnp.inf)
    _, states = lax.scan(backward, jnp.argmax(score, axis=-1), moves, reverse=True)
    return states, jnp.max(score, axis=-1)


def _forward(lattice: Lattice) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The forward sums after the last frame; those of every frame, the largest of a frame 0; and what was taken off."""

    def body(alpha: jax.Array, emission: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        alpha, offset = _scaled(_log_sum(jnp.stack(_arrivals(alpha, lattice.skips)), axis=0) + emission)
        return alpha, (alpha, offset)

    last, (alphas, offsets) = lax.scan(body, _start(lattice), lattice.emissions)
    return last, alphas, offsets


def _start(lattice: Lattice) -> jax.Array:
    """Before the first frame every path is at the first blank."""
    first = jnp.arange(lattice.final.shape[-1]) == 0
    return jnp.broadcast_to(jnp.where(first, 0, -jnp.inf).astype(lattice.emissions.dtype), lattice.final.shape)


def _arrivals(values: jax.Array, skips: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What reaches each state by staying, by one step, and by skipping a blank."""
    return values, _moved(values, 1), jnp.where(skips, _moved(values, 2), -jnp.inf)


def _moved(values: jax.Array, by: int) -> jax.Array:
    return lax.pad(values, jnp.array(-jnp.inf, values.dtype), _later(values.ndim, by))


def _later(axes: int, by: int) -> Sequence[tuple[int, int, int]]:
    """The padding, negative at one end, that moves the last axis and keeps its size."""
    return [(0, 0, 0)] * (axes - 1) + [(by, -by, 0)]


def _scaled(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Values whose largest is 0, so that rounding stays small however long the sequence is, and what was taken off."""
    offset = _finite(lax.stop_gradient(jnp.max(values, axis=-1)))
    return values - offset[..., None], offset


def _finite(values: jax.Array) -> jax.Array:
    """A sum of nothing as 0: minus infinity less itself would be NaN."""
    return jnp.where(values == -jnp.inf, 0, values)


def _log_sum(values: jax.Array, axis: int = -1) -> jax.Array:
    """The log of the summed exponentials; its derivative is 0, and not NaN, where all are zero."""
    largest = _finite(lax.stop_gradient(jnp.max(values, axis=axis, keepdims=True)))
    total = jnp.sum(jnp.exp(values - largest), axis=axis)
    nothing = total == 0
    return jnp.where(nothing, -jnp.inf, jnp.log(jnp.where(nothing, 1, total)) + jnp.squeeze(largest, axis))
