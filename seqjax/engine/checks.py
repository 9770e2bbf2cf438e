"""The checks at the driver's door: what was got, what was expected, and the next move."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from seqjax.cells import Cell


def describe(step: Any) -> str:
    """The step as an error message names it."""
    return repr(step) if isinstance(step, Cell) else getattr(step, "__qualname__", repr(step))


def check_inputs(step: Any, inputs: Any) -> int:
    """The number of time steps; every leaf must have that many, and a cell's inputs the cell's number of features."""
    leaves = jax.tree.leaves(inputs)
    if not leaves:
        raise ValueError(
            "inputs hold no array, so the number of time steps is unknown; pass at least one array [time, ...]"
        )
    for path, leaf in jax.tree.leaves_with_path(inputs):
        if jnp.ndim(leaf) == 0:
            raise ValueError(f"inputs{jax.tree_util.keystr(path)} is a scalar, expected an array [time, ...]")
    steps = {jnp.shape(leaf)[0] for leaf in leaves}
    if len(steps) > 1:
        shapes = ", ".join(
            f"inputs{jax.tree_util.keystr(path)} {jnp.shape(leaf)}" for path, leaf in jax.tree.leaves_with_path(inputs)
        )
        raise ValueError(f"the leaves of inputs disagree on the number of time steps (their first axis): {shapes}")
    if isinstance(step, Cell):
        _check_cell_inputs(step, inputs)
    return steps.pop()


def batch_shape(cell: Cell, inputs: Any) -> tuple[int, ...]:
    """The batch axes of a cell's inputs ``[time, *batch, ...]``."""
    leaf, of_one_step = jax.tree.leaves(inputs)[0], jax.tree.leaves(cell.input_shapes())[0]
    return jnp.shape(leaf)[1 : jnp.ndim(leaf) - of_one_step.ndim]


def _check_cell_inputs(cell: Cell, inputs: Any) -> None:
    expected = cell.input_shapes()
    if jax.tree.structure(inputs) != jax.tree.structure(expected):
        raise TypeError(
            f"inputs of {describe(cell)} have structure {jax.tree.structure(inputs)}, expected "
            f"{jax.tree.structure(expected)}"
        )
    for (path, leaf), like in zip(jax.tree.leaves_with_path(inputs), jax.tree.leaves(expected), strict=True):
        name, shape, axes = f"inputs{jax.tree_util.keystr(path)}", jnp.shape(leaf), like.ndim
        if len(shape) > axes and shape[len(shape) - axes :] == like.shape:
            continue
        wanted = ", ".join(map(str, ("time", "...", *like.shape)))
        if len(shape) <= axes:
            raise ValueError(
                f"{name} have shape {shape}, but {describe(cell)} expects [{wanted}]; did you forget the feature axis?"
            )
        if axes > 1:
            raise ValueError(f"{name} have shape {shape}, but {describe(cell)} expects [{wanted}]")
        hint = "is time the first axis?" if like.shape[-1] in shape else "did you forget an embedding?"
        raise ValueError(
            f"{name} have {shape[-1]} features (shape {shape}), but {describe(cell)} expects {like.shape[-1]}; {hint}"
        )


def check_flags(
    inputs: Any, carry: Any, time_steps: int, lengths: Any, resets: Any
) -> tuple[jax.Array | None, jax.Array | None]:
    """Lengths and resets as arrays, after checking their shapes and, where they are concrete, their values."""
    if lengths is not None:
        lengths = lengths if isinstance(lengths, jax.Array) else np.asarray(lengths)
        _check_lengths(lengths, time_steps)
        lengths = jnp.asarray(lengths)
        _check_batch("lengths", lengths.shape, inputs, carry)
    if resets is not None:
        resets = jnp.asarray(resets)
        if resets.ndim == 0 or resets.shape[0] != time_steps:
            raise ValueError(
                f"resets have shape {resets.shape}, expected [time, ...] with the {time_steps} time steps of the inputs"
            )
        if resets.dtype != jnp.bool_:
            raise ValueError(f"resets must be booleans (True = fresh carry before that step), got {resets.dtype}")
        _check_batch("resets", resets.shape[1:], inputs, carry)
    return lengths, resets


