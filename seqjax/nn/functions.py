"""The pure functions that the modules of this room call: layout, merging, padding. No parameters, no Flax."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.transforms import Transform, is_noisy, with_noise_of, without_noise
from seqjax.engine import checks
from seqjax.engine.segments import keep_where, valid_steps
from seqjax.engine.varying import same_variation

Merge = str | Callable[[jax.Array, jax.Array], jax.Array]

MERGES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "concatenate": lambda forward, backward: jnp.concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "mean": lambda forward, backward: (forward + backward) / 2,
    "multiply": lambda forward, backward: forward * backward,
}


def to_time_major(tree: Any, feature_axes: Any = 1) -> Any:
    """``[*batch, time, features]`` to ``[time, *batch, features]``; flags and tokens have no feature axis.

    ``feature_axes`` is one number for all leaves or a tree of them.
    """
    return _each_leaf(lambda leaf, axes: jnp.moveaxis(leaf, -1 - axes, 0), tree, feature_axes)


def to_batch_major(tree: Any, feature_axes: Any = 1) -> Any:
    """``[time, *batch, features]`` to ``[*batch, time, features]``, as :func:`to_time_major`."""
    return _each_leaf(lambda leaf, axes: jnp.moveaxis(leaf, 0, -1 - axes), tree, feature_axes)


def _each_leaf(move: Callable[[jax.Array, int], jax.Array], tree: Any, feature_axes: Any) -> Any:
    if isinstance(feature_axes, int):
        return jax.tree.map(lambda leaf: move(leaf, feature_axes), tree)
    return jax.tree.map(move, tree, feature_axes)


def one_array(size: int) -> jax.ShapeDtypeStruct:
    """One step's inputs of a layer that reads an array of ``size`` features, without batch axes."""
    return jax.ShapeDtypeStruct((size,), jnp.float32)


def check_inputs(layer: str, inputs: Any, expected: Any) -> None:
    """Batch-major inputs must be a tree like one step's, every leaf ``[*batch, time, ...]``."""
    if jax.tree.structure(inputs) != jax.tree.structure(expected):
        raise TypeError(
            f"{layer} got inputs of structure {jax.tree.structure(inputs)}, expected {jax.tree.structure(expected)}"
        )
    for (path, leaf), like in zip(jax.tree.leaves_with_path(inputs), jax.tree.leaves(expected), strict=True):
        shape, axes = jnp.shape(leaf), like.ndim
        if len(shape) > axes and shape[len(shape) - axes :] == like.shape:
            continue
        wanted = ", ".join(map(str, ("*batch", "time", *like.shape)))
        raise ValueError(
            f"{layer} got inputs{jax.tree_util.keystr(path)} of shape {shape}, expected [{wanted}]"
            + ("; did you forget an embedding?" if axes == 1 and len(shape) < 3 else "")
        )


def merged(merge: Merge, forward: jax.Array, backward: jax.Array) -> jax.Array:
    """Two directions' outputs as one."""
    return merge_function(merge)(forward, backward)


def merge_function(merge: Merge) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The merge of that name; a callable is returned as it is."""
    if not isinstance(merge, str):
        return merge
    if merge in MERGES:
        return MERGES[merge]
    raise ValueError(f"merge must be one of {', '.join(map(repr, MERGES))} or a function, got {merge!r}")


def merged_size(merge: Merge, forward_size: int, backward_size: int) -> int:
    """The number of features after a merge."""
    sizes = (jax.ShapeDtypeStruct((size,), jnp.float32) for size in (forward_size, backward_size))
    try:
        return jax.eval_shape(merge_function(merge), *sizes).shape[-1]
    except TypeError as error:
        raise ValueError(
            f"merge={merge!r} cannot join {forward_size} forward and {backward_size} backward features; "
            "give both directions the same hidden_size, or concatenate"
        ) from error


def backward_resets(resets: jax.Array) -> jax.Array:
    """Time-major resets for the backward direction: a segment that starts at a step ends one step before it."""
    return jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])])


def zero_padding(outputs: jax.Array, lengths: jax.Array) -> jax.Array:
    """Time-major outputs with zeros after each sequence's end."""
    return keep_where(valid_steps(outputs.shape[0], jnp.asarray(lengths)), outputs)


def add_residual(inputs: Any, outputs: jax.Array) -> jax.Array:
    """A layer's outputs with its inputs added; inputs of several leaves, such as values and times, are not."""
    return inputs + outputs if jax.tree.structure(inputs) == jax.tree.structure(outputs) else outputs


