"""The LSTM family: variants of its gates, connections, normalisation and gating function."""

from typing import Any

import numpy as np

from tests.cells.references.tools import Array, Step, function, gates, sigmoid


def preactivations(p: Any, x: Array, h: Array, names: str) -> dict[str, Array]:
    """W x_t + U h_{t-1} + b of every gate."""
    w, u, b = (gates(part, names) for part in (p.kernel, p.recurrent_kernel, p.bias))
    return {gate: w[gate].T @ x + u[gate].T @ h + b[gate] for gate in names}


def original_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Hochreiter and Schmidhuber 1997: no forget gate; the squashing functions of its appendix."""
    h, c = carry
    net = preactivations(p, x, h, "igo")
    if cell.squashing == "logistic":
        g, squash = lambda s: 4 / (1 + np.exp(-s)) - 2, lambda s: 2 / (1 + np.exp(-s)) - 1
    else:
        g = squash = np.tanh
    c = c + sigmoid(net["i"]) * g(net["g"])
    h = sigmoid(net["o"]) * squash(c)
    return (h, c), h


def peephole_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Gers, Schraudolph and Schmidhuber 2002: i and f see c_{t-1}, o sees c_t."""
    h, c = carry
    phi, peep, net = function(cell.activation), gates(p.peephole, "ifo"), preactivations(p, x, h, "ifgo")
    i = sigmoid(net["i"] + np.diag(peep["i"]) @ c)
    f = sigmoid(net["f"] + np.diag(peep["f"]) @ c)
    c = f * c + i * phi(net["g"])
    o = sigmoid(net["o"] + np.diag(peep["o"]) @ c)
    h = o * phi(c)
    return (h, c), h


def coupled_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Greff et al. 2017, variant CIFG: i_t = 1 - f_t."""
    h, c = carry
    phi, net = function(cell.activation), preactivations(p, x, h, "fgo")
    f = sigmoid(net["f"])
    i = 1 - f
    c = f * c + i * phi(net["g"])
    h = sigmoid(net["o"]) * phi(c)
    return (h, c), h


def projected_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Sak et al. 2014: m_t = o_t φ(c_t), r_t = W_rm m_t, and the gates read r_{t-1}."""
    r, c = carry
    phi, net = function(cell.activation), preactivations(p, x, r, "ifgo")
    c = sigmoid(net["f"]) * c + sigmoid(net["i"]) * phi(net["g"])
    m = sigmoid(net["o"]) * phi(c)
    r = p.projection_kernel.T @ m
    return (r, c), r


def multiplicative_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Krause et al. 2016: m_t = (W_mx x_t) (W_mh h_{t-1}) stands in for h_{t-1}."""
    h, c = carry
    m = (p.multiplicative_kernel.T @ x) * (p.multiplicative_recurrent_kernel.T @ h)
    phi, net = function(cell.activation), preactivations(p, x, m, "ifgo")
    c = sigmoid(net["f"]) * c + sigmoid(net["i"]) * phi(net["g"])
    h = sigmoid(net["o"]) * phi(c)
    return (h, c), h


def residual_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Kim et al. 2017: r_t = φ(c_t), m_t = W_p r_t, h_t = o_t (m_t + W_h x_t)."""
    h, c = carry
    phi, peep, net = function(cell.activation), gates(p.peephole, "ifo"), preactivations(p, x, h, "ifgo")
    i = sigmoid(net["i"] + peep["i"] * c)
    f = sigmoid(net["f"] + peep["f"] * c)
    c = f * c + i * phi(net["g"])
    o = sigmoid(net["o"] + peep["o"] * c)
    m = p.projection_kernel.T @ phi(c)
    h = o * (m + (x if cell.shortcut == "identity" else p.shortcut_kernel.T @ x))
    return (h, c), h


def wmc_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Landi et al. 2021: the gates also read tanh(V c), the output gate that of the new cell state."""
    h, c = carry
    phi, net, v = function(cell.activation), preactivations(p, x, h, "ifgo"), gates(p.memory_kernel, "if")
    i = sigmoid(net["i"] + np.tanh(v["i"].T @ c))
    f = sigmoid(net["f"] + np.tanh(v["f"].T @ c))
    c = f * c + i * phi(net["g"])
    o = sigmoid(net["o"] + np.tanh(p.output_memory_kernel.T @ c))
    h = o * phi(c)
    return (h, c), h


def ur_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Gu et al. 2020: g = r (1 - (1 - f)^2) + (1 - r) f^2 and c = g c + (1 - g) u."""
    h, c = carry
    phi, net = function(cell.activation), preactivations(p, x, h, "frgo")
    f, r, u, o = sigmoid(net["f"]), sigmoid(net["r"]), phi(net["g"]), sigmoid(net["o"])
    g = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
    c = g * c + (1 - g) * u
    h = o * phi(c)
    return (h, c), h


