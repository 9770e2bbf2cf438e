"""The sLSTM: an LSTM with exponential gates, a normaliser, and a stabiliser that keeps the exponentials finite."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineParams
from seqjax.cells.forget_bias import ForgetGateCell
from seqjax.cells.gates import named, split_gates


class SLSTMCarry(NamedTuple):
    """Carry of :class:`SLSTM`; cell and normaliser are stored divided by the exponential of the stabiliser."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    cell: jax.Array
    """``[*batch, hidden_size]``."""
    normalizer: jax.Array
    """Not negative, zero where nothing is stored yet, ``[*batch, hidden_size]``."""
    stabilizer: jax.Array
    """Logarithm of what cell and normaliser are divided by, ``[*batch, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SLSTM(ForgetGateCell):
    r"""LSTM with exponential gating, sLSTM (Beck et al. 2024).

    .. math::
        \tilde i_t, \tilde f_t, \tilde z_t, \tilde o_t &= x_t W_{i,f,z,o} + h_{t-1} U_{i,f,z,o} + b_{i,f,z,o} \\
        l_t &= \log \sigma(\tilde f_t) && \text{forget="sigmoid"} \\
        l_t &= \tilde f_t && \text{forget="exponential"} \\
        m_t &= \max(l_t + m_{t-1}, \tilde i_t), \quad m_1 = \tilde i_1 \\
        i_t &= \exp(\tilde i_t - m_t), \quad f_t = \exp(l_t + m_{t-1} - m_t) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot \phi(\tilde z_t) \\
        n_t &= f_t \odot n_{t-1} + i_t \\
        h_t &= \sigma(\tilde o_t) \odot c_t / n_t

    The output is :math:`h_t`, which does not depend on the stabiliser :math:`m_t` but for rounding.
    """

    forget: Literal["sigmoid", "exponential"] = "sigmoid"
    activation: Activation = "tanh"

    paper = "Beck et al. 2024, xLSTM: extended long short-term memory, NeurIPS, arXiv:2405.04517"
    conventions = (
        "Gates in the order i, f, z, o, with one bias.",
        "The forget gate is a sigmoid, as in the authors' code; the paper allows an exponential as well.",
        "Where the normaliser is zero nothing is stored, and the stabiliser is the input gate's logarithm.",
        "The recurrence is full; the paper's heads are seqjax.cells.transforms.block_diagonal(cell, heads=4).",
        "The group norm, convolution and projections of the paper's block are not part of the cell.",
        "Gradients pass through the stabiliser; those of the output are the same without.",
    )
    elsewhere = {
        "xlstm": "the same with a sigmoid forget gate; the stabiliser starts afresh only where the normaliser is zero "
        "in the whole batch; forget biases spread over the units of a head",
    }
    carry_type = SLSTMCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.forget not in ("sigmoid", "exponential"):
            raise ValueError(f"SLSTM.forget must be 'sigmoid' or 'exponential', got {self.forget!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias is zero but for the forget gate's."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=self.draw_bias(bias_key, "ifzo", dtype),
        )

    def __call__(self, params: AffineParams, carry: SLSTMCarry, inputs: jax.Array) -> tuple[SLSTMCarry, jax.Array]:
        """One step; see the class."""
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        log_i, f, z, o = split_gates(gates, 4)
        log_f = jax.nn.log_sigmoid(f) if self.forget == "sigmoid" else f
        kept = log_f + carry.stabilizer
        stabilizer = jnp.where(carry.normalizer == 0, log_i, jnp.maximum(kept, log_i))
        i = named(jnp.exp(log_i - stabilizer), "input_gate")
        # Above zero only where nothing is stored, where an infinite gate times nothing would be no number.
        f = named(jnp.exp(jnp.minimum(kept - stabilizer, 0)), "forget_gate")
        z = named(activation_function(self.activation)(z), "candidate")
        cell = named(f * carry.cell + i * z, "cell")
        normalizer = f * carry.normalizer + i
        hidden = named(jax.nn.sigmoid(o), "output_gate") * cell / normalizer
        return SLSTMCarry(hidden=hidden, cell=cell, normalizer=normalizer, stabilizer=stabilizer), hidden
