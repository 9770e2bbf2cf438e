"""What the references share: activations one number at a time, and taking stacked gates apart."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Step = Callable[[Any, Any, tuple[Any, ...], Any], tuple[tuple[Any, ...], Array]]
"""``carry, output = step(cell, params, carry, x)`` of one example, without any batch axis, in float64."""


FUNCTIONS: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "relu": lambda x: x if x > 0 else 0.0,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "identity": lambda x: x,
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "hard_sigmoid": lambda x: min(max(x + 3, 0.0), 6.0) / 6,
    "hard_tanh": lambda x: min(max(x, -1.0), 1.0),
    "sine": math.sin,
}


def function(activation: Any) -> Callable[[Array], Array]:
    """The activation, element by element; a function of JAX goes by its name."""
    name = activation if isinstance(activation, str) else activation.__name__
    return np.vectorize(FUNCTIONS[name], otypes=[np.float64])


def gates(stacked: Array, names: str) -> dict[str, Array]:
    """The parts of a stacked kernel or bias, by the gate's letter."""
    return dict(zip(names, np.split(np.asarray(stacked, np.float64), len(names), axis=-1), strict=True))


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))
