"""LSTMs with other gates: a refined forget gate, a forget gate alone, element-wise recurrence, and NAS."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry, HiddenCellCarry
from seqjax.cells.forget_bias import ForgetBias, ForgetGateCell
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import initialize


@dataclasses.dataclass(frozen=True, kw_only=True)
class URLSTM(ForgetGateCell):
    r"""LSTM with a refine gate and uniform gate initialisation, UR-LSTM (Gu et al. 2020).

    .. math::
        f_t, r_t, o_t &= \sigma(x_t W_{f,r,o} + h_{t-1} U_{f,r,o} + b_{f,r,o}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        k_t &= r_t \odot (1 - (1 - f_t)^2) + (1 - r_t) \odot f_t^2 \\
        c_t &= k_t \odot c_{t-1} + (1 - k_t) \odot g_t \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. The refine gate :math:`r_t` moves the forget gate to the effective gate :math:`k_t`.
    With a drawn ``forget_bias`` the bias :math:`b_r` starts at :math:`-b_f`.
    """

    forget_bias: ForgetBias = "uniform"
    activation: Activation = "tanh"

    paper = "Gu et al. 2020, Improving the gating mechanism of recurrent neural networks, ICML, arXiv:1910.09890"
    conventions = (
        "Gates in the order f, r, g, o, with one bias each.",
        "The forget and refine biases start at b and -b and are learned apart; the paper's code keeps one b for both.",
    )
    elsewhere = {"brainstate": "the same gates; f and r share one bias with opposite signs, g and o have none"}
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the refine gate's bias starts as the input gate's would, other biases at zero."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=self.draw_bias(bias_key, "figo", dtype),
        )

    def __call__(
        self, params: AffineParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        f, r, g, o = split_gates(gates, 4)
        f, r, g, o = jax.nn.sigmoid(f), jax.nn.sigmoid(r), named(activation(g), "candidate"), jax.nn.sigmoid(o)
        k = named(r * (1 - (1 - f) ** 2) + (1 - r) * f**2, "forget_gate")
        cell = named(k * carry.cell + (1 - k) * g, "cell")
        hidden = named(o, "output_gate") * activation(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class JANET(ForgetGateCell):
    r"""Just another network: an LSTM with a forget gate alone (van der Westhuizen and Lasenby 2018).

    .. math::
        s_t &= x_t W_f + h_{t-1} U_f + b_f \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        h_t &= \sigma(s_t) \odot h_{t-1} + (1 - \sigma(s_t - \beta)) \odot g_t

    The output is :math:`h_t`. The paper starts the bias with ``forget_bias="chrono"`` and the task's longest
    dependency as ``longest_memory``.
    """

    beta: float = 1.0
    activation: Activation = "tanh"

    paper = "van der Westhuizen and Lasenby 2018, The unreasonable effectiveness of the forget gate, arXiv:1804.04849"
    conventions = (
        "Gates in the order f, g, with one bias.",
        "beta is 1 and fixed.",
        "The hidden state is the cell state, so that the carry has one part.",
        "The forget gate's bias starts at 1; chrono initialisation, which the paper uses, needs the task's horizon.",
    )
    elsewhere = {"torchrecurrent": "the same with two biases, and beta is learned"}
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 2, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 2, dtype),
            bias=self.draw_bias(bias_key, "fg", dtype),
        )

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        s, g = split_gates(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias, 2)
        g = named(activation_function(self.activation)(g), "candidate")
        f, i = named(jax.nn.sigmoid(s), "forget_gate"), named(1 - jax.nn.sigmoid(s - self.beta), "input_gate")
        hidden = named(f * carry.hidden + i * g, "cell")
        return HiddenCarry(hidden), hidden


class ELSTMParams(NamedTuple):
    """Parameters of :class:`ELSTM`; gates side by side."""

    kernel: jax.Array
    """Input kernel of f, g, o, ``[input_size, 3 * hidden_size]``."""
    recurrent_scale: jax.Array
    """Weights of the old cell state in f, g, ``[2 * hidden_size]``."""
    output_kernel: jax.Array
    """From the new cell state to o, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[3 * hidden_size]``."""


class ELSTMCarry(NamedTuple):
    """Carry of :class:`ELSTM`."""

    cell: jax.Array
    """``[*batch, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ELSTM(ForgetGateCell):
    r"""LSTM with element-wise recurrence, eLSTM, whose real-time recurrent learning is cheap (Irie et al. 2023).

    .. math::
        f_t &= \sigma(x_t W_f + u_f \odot c_{t-1} + b_f) \\
        g_t &= \phi(x_t W_g + u_g \odot c_{t-1} + b_g) \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot g_t \\
        o_t &= \sigma(x_t W_o + c_t V + b_o) \\
        h_t &= o_t \odot c_t

    The output is :math:`h_t`. The derivative of :math:`c_t` to :math:`c_{t-1}` is diagonal.
    """

    activation: Activation = "tanh"

    paper = (
        "Irie, Gopalakrishnan and Schmidhuber 2023, Exploring the promise and limits of real-time recurrent learning, "
        "ICLR 2024, arXiv:2305.19044"
    )
    conventions = (
        "Gates in the order f, g, o, with one bias; the paper's equations write none.",
        "The element-wise recurrent weights start uniform in plus or minus one over the square root of hidden_size.",
    )
    carry_type = ELSTMCarry
    output_field = None

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ELSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        keys, size = jax.random.split(key, 4), self.hidden_size
        return ELSTMParams(
            kernel=self.draw_kernel(keys[0], 3, dtype),
            recurrent_scale=(jax.random.uniform(keys[1], (2 * size,), minval=-1) / size**0.5).astype(dtype),
            output_kernel=initialize(self.kernel_initializer, keys[2], (size, size), dtype),
            bias=self.draw_bias(keys[3], "fgo", dtype),
        )

    def __call__(self, params: ELSTMParams, carry: ELSTMCarry, inputs: jax.Array) -> tuple[ELSTMCarry, jax.Array]:
        """One step; see the class."""
        f, g, o = split_gates(inputs @ params.kernel + params.bias, 3)
        u_f, u_g = split_gates(params.recurrent_scale, 2)
        f = named(jax.nn.sigmoid(f + u_f * carry.cell), "forget_gate")
        g = named(activation_function(self.activation)(g + u_g * carry.cell), "candidate")
        cell = named(f * carry.cell + (1 - f) * g, "cell")
        o = named(jax.nn.sigmoid(o + cell @ params.output_kernel), "output_gate")
        return ELSTMCarry(cell), o * cell


@dataclasses.dataclass(frozen=True, kw_only=True)
class NAS(AffineCell):
    r"""The cell that was found by neural architecture search (Zoph and Le 2017).

    .. math::
        a &= x_t W, \quad m = h_{t-1} U + b && \text{each in eight parts} \\
        p &= \tanh(\sigma(a_1 + m_1) \odot \text{relu}(a_2 + m_2)) \\
        q &= \tanh(\sigma(a_3 + m_3) + \text{relu}(a_4 \odot m_4)) \\
        r &= \tanh(\tanh(a_5 + m_5) \odot \sigma(a_6 + m_6)) \\
        s &= \sigma(\tanh(a_7 + m_7) + \sigma(a_8 + m_8)) \\
        c_t &= \tanh(p + c_{t-1}) \odot q \\
        h_t &= \tanh(c_t \odot \tanh(r + s))

    The output is :math:`h_t`. The fourth branch is a product.
    """

    paper = "Zoph and Le 2017, Neural architecture search with reinforcement learning, ICLR, arXiv:1611.01578"
    conventions = (
        "The branches are those of the authors' code, NASCell in TensorFlow; the paper draws them.",
        "The fourth branch multiplies the products of the inputs and of the hidden state, the others add them.",
        "The bias is added to the product of the hidden state, and starts at zero; TensorFlow has none by default.",
    )
    elsewhere = {
        "TensorFlow 1, TensorFlow Addons": "the same; the bias is off by default",
        "torchrecurrent, RecurrentLayers.jl": "the fourth branch is a sum",
    }
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 8, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 8, dtype),
            bias=jnp.zeros(8 * self.hidden_size, dtype),
        )

    def __call__(
        self, params: AffineParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        sigma, tanh, relu = jax.nn.sigmoid, jnp.tanh, jax.nn.relu
        a1, a2, a3, a4, a5, a6, a7, a8 = split_gates(inputs @ params.kernel, 8)
        m1, m2, m3, m4, m5, m6, m7, m8 = split_gates(carry.hidden @ params.recurrent_kernel + params.bias, 8)
        p = tanh(sigma(a1 + m1) * relu(a2 + m2))
        q = tanh(sigma(a3 + m3) + relu(a4 * m4))
        r = tanh(tanh(a5 + m5) * sigma(a6 + m6))
        s = sigma(tanh(a7 + m7) + sigma(a8 + m8))
        cell = named(tanh(p + carry.cell) * q, "cell")
        hidden = tanh(cell * tanh(r + s))
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden
