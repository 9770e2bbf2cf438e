"""ConvLSTM, ConvGRU, HyperLSTM, MassConservingLSTM, NestedLSTM and ONLSTM."""

import itertools
import math
from typing import Any

import numpy as np

from tests.cells.references.tools import Array, Step, function, gates, sigmoid


def correlate(image: Array, kernel: Array) -> Array:
    """Every place sees its neighbours, [*space, channels] times [*width, channels, out]; outside there are zeros."""
    space, widths = image.shape[:-1], kernel.shape[:-2]
    # An even width has its larger half after the place.
    framed = np.pad(image, [*(((w - 1) // 2, w // 2) for w in widths), (0, 0)])
    result = np.zeros((*space, kernel.shape[-1]))
    for offset in np.ndindex(widths):
        neighbours = framed[tuple(slice(o, o + n) for o, n in zip(offset, space, strict=True))]
        result += neighbours @ kernel[offset]
    return result


def conv_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Shi et al. 2015, equation 3."""
    h, c = carry
    w, u, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.bias))
    see = gates(p.peephole_kernel, "ifo") if cell.peephole else dict.fromkeys("ifo", np.zeros(()))
    phi = function(cell.activation)
    i = sigmoid(correlate(x, w["i"]) + correlate(h, u["i"]) + see["i"] * c + b["i"])
    f = sigmoid(correlate(x, w["f"]) + correlate(h, u["f"]) + see["f"] * c + b["f"])
    c = f * c + i * phi(correlate(x, w["g"]) + correlate(h, u["g"]) + b["g"])
    o = sigmoid(correlate(x, w["o"]) + correlate(h, u["o"]) + see["o"] * c + b["o"])
    h = o * phi(c)
    return (h, c), h


def conv_gru(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Ballas et al. 2016, equations 5 to 8."""
    (h,) = carry
    w, u, b = (gates(part, "rzn") for part in (p.kernel, p.recurrent_kernel, p.bias))
    z = sigmoid(correlate(x, w["z"]) + correlate(h, u["z"]) + b["z"])
    r = sigmoid(correlate(x, w["r"]) + correlate(h, u["r"]) + b["r"])
    candidate = function(cell.activation)(correlate(x, w["n"]) + correlate(r * h, u["n"]) + b["n"])
    h = (1 - z) * h + z * candidate
    return (h,), h


def hyper_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Ha, Dai and Le 2017, appendix A.2.2, with the signals of the new hyper state."""
    h, c, small_h, small_c = carry
    phi = function(cell.activation)

    def norms(scale: Any, bias: Any) -> Any:
        if scale is None:
            return dict.fromkeys("ifgoc", lambda v: v)
        gain, shift = gates(scale, "ifgoc"), gates(bias, "ifgoc")
        return {
            y: lambda v, y=y: gain[y] * (v - np.mean(v)) / math.sqrt(np.var(v) + cell.epsilon) + shift[y]
            for y in "ifgoc"
        }

    def lstm(total: dict[str, Array], old: Array, norm: Any) -> tuple[Array, Array]:
        normal = {y: norm[y](total[y]) for y in "ifgo"}
        new = sigmoid(normal["f"]) * old + sigmoid(normal["i"]) * phi(normal["g"])
        return sigmoid(normal["o"]) * phi(norm["c"](new)), new

    stacked = np.concatenate([p.hyper_hidden_kernel, p.hyper_kernel])
    w, u, b = (gates(part, "ifgo") for part in (stacked, p.hyper_recurrent_kernel, p.hyper_bias))
    seen = np.concatenate([h, x])
    total = {y: w[y].T @ seen + u[y].T @ small_h + b[y] for y in "ifgo"}
    small_h, small_c = lstm(total, small_c, norms(p.hyper_norm_scale, p.hyper_norm_bias))

    to_signal, signal_bias = gates(p.signal_kernel, "xhb"), gates(p.signal_bias, "xh")
    of = {"x": p.input_scale_kernel, "h": p.recurrent_scale_kernel, "b": p.bias_scale_kernel}
    w, u, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.bias))
    for y in "ifgo":
        scale = {}
        for part in "xhb":
            z = gates(to_signal[part], "ifgo")[y].T @ small_h
            if part != "b":
                z = z + gates(signal_bias[part], "ifgo")[y]
            scale[part] = gates(of[part], "ifgo")[y].T @ z
        total[y] = np.diag(scale["x"]) @ w[y].T @ x + np.diag(scale["h"]) @ u[y].T @ h + scale["b"] + b[y]
    h, c = lstm(total, c, norms(p.norm_scale, p.norm_bias))
    return (h, c, small_h, small_c), h


def mass_conserving_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Any) -> tuple[tuple[Array, ...], Array]:
    """Hoedt et al. 2021, equations 2 to 7, with softmax for both normalisations."""
    (c,) = carry
    n, masses = cell.hidden_size, cell.mass_size
    share = c / (np.abs(c).sum() or 1.0)

    def row(gate: int) -> Array:
        columns = slice(gate * n, (gate + 1) * n)
        return p.kernel[:, columns].T @ x.auxiliary + p.recurrent_kernel[:, columns].T @ share + p.bias[columns]

    def softmax(v: Array) -> Array:
        return np.exp(v) / np.exp(v).sum()

    total = np.zeros(n)
    for source in range(n):
        total += c[source] * softmax(row(source))
    for source in range(masses):
        total += x.mass[source] * softmax(row(n + source))
    leaves = sigmoid(row(n + masses))
    return ((1 - leaves) * total,), leaves * total


def nested_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Moniz and Krueger 2017: the memory function of an LSTM is again an LSTM, and last an addition."""
    h, c, inner = carry
    kernels = [p.kernel, *p.inner_kernel]
    recurrents = [p.recurrent_kernel, *p.inner_recurrent_kernel]
    biases = [p.bias, *p.inner_bias]
    phi = function(cell.activation)

    def memory(level: int, x: Array, h: Array, cells: list[Array]) -> tuple[Array, list[Array]]:
        w, u, b = (gates(part[level], "ifgo") for part in (kernels, recurrents, biases))
        total = {y: w[y].T @ x + u[y].T @ h + b[y] for y in "ifgo"}
        squash = phi if level else function(cell.outer_activation)
        written, kept = sigmoid(total["i"]) * squash(total["g"]), sigmoid(total["f"]) * cells[0]
        new, rest = (kept + written, []) if len(cells) == 1 else memory(level + 1, written, kept, cells[1:])
        return sigmoid(total["o"]) * phi(new), [new, *rest]

    h, cells = memory(0, x, h, [c, *inner])
    return (h, cells[0], np.stack(cells[1:])), h


def on_lstm(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Shen et al. 2019, equations 7 to 14."""
    h, c = carry
    w, u, b = (gates(part, "ifgo") for part in (p.kernel, p.recurrent_kernel, p.bias))
    total = {y: w[y].T @ x + u[y].T @ h + b[y] for y in "ifgo"}
    w, u, b = (gates(part, "if") for part in (p.master_kernel, p.master_recurrent_kernel, p.master_bias))

    def cumax(y: str) -> Array:
        powers = np.exp(w[y].T @ x + u[y].T @ h + b[y])
        steps = list(itertools.accumulate(powers / powers.sum()))
        return np.array([steps[neuron // cell.chunk_size] for neuron in range(cell.hidden_size)])

    master_f, master_i = cumax("f"), 1 - cumax("i")
    overlap = master_f * master_i
    f = sigmoid(total["f"]) * overlap + (master_f - overlap)
    i = sigmoid(total["i"]) * overlap + (master_i - overlap)
    phi = function(cell.activation)
    c = f * c + i * phi(total["g"])
    h = sigmoid(total["o"]) * phi(c)
    return (h, c), h


REFERENCES: dict[str, Step] = {
    "ConvGRU": conv_gru,
    "ConvLSTM": conv_lstm,
    "HyperLSTM": hyper_lstm,
    "MassConservingLSTM": mass_conserving_lstm,
    "NestedLSTM": nested_lstm,
    "ONLSTM": on_lstm,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "ConvGRU-signal": ("ConvGRU", {"spatial_shape": (5,), "kernel_size": 2}),
    "ConvLSTM-no-peephole": ("ConvLSTM", {"spatial_shape": (3, 4), "kernel_size": 2, "peephole": False}),
    "HyperLSTM-no-norm": ("HyperLSTM", {"layer_norm": False, "hyper_units": 3, "signal_units": 2}),
    "MassConservingLSTM-masses": ("MassConservingLSTM", {"mass_size": 2}),
    "NestedLSTM-depth": ("NestedLSTM", {"depth": 3, "outer_activation": "tanh"}),
    "ONLSTM-chunks": ("ONLSTM", {"chunk_size": 3}),
}
