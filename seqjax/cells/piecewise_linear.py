"""The piecewise-linear network of nonlinear dynamics: a linear memory and rectified coupling."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, HiddenCarry
from seqjax.cells.initializers import Initializer, initialize


class PLRNNParams(NamedTuple):
    """Parameters of :class:`PLRNN`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """Coupling of the units, ``[hidden_size, hidden_size]``; its diagonal counts as zero."""
    diagonal: jax.Array
    """What each unit keeps of itself, ``[hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PLRNN(AffineCell):
    r"""Piecewise-linear recurrent network (Durstewitz 2017; Koppe, Toutounji, Kirsch, Lis and Durstewitz 2019).

    .. math:: z_t = a \odot z_{t-1} + \phi(z_{t-1}) U + x_t W + b, \quad U_{ii} = 0

    The output is :math:`z_t`, and :math:`\phi` the rectifier. What a unit keeps of itself is :math:`a` alone: the
    diagonal of :math:`U` is zero in every step.
    """

    activation: Activation = "relu"
    diagonal_initializer: Initializer = "uniform(0.5, 0.95)"
    recurrent_initializer: Initializer = "glorot_uniform"

    paper = (
        "Durstewitz 2017, A state space approach for piecewise-linear recurrent neural networks, PLOS Computational "
        "Biology 13(6); Koppe, Toutounji, Kirsch, Lis and Durstewitz 2019, Identifying nonlinear dynamical systems via "
        "generative recurrent neural networks, PLOS Computational Biology 15(8)"
    )
    conventions = (
        "The step is deterministic: the papers' process noise is left to the model around the cell.",
        "The diagonal of U is held at zero in every step, not only where training starts.",
        "The rectifier's threshold is zero, as in 2019; the bias is outside it.",
    )
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> PLRNNParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key, diagonal_key = jax.random.split(key, 3)
        return PLRNNParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            diagonal=initialize(self.diagonal_initializer, diagonal_key, (self.hidden_size,), dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(self, params: PLRNNParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        z = carry.hidden
        coupling = jnp.where(np.eye(self.hidden_size, dtype=bool), 0, params.recurrent_kernel)
        rectified = activation_function(self.activation)(z)
        hidden = inputs @ params.kernel + rectified @ coupling + params.diagonal * z + params.bias
        return HiddenCarry(hidden), hidden
