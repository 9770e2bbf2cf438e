"""Long short-term memory with a forget gate."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import Cell
from seqjax.cells.initializers import Initializer, initialize


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
class LSTM(Cell):
    r"""Long short-term memory with a forget gate (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber, Cummins 2000).

    .. math::
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. There is one bias (torch and cuDNN have two and use their sum). ``forget_bias`` is the
    initial value of :math:`b_f` and is learned from there, as in Keras; TensorFlow 1 added it in the step instead.
    """

    forget_bias: float = 1.0
    activation: Activation = "tanh"
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"

    paper = (
        "Hochreiter and Schmidhuber 1997, Long short-term memory, Neural Computation 9(8); "
        "Gers, Schmidhuber and Cummins 2000, Learning to forget, Neural Computation 12(10)"
    )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        kernel_key, recurrent_key = jax.random.split(key)
        zeros = jnp.zeros(self.hidden_size, dtype)
        return LSTMParams(
            kernel=initialize(self.kernel_initializer, kernel_key, (self.input_size, self.hidden_size), dtype, gates=4),
            recurrent_kernel=initialize(
                self.recurrent_initializer, recurrent_key, (self.hidden_size, self.hidden_size), dtype, gates=4
            ),
            bias=jnp.concatenate([zeros, zeros + self.forget_bias, zeros, zeros]).astype(dtype),
        )

    def initial_carry(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32, params: LSTMParams | None = None
    ) -> LSTMCarry:
        """Zeros."""
        zeros = jnp.zeros((*batch_shape, self.hidden_size), dtype)
        return LSTMCarry(hidden=zeros, cell=zeros)

    def __call__(self, params: LSTMParams, carry: LSTMCarry, inputs: jax.Array) -> tuple[LSTMCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * carry.cell + jax.nn.sigmoid(i) * activation(g)
        hidden = jax.nn.sigmoid(o) * activation(cell)
        return LSTMCarry(hidden=hidden, cell=cell), hidden
