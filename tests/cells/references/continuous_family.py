"""Oscillators, long expressive memory, cells that read elapsed time, liquid cells."""

from typing import Any

import numpy as np

from tests.cells.references.tools import Array, Step, gates, sigmoid

Carry = tuple[Array, ...]


def cornn(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Rusch and Mishra 2021, equation 3: y'' = tanh(W y + V y' + U x + b) - gamma y - epsilon y'."""
    y, z = carry
    dt, gamma, epsilon = cell.time_step, cell.stiffness, cell.friction
    pull = np.tanh(p.recurrent_kernel.T @ y + p.velocity_kernel.T @ z + p.kernel.T @ x + p.bias)
    if cell.damping == "implicit":
        # (1 + dt epsilon) z_n = z_{n-1} + dt pull - dt gamma y_{n-1}
        z = np.linalg.solve((1 + dt * epsilon) * np.eye(len(z)), z + dt * pull - dt * gamma * y)
    else:
        z = z + dt * pull - dt * gamma * y - dt * epsilon * z
    y = y + dt * z
    return (y, z), y


def ron(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Ceni et al. 2024, with its matrices of stiffness and friction, which are diagonal."""
    (y, z), dt = carry, cell.time_step
    stiffness, friction = np.diag(p.stiffness), np.diag(p.friction)
    acceleration = np.tanh(p.recurrent_kernel.T @ y + p.kernel.T @ x + p.bias) - stiffness @ y - friction @ z
    z = z + dt * acceleration
    return (y + dt * z, z), y + dt * z


def unicornn(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Rusch and Mishra 2021, equation 4, with the step size's squashing written 0.5 + 0.5 tanh(c / 2)."""
    y, z = carry
    step = cell.time_step * (0.5 + 0.5 * np.tanh(p.time_scale / 2))
    z = z - step * (np.tanh(p.recurrent_weights * y + p.kernel.T @ x + p.bias) + cell.stiffness * y)
    y = y + step * z
    return (y, z), y


def lem(cell: Any, p: Any, carry: Carry, x: Array) -> tuple[Carry, Array]:
    """Rusch et al. 2022, equation 3; the new z enters y."""
    y, z = carry
    v, b = gates(p.kernel, "12zy"), gates(p.bias, "12zy")
    w = gates(p.recurrent_kernel, "12z")
    first = cell.time_step * sigmoid(w["1"].T @ y + v["1"].T @ x + b["1"])
    second = cell.time_step * sigmoid(w["2"].T @ y + v["2"].T @ x + b["2"])
    z = (1 - first) * z + first * np.tanh(w["z"].T @ y + v["z"].T @ x + b["z"])
    y = (1 - second) * y + second * np.tanh(p.memory_kernel.T @ z + v["y"].T @ x + b["y"])
    return (y, z), y


def grud(cell: Any, p: Any, carry: Carry, inputs: Any) -> tuple[Carry, Array]:
    """Che et al. 2018, equations 10 to 16, one feature at a time where they are diagonal."""
    (h, last), (x, m, delta) = carry, inputs
    w, u, v, b = (gates(part, "rzn") for part in (p.kernel, p.recurrent_kernel, p.mask_kernel, p.bias))
    mean = np.broadcast_to(cell.input_mean, x.shape)
    x_hat, last = np.empty_like(x), np.array(last)
    for d in range(len(x)):
        gamma = np.exp(-max(0.0, p.input_decay[d] * delta[d] + p.input_decay_bias[d]))
        x_hat[d] = m[d] * x[d] + (1 - m[d]) * gamma * last[d] + (1 - m[d]) * (1 - gamma) * mean[d]
        last[d] = m[d] * x[d] + (1 - m[d]) * last[d]
    h = np.exp(-np.maximum(0, p.hidden_decay.T @ delta + p.hidden_decay_bias)) * h
    z = sigmoid(w["z"].T @ x_hat + u["z"].T @ h + v["z"].T @ m + b["z"])
    r = sigmoid(w["r"].T @ x_hat + u["r"].T @ h + v["r"].T @ m + b["r"])
    candidate = np.tanh(w["n"].T @ x_hat + u["n"].T @ (r * h) + v["n"].T @ m + b["n"])
    h = (1 - z) * h + z * candidate
    return (h, last), h


def time_aware_lstm(cell: Any, p: Any, carry: Carry, inputs: Any) -> tuple[Carry, Array]:
    """Baytas et al. 2017, section 3.2: short-term memory, discounted, long-term memory, adjusted previous memory."""
    (h, c), (x, (delta,)) = carry, inputs
    w, u, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.bias))
    short = np.tanh(p.short_term_kernel.T @ c + p.short_term_bias)
    discounted = short / np.log(np.e + delta) if cell.decay == "logarithmic" else short / max(delta, 1.0)
    long_term = c - short
    adjusted = long_term + discounted
    total = {gate: w[gate].T @ x + u[gate].T @ h + b[gate] for gate in "ifgo"}
    c = sigmoid(total["f"]) * adjusted + sigmoid(total["i"]) * np.tanh(total["g"])
    h = sigmoid(total["o"]) * np.tanh(c)
    return (h, c), h


def phased_lstm(cell: Any, p: Any, carry: Carry, inputs: Any) -> tuple[Carry, Array]:
    """Neil, Pfeiffer and Liu 2016, equations 6 to 10, one unit's clock at a time."""
    (h, c), (x, (time,)) = carry, inputs
    openness = []
    for log_period, shift, logit in zip(p.log_period, p.shift, p.open_ratio_logit, strict=True):
        period, ratio = np.exp(log_period), sigmoid(logit)
        phase = np.mod(time - shift, period) / period
        if phase < ratio / 2:
            openness.append(2 * phase / ratio)
        elif phase < ratio:
            openness.append(2 - 2 * phase / ratio)
        else:
            openness.append(cell.leak * phase)
    k = np.array(openness)
    w, u, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.bias))
    total = {gate: w[gate].T @ x + u[gate].T @ h + b[gate] for gate in "ifgo"}
    new_c = sigmoid(total["f"]) * c + sigmoid(total["i"]) * np.tanh(total["g"])
    new_h = sigmoid(total["o"]) * np.tanh(new_c)
    h, c = k * new_h + (1 - k) * h, k * new_c + (1 - k) * c
    return (h, c), h


