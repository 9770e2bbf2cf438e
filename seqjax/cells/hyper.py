"""HyperLSTM: a small LSTM that scales the weights of a large one, anew in every step."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import initialize
from seqjax.cells.kernels import normalized


class HyperLSTMParams(NamedTuple):
    """Parameters of :class:`HyperLSTM`; gates side by side in the order i, f, g, o.

    ``K`` is ``hyper_units``, ``Z`` is ``signal_units``.
    """

    kernel: jax.Array
    """Input kernel :math:`W`, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel :math:`U`, ``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """:math:`b`, ``[4 * hidden_size]``."""
    hyper_kernel: jax.Array
    """What the small LSTM sees of the input, ``[input_size, 4 * K]``."""
    hyper_hidden_kernel: jax.Array
    """What it sees of the large LSTM, ``[hidden_size, 4 * K]``."""
    hyper_recurrent_kernel: jax.Array
    """``[K, 4 * K]``."""
    hyper_bias: jax.Array
    """``[4 * K]``."""
    signal_kernel: jax.Array
    r"""From :math:`\hat h` to the signals :math:`z_x, z_h, z_b`, ``[K, 3 * 4 * Z]``."""
    signal_bias: jax.Array
    """Of :math:`z_x` and :math:`z_h`, ``[2 * 4 * Z]``."""
    input_scale_kernel: jax.Array
    """From :math:`z_x` to the scale of the input product, ``[Z, 4 * hidden_size]``: a block for each gate."""
    recurrent_scale_kernel: jax.Array
    """From :math:`z_h` to the scale of the recurrent product, ``[Z, 4 * hidden_size]``."""
    bias_scale_kernel: jax.Array
    """From :math:`z_b` to the part of the bias that moves, ``[Z, 4 * hidden_size]``."""
    norm_scale: jax.Array | None
    """Of the layer norms of i, f, g, o and c, ``[5 * hidden_size]``; ``None`` without layer normalisation."""
    norm_bias: jax.Array | None
    """Likewise."""
    hyper_norm_scale: jax.Array | None
    """Of the small LSTM's, ``[5 * K]``."""
    hyper_norm_bias: jax.Array | None
    """Likewise."""


