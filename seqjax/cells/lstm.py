"""Long short-term memory with a forget gate."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.forget_bias import ForgetGateCell
from seqjax.cells.gates import lstm_gates, named


class LSTMParams(NamedTuple):
    """Parameters of :class:`LSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""


class LSTMCarry(NamedTuple):
    """Carry of :class:`LSTM`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    cell: jax.Array
    """``[*batch, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSTM(ForgetGateCell):
    r"""Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber, Cummins 2000).

    .. math::
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. With ``cell_clip``, :math:`c_t` is clipped to plus or minus that value before it is used
    and carried on (Sak, Senior, Beaufays 2014). ``forget_bias`` is the initial value of :math:`b_f`, or the name of a
    distribution: ``"uniform"`` (Gu et al. 2020), ``"chrono"`` (Tallec and Ollivier 2018) with ``longest_memory`` in
    steps, ``"power_law"`` (Mahto et al. 2021); a drawn bias starts :math:`b_i` at :math:`-b_f`.
    """

    activation: Activation = "tanh"
    cell_clip: float | None = None

    paper = (
        "Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation 9(8); "
        "Gers, Schmidhuber and Cummins 2000, Learning to forget, Neural Computation 12(10)"
    )
    conventions = (
        "Gates in the order i, f, g, o, with one bias.",
        "The forget gate's bias starts at 1, or as drawn, and is learned from there.",
    )
    elsewhere = {
        "torch, cuDNN, ONNX": "two biases, of which only the sum matters; ONNX orders the gates i, o, f, g",
        "Keras": "the same, forget bias 1",
        "Flax, equinox": "forget bias 0",
        "haiku, TensorFlow 1": "gates i, g, f, o; 1 is added to the forget gate in every step",
    }
    carry_type = LSTMCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell_clip is not None and not self.cell_clip > 0:
            raise ValueError(f"LSTM.cell_clip must be above zero, or None for no clipping, got {self.cell_clip!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's, and a drawn one's input gate."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        return LSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=self.draw_bias(bias_key, "ifgo", dtype),
        )

    def __call__(self, params: LSTMParams, carry: LSTMCarry, inputs: jax.Array) -> tuple[LSTMCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = lstm_gates(gates, activation)
        cell = f * carry.cell + i * g
        if self.cell_clip is not None:
            cell = jnp.clip(cell, -self.cell_clip, self.cell_clip)
        cell = named(cell, "cell")
        hidden = o * activation(cell)
        return LSTMCarry(hidden=hidden, cell=cell), hidden
