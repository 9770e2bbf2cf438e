"""The independently recurrent network: each unit remembers itself and sees the others one layer up."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, HiddenCarry
from seqjax.cells.initializers import Initializer, initialize


class IndRNNParams(NamedTuple):
    """Parameters of :class:`IndRNN`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """One recurrent weight a unit, ``[hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IndRNN(AffineCell):
    r"""Independently recurrent network (Li, Li, Cook, Zhu and Gao 2018).

    .. math:: h_t = \phi(x_t W + u \odot h_{t-1} + b)

    The output is :math:`h_t`. Over ``length`` steps :math:`T` a unit's gradient grows by :math:`|u|^T` at most; with
    ``length`` given, :math:`|u|` is kept within :math:`2^{1/T}`.
    """

    activation: Activation = "relu"
    recurrent_initializer: Initializer = "uniform(0.0, 1.0)"
    length: int | None = None

    paper = "Li, Li, Cook, Zhu and Gao 2018, Independently recurrent neural network (IndRNN), arXiv:1803.04831"
    conventions = (
        "Rectifiers, as in the paper.",
        "The clamp acts inside the step, when length is given: a weight beyond it counts as the bound and has no "
        "gradient. The paper clips the weights themselves after each update.",
        "Recurrent weights start uniform between 0 and 1; the paper's upper end is the bound, and its last layer "
        "starts near the bound: recurrent_initializer='uniform(0.99, 1.0)'.",
    )
    elsewhere = {
        "torchrecurrent": "tanh by default, standard normal recurrent weights, two biases, no clamp",
        "rnn-jax": "standard normal recurrent weights, no clamp",
    }
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length is not None and self.length < 1:
            raise ValueError(f"IndRNN.length must be a positive number of steps or None, got {self.length!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> IndRNNParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return IndRNNParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=initialize(self.recurrent_initializer, recurrent_key, (self.hidden_size,), dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(self, params: IndRNNParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        u = params.recurrent_kernel
        if self.length is not None:
            bound = 2 ** (1 / self.length)
            u = jnp.clip(u, -bound, bound)
        hidden = activation_function(self.activation)(inputs @ params.kernel + u * carry.hidden + params.bias)
        return HiddenCarry(hidden), hidden
