"""Plain and structured recurrences: one nonlinearity a step, and what is peculiar is how the state comes back."""

from typing import Any

import numpy as np

from tests.cells.references.classic import elman
from tests.cells.references.tools import Array, Step, function

Pair = tuple[tuple[Array, ...], Array]


def jordan_original(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Jordan 1986: s_t = μ s_{t-1} + y_{t-1}; h_t = φ(W x_t + U s_t + b); y_t = ψ(V h_t + c). The carry is s_t."""
    (s,) = carry
    h = function(cell.activation)(p.kernel.T @ x + p.recurrent_kernel.T @ s + p.bias)
    y = function(cell.output_activation)(p.output_kernel.T @ h + p.output_bias)
    return (cell.decay * s + y,), y


def independent(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """h_n = φ(w_n x_t + u_n h_n + b_n), unit by unit, |u_n| at most 2^(1/T)."""
    (h,) = carry
    new = np.empty_like(h)
    for n in range(cell.hidden_size):
        u = p.recurrent_kernel[n]
        if cell.length is not None and abs(u) > 2 ** (1 / cell.length):
            u = np.sign(u) * 2 ** (1 / cell.length)
        new[n] = p.kernel[:, n] @ x + u * h[n] + p.bias[n]
    new = function(cell.activation)(new)
    return (new,), new


def leaky(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """dh = a (-h + φ(W x + U h + b))."""
    (h,) = carry
    change = -h + function(cell.activation)(p.kernel.T @ x + p.recurrent_kernel.T @ h + p.bias)
    h = h + cell.leak * change
    return (h,), h


def continuous_time(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Beer 1995: τ dv_i/dt = -v_i + Σ_j w_ji σ(v_j + θ_j) + I_i, with Δt/τ = a."""
    (v,) = carry
    phi, new = function(cell.activation), np.empty_like(v)
    rates = phi(v + p.bias)
    for i in range(cell.hidden_size):
        slope = -v[i] + sum(p.recurrent_kernel[j, i] * rates[j] for j in range(cell.hidden_size))
        new[i] = v[i] + cell.leak * (slope + p.kernel[:, i] @ x)
    return (new,), phi(new + p.bias)


def wilson_cowan(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """τ dh/dt = -h + φ(U h + b) + W x."""
    (h,) = carry
    change = -h + function(cell.activation)(p.recurrent_kernel.T @ h + p.bias) + p.kernel.T @ x
    h = h + cell.leak * change
    return (h,), h


REFERENCES: dict[str, Step] = {
    "ContinuousTimeRNN": continuous_time,
    "ElmanOriginal": elman,
    "IRNN": elman,
    "IndRNN": independent,
    "JordanOriginal": jordan_original,
    "LeakyRNN": leaky,
    "NPRNN": elman,
    "WilsonCowan": wilson_cowan,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "IndRNN-clamped": ("IndRNN", {"length": 5, "activation": "tanh"}),
    "JordanOriginal-copying": ("JordanOriginal", {"units": 2, "decay": 0.0, "output_activation": "identity"}),
}

STOPPED = {"ElmanOriginal": "carry", "JordanOriginal": "carry"}
