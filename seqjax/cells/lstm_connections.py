"""LSTMs with more connections: multiplicative, residual, and from the cell state to the gates."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import HiddenCellCarry
from seqjax.cells.forget_bias import ForgetGateCell
from seqjax.cells.gates import lstm_gates, named, split_gates
from seqjax.cells.initializers import initialize


class MultiplicativeLSTMParams(NamedTuple):
    """Parameters of :class:`MultiplicativeLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel of the gates, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """From the intermediate state to the gates, ``[hidden_size, 4 * hidden_size]``."""
    multiplicative_kernel: jax.Array
    """From the inputs to the intermediate state, ``[input_size, hidden_size]``."""
    multiplicative_recurrent_kernel: jax.Array
    """From the hidden state to the intermediate state, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiplicativeLSTM(ForgetGateCell):
    r"""Multiplicative LSTM, mLSTM: its recurrent weights depend on the input (Krause et al. 2016).

    .. math::
        m_t &= (x_t W_m) \odot (h_{t-1} U_m) \\
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + m_t U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \phi(x_t W_g + m_t U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`.
    """

    activation: Activation = "tanh"

    paper = "Krause et al. 2016, Multiplicative LSTM for sequence modelling, arXiv:1609.07959"
    conventions = (
        "Gates in the order i, f, g, o, with one bias; the intermediate state has none.",
        "The intermediate state has hidden_size features.",
        "This is not the mLSTM of xLSTM (Beck et al. 2024), whose memory is a matrix.",
    )
    elsewhere = {"torchrecurrent": "the same with biases on both factors of the intermediate state as well"}
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> MultiplicativeLSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        keys = jax.random.split(key, 5)
        return MultiplicativeLSTMParams(
            kernel=self.draw_kernel(keys[0], 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(keys[1], 4, dtype),
            multiplicative_kernel=self.draw_kernel(keys[2], 1, dtype),
            multiplicative_recurrent_kernel=self.draw_recurrent_kernel(keys[3], 1, dtype),
            bias=self.draw_bias(keys[4], "ifgo", dtype),
        )

    def __call__(
        self, params: MultiplicativeLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        m = (inputs @ params.multiplicative_kernel) * (carry.hidden @ params.multiplicative_recurrent_kernel)
        i, f, g, o = lstm_gates(inputs @ params.kernel + m @ params.recurrent_kernel + params.bias, activation)
        cell = named(f * carry.cell + i * g, "cell")
        hidden = o * activation(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


class ResidualLSTMParams(NamedTuple):
    """Parameters of :class:`ResidualLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    peephole: jax.Array
    """Weights of the cell state in the gates i, f, o, ``[3 * hidden_size]``."""
    projection_kernel: jax.Array
    """From the squashed cell state to the output, ``[hidden_size, hidden_size]``."""
    shortcut_kernel: jax.Array | None
    """From the inputs to the output, ``[input_size, hidden_size]``; ``None`` for the identity."""
    bias: jax.Array
    """``[4 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResidualLSTM(ForgetGateCell):
    r"""LSTM with peepholes and a shortcut from its inputs to its gated output (Kim, El-Khamy, Lee 2017).

    .. math::
        i_t, f_t &= \sigma(x_t W_{i,f} + h_{t-1} U_{i,f} + p_{i,f} \odot c_{t-1} + b_{i,f}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(x_t W_o + h_{t-1} U_o + p_o \odot c_t + b_o) \\
        h_t &= o_t \odot (\phi(c_t) P + x_t S) && \text{shortcut="kernel"} \\
        h_t &= o_t \odot (\phi(c_t) P + x_t) && \text{shortcut="identity"}

    The output is :math:`h_t`.
    """

    shortcut: Literal["kernel", "identity"] = "kernel"
    activation: Activation = "tanh"

    paper = (
        "Kim, El-Khamy and Lee 2017, Residual LSTM: design of a deep recurrent architecture for distant speech "
        "recognition, Interspeech, arXiv:1701.03360"
    )
    conventions = (
        "Gates in the order i, f, g, o, with one bias; peepholes in the order i, f, o, starting at zero.",
        "The shortcut is a kernel; the paper replaces it by the identity where input_size equals hidden_size: "
        "shortcut='identity'.",
        "The projection is square: the cell state has as many features as the output.",
    )
    elsewhere = {"torchrecurrent": "the same with shortcut='kernel'; two biases"}
    carry_type = HiddenCellCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortcut not in ("kernel", "identity"):
            raise ValueError(f"ResidualLSTM.shortcut must be 'kernel' or 'identity', got {self.shortcut!r}")
        if self.shortcut == "identity" and self.input_size != self.hidden_size:
            raise ValueError(
                f"ResidualLSTM.shortcut='identity' needs input_size == hidden_size, got {self.input_size} and "
                f"{self.hidden_size}; use shortcut='kernel'"
            )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ResidualLSTMParams:
        """Draw parameters; peepholes start at zero, and so do biases but for the forget gate's."""
        keys = jax.random.split(key, 5)
        square = (self.hidden_size, self.hidden_size)
        return ResidualLSTMParams(
            kernel=self.draw_kernel(keys[0], 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(keys[1], 4, dtype),
            peephole=jnp.zeros(3 * self.hidden_size, dtype),
            projection_kernel=initialize(self.kernel_initializer, keys[2], square, dtype),
            shortcut_kernel=self.draw_kernel(keys[3], 1, dtype) if self.shortcut == "kernel" else None,
            bias=self.draw_bias(keys[4], "ifgo", dtype),
        )

    def __call__(
        self, params: ResidualLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = split_gates(gates, 4)
        p_i, p_f, p_o = split_gates(params.peephole, 3)
        i = named(jax.nn.sigmoid(i + p_i * carry.cell), "input_gate")
        f = named(jax.nn.sigmoid(f + p_f * carry.cell), "forget_gate")
        cell = named(f * carry.cell + i * named(activation(g), "candidate"), "cell")
        o = named(jax.nn.sigmoid(o + p_o * cell), "output_gate")
        shortcut = inputs if params.shortcut_kernel is None else inputs @ params.shortcut_kernel
        hidden = o * (activation(cell) @ params.projection_kernel + shortcut)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


class WMCLSTMParams(NamedTuple):
    """Parameters of :class:`WMCLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    memory_kernel: jax.Array
    """From the old cell state to the gates i, f, ``[hidden_size, 2 * hidden_size]``."""
    output_memory_kernel: jax.Array
    """From the new cell state to the gate o, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WMCLSTM(ForgetGateCell):
    r"""LSTM with working memory connections: squashed, full peepholes (Landi et al. 2021).

    .. math::
        i_t, f_t &= \sigma(x_t W_{i,f} + h_{t-1} U_{i,f} + \tanh(c_{t-1} V_{i,f}) + b_{i,f}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(x_t W_o + h_{t-1} U_o + \tanh(c_t V_o) + b_o) \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. The output gate sees the new cell state.
    """

    activation: Activation = "tanh"

    paper = "Landi et al. 2021, Working memory connections for LSTM, Neural Networks 144, arXiv:2109.00020"
    conventions = (
        "Gates in the order i, f, g, o, with one bias; the memory connections have none.",
        "The candidate sees the hidden state, as in an LSTM.",
    )
    elsewhere = {
        "torchrecurrent": "the same with biases inside the squashed connections; its documentation leaves the hidden "
        "state out of the candidate and the squashing out of the gates, its code does not"
    }
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> WMCLSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        keys = jax.random.split(key, 5)
        square = (self.hidden_size, self.hidden_size)
        return WMCLSTMParams(
            kernel=self.draw_kernel(keys[0], 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(keys[1], 4, dtype),
            memory_kernel=initialize(self.kernel_initializer, keys[2], square, dtype, 2),
            output_memory_kernel=initialize(self.kernel_initializer, keys[3], square, dtype),
            bias=self.draw_bias(keys[4], "ifgo", dtype),
        )

    def __call__(
        self, params: WMCLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = split_gates(gates, 4)
        memory_i, memory_f = split_gates(jnp.tanh(carry.cell @ params.memory_kernel), 2)
        i = named(jax.nn.sigmoid(i + memory_i), "input_gate")
        f = named(jax.nn.sigmoid(f + memory_f), "forget_gate")
        cell = named(f * carry.cell + i * named(activation(g), "candidate"), "cell")
        o = named(jax.nn.sigmoid(o + jnp.tanh(cell @ params.output_memory_kernel)), "output_gate")
        hidden = o * activation(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden
