"""Minion recurrent units: a GRU with coefficients in place of its gates."""

import dataclasses

import jax
import jax.numpy as jnp

from seqjax.cells.base import AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell

_PAPER = "Zyarah and Kudithipudi 2025, Minion gated recurrent unit for continual learning, arXiv:2503.06175"
_FIXED = "The coefficients are hyperparameters, one number each, and are not learned; one half is our choice."


@dataclasses.dataclass(frozen=True, kw_only=True)
class MiRU1(SingleStateCell):
    r"""Minion recurrent unit with a reset gate (Zyarah and Kudithipudi 2025).

    .. math::
        r_t &= \sigma(x_t W_r + h_{t-1} U_r + b_r) \\
        n_t &= \tanh(x_t W_n + (r_t \odot h_{t-1}) U_n + b_n) \\
        h_t &= \lambda h_{t-1} + (1 - \lambda) n_t

    The output is :math:`h_t`; :math:`\lambda` is ``update_coefficient``.
    """

    update_coefficient: float = 0.5

    paper = _PAPER
    conventions = ("Gates in the order r, n, with one bias.", _FIXED)
    elsewhere = {"torchrecurrent": "two biases, of which only the sum matters"}
    input_gates = recurrent_gates = biased_gates = 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_r, x_n = split_gates(inputs @ params.kernel + params.bias, 2)
        kernel_r, kernel_n = split_gates(params.recurrent_kernel, 2)
        r = named(jax.nn.sigmoid(x_r + carry.hidden @ kernel_r), "reset_gate")
        n = named(jnp.tanh(x_n + (r * carry.hidden) @ kernel_n), "candidate")
        hidden = self.update_coefficient * carry.hidden + (1 - self.update_coefficient) * n
        return HiddenCarry(hidden), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class MiRU2(SingleStateCell):
    r"""Minion recurrent unit without any gate (Zyarah and Kudithipudi 2025).

    .. math::
        n_t &= \tanh(x_t W + (\beta h_{t-1}) U + b) \\
        h_t &= \lambda h_{t-1} + (1 - \lambda) n_t

    The output is :math:`h_t`; :math:`\lambda` is ``update_coefficient`` and :math:`\beta` is ``reset_coefficient``.
    """

    update_coefficient: float = 0.5
    reset_coefficient: float = 0.5

    paper = _PAPER
    conventions = (_FIXED,)
    elsewhere = {"torchrecurrent": "two biases, of which only the sum matters"}
    input_gates = recurrent_gates = biased_gates = 1

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        recurrent = (self.reset_coefficient * carry.hidden) @ params.recurrent_kernel
        n = named(jnp.tanh(inputs @ params.kernel + recurrent + params.bias), "candidate")
        hidden = self.update_coefficient * carry.hidden + (1 - self.update_coefficient) * n
        return HiddenCarry(hidden), hidden
