"""Forms of the LSTM: that of 1997, with peepholes, with coupled gates, and with a recurrent projection."""

import dataclasses
from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCellCarry
from seqjax.cells.forget_bias import ForgetGateCell
from seqjax.cells.gates import lstm_gates, named, split_gates
from seqjax.cells.initializers import initialize


@dataclasses.dataclass(frozen=True, kw_only=True)
class OriginalLSTM(AffineCell):
    r"""Long short-term memory as first published, without a forget gate (Hochreiter and Schmidhuber 1997).

    .. math::
        i_t, o_t &= \sigma(x_t W_{i,o} + h_{t-1} U_{i,o} + b_{i,o}) \\
        c_t &= c_{t-1} + i_t \odot g(x_t W_g + h_{t-1} U_g + b_g) \\
        h_t &= o_t \odot h(c_t) \\
        g(x) &= 4 \sigma(x) - 2, \quad h(x) = 2 \sigma(x) - 1 && \text{squashing="logistic"} \\
        g(x) &= h(x) = \tanh(x) && \text{squashing="tanh"}

    The output is :math:`h_t`. With ``truncated_gradient``, gradients travel through time along :math:`c` only: they
    change the weights of the gates and of :math:`g`, and go no further back from there, as in the paper.
    """

    squashing: Literal["logistic", "tanh"] = "logistic"
    truncated_gradient: bool = False

    paper = "Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation 9(8)"
    conventions = (
        "Gates in the order i, g, o, with one bias.",
        "The paper's squashing functions: g in (-2, 2), h in (-1, 1); tanh for both by squashing='tanh'.",
        "Memory blocks hold one cell each, so that every unit has its own gates.",
        "Gradients are full; the paper's are truncated: truncated_gradient=True.",
    )
    elsewhere = {"torchrecurrent": "tanh for both squashing functions, two biases, full gradients"}
    carry_type = HiddenCellCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.squashing not in ("logistic", "tanh"):
            raise ValueError(f"OriginalLSTM.squashing must be 'logistic' or 'tanh', got {self.squashing!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 3, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 3, dtype),
            bias=jnp.zeros(3 * self.hidden_size, dtype),
        )

    def __call__(
        self, params: AffineParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        sigma, old = jax.nn.sigmoid, carry.hidden
        if self.truncated_gradient:
            old = jax.lax.stop_gradient(old)
        i, g, o = split_gates(inputs @ params.kernel + old @ params.recurrent_kernel + params.bias, 3)
        i, o = named(sigma(i), "input_gate"), named(sigma(o), "output_gate")
        g = named(4 * sigma(g) - 2 if self.squashing == "logistic" else jnp.tanh(g), "candidate")
        cell = named(carry.cell + i * g, "cell")
        hidden = o * (2 * sigma(cell) - 1 if self.squashing == "logistic" else jnp.tanh(cell))
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


class PeepholeLSTMParams(NamedTuple):
    """Parameters of :class:`PeepholeLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    peephole: jax.Array
    """Weights of the cell state in the gates i, f, o, ``[3 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PeepholeLSTM(ForgetGateCell):
    r"""LSTM whose gates see the cell state (Gers and Schmidhuber 2000; Gers, Schraudolph, Schmidhuber 2002).

    .. math::
        i_t, f_t &= \sigma(x_t W_{i,f} + h_{t-1} U_{i,f} + p_{i,f} \odot c_{t-1} + b_{i,f}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(x_t W_o + h_{t-1} U_o + p_o \odot c_t + b_o) \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. The output gate sees the new cell state.
    """

    activation: Activation = "tanh"

    paper = (
        "Gers, Schraudolph and Schmidhuber 2002, Learning precise timing with LSTM recurrent networks, JMLR 3; "
        "Gers and Schmidhuber 2000, Recurrent nets that time and count, IJCNN"
    )
    conventions = (
        "Gates in the order i, f, g, o, with one bias; peepholes in the order i, f, o.",
        "The output gate sees the new cell state, the others the old one.",
        "Peepholes are diagonal and start at zero, so that the cell starts as an LSTM.",
        "The squashing functions are tanh, as in Graves 2013; the paper's h is the identity.",
    )
    elsewhere = {
        "ONNX": "the same; gates i, o, f, g and peepholes i, o, f",
        "RecurrentLayers.jl, LuxRecurrentLayers.jl": "the output gate sees the old cell state",
        "torchrecurrent": "the same; two biases, peepholes drawn from a normal distribution",
        "TensorFlow Addons": "the same; peepholes drawn like the input kernel",
    }
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> PeepholeLSTMParams:
        """Draw parameters; peepholes start at zero, and so do biases but for the forget gate's."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        return PeepholeLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            peephole=jnp.zeros(3 * self.hidden_size, dtype),
            bias=self.draw_bias(bias_key, "ifgo", dtype),
        )

    def __call__(
        self, params: PeepholeLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = split_gates(gates, 4)
        p_i, p_f, p_o = split_gates(params.peephole, 3)
        i = named(jax.nn.sigmoid(i + p_i * carry.cell), "input_gate")
        f = named(jax.nn.sigmoid(f + p_f * carry.cell), "forget_gate")
        g = named(activation(g), "candidate")
        cell = named(f * carry.cell + i * g, "cell")
        o = named(jax.nn.sigmoid(o + p_o * cell), "output_gate")
        hidden = o * activation(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoupledLSTM(ForgetGateCell):
    r"""LSTM with coupled input and forget gates, CIFG (Greff et al. 2017).

    .. math::
        f_t, o_t &= \sigma(x_t W_{f,o} + h_{t-1} U_{f,o} + b_{f,o}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot g_t \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`.
    """

    activation: Activation = "tanh"

    paper = "Greff et al. 2017, LSTM: a search space odyssey, IEEE TNNLS 28(10), arXiv:1503.04069"
    conventions = (
        "Gates in the order f, g, o, with one bias.",
        "The forget gate has the weights and i = 1 - f; the paper's f = 1 - i is the same cell with W, U, b negated.",
        "There are no peepholes; the paper's variants have them.",
    )
    elsewhere = {"onnxruntime": "input_forget=1: the input gate has the weights, f = 1 - i"}
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 3, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 3, dtype),
            bias=self.draw_bias(bias_key, "fgo", dtype),
        )

    def __call__(
        self, params: AffineParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        f, g, o = split_gates(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias, 3)
        f, g, o = jax.nn.sigmoid(f), activation(g), jax.nn.sigmoid(o)
        f, g, o = named(f, "forget_gate"), named(g, "candidate"), named(o, "output_gate")
        cell = named(f * carry.cell + (1 - f) * g, "cell")
        hidden = o * activation(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


class ProjectedLSTMParams(NamedTuple):
    """Parameters of :class:`ProjectedLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[projection_size, 4 * hidden_size]``."""
    projection_kernel: jax.Array
    """``[hidden_size, projection_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProjectedLSTM(ForgetGateCell):
    r"""LSTM with a recurrent projection layer, LSTMP (Sak, Senior, Beaufays 2014).

    .. math::
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + r_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \phi(x_t W_g + r_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        r_t &= (o_t \odot \phi(c_t)) P

    The output is :math:`r_t`, of ``projection_size`` features, half the hidden size if not given. It is the carry's
    ``hidden``; the carry's ``cell`` has ``hidden_size`` features.
    """

    projection_size: int | None = None
    activation: Activation = "tanh"

    paper = (
        "Sak, Senior and Beaufays 2014, Long short-term memory recurrent neural network architectures for large scale "
        "acoustic modeling, Interspeech"
    )
    conventions = (
        "Gates in the order i, f, g, o, with one bias.",
        "There are no peepholes and there is no second, non-recurrent projection; the paper has the peepholes, and the "
        "second projection as an option.",
        "The projection has no bias.",
    )
    elsewhere = {
        "torch": "the same: proj_size; two biases",
        "TensorFlow 1": "the same: num_proj; can clip the cell state and the projection",
    }
    carry_type = HiddenCellCarry

    def __post_init__(self) -> None:
        if self.projection_size is None:
            object.__setattr__(self, "projection_size", self.output_size)
        super().__post_init__()
        if self.output_size > self.hidden_size:
            raise ValueError(
                f"ProjectedLSTM.projection_size must be at most hidden_size={self.hidden_size}, got "
                f"{self.projection_size}; the recurrence would gain no state by a wider projection"
            )

    @property
    def output_size(self) -> int:
        """The size of the projection."""
        return max(1, self.hidden_size // 2) if self.projection_size is None else self.projection_size

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ProjectedLSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        kernel_key, recurrent_key, projection_key, bias_key = jax.random.split(key, 4)
        recurrent = (self.output_size, self.hidden_size)
        return ProjectedLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=initialize(self.recurrent_initializer, recurrent_key, recurrent, dtype, 4),
            projection_kernel=initialize(self.kernel_initializer, projection_key, recurrent[::-1], dtype),
            bias=self.draw_bias(bias_key, "ifgo", dtype),
        )

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The projection is in ``hidden``."""
        return {"hidden": (self.output_size,)}

    def __call__(
        self, params: ProjectedLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = lstm_gates(gates, activation)
        cell = named(f * carry.cell + i * g, "cell")
        hidden = (o * activation(cell)) @ params.projection_kernel
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden
