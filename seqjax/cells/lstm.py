"""Long short-term memory with a forget gate."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell
from seqjax.cells.gates import named, split_gates


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
class LSTM(AffineCell):
    r"""Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber, Cummins 2000).

    .. math::
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. ``forget_bias`` is the initial value of :math:`b_f`.
    """

    forget_bias: float = 1.0
    activation: Activation = "tanh"

    paper = (
        "Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation 9(8); "
        "Gers, Schmidhuber and Cummins 2000, Learning to forget, Neural Computation 12(10)"
    )
    conventions = (
        "Gates in the order i, f, g, o, with one bias.",
        "The forget gate's bias starts at 1 and is learned from there.",
    )
    elsewhere = {
        "torch, cuDNN, ONNX": "two biases, of which only the sum matters; ONNX orders the gates i, o, f, g",
        "Keras": "the same, forget bias 1",
        "Flax, equinox": "forget bias 0",
        "haiku, TensorFlow 1": "gates i, g, f, o; 1 is added to the forget gate in every step",
    }
    carry_type = LSTMCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        kernel_key, recurrent_key = jax.random.split(key)
        zeros = jnp.zeros(self.hidden_size, dtype)
        return LSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=jnp.concatenate([zeros, zeros + self.forget_bias, zeros, zeros]).astype(dtype),
        )

    def __call__(self, params: LSTMParams, carry: LSTMCarry, inputs: jax.Array) -> tuple[LSTMCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = split_gates(gates, 4)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), activation(g), jax.nn.sigmoid(o)
        i, f, g, o = named(i, "input_gate"), named(f, "forget_gate"), named(g, "candidate"), named(o, "output_gate")
        cell = named(f * carry.cell + i * g, "cell")
        hidden = o * activation(cell)
        return LSTMCarry(hidden=hidden, cell=cell), hidden
