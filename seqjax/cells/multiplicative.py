"""Plain networks in which the input multiplies the state."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, HiddenCarry
from seqjax.cells.initializers import initialize


class MultiplicativeRNNParams(NamedTuple):
    """Parameters of :class:`MultiplicativeRNN`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """From the factors to the hidden units, ``[factors, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""
    factor_kernel: jax.Array
    """From the inputs to the factors, ``[input_size, factors]``."""
    factor_recurrent_kernel: jax.Array
    """From the hidden units to the factors, ``[hidden_size, factors]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiplicativeRNN(AffineCell):
    r"""Multiplicative network (Sutskever, Martens and Hinton 2011): the input chooses the transition matrix.

    .. math::
        f_t &= (x_t W_f) \odot (h_{t-1} U_f) \\
        h_t &= \tanh(x_t W + f_t U + b)

    The output is :math:`h_t`. There are ``factors`` products, as many as hidden units if not given.
    """

    factors: int | None = None
    activation: Activation = "tanh"

    paper = "Sutskever, Martens and Hinton 2011, Generating text with recurrent neural networks, ICML"
    conventions = ("The hidden units have a bias and the factors none.", "As many factors as hidden units.")
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factors is not None and self.factors < 1:
            raise ValueError(f"MultiplicativeRNN.factors must be a positive whole number or None, got {self.factors!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> MultiplicativeRNNParams:
        """Draw parameters; the bias starts at zero."""
        keys = jax.random.split(key, 4)
        factors = self.hidden_size if self.factors is None else self.factors
        draw = lambda of, k, rows, columns: initialize(of, k, (rows, columns), dtype)
        return MultiplicativeRNNParams(
            kernel=self.draw_kernel(keys[0], dtype=dtype),
            recurrent_kernel=draw(self.recurrent_initializer, keys[1], factors, self.hidden_size),
            bias=jnp.zeros(self.hidden_size, dtype),
            factor_kernel=draw(self.kernel_initializer, keys[2], self.input_size, factors),
            factor_recurrent_kernel=draw(self.recurrent_initializer, keys[3], self.hidden_size, factors),
        )

    def __call__(
        self, params: MultiplicativeRNNParams, carry: HiddenCarry, inputs: jax.Array
    ) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        factors = (inputs @ params.factor_kernel) * (carry.hidden @ params.factor_recurrent_kernel)
        activation = activation_function(self.activation)
        hidden = activation(inputs @ params.kernel + factors @ params.recurrent_kernel + params.bias)
        return HiddenCarry(hidden), hidden


class MultiplicativeIntegrationParams(NamedTuple):
    """Parameters of :class:`MultiplicativeIntegrationRNN`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""
    product_scale: jax.Array
    """Of the product of both, ``[hidden_size]``; alpha in the paper."""
    recurrent_scale: jax.Array
    """``[hidden_size]``; the paper's first beta."""
    input_scale: jax.Array
    """``[hidden_size]``; the paper's second beta."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiplicativeIntegrationRNN(AffineCell):
    r"""Simple network with multiplicative integration, general form (Wu, Zhang, Zhang, Bengio, Salakhutdinov 2016).

    .. math::
        h_t = \phi(\alpha \odot x_t W \odot h_{t-1} U + \beta_1 \odot h_{t-1} U + \beta_2 \odot x_t W + b)

    The output is :math:`h_t`. ``initial_product_scale`` is where :math:`\alpha` starts, and ``initial_sum_scale`` where
    :math:`\beta_1` and :math:`\beta_2` do; all are learned.
    """

    activation: Activation = "tanh"
    initial_product_scale: float = 1.0
    initial_sum_scale: float = 0.5

    paper = (
        "Wu, Zhang, Zhang, Bengio and Salakhutdinov 2016, On multiplicative integration with recurrent neural "
        "networks, arXiv:1606.06630"
    )
    conventions = (
        "The general form: the product and both sums, each with a learned scale a unit.",
        "Scales start at 1 for the product and 0.5 for the sums; the paper tries 1 or 2, and 0.5 or 1, by task.",
    )
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> MultiplicativeIntegrationParams:
        """Draw parameters; the bias starts at zero and the scales at what the fields say."""
        kernel_key, recurrent_key = jax.random.split(key)
        return MultiplicativeIntegrationParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
            product_scale=jnp.full(self.hidden_size, self.initial_product_scale, dtype),
            recurrent_scale=jnp.full(self.hidden_size, self.initial_sum_scale, dtype),
            input_scale=jnp.full(self.hidden_size, self.initial_sum_scale, dtype),
        )

    def __call__(
        self, params: MultiplicativeIntegrationParams, carry: HiddenCarry, inputs: jax.Array
    ) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x, h = inputs @ params.kernel, carry.hidden @ params.recurrent_kernel
        hidden = activation_function(self.activation)(
            params.product_scale * x * h + params.recurrent_scale * h + params.input_scale * x + params.bias
        )
        return HiddenCarry(hidden), hidden