def janet(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """van der Westhuizen and Lasenby 2018: c_t = σ(s_t) c_{t-1} + (1 - σ(s_t - β)) φ(.), h_t = c_t."""
    (h,) = carry
    phi, net = function(cell.activation), preactivations(p, x, h, "fg")
    h = sigmoid(net["f"]) * h + (1 - sigmoid(net["f"] - cell.beta)) * phi(net["g"])
    return (h,), h


def e_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Irie et al. 2023: the recurrence is element by element, the output gate reads all of c_t."""
    (c,) = carry
    phi, w, b, u = (
        function(cell.activation),
        gates(p.kernel, "fgo"),
        gates(p.bias, "fgo"),
        gates(p.recurrent_scale, "fg"),
    )
    f = sigmoid(w["f"].T @ x + b["f"] + u["f"] * c)
    z = phi(w["g"].T @ x + b["g"] + u["g"] * c)
    c = f * c + (1 - f) * z
    o = sigmoid(w["o"].T @ x + b["o"] + p.output_kernel.T @ c)
    return (c,), o * c


def nas(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Zoph and Le 2017, as its authors programmed it: layers of eight, four and two branches."""
    h, c = carry
    w, u, b = (gates(part, "01234567") for part in (p.kernel, p.recurrent_kernel, p.bias))
    a = [w[k].T @ x for k in "01234567"]
    m = [u[k].T @ h + b[k] for k in "01234567"]
    relu, tanh = function("relu"), np.tanh
    functions = [sigmoid, relu, sigmoid, relu, tanh, sigmoid, tanh, sigmoid]
    first = [f(a[k] * m[k] if k == 3 else a[k] + m[k]) for k, f in enumerate(functions)]
    second = [
        tanh(first[0] * first[1]),
        tanh(first[2] + first[3]),
        tanh(first[4] * first[5]),
        sigmoid(first[6] + first[7]),
    ]
    c = tanh(second[0] + c) * second[1]
    h = tanh(c * tanh(second[2] + second[3]))
    return (h, c), h


def layer_norm(a: Array, epsilon: float) -> Array:
    """Ba et al. 2016, equation 4, without gain and bias."""
    mu = sum(a) / len(a)
    return (a - mu) / np.sqrt(sum((a - mu) ** 2) / len(a) + epsilon)


def layer_norm_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Ba et al. 2016, equations 20 to 22; joint: each gate's sum, as in TensorFlow's LayerNormBasicLSTMCell."""
    h, c = carry
    phi, norm = function(cell.activation), lambda a: layer_norm(a, cell.epsilon)
    if cell.placement == "separate":
        net = gates(
            p.scale * norm(p.kernel.T @ x) + p.recurrent_scale * norm(p.recurrent_kernel.T @ h) + p.bias, "ifgo"
        )
    else:
        w, u, gain, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.scale, p.bias))
        net = {gate: gain[gate] * norm(w[gate].T @ x + u[gate].T @ h) + b[gate] for gate in "ifgo"}
    c = sigmoid(net["f"]) * c + sigmoid(net["i"]) * phi(net["g"])
    if cell.cell_norm == "state":
        c = p.cell_scale * norm(c) + p.cell_bias
    h = sigmoid(net["o"]) * phi(p.cell_scale * norm(c) + p.cell_bias if cell.cell_norm == "output" else c)
    return (h, c), h


def batch_norm_lstm(cell: Any, p: Any, carry: tuple[Any, ...], x: Array) -> tuple[tuple[Any, ...], Array]:
    """Cooijmans et al. 2016, equations 6 to 8, with the population's statistics of each step."""
    h, c, t = carry
    phi, known = function(cell.activation), min(int(t), cell.statistics_steps - 1)

    def norm(a: Array, statistics: Any) -> Array:
        return (a - statistics.mean[known]) / np.sqrt(statistics.deviation[known] ** 2 + cell.epsilon)

    total = p.recurrent_scale * norm(p.recurrent_kernel.T @ h, p.recurrent_statistics)
    total = total + p.scale * norm(p.kernel.T @ x, p.statistics) + p.bias
    net = gates(total, "ifgo")
    c = sigmoid(net["f"]) * c + sigmoid(net["i"]) * phi(net["g"])
    h = sigmoid(net["o"]) * phi(p.cell_scale * norm(c, p.cell_statistics) + p.cell_bias)
    return (h, c, t + 1), h


def s_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Beck et al. 2024, equations 8 to 17: without stabiliser, which is then divided out of what is carried."""
    h, c, n, m = carry
    net = preactivations(p, x, h, "ifzo")
    forget = sigmoid(net["f"]) if cell.forget == "sigmoid" else np.exp(net["f"])
    new_m = np.where(n == 0, net["i"], np.maximum(np.log(forget) + m, net["i"]))
    c = forget * (c * np.exp(m)) + np.exp(net["i"]) * function(cell.activation)(net["z"])
    n = forget * (n * np.exp(m)) + np.exp(net["i"])
    h = sigmoid(net["o"]) * (c / n)
    return (h, c / np.exp(new_m), n / np.exp(new_m), new_m), h


REFERENCES: dict[str, Step] = {
    "BatchNormLSTM": batch_norm_lstm,
    "CoupledLSTM": coupled_lstm,
    "ELSTM": e_lstm,
    "JANET": janet,
    "LayerNormLSTM": layer_norm_lstm,
    "MultiplicativeLSTM": multiplicative_lstm,
    "NAS": nas,
    "OriginalLSTM": original_lstm,
    "PeepholeLSTM": peephole_lstm,
    "ProjectedLSTM": projected_lstm,
    "ResidualLSTM": residual_lstm,
    "SLSTM": s_lstm,
    "URLSTM": ur_lstm,
    "WMCLSTM": wmc_lstm,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "BatchNormLSTM-steps": ("BatchNormLSTM", {"statistics_steps": 5, "epsilon": 0.1}),
    "JANET-beta": ("JANET", {"beta": -0.5, "forget_bias": "chrono", "longest_memory": 20}),
    "LSTM-clip": ("LSTM", {"cell_clip": 0.6, "forget_bias": "power_law"}),
    "LayerNormLSTM-joint": ("LayerNormLSTM", {"placement": "joint", "cell_norm": "none", "epsilon": 0.1}),
    "LayerNormLSTM-state": ("LayerNormLSTM", {"cell_norm": "state"}),
    "OriginalLSTM-tanh": ("OriginalLSTM", {"squashing": "tanh"}),
    "ProjectedLSTM-size": ("ProjectedLSTM", {"projection_size": 3, "forget_bias": "uniform"}),
    "SLSTM-exponential": ("SLSTM", {"forget": "exponential"}),
}
