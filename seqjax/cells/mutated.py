"""The three best architectures of a large search by mutation, all near the GRU."""

import dataclasses

import jax
import jax.numpy as jnp

from seqjax.cells.base import AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell

_PAPER = (
    "Jozefowicz, Zaremba and Sutskever 2015, An empirical exploration of recurrent network architectures, ICML, PMLR 37"
)
_UPDATE = "A large z writes the candidate and a small one keeps the state, as in the paper."
_TWO_BIASES = {"torchrecurrent": "gates z, r, n; two biases, of which only the sum matters"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MUT1(SingleStateCell):
    r"""First mutated architecture (Jozefowicz, Zaremba, Sutskever 2015): the update gate reads the inputs alone.

    .. math::
        z_t &= \sigma(x_t W_z + b_z) \\
        r_t &= \sigma(x_t W_r + h_{t-1} U_r + b_r) \\
        n_t &= \tanh((r_t \odot h_{t-1}) U_n + \tanh(x_t W_n) + b_n) \\
        h_t &= z_t \odot n_t + (1 - z_t) \odot h_{t-1}

    The output is :math:`h_t`.
    """

    paper = _PAPER
    conventions = (
        "Input kernel and bias in the order r, z, n; recurrent kernel in the order r, n.",
        "The paper adds tanh(x) to a sum of hidden_size features: here x has a matrix, W_n, for widths may differ.",
        _UPDATE,
    )
    elsewhere = {
        "torchrecurrent": "gates z, r, n; the inner tanh has a bias too; two biases of r, of which only the sum matters"
    }
    input_gates, recurrent_gates, biased_gates = 3, 2, 3

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_r, x_z, x_n = split_gates(inputs @ params.kernel, 3)
        b_r, b_z, b_n = split_gates(params.bias, 3)
        kernel_r, kernel_n = split_gates(params.recurrent_kernel, 2)
        return _mutated(carry.hidden, x_r + carry.hidden @ kernel_r + b_r, x_z + b_z, jnp.tanh(x_n) + b_n, kernel_n)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MUT2(SingleStateCell):
    r"""Second mutated architecture (Jozefowicz, Zaremba, Sutskever 2015).

    .. math::
        z_t &= \sigma(x_t W_z + h_{t-1} U_z + b_z) \\
        r_t &= \sigma(x_t W_r + h_{t-1} U_r + b_r) \\
        n_t &= \tanh((r_t \odot h_{t-1}) U_n + x_t W_n + b_n) \\
        h_t &= z_t \odot n_t + (1 - z_t) \odot h_{t-1}

    The output is :math:`h_t`.
    """

    paper = _PAPER
    conventions = (
        "Gates in the order r, z, n, with one bias.",
        "The paper adds x itself to the reset gate: here x has a matrix, W_r, for widths may differ. With it "
        "the cell is the GRU with reset before the product, z and 1 - z exchanged.",
        _UPDATE,
    )
    elsewhere = _TWO_BIASES
    input_gates = recurrent_gates = biased_gates = 3

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_r, x_z, x_n = split_gates(inputs @ params.kernel + params.bias, 3)
        kernel_r, kernel_z, kernel_n = split_gates(params.recurrent_kernel, 3)
        return _mutated(carry.hidden, x_r + carry.hidden @ kernel_r, x_z + carry.hidden @ kernel_z, x_n, kernel_n)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MUT3(SingleStateCell):
    r"""Third mutated architecture (Jozefowicz, Zaremba, Sutskever 2015): the update gate squashes what it reads.

    .. math::
        z_t &= \sigma(x_t W_z + \tanh(h_{t-1}) U_z + b_z) \\
        r_t &= \sigma(x_t W_r + h_{t-1} U_r + b_r) \\
        n_t &= \tanh((r_t \odot h_{t-1}) U_n + x_t W_n + b_n) \\
        h_t &= z_t \odot n_t + (1 - z_t) \odot h_{t-1}

    The output is :math:`h_t`.
    """

    paper = _PAPER
    conventions = ("Gates in the order r, z, n, with one bias.", _UPDATE)
    elsewhere = _TWO_BIASES
    input_gates = recurrent_gates = biased_gates = 3

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_r, x_z, x_n = split_gates(inputs @ params.kernel + params.bias, 3)
        kernel_r, kernel_z, kernel_n = split_gates(params.recurrent_kernel, 3)
        z = x_z + jnp.tanh(carry.hidden) @ kernel_z
        return _mutated(carry.hidden, x_r + carry.hidden @ kernel_r, z, x_n, kernel_n)


def _mutated(
    hidden: jax.Array, r: jax.Array, z: jax.Array, candidate: jax.Array, recurrent_kernel: jax.Array
) -> tuple[HiddenCarry, jax.Array]:
    r, z = named(jax.nn.sigmoid(r), "reset_gate"), named(jax.nn.sigmoid(z), "update_gate")
    n = named(jnp.tanh((r * hidden) @ recurrent_kernel + candidate), "candidate")
    hidden = z * n + (1 - z) * hidden
    return HiddenCarry(hidden), hidden