def ltc(cell: Any, p: Any, carry: Carry, inputs: Any) -> tuple[Carry, Array]:
    """Hasani et al. 2021, algorithm 1 with the synapses of their section on the fused solver, neuron by neuron."""
    (v,) = carry
    x, elapsed = (inputs, cell.elapsed) if cell.elapsed is not None else (inputs.values, inputs.elapsed[0])
    delta = elapsed / cell.unfolds
    for _ in range(cell.unfolds):
        new = np.empty_like(v)
        for i in range(len(v)):
            cm, g = np.log1p(np.exp(p.capacitance[i])), np.log1p(np.exp(p.leak_conductance[i]))
            numerator, denominator = cm / delta * v[i] + g * p.leak_potential[i], cm / delta + g
            for synapses, before in ((p.sensory, x), (p.recurrent, v)):
                for j in range(len(before)):
                    s = np.log1p(np.exp(synapses.conductance[j, i]))
                    s = s * sigmoid(synapses.steepness[j, i] * (before[j] - synapses.midpoint[j, i]))
                    numerator, denominator = numerator + s * synapses.reversal[j, i], denominator + s
            new[i] = numerator / denominator
        v = new
    return (v,), v


def cfc(cell: Any, p: Any, carry: Carry, inputs: Any) -> tuple[Carry, Array]:
    """Hasani et al. 2022, and its two variants without the gate."""
    (h,) = carry
    x, elapsed = (inputs, cell.elapsed) if cell.elapsed is not None else (inputs.values, inputs.elapsed[0])
    backbone = 1.7159 * np.tanh(0.666 * (p.kernel.T @ x + p.recurrent_kernel.T @ h + p.bias))
    if cell.mode == "pure":
        f = p.head_kernel.T @ backbone + p.head_bias
        h = p.limit - p.limit * np.exp(-elapsed * (np.abs(p.rate) + np.abs(f))) * f
        return (h,), h
    w, b = gates(p.head_kernel, "ghab"), gates(p.head_bias, "ghab")
    head = {name: w[name].T @ backbone + b[name] for name in "ghab"}
    interpolation = sigmoid(head["a"] * elapsed + head["b"])
    first, second = np.tanh(head["g"]), np.tanh(head["h"])
    if cell.mode == "no_gate":
        h = first + interpolation * second
    else:
        h = first * (1 - interpolation) + interpolation * second
    return (h,), h


REFERENCES: dict[str, Step] = {
    "CfC": cfc,
    "CoRNN": cornn,
    "GRUD": grud,
    "LEM": lem,
    "LTC": ltc,
    "PhasedLSTM": phased_lstm,
    "RON": ron,
    "TimeAwareLSTM": time_aware_lstm,
    "UnICORNN": unicornn,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "CfC-no_gate": ("CfC", {"mode": "no_gate", "backbone_size": 5, "elapsed": 0.7}),
    "CfC-pure": ("CfC", {"mode": "pure", "backbone_size": 5}),
    "CfC-timed": ("CfC", {"backbone_size": 5, "elapsed": None}),
    "CoRNN-implicit": ("CoRNN", {"damping": "implicit", "time_step": 0.3}),
    "GRUD-mean": ("GRUD", {"input_mean": (0.5, -1.0, 2.0)}),
    "LEM-time_step": ("LEM", {"time_step": 0.3}),
    "LTC-timed": ("LTC", {"elapsed": None, "unfolds": 2}),
    "PhasedLSTM-open": ("PhasedLSTM", {"open_ratio": 0.6, "leak": 0.1, "longest_period": 3.0}),
    "TimeAwareLSTM-reciprocal": ("TimeAwareLSTM", {"decay": "reciprocal", "forget_bias": 0.0}),
}

STOPPED = {"RON": "params"}
