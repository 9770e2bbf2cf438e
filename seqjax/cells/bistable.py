"""Bistable recurrent cells: each unit feeds back on itself, strongly enough to remember for ever if need be."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineParams, Cell, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import Initializer, initialize
from seqjax.cells.single_state import SingleStateCell

_PAPER = (
    "Vecoven, Ernst and Drion 2021, A bio-inspired bistable recurrent cell allows for long-lasting memory, "
    "PLOS ONE 16(6)"
)
_CONVENTIONS = (
    "Input kernel in the order a, c, candidate.",
    "a and c have a bias, as in the authors' code; the paper's equations write none.",
)


class BRCParams(NamedTuple):
    """Parameters of :class:`BRC`; input kernel in the order a, c, candidate, the others in the order a, c."""

    kernel: jax.Array
    """``[input_size, 3 * hidden_size]``."""
    recurrent_weights: jax.Array
    """One for each unit and gate, ``[2 * hidden_size]``."""
    bias: jax.Array
    """``[2 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BRC(Cell):
    r"""Bistable recurrent cell (Vecoven, Ernst, Drion 2021): no unit reads another unit.

    .. math::
        a_t &= 1 + \tanh(x_t W_a + u_a \odot h_{t-1} + b_a) \\
        c_t &= \sigma(x_t W_c + u_c \odot h_{t-1} + b_c) \\
        h_t &= c_t \odot h_{t-1} + (1 - c_t) \odot \tanh(x_t W + a_t \odot h_{t-1})

    The output is :math:`h_t`. A unit is bistable while :math:`a_t > 1`.
    """

    kernel_initializer: Initializer = "glorot_uniform"

    paper = _PAPER
    conventions = (*_CONVENTIONS, "The recurrent weights start at 1, as in the authors' code.")
    elsewhere = {"torchrecurrent": "two biases of the gates, of which only the sum matters, and one of the candidate"}
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> BRCParams:
        """Draw parameters; the recurrent weights start at one and the bias at zero."""
        return BRCParams(
            kernel=initialize(self.kernel_initializer, key, (self.input_size, self.hidden_size), dtype, gates=3),
            recurrent_weights=jnp.ones(2 * self.hidden_size, dtype),
            bias=jnp.zeros(2 * self.hidden_size, dtype),
        )

    def __call__(self, params: BRCParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        u_a, u_c = split_gates(params.recurrent_weights, 2)
        b_a, b_c = split_gates(params.bias, 2)
        return _bistable(inputs @ params.kernel, u_a * carry.hidden + b_a, u_c * carry.hidden + b_c, carry.hidden)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NBRC(SingleStateCell):
    r"""Neuromodulated bistable recurrent cell, nBRC (Vecoven, Ernst, Drion 2021): units set each other's gates.

    .. math::
        a_t &= 1 + \tanh(x_t W_a + h_{t-1} U_a + b_a) \\
        c_t &= \sigma(x_t W_c + h_{t-1} U_c + b_c) \\
        h_t &= c_t \odot h_{t-1} + (1 - c_t) \odot \tanh(x_t W + a_t \odot h_{t-1})

    The output is :math:`h_t`. A unit is bistable while :math:`a_t > 1`.
    """

    recurrent_initializer: Initializer = "glorot_uniform"

    paper = _PAPER
    conventions = _CONVENTIONS
    elsewhere = {"torchrecurrent": "two biases of the gates, of which only the sum matters, and one of the candidate"}
    input_gates, recurrent_gates, biased_gates = 3, 2, 2

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        h_a, h_c = split_gates(carry.hidden @ params.recurrent_kernel + params.bias, 2)
        return _bistable(inputs @ params.kernel, h_a, h_c, carry.hidden)


def _bistable(
    from_inputs: jax.Array, h_a: jax.Array, h_c: jax.Array, hidden: jax.Array
) -> tuple[HiddenCarry, jax.Array]:
    x_a, x_c, x_n = split_gates(from_inputs, 3)
    a, c = 1 + jnp.tanh(x_a + h_a), named(jax.nn.sigmoid(x_c + h_c), "update_gate")
    hidden = c * hidden + (1 - c) * named(jnp.tanh(x_n + a * hidden), "candidate")
    return HiddenCarry(hidden), hidden
