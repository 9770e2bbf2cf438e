"""The gated recurrent unit in its two forms, which differ in where the reset gate acts."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell
from seqjax.cells.gates import named, split_gates


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
class GRU(AffineCell):
    r"""Gated recurrent unit (Cho et al. 2014).

    .. math::
        r_t, z_t &= \sigma(x_t W_{r,z} + h_{t-1} U_{r,z} + b_{r,z}) \\
        n_t &= \phi(x_t W_n + b_n + r_t \odot (h_{t-1} U_n + b_{hn})) && \text{reset="after"} \\
        n_t &= \phi(x_t W_n + b_n + (r_t \odot h_{t-1}) U_n) && \text{reset="before"} \\
        h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    The output is :math:`h_t`. ``reset="after"`` needs one product in the time loop and its own bias :math:`b_{hn}`;
    ``reset="before"`` needs two products.
    """

    reset: Literal["after", "before"] = "after"
    activation: Activation = "tanh"

    paper = "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078"
    conventions = (
        "Gates in the order r, z, n.",
        "The reset gate acts after the product (the first version of the paper, torch, cuDNN) or before it (the "
        "published paper).",
        "z keeps the old state, as in the paper.",
    )
    elsewhere = {
        "torch, cuDNN": "reset after; two biases, of which only the candidate's cannot be summed",
        "Keras": "gates z, r, n; reset after by default",
        "Flax nnx": "reset after without the candidate's recurrent bias; Flax linen has it",
        "haiku": "reset before; 1 - z where the paper has z (so has Chung et al. 2014)",
        "ONNX": "gates z, r, n; reset before by default",
    }
    carry_type = GRUCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset not in ("after", "before"):
            raise ValueError(f"GRU.reset must be 'after' or 'before', got {self.reset!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> GRUParams:
        """Draw parameters; biases start at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return GRUParams(
            kernel=self.draw_kernel(kernel_key, 3, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 3, dtype),
            bias=jnp.zeros(3 * self.hidden_size, dtype),
            recurrent_bias=jnp.zeros(self.hidden_size, dtype) if self.reset == "after" else None,
        )

    def __call__(self, params: GRUParams, carry: GRUCarry, inputs: jax.Array) -> tuple[GRUCarry, jax.Array]:
        """One step; see the class."""
        activation, h = activation_function(self.activation), carry.hidden
        x_r, x_z, x_n = split_gates(inputs @ params.kernel + params.bias, 3)
        if params.recurrent_bias is not None:
            h_r, h_z, h_n = split_gates(h @ params.recurrent_kernel, 3)
        else:
            kernel_r, kernel_z, kernel_n = split_gates(params.recurrent_kernel, 3)
            h_r, h_z = h @ kernel_r, h @ kernel_z
        r, z = named(jax.nn.sigmoid(x_r + h_r), "reset_gate"), named(jax.nn.sigmoid(x_z + h_z), "update_gate")
        if params.recurrent_bias is not None:
            n = activation(x_n + r * (h_n + params.recurrent_bias))
        else:
            n = activation(x_n + (r * h) @ kernel_n)
        hidden = (1 - z) * named(n, "candidate") + z * h
        return GRUCarry(hidden), hidden
