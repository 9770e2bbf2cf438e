"""Lengths and resets, as a step around the step.

Both become part of the step that the engine reads, so they mean the same in every mode. With ``valid`` (t < length) and
``reset`` of one step,

    start  = where(reset, fresh carry, carry)        the carry is fresh *before* that step's input
    inputs = where(valid, inputs, 0)                 NaN in padding reaches neither values nor gradients
    new, output = step(params, start, inputs)
    carry  = where(valid, new, carry)                the final carry is the one at the last valid step
    output = where(valid, output, 0)                 (a reset in the padding changes nothing)

A step that is singular where its inputs are zero (``1 / inputs``) must guard itself: padded steps are run, then
discarded.
Run backwards, the carry stays at its initial value until the last valid step: nothing is flipped.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Step = Callable[[Any, Any, Any], tuple[Any, Any]]


class SegmentedInputs(NamedTuple):
    """The inputs of one step with its flags; ``None`` where there are no lengths or no resets."""

    inputs: Any
    valid: jax.Array | None
    reset: jax.Array | None


class SegmentedParams(NamedTuple):
    """The parameters of the step and the carry that a reset restores."""

    params: Any
    fresh_carry: Any


def segmented(step: Step) -> Step:
    """``step`` with flags: takes :class:`SegmentedParams` and :class:`SegmentedInputs`."""

    def segmented_step(params: SegmentedParams, carry: Any, inputs: SegmentedInputs) -> tuple[Any, Any]:
        start = carry if inputs.reset is None else select(inputs.reset, params.fresh_carry, carry)
        new_carry, output = step(params.params, start, inputs.inputs)
        if inputs.valid is not None:
            new_carry, output = select(inputs.valid, new_carry, carry), keep_where(inputs.valid, output)
        return new_carry, output

    return segmented_step


def segmented_inputs(
    inputs: Any, time_steps: int, lengths: jax.Array | None, resets: jax.Array | None
) -> SegmentedInputs:
    """Inputs of all time steps with their flags; padded inputs become zero."""
    valid = None
    if lengths is not None:
        valid = valid_steps(time_steps, lengths)
        inputs = keep_where(valid, inputs)
    return SegmentedInputs(inputs, valid, resets)


def valid_steps(time_steps: int, lengths: jax.Array) -> jax.Array:
    """``[time, *batch]``: True until each sequence's end."""
    return jnp.arange(time_steps).reshape(-1, *[1] * lengths.ndim) < lengths


def select(mask: jax.Array, on_true: Any, on_false: Any) -> Any:
    """``where`` over a tree, the mask spread over each leaf's trailing axes."""
    return jax.tree.map(lambda a, b: jnp.where(_spread(mask, b), a, b), on_true, on_false)


def keep_where(mask: jax.Array, tree: Any) -> Any:
    """The tree with zeros where the mask is False; leaves that have no zero (random keys) stay as they are."""

    def keep(leaf: jax.Array) -> jax.Array:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        return jnp.where(_spread(mask, leaf), leaf, jnp.zeros((), leaf.dtype))

    return jax.tree.map(lambda leaf: keep(jnp.asarray(leaf)), tree)


def _spread(mask: jax.Array, leaf: jax.Array) -> jax.Array:
    return mask.reshape(mask.shape + (1,) * (leaf.ndim - mask.ndim))
