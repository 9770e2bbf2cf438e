"""The cells a second time, in NumPy float64, one gate and one example at a time, written from the papers.

Parameters come as in seqjax (gates side by side in the documented order) and are taken apart by name here. Nothing is
shared with ``seqjax.cells`` but that layout.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from seqjax.cells import Cell

Array = np.ndarray

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


def elman(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """h_t = φ(W x_t + U h_{t-1} + b), Elman 1990."""
    (h,) = carry
    h = function(cell.activation)(p.kernel.T @ x + p.recurrent_kernel.T @ h + p.bias)
    return (h,), h


def jordan(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """h_t = φ(W x_t + U y_{t-1} + b), y_t = ψ(V h_t + c), Jordan 1986."""
    (y,) = carry
    h = function(cell.activation)(p.kernel.T @ x + p.recurrent_kernel.T @ y + p.bias)
    y = function(cell.output_activation)(p.output_kernel.T @ h + p.output_bias)
    return (y,), y


def lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Gers, Schmidhuber and Cummins 2000, without peepholes."""
    h, c = carry
    w, u, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.bias))
    sigma, phi = function("sigmoid"), function(cell.activation)
    total = {gate: w[gate].T @ x + u[gate].T @ h + b[gate] for gate in "ifgo"}
    i, f, g, o = sigma(total["i"]), sigma(total["f"]), phi(total["g"]), sigma(total["o"])
    c = f * c + i * g
    h = o * phi(c)
    return (h, c), h


def gru(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Cho et al. 2014: the published form resets before the product, the first version after it."""
    (h,) = carry
    w, u, b = (gates(part, "rzn") for part in (p.kernel, p.recurrent_kernel, p.bias))
    sigma, phi = function("sigmoid"), function(cell.activation)
    r = sigma(w["r"].T @ x + u["r"].T @ h + b["r"])
    z = sigma(w["z"].T @ x + u["z"].T @ h + b["z"])
    if cell.reset == "before":
        candidate = phi(w["n"].T @ x + u["n"].T @ (r * h) + b["n"])
    else:
        candidate = phi(w["n"].T @ x + b["n"] + r * (u["n"].T @ h + p.recurrent_bias))
    h = z * h + (1 - z) * candidate
    return (h,), h


REFERENCES: dict[str, Callable[[Any, Any, tuple[Array, ...], Array], tuple[tuple[Array, ...], Array]]] = {
    "Elman": elman,
    "GRU": gru,
    "Jordan": jordan,
    "LSTM": lstm,
}


def run(cell: Cell, params: Any, carry: Any, inputs: Array) -> tuple[list[Array], Array]:
    """``(last carry, outputs)`` of one example, inputs ``[time, features]``; the carry in the order of its fields."""
    step, state, outputs = REFERENCES[type(cell).__name__], tuple(carry), []
    for x in inputs:
        state, output = step(cell, params, state, x)
        outputs.append(output)
    return list(state), np.stack(outputs)
