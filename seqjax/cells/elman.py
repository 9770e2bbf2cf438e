"""The Elman network (simple recurrent network), and with another activation and initialiser the IRNN."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell


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
class Elman(AffineCell):
    r"""Simple recurrent network (Elman 1990).

    .. math:: h_t = \phi(x_t W + h_{t-1} U + b)

    The output is :math:`h_t`. ``activation="relu"`` with ``recurrent_initializer="identity"`` is the IRNN of Le, Jaitly
    and Hinton 2015.
    """

    activation: Activation = "tanh"

    paper = "Elman 1990, Finding structure in time, Cognitive Science 14(2)"
    conventions = (
        "There is one bias.",
        "Gradients flow through time; Elman's own training copied the context and stopped them there: ElmanOriginal.",
    )
    elsewhere = {"torch, cuDNN, ONNX": "two biases, of which only the sum matters"}
    carry_type = ElmanCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ElmanParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return ElmanParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(self, params: ElmanParams, carry: ElmanCarry, inputs: jax.Array) -> tuple[ElmanCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        hidden = activation(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias)
        return ElmanCarry(hidden), hidden
