"""Cells that remember by polynomials, and cells whose recurrence is element by element."""

from typing import Any

import numpy as np
from scipy import signal

from tests.cells.references.tools import Array, Step, gates, sigmoid

Carry = tuple[Array, ...]


def sru(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Lei et al. 2018, equations 1 to 4; and the first version of arXiv:1709.02755, equations 3 to 7."""
    (c,) = carry
    w, b = gates(p.kernel, "cfr"), gates(p.bias, "fr")
    v = {"f": 0.0, "r": 0.0} if cell.version == 1 else gates(p.recurrent_weights, "fr")
    f, r = (sigmoid(w[gate].T @ x + v[gate] * c + b[gate]) for gate in "fr")
    c = f * c + (1 - f) * (w["c"].T @ x)
    skipped = x if cell.input_size == cell.hidden_size else p.highway_kernel.T @ x
    if cell.version == 1:
        return (c,), r * np.tanh(c) + (1 - r) * skipped
    alpha = np.sqrt(1 + np.exp(cell.highway_bias) * 2)
    return (c,), r * c + (1 - r) * skipped * alpha


def qrnn(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Bradbury et al. 2017, equations 2 to 5."""
    c, before = carry
    names = {"f": "zf", "fo": "zfo", "ifo": "zfoi"}[cell.pooling]
    first, second, b = (gates(part, names) for part in (p.previous_kernel, p.kernel, p.bias))
    total = {gate: first[gate].T @ before + second[gate].T @ x + b[gate] for gate in names}
    z, f = np.tanh(total["z"]), sigmoid(total["f"])
    i = sigmoid(total["i"]) if cell.pooling == "ifo" else 1 - f
    c = f * c + i * z
    h = c if cell.pooling == "f" else sigmoid(total["o"]) * c
    return (c, x), h


def lmu(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Voelker et al. 2019, equations 2, 3, 6 and 7; A and B made discrete by scipy.signal, entry by entry."""
    h, m = carry
    d, theta = cell.memory_size, cell.window
    a = [[(2 * i + 1) / theta * (-1 if i < j else (-1) ** (i - j + 1)) for j in range(d)] for i in range(d)]
    b = [[(2 * i + 1) / theta * (-1) ** i] for i in range(d)]
    method = {"zero_order_hold": "zoh", "euler": "euler"}[cell.discretization]
    a, b, *_ = signal.cont2discrete((np.array(a), np.array(b), np.zeros((1, d)), np.zeros((1, 1))), 1.0, method)
    u = p.input_encoder @ x + p.hidden_encoder @ h + p.memory_encoder @ m
    m = a @ m + b[:, 0] * u
    h = np.tanh(p.kernel.T @ x + p.recurrent_kernel.T @ h + p.memory_kernel.T @ m)
    return (h, m), h


def hippo_rnn(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Gu et al. 2020, figure 2 and theorem 2, entry by entry, with a dense inverse."""
    h, c, steps = carry
    w, u, v, b = (gates(part, "gn") for part in (p.kernel, p.recurrent_kernel, p.memory_kernel, p.bias))
    total = {gate: w[gate].T @ x + u[gate].T @ h + v[gate].T @ c + b[gate] for gate in "gn"}
    gate = sigmoid(total["g"])
    h = (1 - gate) * h + gate * np.tanh(total["n"])
    f = p.encoder @ h + p.encoder_bias
    size, t = cell.memory_size, int(steps) + 1
    a, write = np.zeros((size, size)), np.zeros(size)
    for n in range(size):
        write[n] = (2 * n + 1) ** 0.5
        a[n, n] = n + 1
        for k in range(n):
            a[n, k] = (2 * n + 1) ** 0.5 * (2 * k + 1) ** 0.5
    one = np.eye(size)
    if cell.discretization == "euler":
        c = (one - a / t) @ c + write * f / t
    else:
        inverse = np.linalg.inv(one + a / (2 * t))
        c = inverse @ (one - a / (2 * t)) @ c + inverse @ write * f / t
    return (h, c, np.asarray(t)), h


REFERENCES: dict[str, Step] = {
    "HiPPORNN": hippo_rnn,
    "LMU": lmu,
    "QRNN": qrnn,
    "SRU": sru,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "HiPPORNN-euler": ("HiPPORNN", {"discretization": "euler", "memory_size": 3}),
    "LMU-euler": ("LMU", {"discretization": "euler", "memory_size": 5, "window": 20.0}),
    "QRNN-f": ("QRNN", {"pooling": "f"}),
    "QRNN-ifo": ("QRNN", {"pooling": "ifo"}),
    "SRU-1": ("SRU", {"version": 1}),
    "SRU-highway_bias": ("SRU", {"highway_bias": -2.0}),
}
