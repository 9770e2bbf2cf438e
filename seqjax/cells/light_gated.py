"""Light gated recurrent units: rectified candidates and no reset gate."""

import dataclasses

import jax

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiGRU(SingleStateCell):
    r"""Light gated recurrent unit (Ravanelli, Brakel, Omologo, Bengio 2018).

    .. math::
        z_t &= \sigma(x_t W_z + h_{t-1} U_z + b_z) \\
        n_t &= \mathrm{ReLU}(x_t W_n + h_{t-1} U_n + b_n) \\
        h_t &= z_t \odot h_{t-1} + (1 - z_t) \odot n_t

    The output is :math:`h_t`.
    """

    activation: Activation = "relu"

    paper = (
        "Ravanelli, Brakel, Omologo and Bengio 2018, Light gated recurrent units for speech recognition, "
        "IEEE TETCI 2(2)"
    )
    conventions = (
        "Gates in the order z, n, with one bias.",
        "The paper normalises x W over the batch. The statistics of a batch are no part of one step: once they are "
        "fixed, as in evaluation, the normalisation is affine, and kernel and bias contain it.",
    )
    elsewhere = {
        "speechbrain": "gates n, z; always normalises x W, and any name but batchnorm gives layer normalisation",
        "torchrecurrent": "no normalisation; two biases, of which only the sum matters",
    }
    input_gates = recurrent_gates = biased_gates = 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        return _light_gated(self.activation, gates, carry.hidden)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SLiGRU(SingleStateCell):
    r"""Stabilised light gated recurrent unit (Moumen and Parcollet 2023).

    .. math::
        \hat z_t, \hat n_t &= \mathrm{LN}(h_{t-1} U_{z,n}) \\
        z_t &= \sigma(x_t W_z + \hat z_t + b_z) \\
        n_t &= \mathrm{ReLU}(x_t W_n + \hat n_t + b_n) \\
        h_t &= z_t \odot h_{t-1} + (1 - z_t) \odot n_t

    The output is :math:`h_t`. :math:`\mathrm{LN}` subtracts the mean over all :math:`2H` units of both gates and
    divides by :math:`\sqrt{\mathrm{variance} + \epsilon}`, so that the candidate is bounded however large the hidden
    state is.
    """

    activation: Activation = "relu"
    epsilon: float = 1e-5

    paper = (
        "Moumen and Parcollet 2023, Stabilising and accelerating light gated recurrent units for automatic speech "
        "recognition, arXiv:2302.10144"
    )
    conventions = (
        "Gates in the order z, n, with one bias.",
        "Both gates are normalised together, without gain and shift, as in the authors' code (speechbrain).",
        "The batch normalisation of x W is left out as in LiGRU.",
    )
    elsewhere = {"speechbrain": "gates n, z; always normalises x W too; a gain and a shift after LN are an option"}
    input_gates = recurrent_gates = biased_gates = 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        recurrent = jax.nn.standardize(carry.hidden @ params.recurrent_kernel, epsilon=self.epsilon)
        return _light_gated(self.activation, inputs @ params.kernel + recurrent + params.bias, carry.hidden)


def _light_gated(activation: Activation, gates: jax.Array, hidden: jax.Array) -> tuple[HiddenCarry, jax.Array]:
    z, n = split_gates(gates, 2)
    z, n = named(jax.nn.sigmoid(z), "update_gate"), named(activation_function(activation)(n), "candidate")
    hidden = z * hidden + (1 - z) * n
    return HiddenCarry(hidden), hidden