def valid_positions(positions: int, lengths: Any) -> jax.Array:
    """``[*batch, positions]``: True until each sequence's end."""
    return jnp.moveaxis(valid_steps(positions, jnp.asarray(lengths)), 0, -1)


def side_by_side(parts: Sequence[jax.Array]) -> jax.Array:
    """Features beside each other."""
    return jnp.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]


def types(tree: Any) -> tuple[Any, ...]:
    """A tree's structure and its leaves' shapes and types: what trees must share to be stacked."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, *((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)


def result_types(function: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """The types of a function's result, without computing it."""
    return types(jax.eval_shape(function, *arguments))


def stacked(trees: Sequence[Any]) -> Any:
    """Trees of the same types as one tree, with a first axis over them."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstacked(tree: Any, count: int) -> tuple[Any, ...]:
    """The trees that :func:`stacked` put together."""
    return tuple(jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(count))


def over_layers(layer: Callable[..., Any], inputs: Any, layers: Any, options: Any) -> tuple[Any, Any]:
    """``inputs, result = layer(inputs, layers[k], options[k])`` for every k, as one loop."""
    inputs, layers = same_variation((inputs, layers))
    return jax.lax.scan(lambda inputs, each: layer(inputs, *each), inputs, (layers, options))


def with_noise(
    cell: Transform, params: Any, inputs: Any, carry: Any, key: jax.Array, with_resets: bool
) -> tuple[Any, Any, Any]:
    """What a noisy run over time-major inputs starts with: parameters, carry, and with resets the carry they restore.

    A carry that has noise already keeps it.
    """
    params_key, carry_key, fresh_key = jax.random.split(key, 3)
    batch, dtype = checks.batch_shape(cell, inputs), result_type((params, inputs) if carry is None else (params, carry))
    fresh = lambda key: cell.initial_carry(batch, dtype, params, key)
    if not is_noisy(carry):
        start = fresh(carry_key)
        carry = start if carry is None else with_noise_of(carry, start)
    return cell.sample_params(params, params_key), carry, fresh(fresh_key) if with_resets else None


def noise_as_in(carry: Any, last: Any) -> Any:
    """The carry after a run, without noise unless the one before had some."""
    return last if is_noisy(carry) else without_noise(last)


def choose(condition: Any, yes: jax.Array, no: jax.Array) -> jax.Array:
    """One of two arrays, by a single boolean."""
    return jnp.where(condition, yes, no)


def dropout_mask(key: jax.Array, rate: float, shape: tuple[int, ...]) -> jax.Array:
    """What dropout keeps, drawn as :class:`flax.nnx.Dropout` draws it."""
    return jax.random.bernoulli(key, 1 - rate, shape)


def dropped(inputs: jax.Array, mask: jax.Array, rate: float) -> jax.Array:
    """Inputs where the mask is True, as much larger as there are fewer."""
    return jnp.where(mask, inputs / (1 - rate), 0)


def one_hot(tokens: jax.Array, size: int, dtype: DTypeLike) -> jax.Array:
    """Tokens as unit vectors."""
    return jax.nn.one_hot(tokens, size, dtype=dtype)


def is_real(leaf: Any) -> bool:
    """Whether it holds floating-point numbers."""
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def result_type(tree: Any) -> Any:
    """The floating-point type that the leaves of a tree promote to."""
    return jnp.result_type(*(leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)))


def all_but_last(lengths: jax.Array) -> jax.Array:
    """Lengths without the last token."""
    return lengths - 1


def last_token(tokens: jax.Array, lengths: jax.Array) -> jax.Array:
    """The last valid token of each batch-major sequence."""
    return jnp.take_along_axis(tokens, all_but_last(lengths)[..., None], axis=-1)[..., 0]


def by_name(tree: Any) -> dict[str, jax.Array]:
    """The leaves of a module's state by their dotted names."""
    return {dotted_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def like_named(tree: Any, leaves: dict[str, jax.Array]) -> Any:
    """The inverse of :func:`by_name`; ``tree`` gives the structure."""
    return jax.tree_util.tree_map_with_path(lambda path, _: leaves[dotted_name(path)], tree)


def dotted_name(path: Any) -> str:
    """The name of a leaf of a state, such as ``layers.layers.0.params.kernel``."""
    # Flax wraps each array in a variable, whose only leaf has a name of its own.
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
