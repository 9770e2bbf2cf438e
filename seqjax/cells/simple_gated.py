"""Simple gated units: the inputs multiply the hidden state, and one gate updates it."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell

_PAPER = "Gao and Glowacka 2016, Deep gate recurrent neural network, ACML, PMLR 63, arXiv:1604.02910"
_HARD = (
    "The hard logistic function is clip(x / 6 + 1/2, 0, 1); the paper does not define its own, and that of Theano is "
    "clip(x / 5 + 1/2, 0, 1)."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGU(SingleStateCell):
    r"""Simple gated unit (Gao, Glowacka 2016).

    .. math::
        g_t &= \tanh(((x_t W_g + b_g) \odot h_{t-1}) U_g) \\
        n_t &= \mathrm{softplus}(g_t \odot h_{t-1}) \\
        z_t &= \kappa(x_t W_z + h_{t-1} U_z + b_z) \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    The output is :math:`h_t`; :math:`\kappa` is the hard logistic function.
    """

    gate_activation: Activation = "hard_sigmoid"

    paper = _PAPER
    conventions = ("Gates in the order g, z, with one bias.", _HARD, "A large z writes the candidate.")
    elsewhere = {"torchrecurrent": "a bias inside tanh too; two biases of z, of which only the sum matters"}
    input_gates = recurrent_gates = biased_gates = 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        n, z = _gated_hidden(params, carry.hidden, inputs)
        return _update(carry.hidden, activation_function(self.gate_activation)(z), jax.nn.softplus(n))


class DSGUParams(NamedTuple):
    """Parameters of :class:`DSGU`; gates side by side in the order g, z."""

    kernel: jax.Array
    """``[input_size, 2 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, 2 * hidden_size]``."""
    bias: jax.Array
    """``[2 * hidden_size]``."""
    candidate_kernel: jax.Array
    """``[hidden_size, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DSGU(AffineCell):
    r"""Deep simple gated unit (Gao, Glowacka 2016): one more matrix before the candidate.

    .. math::
        g_t &= \tanh(((x_t W_g + b_g) \odot h_{t-1}) U_g) \\
        n_t &= \sigma((g_t \odot h_{t-1}) U_n) \\
        z_t &= \kappa(x_t W_z + h_{t-1} U_z + b_z) \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    The output is :math:`h_t`; :math:`\kappa` is the hard logistic function.
    """

    gate_activation: Activation = "hard_sigmoid"

    paper = _PAPER
    conventions = ("Gates in the order g, z, with one bias.", _HARD, "A large z writes the candidate.")
    elsewhere = {"torchrecurrent": "a bias inside tanh too; two biases of z, of which only the sum matters"}
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> DSGUParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key, candidate_key = jax.random.split(key, 3)
        return DSGUParams(
            kernel=self.draw_kernel(kernel_key, 2, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 2, dtype),
            bias=jnp.zeros(2 * self.hidden_size, dtype),
            candidate_kernel=self.draw_recurrent_kernel(candidate_key, dtype=dtype),
        )

    def __call__(self, params: DSGUParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        n, z = _gated_hidden(params, carry.hidden, inputs)
        n = jax.nn.sigmoid(n @ params.candidate_kernel)
        return _update(carry.hidden, activation_function(self.gate_activation)(z), n)


def _gated_hidden(
    params: AffineParams | DSGUParams, hidden: jax.Array, inputs: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x_g, x_z = split_gates(inputs @ params.kernel + params.bias, 2)
    kernel_g, kernel_z = split_gates(params.recurrent_kernel, 2)
    return jnp.tanh((x_g * hidden) @ kernel_g) * hidden, x_z + hidden @ kernel_z


def _update(hidden: jax.Array, z: jax.Array, candidate: jax.Array) -> tuple[HiddenCarry, jax.Array]:
    z = named(z, "update_gate")
    hidden = (1 - z) * hidden + z * named(candidate, "candidate")
    return HiddenCarry(hidden), hidden