def _check_lengths(lengths: Any, time_steps: int) -> None:
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise ValueError(f"lengths must be whole numbers, got {lengths.dtype}")
    if isinstance(lengths, Tracer):
        return
    values = np.asarray(lengths)
    if values.size and (values.min() < 0 or values.max() > time_steps):
        wrong = int(values.max()) if values.max() > time_steps else int(values.min())
        where = int(np.argmax(values.reshape(-1) == wrong))
        raise ValueError(
            f"lengths[{where}] is {wrong}, expected 0 to {time_steps} (the inputs have {time_steps} time steps); "
            "pad the inputs or cut the length"
        )


def _check_batch(name: str, batch_shape: tuple[int, ...], inputs: Any, carry: Any) -> None:
    for tree_name, tree, skip in (("inputs", inputs, 1), ("carry", carry, 0)):
        for path, leaf in jax.tree.leaves_with_path(tree):
            shape = jnp.shape(leaf)[skip:]
            if shape[: len(batch_shape)] != batch_shape:
                raise ValueError(
                    f"{name} are for a batch of shape {batch_shape}, but {tree_name}{jax.tree_util.keystr(path)} has "
                    f"shape {jnp.shape(leaf)}; every leaf of the {tree_name} must have the batch axes "
                    + ("right after time" if skip else "first")
                )


def check_outputs(step: Any, outputs: Any, batch_shape: tuple[int, ...]) -> None:
    """With lengths, every output must have the batch axes first: those after a sequence's end become zero."""
    for path, leaf in jax.tree.leaves_with_path(outputs):
        if leaf.shape[: len(batch_shape)] != batch_shape:
            raise ValueError(
                f"lengths are for a batch of shape {batch_shape}, but output{jax.tree_util.keystr(path)} of "
                f"{describe(step)} has shape {leaf.shape}; with lengths every output must have the batch axes first"
            )


def check_fresh_carry(step: Any, carry: Any, fresh_carry: Any) -> None:
    """A reset restores a carry like the one that it replaces."""
    if jax.tree.structure(carry) != jax.tree.structure(fresh_carry):
        raise TypeError(
            f"fresh_carry of {describe(step)} has structure {jax.tree.structure(fresh_carry)}, expected that of the "
            f"carry, {jax.tree.structure(carry)}"
        )
    for name, leaf, fresh in _mismatches(carry, fresh_carry):
        raise TypeError(
            f"fresh_carry{name} of {describe(step)} is {_kind(fresh)}, expected {_kind(leaf)} like the carry that it "
            "replaces"
        )


def check_carry(step: Any, carry: Any, new_carry: Any) -> None:
    """The carry must leave the step as it came: the same tree, shapes and types."""
    if jax.tree.structure(carry) != jax.tree.structure(new_carry):
        raise TypeError(
            f"{describe(step)} got a carry of structure {jax.tree.structure(carry)} and returned one of structure "
            f"{jax.tree.structure(new_carry)}; a step returns (carry, output) with the carry as it came"
        )
    for name, before, after in _mismatches(carry, new_carry):
        cause = (
            "the initial carry, the parameters and the inputs must be of types that promote to the carry's"
            if before.shape == after.shape
            else "does the initial carry have the batch axes of the inputs?"
        )
        raise TypeError(
            f"carry{name} of {describe(step)} is {_kind(before)} before the step and {_kind(after)} after it; {cause}"
        )


def _mismatches(carry: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """The leaves of two carries that differ in shape or type, with their names."""
    for (path, leaf), like in zip(jax.tree.leaves_with_path(carry), jax.tree.leaves(other), strict=True):
        if leaf.shape != like.shape or leaf.dtype != like.dtype:
            yield jax.tree_util.keystr(path), leaf, like


def _kind(leaf: Any) -> str:
    return f"{leaf.dtype}{list(leaf.shape)}"


def check_checkpoint(checkpoint: Any) -> None:
    """Only None, "sqrt" and positive whole numbers are schedules."""
    whole = isinstance(checkpoint, int) and not isinstance(checkpoint, bool) and checkpoint > 0
    if checkpoint is not None and checkpoint != "sqrt" and not whole:
        raise ValueError(
            f"checkpoint must be None, 'sqrt' or a number of time steps between saved carries, got {checkpoint!r}"
        )
