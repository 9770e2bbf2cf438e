"""Elman, Jordan, LSTM and GRU."""

from typing import Any

import jax
import numpy as np

from tests.cells.references.tools import Array, Step, function, gates


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
    """Gers, Schmidhuber and Cummins 2000, without peepholes; the clipped cell of Sak et al. 2014."""
    h, c = carry
    w, u, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.bias))
    sigma, phi = function("sigmoid"), function(cell.activation)
    total = {gate: w[gate].T @ x + u[gate].T @ h + b[gate] for gate in "ifgo"}
    i, f, g, o = sigma(total["i"]), sigma(total["f"]), phi(total["g"]), sigma(total["o"])
    c = f * c + i * g
    if cell.cell_clip is not None:
        c = np.minimum(np.maximum(c, -cell.cell_clip), cell.cell_clip)
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


REFERENCES: dict[str, Step] = {
    "Elman": elman,
    "GRU": gru,
    "Jordan": jordan,
    "LSTM": lstm,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "Elman-relu-identity": ("Elman", {"activation": "relu", "recurrent_initializer": "identity"}),
    "Elman-function": ("Elman", {"activation": jax.nn.gelu, "kernel_initializer": "he_normal"}),
    "GRU-before": ("GRU", {"reset": "before"}),
    "Jordan-units": ("Jordan", {"units": 2, "activation": "softsign", "output_activation": "identity"}),
    "LSTM-options": ("LSTM", {"forget_bias": -0.5, "activation": "softsign", "recurrent_initializer": "glorot_normal"}),
}
