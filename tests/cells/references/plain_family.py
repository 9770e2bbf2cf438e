"""Plain and structured recurrences: one nonlinearity a step, and what is peculiar is how the state comes back."""

from typing import Any

import numpy as np

from tests.cells.references.classic import elman
from tests.cells.references.tools import Array, Step, function, gates, sigmoid

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


def es2n(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """x_t = β φ(ρ W_r x_{t-1} + ω W_in u_t) + (1 - β) O x_{t-1}."""
    (h,) = carry
    nonlinear = function(cell.activation)(p.recurrent_kernel.T @ h + p.kernel.T @ x)
    h = cell.proximity * nonlinear + (1 - cell.proximity) * (p.orthogonal_kernel.T @ h)
    return (h,), h


def scrn(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """s_t = (1 - α) B x_t + α s_{t-1}; h_t = σ(P s_t + A x_t + R h_{t-1}); what is read out is both."""
    h, s = carry
    s = (1 - cell.retention) * (p.context_kernel.T @ x) + cell.retention * s
    h = sigmoid(p.context_to_hidden_kernel.T @ s + p.kernel.T @ x + p.recurrent_kernel.T @ h)
    return (h, s), np.concatenate([h, s])


def clockwork(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Module by module: g ticks when t mod T_g = 0, and reads modules j >= g only."""
    h, t = carry
    groups = np.array_split(np.arange(cell.hidden_size), len(cell.periods))
    new = h.copy()
    for g, (units, period) in enumerate(zip(groups, cell.periods, strict=True)):
        if t % period:
            continue
        total = p.kernel[:, units].T @ x + p.bias[units]
        for read in groups[g:]:
            total = total + p.recurrent_kernel[np.ix_(read, units)].T @ h[read]
        new[units] = function(cell.activation)(total)
    return (new, t + 1), new


def multiplicative(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """f_t = diag(W_fx x_t) W_fh h_{t-1}; h_t = tanh(W_hf f_t + W_hx x_t + b)."""
    (h,) = carry
    f = np.diag(p.factor_kernel.T @ x) @ (p.factor_recurrent_kernel.T @ h)
    h = function(cell.activation)(p.recurrent_kernel.T @ f + p.kernel.T @ x + p.bias)
    return (h,), h


def multiplicative_integration(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """φ(α ⊙ Wx ⊙ Uz + β₁ ⊙ Uz + β₂ ⊙ Wx + b)."""
    (h,) = carry
    wx, uz = p.kernel.T @ x, p.recurrent_kernel.T @ h
    total = np.array(
        [
            p.product_scale[n] * wx[n] * uz[n] + p.recurrent_scale[n] * uz[n] + p.input_scale[n] * wx[n] + p.bias[n]
            for n in range(cell.hidden_size)
        ]
    )
    h = function(cell.activation)(total)
    return (h,), h


def shuffling(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """h_t = σ(W_p h_{t-1} + f_r(x_t) ⊙ sigmoid(W_s x_t + b_s)), W_p a cyclic permutation."""
    (h,) = carry
    permutation = np.zeros((cell.hidden_size, cell.hidden_size))
    for place in range(cell.hidden_size):
        permutation[(place + 1) % cell.hidden_size, place] = 1
    phi = function(cell.activation)
    f = p.second_kernel.T @ phi(p.first_kernel.T @ x + p.first_bias) + p.second_bias
    h = phi(permutation @ h + f * sigmoid(p.gate_kernel.T @ x + p.gate_bias))
    return (h,), h


def piecewise_linear(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """z_t = A z_{t-1} + W φ(z_{t-1}) + C s_t + h, A diagonal, W with a zero diagonal."""
    (z,) = carry
    a, w = np.diag(p.diagonal), p.recurrent_kernel.T - np.diag(np.diag(p.recurrent_kernel))
    z = a @ z + w @ function(cell.activation)(z) + p.kernel.T @ x + p.bias
    return (z,), z


def antisymmetric(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """h_t = h_{t-1} + ε tanh((W - Wᵀ - γI) h_{t-1} + V x_t + b), with W the transpose of our kernel."""
    (h,) = carry
    w = p.recurrent_kernel.T
    m = w - w.T - cell.diffusion * np.eye(len(h))
    h = h + cell.time_step * function(cell.activation)(m @ h + p.kernel.T @ x + p.bias)
    return (h,), h


def gated_antisymmetric(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """z_t = σ(M h_{t-1} + V_z x_t + b_z); h_t = h_{t-1} + ε z_t ⊙ tanh(M h_{t-1} + V_h x_t + b_h)."""
    (h,) = carry
    w, v, b = p.recurrent_kernel.T, gates(p.kernel, "zn"), gates(p.bias, "zn")
    m = w - w.T - cell.diffusion * np.eye(len(h))
    z = sigmoid(m @ h + v["z"].T @ x + b["z"])
    h = h + cell.time_step * z * function(cell.activation)(m @ h + v["n"].T @ x + b["n"])
    return (h,), h


def lipschitz(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """ḣ = A h + tanh(W h + U x + b), entry by entry of A and W; Euler, or the midpoint rule."""
    (h,) = carry
    size, beta = len(h), cell.antisymmetry

    def stable(m: Array) -> Array:
        out = np.empty((size, size))
        for i in range(size):
            for j in range(size):
                out[i, j] = (1 - beta) * (m[i, j] + m[j, i]) + beta * (m[i, j] - m[j, i]) - cell.diffusion * (i == j)
        return out

    a, w = stable(p.linear_kernel.T), stable(p.recurrent_kernel.T)
    slope = lambda h: a @ h + function(cell.activation)(w @ h + p.kernel.T @ x + p.bias)
    middle = h + cell.time_step * slope(h) / 2 if cell.integrator == "midpoint" else h
    h = h + cell.time_step * slope(middle)
    return (h,), h


REFERENCES: dict[str, Step] = {
    "AntisymmetricRNN": antisymmetric,
    "Clockwork": clockwork,
    "ES2N": es2n,
    "EchoState": leaky,
    "GatedAntisymmetricRNN": gated_antisymmetric,
    "LipschitzRNN": lipschitz,
    "MultiplicativeIntegrationRNN": multiplicative_integration,
    "MultiplicativeRNN": multiplicative,
    "PLRNN": piecewise_linear,
    "SCRN": scrn,
    "ShufflingRNN": shuffling,
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
    "Clockwork-uneven": ("Clockwork", {"periods": (1, 2, 3)}),
    "EchoState-leaky": ("EchoState", {"leak": 0.3, "connectivity": 0.5, "input_scaling": 0.5}),
    "LipschitzRNN-midpoint": ("LipschitzRNN", {"integrator": "midpoint", "time_step": 0.5}),
    "MultiplicativeRNN-factors": ("MultiplicativeRNN", {"factors": 6}),
    "SCRN-context": ("SCRN", {"context": 3, "retention": 0.5}),
    "IndRNN-clamped": ("IndRNN", {"length": 5, "activation": "tanh"}),
    "JordanOriginal-copying": ("JordanOriginal", {"units": 2, "decay": 0.0, "output_activation": "identity"}),
}

STOPPED = {"ES2N": "params", "EchoState": "params", "ElmanOriginal": "carry", "JordanOriginal": "carry"}
