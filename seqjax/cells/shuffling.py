"""The shuffling network: the state is permuted and the input does the rest."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import Cell, HiddenCarry
from seqjax.cells.gates import named
from seqjax.cells.initializers import Initializer, initialize


class ShufflingRNNParams(NamedTuple):
    """Parameters of :class:`ShufflingRNN`."""

    first_kernel: jax.Array
    """``[input_size, units]``."""
    first_bias: jax.Array
    """``[units]``."""
    second_kernel: jax.Array
    """``[units, hidden_size]``."""
    second_bias: jax.Array
    """``[hidden_size]``."""
    gate_kernel: jax.Array
    """``[input_size, hidden_size]``."""
    gate_bias: jax.Array
    """``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShufflingRNN(Cell):
    r"""Shuffling recurrent network, SRNN (Rotman and Wolf 2020).

    .. math::
        v_t &= \phi(x_t W_1 + b_1) W_2 + b_2 \\
        g_t &= \sigma(x_t W_s + b_s) \\
        h_t &= \phi(h_{t-1} P + v_t \odot g_t)

    The output is :math:`h_t`. :math:`P` moves every unit to the next place, the last one to the first: the state keeps
    its length, and no weight multiplies it. ``units`` is the width of the layer inside.
    """

    units: int = 64
    activation: Activation = "relu"
    kernel_initializer: Initializer = "glorot_uniform"

    paper = "Rotman and Wolf 2020, Shuffling recurrent neural networks, arXiv:2007.07324"
    conventions = (
        "The permutation is the cyclic shift, as in the authors' code; any other of one cycle gives the same network.",
        "One hidden layer of 64 units reads the input, the default of the authors' code.",
        "The linear layer that the paper puts on the output is outside.",
    )
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units < 1:
            raise ValueError(f"ShufflingRNN.units must be a positive whole number, got {self.units!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ShufflingRNNParams:
        """Draw parameters; biases start at zero."""
        keys = jax.random.split(key, 3)
        draw = lambda k, rows, columns: initialize(self.kernel_initializer, k, (rows, columns), dtype)
        return ShufflingRNNParams(
            first_kernel=draw(keys[0], self.input_size, self.units),
            first_bias=jnp.zeros(self.units, dtype),
            second_kernel=draw(keys[1], self.units, self.hidden_size),
            second_bias=jnp.zeros(self.hidden_size, dtype),
            gate_kernel=draw(keys[2], self.input_size, self.hidden_size),
            gate_bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(
        self, params: ShufflingRNNParams, carry: HiddenCarry, inputs: jax.Array
    ) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        value = activation(inputs @ params.first_kernel + params.first_bias) @ params.second_kernel + params.second_bias
        gate = named(jax.nn.sigmoid(inputs @ params.gate_kernel + params.gate_bias), "input_gate")
        hidden = activation(jnp.roll(carry.hidden, 1, axis=-1) + value * gate)
        return HiddenCarry(hidden), hidden
