"""FastRNN and FastGRNN: an Elman step beside a weighted skip, and its gate on the same two kernels."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import Initializer

_PAPER = (
    "Kusupati et al. 2018, FastGRNN: a fast, accurate, stable and tiny kilobyte sized gated recurrent neural network, "
    "NeurIPS, arXiv:1901.02358"
)
_START = "Initial values are those of the authors' code: kernels normal with deviation 0.1, biases 1."


class FastRNNParams(NamedTuple):
    """Parameters of :class:`FastRNN`."""

    kernel: jax.Array
    """``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""
    alpha: jax.Array
    """Before the logistic function, ``[]``."""
    beta: jax.Array
    """Before the logistic function, ``[]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FastRNN(AffineCell):
    r"""Elman network with a weighted residual connection (Kusupati et al. 2018).

    .. math::
        n_t &= \phi(x_t W + h_{t-1} U + b) \\
        h_t &= \sigma(\alpha) n_t + \sigma(\beta) h_{t-1}

    The output is :math:`h_t`. The initial values of :math:`\alpha` and :math:`\beta` let little of the candidate in.
    """

    kernel_initializer: Initializer = "normal(0.1)"
    recurrent_initializer: Initializer = "normal(0.1)"
    activation: Activation = "tanh"
    initial_alpha: float = -3.0
    initial_beta: float = 3.0

    paper = _PAPER
    conventions = (
        "The two learned scalars pass through the logistic function, as in the paper and in the authors' code.",
        _START,
        "The paper's low-rank and sparse kernels are a matter of transforms.",
    )
    elsewhere = {
        "edgeml-pytorch": "the same; low rank is an option",
        "torchrecurrent": "alpha starts at 3 and beta at -3, which is the reverse; two biases, of which only the sum "
        "matters",
    }
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> FastRNNParams:
        """Draw parameters; the bias starts at one."""
        kernel_key, recurrent_key = jax.random.split(key)
        return FastRNNParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.ones(self.hidden_size, dtype),
            alpha=jnp.array(self.initial_alpha, dtype),
            beta=jnp.array(self.initial_beta, dtype),
        )

    def __call__(self, params: FastRNNParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        total = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        n = named(activation_function(self.activation)(total), "candidate")
        hidden = jax.nn.sigmoid(params.alpha) * n + jax.nn.sigmoid(params.beta) * carry.hidden
        return HiddenCarry(hidden), hidden


class FastGRNNParams(NamedTuple):
    """Parameters of :class:`FastGRNN`; both kernels serve the gate and the candidate."""

    kernel: jax.Array
    """``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """In the order z, n, ``[2 * hidden_size]``."""
    zeta: jax.Array
    """Before the logistic function, ``[]``."""
    nu: jax.Array
    """Before the logistic function, ``[]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FastGRNN(AffineCell):
    r"""Gated FastRNN whose gate and candidate share both kernels (Kusupati et al. 2018).

    .. math::
        z_t &= \sigma(x_t W + h_{t-1} U + b_z) \\
        n_t &= \phi(x_t W + h_{t-1} U + b_n) \\
        h_t &= (\sigma(\zeta) (1 - z_t) + \sigma(\nu)) \odot n_t + z_t \odot h_{t-1}

    The output is :math:`h_t`.
    """

    kernel_initializer: Initializer = "normal(0.1)"
    recurrent_initializer: Initializer = "normal(0.1)"
    activation: Activation = "tanh"
    initial_zeta: float = 1.0
    initial_nu: float = -4.0

    paper = _PAPER
    conventions = (
        "Bias in the order z, n.",
        "The two learned scalars pass through the logistic function, as in the paper and in the authors' code.",
        _START,
        "The paper's low-rank and sparse kernels are a matter of transforms.",
    )
    elsewhere = {
        "edgeml-pytorch": "the same; low rank is an option",
        "torchrecurrent": "the gate is tanh unless nonlinearity='sigmoid' is given, though its documentation says "
        "sigmoid; zeta starts at 3 and nu at -3; two biases, of which only the sum matters",
    }
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> FastGRNNParams:
        """Draw parameters; the bias starts at one."""
        kernel_key, recurrent_key = jax.random.split(key)
        return FastGRNNParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.ones(2 * self.hidden_size, dtype),
            zeta=jnp.array(self.initial_zeta, dtype),
            nu=jnp.array(self.initial_nu, dtype),
        )

    def __call__(self, params: FastGRNNParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        total = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel
        b_z, b_n = split_gates(params.bias, 2)
        z = named(jax.nn.sigmoid(total + b_z), "update_gate")
        n = named(activation_function(self.activation)(total + b_n), "candidate")
        hidden = (jax.nn.sigmoid(params.zeta) * (1 - z) + jax.nn.sigmoid(params.nu)) * n + z * carry.hidden
        return HiddenCarry(hidden), hidden
