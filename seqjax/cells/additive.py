"""Two gates, or one and its complement, on a sum of the old state and an input without recurrence of its own."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry, HiddenCellCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell


@dataclasses.dataclass(frozen=True, kw_only=True)
class CFN(SingleStateCell):
    r"""Chaos-free network (Laurent and von Brecht 2017): without inputs its state dies out.

    .. math::
        \theta_t &= \sigma(x_t W_\theta + h_{t-1} U_\theta + b_\theta) \\
        \eta_t &= \sigma(x_t W_\eta + h_{t-1} U_\eta + b_\eta) \\
        h_t &= \theta_t \odot \tanh(h_{t-1}) + \eta_t \odot \tanh(x_t W)

    The output is :math:`h_t`. ``forget_bias`` and ``input_bias`` are the initial values of :math:`b_\theta` and
    :math:`b_\eta`.
    """

    forget_bias: float = 1.0
    input_bias: float = -1.0

    paper = "Laurent and von Brecht 2017, A recurrent neural network without chaos, ICLR, arXiv:1612.06212"
    conventions = (
        "Input kernel in the order theta, eta, candidate; recurrent kernel and bias in the order theta, eta.",
    )
    elsewhere = {
        "torchrecurrent": "two biases, of which only the sum matters, and a bias of the candidate; all start at 0"
    }
    input_gates, recurrent_gates, biased_gates = 3, 2, 2

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the biases start at ``forget_bias`` and ``input_bias``."""
        bias = jnp.repeat(jnp.array([self.forget_bias, self.input_bias], dtype), self.hidden_size)
        return super().init(key, dtype)._replace(bias=bias)

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_theta, x_eta, x_n = split_gates(inputs @ params.kernel, 3)
        h_theta, h_eta = split_gates(carry.hidden @ params.recurrent_kernel + params.bias, 2)
        theta = named(jax.nn.sigmoid(x_theta + h_theta), "forget_gate")
        eta = named(jax.nn.sigmoid(x_eta + h_eta), "input_gate")
        hidden = theta * jnp.tanh(carry.hidden) + eta * named(jnp.tanh(x_n), "candidate")
        return HiddenCarry(hidden), hidden


class ATRParams(NamedTuple):
    """Parameters of :class:`ATR`."""

    kernel: jax.Array
    """``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ATR(AffineCell):
    r"""Addition-subtraction twin-gated network (Zhang, Xiong, Su, Lin, Zhang 2018).

    .. math::
        p_t, q_t &= x_t W, h_{t-1} U \\
        i_t, f_t &= \sigma(p_t + q_t), \sigma(p_t - q_t) \\
        h_t &= i_t \odot p_t + f_t \odot h_{t-1}

    The output is :math:`h_t`.
    """

    paper = (
        "Zhang, Xiong, Su, Lin and Zhang 2018, Simplifying neural machine translation with addition-subtraction "
        "twin-gated recurrent networks, EMNLP, arXiv:1810.12546"
    )
    conventions = ("Two matrices and no bias, as in the paper's equations.",)
    elsewhere = {"torchrecurrent": "a bias of p and one of q; recurrent kernel drawn from the standard normal"}
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ATRParams:
        """Draw parameters."""
        kernel_key, recurrent_key = jax.random.split(key)
        return ATRParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
        )

    def __call__(self, params: ATRParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        p, q = named(inputs @ params.kernel, "candidate"), carry.hidden @ params.recurrent_kernel
        i, f = named(jax.nn.sigmoid(p + q), "input_gate"), named(jax.nn.sigmoid(p - q), "forget_gate")
        hidden = i * p + f * carry.hidden
        return HiddenCarry(hidden), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class RAN(SingleStateCell):
    r"""Recurrent additive network (Lee, Levy, Zettlemoyer 2017): an LSTM without recurrent candidate or output gate.

    .. math::
        i_t, f_t &= \sigma(x_t W_{i,f} + h_{t-1} U_{i,f} + b_{i,f}) \\
        c_t &= i_t \odot (x_t W_c) + f_t \odot c_{t-1} \\
        h_t &= g(c_t)

    The output is :math:`h_t`. The paper's other choice of :math:`g` is ``activation="identity"``.
    """

    activation: Activation = "tanh"

    paper = "Lee, Levy and Zettlemoyer 2017, Recurrent additive networks, arXiv:1705.07393"
    conventions = (
        "Input kernel in the order i, f, candidate; recurrent kernel and bias in the order i, f.",
        "g is tanh; the paper has tanh and the identity.",
    )
    elsewhere = {"torchrecurrent": "kernel in the order candidate, i, f; two biases, of which only the sum matters"}
    carry_type = HiddenCellCarry
    input_gates, recurrent_gates, biased_gates = 3, 2, 2

    def __call__(
        self, params: AffineParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        x_i, x_f, x_c = split_gates(inputs @ params.kernel, 3)
        h_i, h_f = split_gates(carry.hidden @ params.recurrent_kernel + params.bias, 2)
        i, f = named(jax.nn.sigmoid(x_i + h_i), "input_gate"), named(jax.nn.sigmoid(x_f + h_f), "forget_gate")
        cell = named(i * named(x_c, "candidate") + f * carry.cell, "cell")
        hidden = activation_function(self.activation)(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGRN(SingleStateCell):
    r"""Simple gated recurrent network (2021): gate and candidate read one and the same product of the inputs.

    .. math::
        p_t &= x_t W + b \\
        f_t &= \sigma(p_t + h_{t-1} U) \\
        h_t &= \tanh((1 - f_t) \odot p_t + f_t \odot h_{t-1})

    The output is :math:`h_t`.
    """

    paper = "IET Generation, Transmission and Distribution 2021, doi:10.1049/gtd2.12056"
    conventions = (
        "The equations are those by which later libraries know the cell: the paper is not openly available.",
        "One bias, in the gate and in the candidate.",
    )
    elsewhere = {"torchrecurrent": "a second bias, in the gate alone"}
    input_gates = recurrent_gates = biased_gates = 1

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        p = named(inputs @ params.kernel + params.bias, "candidate")
        f = named(jax.nn.sigmoid(p + carry.hidden @ params.recurrent_kernel), "forget_gate")
        hidden = jnp.tanh((1 - f) * p + f * carry.hidden)
        return HiddenCarry(hidden), hidden
