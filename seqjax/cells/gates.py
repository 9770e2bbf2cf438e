"""Gates side by side in one array, and the names by which others find them in a step."""

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


def named(value: jax.Array, name: GateName) -> jax.Array:
    """The value itself, under a name that transforms and analyses find it by. Costs nothing when it runs."""
    return checkpoint_name(value, name)
