"""The Elman network (simple recurrent network), and with another activation and initialiser the IRNN."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import Cell
from seqjax.cells.initializers import Initializer, initialize


class ElmanParams(NamedTuple):
    """Parameters of :class:`Elman`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""


class ElmanCarry(NamedTuple):
    """Carry of :class:`Elman`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Elman(Cell):
    r"""Simple recurrent network (Elman 1990).

    .. math:: h_t = \phi(x_t W + h_{t-1} U + b)

    The output is :math:`h_t`. ``activation="relu"`` with ``recurrent_initializer="identity"`` is the IRNN of Le, Jaitly
    and Hinton 2015. There is one bias; libraries with two (torch, cuDNN) use their sum.
    """

    activation: Activation = "tanh"
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"

    paper = "Elman 1990, Finding structure in time, Cognitive Science 14(2)"

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ElmanParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return ElmanParams(
            kernel=initialize(self.kernel_initializer, kernel_key, (self.input_size, self.hidden_size), dtype),
            recurrent_kernel=initialize(
                self.recurrent_initializer, recurrent_key, (self.hidden_size, self.hidden_size), dtype
            ),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def initial_carry(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32, params: ElmanParams | None = None
    ) -> ElmanCarry:
        """Zeros."""
        return ElmanCarry(hidden=jnp.zeros((*batch_shape, self.hidden_size), dtype))

    def __call__(self, params: ElmanParams, carry: ElmanCarry, inputs: jax.Array) -> tuple[ElmanCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        hidden = activation(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias)
        return ElmanCarry(hidden), hidden
