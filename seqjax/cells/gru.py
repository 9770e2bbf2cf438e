"""The gated recurrent unit in its two forms, which differ in where the reset gate acts."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import Cell
from seqjax.cells.initializers import Initializer, initialize


class GRUParams(NamedTuple):
    """Parameters of :class:`GRU`; gates side by side in the order r, z, n."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 3 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 3 * hidden_size]``."""
    bias: jax.Array
    """``[3 * hidden_size]``."""
    recurrent_bias: jax.Array | None
    """The candidate's recurrent bias, ``[hidden_size]``; ``None`` where the reset gate acts before the product."""


class GRUCarry(NamedTuple):
    """Carry of :class:`GRU`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRU(Cell):
    r"""Gated recurrent unit (Cho et al. 2014).

    .. math::
        r_t, z_t &= \sigma(x_t W_{r,z} + h_{t-1} U_{r,z} + b_{r,z}) \\
        n_t &= \phi(x_t W_n + b_n + r_t \odot (h_{t-1} U_n + b_{hn})) && \text{reset="after"} \\
        n_t &= \phi(x_t W_n + b_n + (r_t \odot h_{t-1}) U_n) && \text{reset="before"} \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    The output is :math:`h_t`. ``reset="after"`` (the first version of the paper, torch, cuDNN, Keras by default) needs
    one product in the time loop and its own bias :math:`b_{hn}`; ``reset="before"`` (the published paper, haiku) needs
    two. :math:`z` keeps the old state, as in torch and the paper; Chung et al. 2014 and haiku write :math:`1 - z`.
    """

    reset: Literal["after", "before"] = "after"
    activation: Activation = "tanh"
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"

    paper = "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset not in ("after", "before"):
            raise ValueError(f"GRU.reset must be 'after' or 'before', got {self.reset!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> GRUParams:
        """Draw parameters; biases start at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return GRUParams(
            kernel=initialize(self.kernel_initializer, kernel_key, (self.input_size, self.hidden_size), dtype, gates=3),
            recurrent_kernel=initialize(
                self.recurrent_initializer, recurrent_key, (self.hidden_size, self.hidden_size), dtype, gates=3
            ),
            bias=jnp.zeros(3 * self.hidden_size, dtype),
            recurrent_bias=jnp.zeros(self.hidden_size, dtype) if self.reset == "after" else None,
        )

    def initial_carry(
        self, batch_shape: tuple[int, ...] = (), dtype: DTypeLike = jnp.float32, params: GRUParams | None = None
    ) -> GRUCarry:
        """Zeros."""
        return GRUCarry(hidden=jnp.zeros((*batch_shape, self.hidden_size), dtype))

    def __call__(self, params: GRUParams, carry: GRUCarry, inputs: jax.Array) -> tuple[GRUCarry, jax.Array]:
        """One step; see the class."""
        activation, h = activation_function(self.activation), carry.hidden
        x_r, x_z, x_n = jnp.split(inputs @ params.kernel + params.bias, 3, axis=-1)
        if params.recurrent_bias is not None:
            h_r, h_z, h_n = jnp.split(h @ params.recurrent_kernel, 3, axis=-1)
            r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
            n = activation(x_n + r * (h_n + params.recurrent_bias))
        else:
            kernel_r, kernel_z, kernel_n = jnp.split(params.recurrent_kernel, 3, axis=-1)
            r, z = jax.nn.sigmoid(x_r + h @ kernel_r), jax.nn.sigmoid(x_z + h @ kernel_z)
            n = activation(x_n + (r * h) @ kernel_n)
        hidden = (1 - z) * n + z * h
        return GRUCarry(hidden), hidden