class HyperLSTMCarry(NamedTuple):
    """Carry of :class:`HyperLSTM`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    cell: jax.Array
    """``[*batch, hidden_size]``."""
    hyper_hidden: jax.Array
    """Hidden state of the small LSTM, ``[*batch, hyper_units]``."""
    hyper_cell: jax.Array
    """Cell state of the small LSTM, ``[*batch, hyper_units]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HyperLSTM(AffineCell):
    r"""Dynamic hypernetwork LSTM (Ha, Dai and Le 2017, appendix A.2.2).

    A small LSTM reads :math:`\hat x_t = (h_{t-1}, x_t)` and scales the weights of the large one, for each gate
    :math:`y \in \{i, f, g, o\}`:

    .. math::
        \hat h_t, \hat c_t &= \mathrm{LSTM}(\hat x_t, \hat h_{t-1}, \hat c_{t-1}) \\
        z_x^y, z_h^y, z_b^y &= \hat h_t A_x^y + a_x^y, \; \hat h_t A_h^y + a_h^y, \; \hat h_t A_b^y \\
        y_t &= \mathrm{LN}(z_x^y D_x^y \odot x_t W_y + z_h^y D_h^y \odot h_{t-1} U_y + z_b^y D_b^y + b_y) \\
        c_t &= \sigma(f_t) \odot c_{t-1} + \sigma(i_t) \odot \phi(g_t) \\
        h_t &= \sigma(o_t) \odot \phi(\mathrm{LN}(c_t))

    The output is :math:`h_t`. The small LSTM has ``hyper_units`` units (if not given an eighth of the hidden size, as
    128 beside 1000 in the paper, but at least 4) and layer norms in the same places. ``layer_norm=False`` leaves all
    norms out.
    """

    hyper_units: int | None = None
    signal_units: int = 4
    layer_norm: bool = True
    forget_bias: float = 1.0
    epsilon: float = 1e-5
    activation: Activation = "tanh"

    paper = "Ha, Dai and Le 2017, HyperNetworks, arXiv:1609.09106"
    conventions = (
        "The signals z come from the new hyper state, as in the authors' code; the paper's formula has the old one, "
        "with which the input of a step would not reach the weights of that step.",
        "Each gate is layer-normalised alone; the learned scale and bias of the norm stand beside b, as in the paper.",
        "The scales start at 1 for the input and recurrent products and at 0 for the bias.",
        "Both forget gates' biases start at forget_bias (the norm's bias where there is a norm) and are learned.",
    )
    carry_type = HyperLSTMCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, value in (("hyper_units", self.hyper_units), ("signal_units", self.signal_units)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"HyperLSTM.{field} must be a positive whole number, got {value!r}")

    @property
    def hyper_size(self) -> int:
        """Units of the small LSTM."""
        return max(4, self.hidden_size // 8) if self.hyper_units is None else self.hyper_units

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The hyper-network is a network of its own size."""
        return dict.fromkeys(("hyper_hidden", "hyper_cell"), (self.hyper_size,))

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> HyperLSTMParams:
        """Draw parameters; the scales start near 1, and the biases do not move yet."""
        main, main_recurrent, hyper, hyper_hidden, hyper_recurrent, signal = jax.random.split(key, 6)
        units, hyper_units, signal_units = self.hidden_size, self.hyper_size, self.signal_units
        biases = [jnp.repeat(jnp.asarray([0, self.forget_bias, 0, 0, 0], dtype), n) for n in (units, hyper_units)]
        bias, hyper_bias = (b[: 4 * n] for b, n in zip(biases, (units, hyper_units)))
        norms = (None, None, None, None)
        if self.layer_norm:
            norms = (jnp.ones_like(biases[0]), biases[0], jnp.ones_like(biases[1]), biases[1])
            bias, hyper_bias = jnp.zeros_like(bias), jnp.zeros_like(hyper_bias)
        return HyperLSTMParams(
            self.draw_kernel(main, 4, dtype),
            self.draw_recurrent_kernel(main_recurrent, 4, dtype),
            bias,
            initialize(self.kernel_initializer, hyper, (self.input_size, hyper_units), dtype, 4),
            initialize(self.kernel_initializer, hyper_hidden, (units, hyper_units), dtype, 4),
            initialize(self.recurrent_initializer, hyper_recurrent, (hyper_units, hyper_units), dtype, 4),
            hyper_bias,
            (0.01 * jax.random.normal(signal, (hyper_units, 12 * signal_units))).astype(dtype),
            jnp.ones(8 * signal_units, dtype),
            jnp.full((signal_units, 4 * units), 1 / signal_units, dtype),
            jnp.full((signal_units, 4 * units), 1 / signal_units, dtype),
            jnp.zeros((signal_units, 4 * units), dtype),
            *norms,
        )

    def __call__(
        self, params: HyperLSTMParams, carry: HyperLSTMCarry, inputs: jax.Array
    ) -> tuple[HyperLSTMCarry, jax.Array]:
        """One step; see the class."""
        hyper_gates = (
            inputs @ params.hyper_kernel
            + carry.hyper_hidden @ params.hyper_recurrent_kernel
            + carry.hidden @ params.hyper_hidden_kernel
            + params.hyper_bias
        )
        hyper_hidden, hyper_cell = self._lstm(
            split_gates(hyper_gates, 4), carry.hyper_cell, params.hyper_norm_scale, params.hyper_norm_bias
        )
        signals = hyper_hidden @ params.signal_kernel
        z_x, z_h, z_b = split_gates(signals, 3)
        bias_x, bias_h = split_gates(params.signal_bias, 2)
        gates = [
            scale_x * product_x + scale_h * product_h + moved + bias
            for scale_x, product_x, scale_h, product_h, moved, bias in zip(
                _by_gate(z_x + bias_x, params.input_scale_kernel),
                split_gates(inputs @ params.kernel, 4),
                _by_gate(z_h + bias_h, params.recurrent_scale_kernel),
                split_gates(carry.hidden @ params.recurrent_kernel, 4),
                _by_gate(z_b, params.bias_scale_kernel),
                split_gates(params.bias, 4),
            )
        ]
        hidden, cell = self._lstm(gates, carry.cell, params.norm_scale, params.norm_bias, large=True)
        return HyperLSTMCarry(hidden=hidden, cell=cell, hyper_hidden=hyper_hidden, hyper_cell=hyper_cell), hidden

    def _lstm(
        self,
        gates: list[jax.Array],
        old: jax.Array,
        scale: jax.Array | None,
        bias: jax.Array | None,
        large: bool = False,
    ) -> tuple[jax.Array, jax.Array]:
        """``(hidden, cell)`` from the four preactivations; only the large LSTM's quantities get names."""
        activation, name = activation_function(self.activation), named if large else (lambda value, _: value)
        norms = [lambda x: x] * 5
        if scale is not None:
            norms = [
                lambda x, gain=gain, shift=shift: normalized(x, "features", None, self.epsilon) * gain + shift
                for gain, shift in zip(split_gates(scale, 5), split_gates(bias, 5))
            ]
        i, f, g, o = (norm(gate) for norm, gate in zip(norms, gates))
        i, f = name(jax.nn.sigmoid(i), "input_gate"), name(jax.nn.sigmoid(f), "forget_gate")
        cell = name(f * old + i * name(activation(g), "candidate"), "cell")
        return name(jax.nn.sigmoid(o), "output_gate") * activation(norms[4](cell)), cell


def _by_gate(signal: jax.Array, kernel: jax.Array) -> list[jax.Array]:
    return [z @ part for z, part in zip(split_gates(signal, 4), split_gates(kernel, 4))]
