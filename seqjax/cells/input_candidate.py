"""One gate mixes the hidden state with a candidate that reads the inputs alone."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell


@dataclasses.dataclass(frozen=True, kw_only=True)
class LightRU(SingleStateCell):
    r"""Light recurrent unit (Ye, Zhang, Liu, Li, Chang, Zheng 2024).

    .. math::
        f_t &= \sigma(x_t W_f + h_{t-1} U + b) \\
        n_t &= \tanh(x_t W_n) \\
        h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t

    The output is :math:`h_t`.
    """

    paper = (
        "Ye et al. 2024, Light recurrent unit: towards an interpretable recurrent neural network for modeling "
        "long-range dependency, Electronics 13(16)"
    )
    conventions = ("Input kernel in the order f, n; the bias is the gate's.", "A large f writes the candidate.")
    elsewhere = {"torchrecurrent": "kernel in the order n, f; the candidate has a bias too"}
    input_gates, recurrent_gates, biased_gates = 2, 1, 1

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_f, x_n = split_gates(inputs @ params.kernel, 2)
        f = named(jax.nn.sigmoid(x_f + carry.hidden @ params.recurrent_kernel + params.bias), "forget_gate")
        hidden = (1 - f) * carry.hidden + f * named(jnp.tanh(x_n), "candidate")
        return HiddenCarry(hidden), hidden


class MinimalRNNParams(NamedTuple):
    """Parameters of :class:`MinimalRNN`."""

    kernel: jax.Array
    """From the inputs to the latent, ``[input_size, hidden_size]``."""
    bias: jax.Array
    """Of the latent, ``[hidden_size]``."""
    recurrent_kernel: jax.Array
    """From the hidden state to the gate, ``[hidden_size, hidden_size]``."""
    latent_kernel: jax.Array
    """From the latent to the gate, ``[hidden_size, hidden_size]``."""
    gate_bias: jax.Array
    """``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinimalRNN(AffineCell):
    r"""Minimal recurrent network (Chen 2017): the hidden state stays in the space of the latent inputs.

    .. math::
        z_t &= \tanh(x_t W + b_z) \\
        u_t &= \sigma(h_{t-1} U_h + z_t U_z + b_u) \\
        h_t &= u_t \odot h_{t-1} + (1 - u_t) \odot z_t

    The output is :math:`h_t`.
    """

    paper = "Chen 2017, MinimalRNN: toward more interpretable and trainable recurrent neural networks, arXiv:1711.06788"
    conventions = ("The paper's map of the inputs may be any network; here it is one layer with tanh, as it suggests.",)
    elsewhere = {"torchrecurrent": "the same"}
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> MinimalRNNParams:
        """Draw parameters; both biases start at zero."""
        kernel_key, recurrent_key, latent_key = jax.random.split(key, 3)
        return MinimalRNNParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            latent_kernel=self.draw_kernel(latent_key, dtype=dtype, rows=self.hidden_size),
            gate_bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(
        self, params: MinimalRNNParams, carry: HiddenCarry, inputs: jax.Array
    ) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        z = named(jnp.tanh(inputs @ params.kernel + params.bias), "candidate")
        gate = z @ params.latent_kernel + carry.hidden @ params.recurrent_kernel + params.gate_bias
        u = named(jax.nn.sigmoid(gate), "update_gate")
        hidden = u * carry.hidden + (1 - u) * z
        return HiddenCarry(hidden), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class STAR(SingleStateCell):
    r"""Stackable recurrent cell (Turkoglu, D'Aronco, Wegner, Schindler 2022).

    .. math::
        k_t &= \sigma(x_t W_k + h_{t-1} U + b_k) \\
        z_t &= \tanh(x_t W_z + b_z) \\
        h_t &= \tanh((1 - k_t) \odot h_{t-1} + k_t \odot z_t)

    The output is :math:`h_t`.
    """

    paper = (
        "Turkoglu, D'Aronco, Wegner and Schindler 2022, Gating revisited: deep multi-layer RNNs that can be trained, "
        "IEEE TPAMI 44(8)"
    )
    conventions = ("Input kernel and bias in the order k, z.",)
    elsewhere = {"torchrecurrent": "kernel in the order z, k; two biases for k, of which only the sum matters"}
    input_gates, recurrent_gates, biased_gates = 2, 1, 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_k, x_z = split_gates(inputs @ params.kernel + params.bias, 2)
        k = named(jax.nn.sigmoid(x_k + carry.hidden @ params.recurrent_kernel), "update_gate")
        z = named(jnp.tanh(x_z), "candidate")
        hidden = jnp.tanh((1 - k) * carry.hidden + k * z)
        return HiddenCarry(hidden), hidden
