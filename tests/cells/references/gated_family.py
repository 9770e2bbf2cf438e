"""Gated cells with a single state, gate by gate from their papers."""

from typing import Any

import numpy as np

from tests.cells.references.tools import Array, Step, function, gates, sigmoid

State = tuple[Array, ...]


def parts(
    p: Any, kernel: str, recurrent: str, bias: str
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """W, U and b by the gate's letter."""
    return gates(p.kernel, kernel), gates(p.recurrent_kernel, recurrent), gates(p.bias, bias)


def mgu(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """f = σ(W_f [h, x] + b_f), h~ = tanh(W_h [f h, x] + b_h), h = (1-f) h + f h~, Zhou et al. 2016."""
    (h,) = carry
    w, u, b = parts(p, "fn", "fn", "fn")
    f = sigmoid(u["f"].T @ h + w["f"].T @ x + b["f"])
    candidate = np.tanh(u["n"].T @ (f * h) + w["n"].T @ x + b["n"])
    h = (1 - f) * h + f * candidate
    return (h,), h


def mgu1(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """f = σ(U_f h + b_f), Heck and Salem 2017."""
    (h,) = carry
    w, u, b = parts(p, "n", "fn", "fn")
    f = sigmoid(u["f"].T @ h + b["f"])
    h = (1 - f) * h + f * np.tanh(w["n"].T @ x + u["n"].T @ (f * h) + b["n"])
    return (h,), h


def mgu2(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """f = σ(U_f h), Heck and Salem 2017."""
    (h,) = carry
    w, u, b = parts(p, "n", "fn", "n")
    f = sigmoid(u["f"].T @ h)
    h = (1 - f) * h + f * np.tanh(w["n"].T @ x + u["n"].T @ (f * h) + b["n"])
    return (h,), h


def mgu3(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """f = σ(b_f), Heck and Salem 2017."""
    (h,) = carry
    w, u, b = parts(p, "n", "n", "fn")
    f = sigmoid(b["f"])
    h = (1 - f) * h + f * np.tanh(w["n"].T @ x + u["n"].T @ (f * h) + b["n"])
    return (h,), h


def miru1(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """r = σ(·), h~ = tanh(W x + U (r h) + b), h = λ h + (1-λ) h~, Zyarah and Kudithipudi 2025."""
    (h,) = carry
    w, u, b = parts(p, "rn", "rn", "rn")
    r = sigmoid(w["r"].T @ x + u["r"].T @ h + b["r"])
    candidate = np.tanh(w["n"].T @ x + u["n"].T @ (r * h) + b["n"])
    h = cell.update_coefficient * h + (1 - cell.update_coefficient) * candidate
    return (h,), h


def miru2(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """h~ = tanh(W x + U (β h) + b), h = λ h + (1-λ) h~, Zyarah and Kudithipudi 2025."""
    (h,) = carry
    candidate = np.tanh(p.kernel.T @ x + p.recurrent_kernel.T @ (cell.reset_coefficient * h) + p.bias)
    h = cell.update_coefficient * h + (1 - cell.update_coefficient) * candidate
    return (h,), h


def ligru(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = σ(W_z x + U_z h), h~ = ReLU(W_h x + U_h h), h = z h + (1-z) h~, Ravanelli et al. 2018, W x with its shift."""
    (h,) = carry
    w, u, b = parts(p, "zn", "zn", "zn")
    z = sigmoid(w["z"].T @ x + b["z"] + u["z"].T @ h)
    candidate = function(cell.activation)(w["n"].T @ x + b["n"] + u["n"].T @ h)
    h = z * h + (1 - z) * candidate
    return (h,), h


def sligru(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """Li-GRU whose U h, of both gates together, has mean 0 and variance 1, Moumen and Parcollet 2023."""
    (h,) = carry
    both = p.recurrent_kernel.T @ h
    centred = both - both.mean()
    normalised = gates(centred / np.sqrt((centred**2).mean() + cell.epsilon), "zn")
    w, b = gates(p.kernel, "zn"), gates(p.bias, "zn")
    z = sigmoid(w["z"].T @ x + b["z"] + normalised["z"])
    candidate = function(cell.activation)(w["n"].T @ x + b["n"] + normalised["n"])
    h = z * h + (1 - z) * candidate
    return (h,), h


def lightru(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """h~ = tanh(W_h x), f = σ(U_f h + W_f x + b_f), h = (1-f) h + f h~, Ye et al. 2024."""
    (h,) = carry
    w = gates(p.kernel, "fn")
    candidate = np.tanh(w["n"].T @ x)
    f = sigmoid(p.recurrent_kernel.T @ h + w["f"].T @ x + p.bias)
    h = (1 - f) * h + f * candidate
    return (h,), h


def minimal_rnn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = Φ(x), u = σ(U_h h + U_z z + b_u), h = u h + (1-u) z, Chen 2017."""
    (h,) = carry
    z = np.tanh(p.kernel.T @ x + p.bias)
    u = sigmoid(p.recurrent_kernel.T @ h + p.latent_kernel.T @ z + p.gate_bias)
    h = u * h + (1 - u) * z
    return (h,), h


def star(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = tanh(W_z x + b_z), k = σ(W_x x + W_h h + b_k), h = tanh((1-k) h + k z), Turkoglu et al. 2022."""
    (h,) = carry
    w, b = gates(p.kernel, "kz"), gates(p.bias, "kz")
    z = np.tanh(w["z"].T @ x + b["z"])
    k = sigmoid(w["k"].T @ x + p.recurrent_kernel.T @ h + b["k"])
    h = np.tanh((1 - k) * h + k * z)
    return (h,), h


def ugrnn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """c = s(·), g = σ(·), h = g h + (1-g) c, Collins et al. 2017."""
    (h,) = carry
    w, u, b = parts(p, "gc", "gc", "gc")
    c = function(cell.activation)(u["c"].T @ h + w["c"].T @ x + b["c"])
    g = sigmoid(u["g"].T @ h + w["g"].T @ x + b["g"])
    h = g * h + (1 - g) * c
    return (h,), h


def intersection_rnn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """y_in, h_in, g^y, g^h; y = g^y x + (1-g^y) y_in, h = g^h h + (1-g^h) h_in, Collins et al. 2017."""
    (h,) = carry
    x = x if p.input_projection is None else p.input_projection.T @ x
    w, u, b = parts(p, "hHyY", "hHyY", "hHyY")
    total = {gate: u[gate].T @ h + w[gate].T @ x + b[gate] for gate in "hHyY"}
    y_in, h_in = np.maximum(total["y"], 0), np.tanh(total["h"])
    g_y, g_h = sigmoid(total["Y"]), sigmoid(total["H"])
    y = g_y * x + (1 - g_y) * y_in
    h = g_h * h + (1 - g_h) * h_in
    return (h,), y


def cfn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """h = θ tanh(h) + η tanh(W x), Laurent and von Brecht 2017."""
    (h,) = carry
    w, u, b = parts(p, "tec", "te", "te")
    theta = sigmoid(u["t"].T @ h + w["t"].T @ x + b["t"])
    eta = sigmoid(u["e"].T @ h + w["e"].T @ x + b["e"])
    h = theta * np.tanh(h) + eta * np.tanh(w["c"].T @ x)
    return (h,), h


def atr(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """p = W x, q = U h, i = σ(p+q), f = σ(p-q), h = i p + f h, Zhang et al. 2018."""
    (h,) = carry
    of_x, of_h = p.kernel.T @ x, p.recurrent_kernel.T @ h
    h = sigmoid(of_x + of_h) * of_x + sigmoid(of_x - of_h) * h
    return (h,), h


def ran(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """c~ = W x, i and f from h and x, c = i c~ + f c, h = g(c), Lee et al. 2017."""
    h, c = carry
    w, u, b = parts(p, "ifc", "if", "if")
    i = sigmoid(u["i"].T @ h + w["i"].T @ x + b["i"])
    f = sigmoid(u["f"].T @ h + w["f"].T @ x + b["f"])
    c = i * (w["c"].T @ x) + f * c
    h = function(cell.activation)(c)
    return (h, c), h


def sgrn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """f = σ(W x + U h + b), i = 1 - f, h = tanh(i (W x + b) + f h)."""
    (h,) = carry
    of_x = p.kernel.T @ x + p.bias
    f = sigmoid(of_x + p.recurrent_kernel.T @ h)
    i = 1 - f
    h = np.tanh(i * of_x + f * h)
    return (h,), h


def brc(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """a = 1 + tanh(U_a x + w_a h), c = σ(U_c x + w_c h), h = c h + (1-c) tanh(U x + a h), Vecoven et al. 2021."""
    (h,) = carry
    u, w, b = gates(p.kernel, "acx"), gates(p.recurrent_weights, "ac"), gates(p.bias, "ac")
    a = 1 + np.tanh(u["a"].T @ x + w["a"] * h + b["a"])
    c = sigmoid(u["c"].T @ x + w["c"] * h + b["c"])
    h = c * h + (1 - c) * np.tanh(u["x"].T @ x + a * h)
    return (h,), h


def nbrc(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """a = 1 + tanh(U_a x + W_a h), c = σ(U_c x + W_c h), h = c h + (1-c) tanh(U x + a h), Vecoven et al. 2021."""
    (h,) = carry
    u, w, b = parts(p, "acx", "ac", "ac")
    a = 1 + np.tanh(u["a"].T @ x + w["a"].T @ h + b["a"])
    c = sigmoid(u["c"].T @ x + w["c"].T @ h + b["c"])
    h = c * h + (1 - c) * np.tanh(u["x"].T @ x + a * h)
    return (h,), h


def fast_rnn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """h~ = φ(W x + U h + b), h = α h~ + β h with α and β in (0, 1), Kusupati et al. 2018."""
    (h,) = carry
    candidate = function(cell.activation)(p.kernel.T @ x + p.recurrent_kernel.T @ h + p.bias)
    h = sigmoid(p.alpha) * candidate + sigmoid(p.beta) * h
    return (h,), h


def fast_grnn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = σ(W x + U h + b_z), h~ = tanh(W x + U h + b_h), h = (ζ (1-z) + ν) h~ + z h, Kusupati et al. 2018."""
    (h,) = carry
    b = gates(p.bias, "zh")
    z = sigmoid(p.kernel.T @ x + p.recurrent_kernel.T @ h + b["z"])
    candidate = function(cell.activation)(p.kernel.T @ x + p.recurrent_kernel.T @ h + b["h"])
    h = (sigmoid(p.zeta) * (1 - z) + sigmoid(p.nu)) * candidate + z * h
    return (h,), h


def mut1(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = σ(W x + b), h = tanh(U (r h) + tanh(x) + b) z + h (1-z), Jozefowicz et al. 2015."""
    (h,) = carry
    w, u, b = parts(p, "rzh", "rh", "rzh")
    z = sigmoid(w["z"].T @ x + b["z"])
    r = sigmoid(w["r"].T @ x + u["r"].T @ h + b["r"])
    h = np.tanh(u["h"].T @ (r * h) + np.tanh(w["h"].T @ x) + b["h"]) * z + h * (1 - z)
    return (h,), h


def mut2(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = σ(W x + U h + b), r = σ(x + U h + b), h = tanh(U (r h) + W x + b) z + h (1-z), Jozefowicz et al. 2015."""
    (h,) = carry
    w, u, b = parts(p, "rzh", "rzh", "rzh")
    z = sigmoid(w["z"].T @ x + u["z"].T @ h + b["z"])
    r = sigmoid(w["r"].T @ x + u["r"].T @ h + b["r"])
    h = np.tanh(u["h"].T @ (r * h) + w["h"].T @ x + b["h"]) * z + h * (1 - z)
    return (h,), h


def mut3(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = σ(W x + U tanh(h) + b), h = tanh(U (r h) + W x + b) z + h (1-z), Jozefowicz et al. 2015."""
    (h,) = carry
    w, u, b = parts(p, "rzh", "rzh", "rzh")
    z = sigmoid(w["z"].T @ x + u["z"].T @ np.tanh(h) + b["z"])
    r = sigmoid(w["r"].T @ x + u["r"].T @ h + b["r"])
    h = np.tanh(u["h"].T @ (r * h) + w["h"].T @ x + b["h"]) * z + h * (1 - z)
    return (h,), h


def strongly_typed_rnn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """z = W x, f = σ(V x + b), h = f h + (1-f) z, Balduzzi and Ghifary 2016."""
    (h,) = carry
    w = gates(p.kernel, "fz")
    f = sigmoid(w["f"].T @ x + p.bias)
    h = f * h + (1 - f) * (w["z"].T @ x)
    return (h,), h


def strongly_typed_gates(p: Any, before: Array, x: Array) -> tuple[Array, Array, Array]:
    """f, z and o of the current and the previous input, Balduzzi and Ghifary 2016."""
    w, v, b = gates(p.kernel, "fzo"), gates(p.previous_kernel, "fzo"), gates(p.bias, "fzo")
    f, z, o = (v[gate].T @ before + w[gate].T @ x + b[gate] for gate in "fzo")
    return sigmoid(f), z, np.tanh(o)


def strongly_typed_gru(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """h = f h + z o, Balduzzi and Ghifary 2016."""
    h, before = carry
    f, z, o = strongly_typed_gates(p, before, x)
    h = f * h + z * o
    return (h, x), h


def strongly_typed_lstm(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """c = f c + (1-f) z, h = c o, Balduzzi and Ghifary 2016."""
    c, before = carry
    f, z, o = strongly_typed_gates(p, before, x)
    c = f * c + (1 - f) * z
    return (c, x), c * o


def sgu(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """x_g = W x + b, z_g = tanh(U (x_g h)), z_out = softplus(z_g h), z = hard σ(·), Gao and Glowacka 2016."""
    (h,) = carry
    w, u, b = parts(p, "gz", "gz", "gz")
    z_g = np.tanh(u["g"].T @ ((w["g"].T @ x + b["g"]) * h))
    z_out = np.log1p(np.exp(z_g * h))
    z = function(cell.gate_activation)(w["z"].T @ x + b["z"] + u["z"].T @ h)
    h = (1 - z) * h + z * z_out
    return (h,), h


def dsgu(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """As SGU with z_out = σ(W_go (z_g h)), Gao and Glowacka 2016."""
    (h,) = carry
    w, u, b = parts(p, "gz", "gz", "gz")
    z_g = np.tanh(u["g"].T @ ((w["g"].T @ x + b["g"]) * h))
    z_out = sigmoid(p.candidate_kernel.T @ (z_g * h))
    z = function(cell.gate_activation)(w["z"].T @ x + b["z"] + u["z"].T @ h)
    h = (1 - z) * h + z * z_out
    return (h,), h


def tau_gru(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """h = (1-g) h + g (u + a z), z from the hidden state of d steps before the previous, Erichson et al. 2022."""
    h, history = carry
    w, u, b = parts(p, "uzga", "uzga", "uzga")
    states = [*history, h]
    reads = {"u": h, "z": states[len(states) - 1 - cell.delay], "g": h, "a": h}
    total = {gate: w[gate].T @ x + u[gate].T @ reads[gate] + b[gate] for gate in "uzga"}
    feedback = np.tanh(total["u"]) + sigmoid(total["a"]) * np.tanh(total["z"])
    g = sigmoid(total["g"])
    h = (1 - g) * h + g * feedback
    return (h, np.stack(states[1:])), h


def rhn(cell: Any, p: Any, carry: State, x: Array) -> tuple[State, Array]:
    """s_l = h_l t_l + s_{l-1} c_l, the inputs in the first layer alone, Zilly et al. 2017."""
    (s,) = carry
    letters = "ht" if cell.coupled else "htc"
    w = gates(p.kernel, letters)
    layers = "".join(chr(ord("A") + layer) for layer in range(cell.depth))
    kernels, biases = gates(p.recurrent_kernel, layers), gates(p.bias, layers)
    for layer in layers:
        r, b = gates(kernels[layer], letters), gates(biases[layer], letters)
        total = {gate: r[gate].T @ s + b[gate] for gate in letters}
        if layer == "A":
            total = {gate: total[gate] + w[gate].T @ x for gate in letters}
        t = sigmoid(total["t"])
        s = np.tanh(total["h"]) * t + s * (1 - t if cell.coupled else sigmoid(total["c"]))
    return (s,), s


REFERENCES: dict[str, Step] = {
    "ATR": atr,
    "BRC": brc,
    "CFN": cfn,
    "DSGU": dsgu,
    "FastGRNN": fast_grnn,
    "FastRNN": fast_rnn,
    "IntersectionRNN": intersection_rnn,
    "LiGRU": ligru,
    "LightRU": lightru,
    "MGU": mgu,
    "MGU1": mgu1,
    "MGU2": mgu2,
    "MGU3": mgu3,
    "MUT1": mut1,
    "MUT2": mut2,
    "MUT3": mut3,
    "MiRU1": miru1,
    "MiRU2": miru2,
    "MinimalRNN": minimal_rnn,
    "NBRC": nbrc,
    "RAN": ran,
    "RHN": rhn,
    "SGRN": sgrn,
    "SGU": sgu,
    "SLiGRU": sligru,
    "STAR": star,
    "StronglyTypedGRU": strongly_typed_gru,
    "StronglyTypedLSTM": strongly_typed_lstm,
    "StronglyTypedRNN": strongly_typed_rnn,
    "TauGRU": tau_gru,
    "UGRNN": ugrnn,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "FastRNN-relu": ("FastRNN", {"activation": "relu", "initial_alpha": 0.0, "initial_beta": 0.0}),
    "RAN-identity": ("RAN", {"activation": "identity"}),
    "RHN-uncoupled": ("RHN", {"coupled": False, "depth": 2}),
    "TauGRU-one": ("TauGRU", {"delay": 1}),
}
