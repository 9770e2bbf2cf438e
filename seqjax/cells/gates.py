"""Gates side by side in one array, and the names by which others find them in a step."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

GateName = Literal[
    "input_gate", "forget_gate", "output_gate", "update_gate", "reset_gate", "candidate", "cell", "hidden"
]


def split_gates(stacked: Any, count: int) -> list[Any]:
    """The gates of a kernel, bias or preactivation, ``count`` equal parts of its last axis.

    Structured kernels (see :mod:`seqjax.cells.kernels`) know how to split themselves.
    """
    return stacked.split_gates(count) if hasattr(stacked, "split_gates") else jnp.split(stacked, count, axis=-1)


def lstm_gates(
    preactivations: Any, activation: Callable[[jax.Array], jax.Array] = jnp.tanh
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The gates i, f, g, o of a long short-term memory from what stands side by side in that order, named."""
    i, f, g, o = split_gates(preactivations, 4)
    i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), activation(g), jax.nn.sigmoid(o)
    return named(i, "input_gate"), named(f, "forget_gate"), named(g, "candidate"), named(o, "output_gate")


def named(value: jax.Array, name: GateName) -> jax.Array:
    """The value itself, under a name that transforms and analyses find it by. Costs nothing when it runs."""
    return checkpoint_name(value, name)
