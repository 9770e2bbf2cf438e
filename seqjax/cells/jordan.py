"""The Jordan network: what recurs is the output, not the hidden layer."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell
from seqjax.cells.initializers import Initializer, initialize


class JordanParams(NamedTuple):
    """Parameters of :class:`Jordan`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """From the previous output to the hidden layer, ``[output_size, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""
    output_kernel: jax.Array
    """From the hidden layer to the output, ``[hidden_size, output_size]``."""
    output_bias: jax.Array
    """``[output_size]``."""


class JordanCarry(NamedTuple):
    """Carry of :class:`Jordan`."""

    output: jax.Array
    """The previous output, ``[*batch, output_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Jordan(AffineCell):
    r"""Recurrence through the output (Jordan 1986).

    .. math::
        h_t &= \phi(x_t W + y_{t-1} U + b) \\
        y_t &= \psi(h_t V + c)

    The output is :math:`y_t`, of ``units`` features (the hidden size if not given).
    """

    units: int | None = None
    activation: Activation = "tanh"
    output_activation: Activation = "sigmoid"
    recurrent_initializer: Initializer = "glorot_uniform"

    paper = "Jordan 1986, Serial order: a parallel distributed processing approach, ICS Report 8604"
    conventions = ("The output is a layer of its own with its own activation, and it alone recurs.",)
    carry_type = JordanCarry
    output_field = "output"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units is not None and self.units < 1:
            raise ValueError(f"Jordan.units must be a positive whole number, got {self.units!r}")

    @property
    def output_size(self) -> int:
        """Number of output units."""
        return self.hidden_size if self.units is None else self.units

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The previous output."""
        return {"output": (self.output_size,)}

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> JordanParams:
        """Draw parameters; both biases start at zero."""
        kernel_key, recurrent_key, output_key = jax.random.split(key, 3)
        return JordanParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=initialize(
                self.recurrent_initializer, recurrent_key, (self.output_size, self.hidden_size), dtype
            ),
            bias=jnp.zeros(self.hidden_size, dtype),
            output_kernel=initialize(self.kernel_initializer, output_key, (self.hidden_size, self.output_size), dtype),
            output_bias=jnp.zeros(self.output_size, dtype),
        )

    def __call__(self, params: JordanParams, carry: JordanCarry, inputs: jax.Array) -> tuple[JordanCarry, jax.Array]:
        """One step; see the class."""
        activation, output_activation = (
            activation_function(self.activation),
            activation_function(self.output_activation),
        )
        hidden = activation(inputs @ params.kernel + carry.output @ params.recurrent_kernel + params.bias)
        output = output_activation(hidden @ params.output_kernel + params.output_bias)
        return JordanCarry(output), output
