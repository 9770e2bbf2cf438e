"""Ordered-neurons LSTM: neurons are ranked, and what ranks high lives long."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, HiddenCellCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import initialize


def cumax(x: jax.Array) -> jax.Array:
    """Running sum of a softmax: a soft step from 0 to 1 along the last axis."""
    return jnp.cumsum(jax.nn.softmax(x, axis=-1), axis=-1)


class ONLSTMParams(NamedTuple):
    """Parameters of :class:`ONLSTM`; gates side by side in the order i, f, g, o, master gates in the order i, f.

    ``M`` is the number of chunks.
    """

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""
    master_kernel: jax.Array
    """Input kernel of the master gates, ``[input_size, 2 * M]``."""
    master_recurrent_kernel: jax.Array
    """Recurrent kernel of the master gates, ``[hidden_size, 2 * M]``."""
    master_bias: jax.Array
    """``[2 * M]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ONLSTM(AffineCell):
    r"""Ordered-neurons LSTM (Shen et al. 2019): master gates forget the low ranks and keep the high ones.

    .. math::
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \phi(x_t W_g + h_{t-1} U_g + b_g) \\
        \tilde f_t &= \mathrm{cumax}(x_t \tilde W_f + h_{t-1} \tilde U_f + \tilde b_f) \\
        \tilde i_t &= 1 - \mathrm{cumax}(x_t \tilde W_i + h_{t-1} \tilde U_i + \tilde b_i) \\
        \omega_t &= \tilde f_t \odot \tilde i_t \\
        c_t &= (f_t \odot \omega_t + \tilde f_t - \omega_t) \odot c_{t-1}
            + (i_t \odot \omega_t + \tilde i_t - \omega_t) \odot g_t \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. ``cumax`` is the running sum of a softmax. ``chunk_size`` neighbouring neurons share one
    master gate; where that does not divide the hidden size, the last chunk is smaller.
    """

    chunk_size: int = 1
    forget_bias: float = 0.0
    activation: Activation = "tanh"

    paper = "Shen et al. 2019, Ordered neurons: integrating tree structures into recurrent neural networks, ICLR"
    conventions = (
        "Gates in the order i, f, g, o, master gates in the order i, f, with one bias each.",
        "chunk_size is 1; the paper's language model has 10 beside 1150 units.",
        "All biases start at zero.",
    )
    carry_type = HiddenCellCarry

    @property
    def chunks(self) -> int:
        """Number of chunks, which is the number of master gates of each kind."""
        return -(-self.hidden_size // self.chunk_size)

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ONLSTMParams:
        """Draw parameters; biases are zero but for the forget gate's."""
        kernel_key, recurrent_key, master_key, master_recurrent_key = jax.random.split(key, 4)
        zeros = jnp.zeros(self.hidden_size, dtype)
        return ONLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=jnp.concatenate([zeros, zeros + self.forget_bias, zeros, zeros]).astype(dtype),
            master_kernel=initialize(self.kernel_initializer, master_key, (self.input_size, self.chunks), dtype, 2),
            master_recurrent_kernel=initialize(
                self.recurrent_initializer, master_recurrent_key, (self.hidden_size, self.chunks), dtype, 2
            ),
            master_bias=jnp.zeros(2 * self.chunks, dtype),
        )

    def __call__(
        self, params: ONLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = split_gates(gates, 4)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), activation(g), jax.nn.sigmoid(o)
        masters = inputs @ params.master_kernel + carry.hidden @ params.master_recurrent_kernel + params.master_bias
        master_i, master_f = split_gates(masters, 2)
        master_i, master_f = self._spread(1 - cumax(master_i)), self._spread(cumax(master_f))
        overlap = master_f * master_i
        i = named(i * overlap + (master_i - overlap), "input_gate")
        f = named(f * overlap + (master_f - overlap), "forget_gate")
        cell = named(f * carry.cell + i * named(g, "candidate"), "cell")
        hidden = named(o, "output_gate") * activation(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden

    def _spread(self, master: jax.Array) -> jax.Array:
        return jnp.repeat(master, self.chunk_size, axis=-1)[..., : self.hidden_size]
