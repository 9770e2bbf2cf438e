"""One gate for each state: the update-gate network, and the intersection network whose output is gated as well."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell

_COLLINS = (
    "Collins, Sohl-Dickstein and Sussillo 2017, Capacity and trainability in recurrent neural networks, "
    "arXiv:1611.09913"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UGRNN(SingleStateCell):
    r"""Update-gate recurrent network (Collins, Sohl-Dickstein, Sussillo 2017).

    .. math::
        g_t &= \sigma(x_t W_g + h_{t-1} U_g + b_g) \\
        n_t &= s(x_t W_n + h_{t-1} U_n + b_n) \\
        h_t &= g_t \odot h_{t-1} + (1 - g_t) \odot n_t

    The output is :math:`h_t`. ``forget_bias`` is the initial value of :math:`b_g`.
    """

    forget_bias: float = 1.0
    activation: Activation = "tanh"

    paper = _COLLINS
    conventions = (
        "Gates in the order g, n, with one bias.",
        "The gate's bias starts at 1 and is learned from there; the paper searches for its value.",
    )
    elsewhere = {
        "torchrecurrent": "gates n, g; two biases, of which only the sum matters; gate bias 0",
        "TensorFlow 1": "1 is added to the gate in every step",
        "edgeml-pytorch": "both biases start at 1",
    }
    input_gates = recurrent_gates = biased_gates = 2

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias is zero but for the gate's."""
        params = super().init(key, dtype)
        return params._replace(bias=params.bias.at[: self.hidden_size].set(self.forget_bias))

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        g, n = split_gates(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias, 2)
        g, n = named(jax.nn.sigmoid(g), "update_gate"), named(activation_function(self.activation)(n), "candidate")
        hidden = g * carry.hidden + (1 - g) * n
        return HiddenCarry(hidden), hidden


class IntersectionRNNParams(NamedTuple):
    """Parameters of :class:`IntersectionRNN`; gates side by side in the order h, g^h, y, g^y."""

    input_projection: jax.Array | None
    """Brings the inputs to the hidden width, ``[input_size, hidden_size]``; ``None`` where they have it."""
    kernel: jax.Array
    """``[hidden_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntersectionRNN(AffineCell):
    r"""Intersection recurrent network, +RNN (Collins, Sohl-Dickstein, Sussillo 2017).

    One gated state goes along time, :math:`h`, and one up the layers, :math:`y`.

    .. math::
        \hat h_t &= \tanh(x_t W_h + h_{t-1} U_h + b_h) \\
        \hat y_t &= \mathrm{ReLU}(x_t W_y + h_{t-1} U_y + b_y) \\
        g^h_t, g^y_t &= \sigma(x_t W_{g^h, g^y} + h_{t-1} U_{g^h, g^y} + b_{g^h, g^y}) \\
        h_t &= g^h_t \odot h_{t-1} + (1 - g^h_t) \odot \hat h_t \\
        y_t &= g^y_t \odot x_t + (1 - g^y_t) \odot \hat y_t

    The output is :math:`y_t`. ``forget_bias`` is the initial value of the biases of both gates.
    """

    forget_bias: float = 1.0

    paper = _COLLINS
    conventions = (
        "Gates in the order h, g^h, y, g^y, with one bias.",
        "x and y have one width. Where input_size is not hidden_size, x P takes the place of x everywhere.",
        "The gates' biases start at 1 and are learned from there; the paper searches for their value.",
    )
    elsewhere = {
        "torchrecurrent": "gates y, h, g^y, g^h; two biases, of which only the sum matters; input_size must be "
        "hidden_size; gate biases 0",
        "TensorFlow 1": "1 is added to both gates in every step; the projection is an option and has a bias",
    }
    carry_type = HiddenCarry
    output_field = None

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> IntersectionRNNParams:
        """Draw parameters; the bias is zero but for the gates'."""
        projection_key, kernel_key, recurrent_key = jax.random.split(key, 3)
        size = self.hidden_size
        project = self.input_size != size
        bias = jnp.zeros((4, size), dtype).at[1::2].set(self.forget_bias).reshape(-1)
        return IntersectionRNNParams(
            input_projection=self.draw_kernel(projection_key, dtype=dtype) if project else None,
            kernel=self.draw_kernel(kernel_key, 4, dtype, rows=size),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=bias,
        )

    def __call__(
        self, params: IntersectionRNNParams, carry: HiddenCarry, inputs: jax.Array
    ) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x = inputs if params.input_projection is None else inputs @ params.input_projection
        gates = split_gates(x @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias, 4)
        h, y = named(jnp.tanh(gates[0]), "candidate"), jax.nn.relu(gates[2])
        g_h, g_y = named(jax.nn.sigmoid(gates[1]), "update_gate"), named(jax.nn.sigmoid(gates[3]), "output_gate")
        hidden = g_h * carry.hidden + (1 - g_h) * h
        return HiddenCarry(hidden), g_y * x + (1 - g_y) * y
