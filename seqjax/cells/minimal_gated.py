"""The minimal gated unit and its three reductions, which differ in what the only gate reads."""

import dataclasses

import jax
import jax.numpy as jnp

from seqjax.cells.base import AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell

_HECK = "Heck and Salem 2017, Simplified minimal gated unit variations for recurrent neural networks, arXiv:1701.03452"
_UPDATE = "A large f writes the candidate and a small one keeps the state, as in the paper."


@dataclasses.dataclass(frozen=True, kw_only=True)
class MGU(SingleStateCell):
    r"""Minimal gated unit (Zhou, Wu, Zhang, Zhou 2016): a GRU whose one gate resets and updates.

    .. math::
        f_t &= \sigma(x_t W_f + h_{t-1} U_f + b_f) \\
        n_t &= \tanh(x_t W_n + (f_t \odot h_{t-1}) U_n + b_n) \\
        h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t

    The output is :math:`h_t`.
    """

    paper = "Zhou, Wu, Zhang and Zhou 2016, Minimal gated unit for recurrent neural networks, arXiv:1603.09420"
    conventions = ("Gates in the order f, n, with one bias.", _UPDATE)
    elsewhere = {
        "torchrecurrent": "two biases, of which only the sum matters",
        "brainstate": "the kernels of x and h stacked in one matrix",
        "memax": "the same, for input_size equal to hidden_size",
        "Flax linen": "another cell: the gate acts after the product, f * (h U_n + b), and a large f keeps the state",
    }
    input_gates = recurrent_gates = biased_gates = 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_f, x_n = split_gates(inputs @ params.kernel + params.bias, 2)
        kernel_f, kernel_n = split_gates(params.recurrent_kernel, 2)
        return _minimal_gated(x_f + carry.hidden @ kernel_f, x_n, kernel_n, carry.hidden)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MGU1(SingleStateCell):
    r"""Minimal gated unit whose gate does not read the inputs (Heck and Salem 2017).

    .. math::
        f_t &= \sigma(h_{t-1} U_f + b_f) \\
        n_t &= \tanh(x_t W + (f_t \odot h_{t-1}) U_n + b_n) \\
        h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t

    The output is :math:`h_t`.
    """

    paper = _HECK
    conventions = ("Recurrent kernel and bias in the order f, n.", _UPDATE)
    input_gates, recurrent_gates, biased_gates = 1, 2, 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        kernel_f, kernel_n = split_gates(params.recurrent_kernel, 2)
        bias_f, bias_n = split_gates(params.bias, 2)
        return _minimal_gated(carry.hidden @ kernel_f + bias_f, inputs @ params.kernel + bias_n, kernel_n, carry.hidden)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MGU2(SingleStateCell):
    r"""Minimal gated unit whose gate reads the hidden state alone, without a bias (Heck and Salem 2017).

    .. math::
        f_t &= \sigma(h_{t-1} U_f) \\
        n_t &= \tanh(x_t W + (f_t \odot h_{t-1}) U_n + b) \\
        h_t &= (1 - f_t) \odot h_{t-1} + f_t \odot n_t

    The output is :math:`h_t`.
    """

    paper = _HECK
    conventions = ("Recurrent kernel in the order f, n; the bias is the candidate's.", _UPDATE)
    input_gates, recurrent_gates, biased_gates = 1, 2, 1

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        kernel_f, kernel_n = split_gates(params.recurrent_kernel, 2)
        return _minimal_gated(carry.hidden @ kernel_f, inputs @ params.kernel + params.bias, kernel_n, carry.hidden)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MGU3(SingleStateCell):
    r"""Minimal gated unit whose gate is a bias alone, the same in every step (Heck and Salem 2017).

    .. math::
        f &= \sigma(b_f) \\
        n_t &= \tanh(x_t W + (f \odot h_{t-1}) U + b_n) \\
        h_t &= (1 - f) \odot h_{t-1} + f \odot n_t

    The output is :math:`h_t`.
    """

    paper = _HECK
    conventions = ("Bias in the order f, n.", _UPDATE)
    input_gates, recurrent_gates, biased_gates = 1, 1, 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        bias_f, bias_n = split_gates(params.bias, 2)
        return _minimal_gated(bias_f, inputs @ params.kernel + bias_n, params.recurrent_kernel, carry.hidden)


def _minimal_gated(
    gate: jax.Array, candidate: jax.Array, recurrent_kernel: jax.Array, hidden: jax.Array
) -> tuple[HiddenCarry, jax.Array]:
    f = named(jax.nn.sigmoid(gate), "forget_gate")
    n = named(jnp.tanh(candidate + (f * hidden) @ recurrent_kernel), "candidate")
    hidden = (1 - f) * hidden + f * n
    return HiddenCarry(hidden), hidden
