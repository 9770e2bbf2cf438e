"""The pure functions of the models of whole sequences: pooling, frames, and what decoders start with. No Flax."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from seqjax.attention import Memory
from seqjax.cells import Cell
from seqjax.decoding.sampling import draw
from seqjax.engine.segments import valid_steps
from seqjax.nn.functions import side_by_side


def output_in(cell: Cell, carry: Any) -> Any:
    """The field of a carry that is the cell's output, ``None`` if none is."""
    return None if cell.output_field is None else getattr(carry, cell.output_field)


def with_context(features: jax.Array, context: jax.Array) -> jax.Array:
    """Features ``[*time, *batch, size]``, each with the context ``[*batch, size]`` beside it."""
    return side_by_side([features, jnp.broadcast_to(context, (*features.shape[:-1], context.shape[-1]))])


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    """Nothing yet."""
    return jnp.zeros(shape, dtype)


def filled(shape: tuple[int, ...], number: int) -> jax.Array:
    """The same whole number everywhere."""
    return jnp.full(shape, number, jnp.int32)


def is_zero(leaf: Any) -> bool:
    """Whether a concrete array holds nothing else."""
    return not np.any(leaf)


def squashed_like(features: jax.Array, like: jax.Array) -> jax.Array:
    r""":math:`\tanh` of features ``[*batch, size]``, in the shape of another array."""
    return jnp.tanh(features).reshape(like.shape)


def flat_features(leaf: jax.Array, batch_axes: int) -> jax.Array:
    """``[*batch, size]`` of ``[*batch, ...]``."""
    return leaf.reshape(*leaf.shape[:batch_axes], -1)


def tied_logits(features: jax.Array, table: jax.Array, bias: jax.Array) -> jax.Array:
    """Products with each token's embedding ``[vocabulary, size]``, and a bias."""
    return features @ table.T + bias


def coins(shape: tuple[int, ...], probability: Any, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scheduled sampling: which tokens ``[time, *batch]`` are replaced, never the first, and keys to draw them with."""
    coin_key, token_key = jax.random.split(key)
    replaced = jax.random.bernoulli(coin_key, probability, shape)
    return replaced.at[:1].set(False), jax.random.split(token_key, shape)


def drawn_tokens(logits: jax.Array, keys: jax.Array, dtype: DTypeLike) -> jax.Array:
    """A token for each of logits ``[*batch, classes]`` with keys ``[*batch]``, of no gradient."""
    one = lambda logits, key: draw(logits, key, jnp.ones((), logits.dtype))
    for _ in range(keys.ndim):
        one = jax.vmap(one)
    return one(jax.lax.stop_gradient(logits), keys).astype(dtype)


def where_flagged(flags: jax.Array, yes: jax.Array, no: jax.Array) -> jax.Array:
    """One of two features ``[*batch, size]`` for each flag ``[*batch]``."""
    return jnp.where(flags[..., None], yes, no)


def centred_padding(width: int) -> tuple[int, int]:
    """So that an output of a filter stands in its middle, whatever the number of steps: unlike ``"SAME"``."""
    return (width - 1) // 2, width // 2


def rectified(features: jax.Array) -> jax.Array:
    """Without what is negative."""
    return jax.nn.relu(features)


def shifted(tokens: jax.Array, start_token: int) -> jax.Array:
    """Time-major tokens one step later, the start token first."""
    return jnp.concatenate([jnp.full_like(tokens[:1], start_token), tokens[:-1]])


def last_outputs(outputs: jax.Array, lengths: Any, forward_size: int) -> jax.Array:
    """Of time-major outputs, zero after the end: the first ``forward_size`` features at the last valid step.

    The others are of a backward direction, and are taken at the first step.
    """
    if lengths is None:
        last = outputs[-1]
    else:
        index = jnp.maximum(jnp.asarray(lengths) - 1, 0)[None, ..., None]
        last = jnp.take_along_axis(outputs, index, axis=0)[0]
    return side_by_side([last[..., :forward_size], outputs[0, ..., forward_size:]])


def mean_over_time(outputs: jax.Array, lengths: Any) -> jax.Array:
    """The mean of time-major outputs, zero after the end, over the valid steps."""
    if lengths is None:
        return outputs.mean(axis=0)
    return outputs.sum(axis=0) / jnp.maximum(jnp.asarray(lengths), 1)[..., None].astype(outputs.dtype)


def max_over_time(outputs: jax.Array, lengths: Any) -> jax.Array:
    """The largest of each feature over the valid steps; zero if there is none."""
    if lengths is None:
        return outputs.max(axis=0)
    valid = valid_steps(outputs.shape[0], jnp.asarray(lengths))
    largest = jnp.where(valid[..., None], outputs, jnp.finfo(outputs.dtype).min).max(axis=0)
    return jnp.where(valid.any(axis=0)[..., None], largest, 0)


def frames_side_by_side(frames: jax.Array, count: int) -> jax.Array:
    """Time-major frames ``[time, *batch, size]`` in groups, ``[ceil(time / count), *batch, count * size]``."""
    frames = jnp.pad(frames, [(0, -frames.shape[0] % count)] + [(0, 0)] * (frames.ndim - 1))
    groups = frames.reshape(-1, count, *frames.shape[1:])
    return jnp.moveaxis(groups, 1, -2).reshape(*groups.shape[:1], *groups.shape[2:-1], count * frames.shape[-1])


def divided_up(lengths: Any, count: int) -> jax.Array:
    """How many groups of so many there are, the last perhaps not full."""
    return (jnp.asarray(lengths) + count - 1) // count


def unread(memory: Memory) -> jax.Array:
    """The weights of a reader that has read nothing: zeros ``[*batch, positions]``."""
    return jnp.zeros_like(memory.values[..., 0])


def at_start(memory: Memory) -> jax.Array:
    """The weights of a reader that is at the first position."""
    return unread(memory).at[..., :1].set(1)


def total(before: jax.Array, weights: jax.Array) -> jax.Array:
    """How much was read of each position, with these weights."""
    return before + weights


def score_noise(key: jax.Array, leading_shape: tuple[int, ...], memory: Memory, deviation: float) -> jax.Array:
    """Normal numbers for scores, ``[*leading_shape, positions]``."""
    values = memory.values
    return deviation * jax.random.normal(key, (*leading_shape, values.shape[-2]), values.dtype)


def nothing_covered(memory: Memory) -> jax.Array:
    """Coverage before anything is read: 0, and 1 in the padding, where there is nothing to cover."""
    return unread(memory) if memory.mask is None else jnp.where(memory.mask, unread(memory), 1)


def start_of(cell: Cell, dtype: DTypeLike) -> Any:
    """A cell's initial carry without batch axes, concrete even while something is traced."""
    with jax.ensure_compile_time_eval():
        return cell.initial_carry((), dtype)


def named_leaves(tree: Any) -> list[tuple[str, Any]]:
    """The leaves of a carry, each with the name of the field that it is."""
    paths = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path[-1:], simple=True), leaf) for path, leaf in paths]
