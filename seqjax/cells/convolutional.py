"""Convolutional LSTM and GRU: the cells of images, with convolutions where the others have matrices."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, HiddenCarry, HiddenCellCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import initialize


def convolve(value: jax.Array, kernel: jax.Array) -> jax.Array:
    """``value * kernel`` with zeros around the edges, so that space keeps its shape; channels last, any batch axes."""
    space = kernel.ndim - 2
    images = value.reshape(-1, *value.shape[-space - 1 :])
    axes = "XYZ"[:space]
    layout = (f"N{axes}C", f"{axes}IO", f"N{axes}C")
    result = jax.lax.conv_general_dilated(images, kernel, (1,) * space, "SAME", dimension_numbers=layout)
    return result.reshape(*value.shape[:-1], kernel.shape[-1])


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionalCell(AffineCell):
    """A cell whose inputs, carry and outputs are images ``[*batch, *spatial_shape, channels]``.

    ``input_size`` and ``hidden_size`` count channels. All convolutions have one ``kernel_size`` in every spatial axis,
    stride 1, and zeros around the edges.

    Attributes:
        spatial_shape: the shape of the image; a signal has one axis, a picture two, a volume three.
        kernel_size: width of the convolutions.
    """

    spatial_shape: tuple[int, ...] = (4, 4)
    kernel_size: int = 3

    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        # A configuration file has lists only.
        if isinstance(self.spatial_shape, list):
            object.__setattr__(self, "spatial_shape", tuple(self.spatial_shape))
        super().__post_init__()
        name, shape = type(self).__name__, self.spatial_shape
        whole = isinstance(shape, tuple) and all(isinstance(n, int) and n > 0 for n in shape)
        if not whole or not 1 <= len(shape) <= 3:
            raise ValueError(f"{name}.spatial_shape must be one to three positive whole numbers, got {shape!r}")

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The image and its hidden channels."""
        return (*self.spatial_shape, self.hidden_size)

    def example_inputs(self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Any:
        """Random images ``[*leading_shape, *spatial_shape, input_size]``."""
        return jax.random.normal(key, (*leading_shape, *self.spatial_shape, self.input_size)).astype(dtype)

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Every leaf is an image."""
        return dict.fromkeys(self.carry_type._fields, self.output_shape)

    def draw_kernel(
        self, key: jax.Array, gates: int = 1, dtype: DTypeLike = jnp.float32, rows: int | None = None
    ) -> jax.Array:
        """An input convolution, ``[*kernel, rows or input_size, gates * hidden_size]``."""
        return initialize(self.kernel_initializer, key, self._kernel_shape(rows or self.input_size), dtype, gates)

    def draw_recurrent_kernel(self, key: jax.Array, gates: int = 1, dtype: DTypeLike = jnp.float32) -> jax.Array:
        """A recurrent convolution, ``[*kernel, hidden_size, gates * hidden_size]``."""
        return initialize(self.recurrent_initializer, key, self._kernel_shape(self.hidden_size), dtype, gates)

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*(self.kernel_size for _ in self.spatial_shape), channels, self.hidden_size)


class ConvLSTMParams(NamedTuple):
    """Parameters of :class:`ConvLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input convolution, ``[*kernel, input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent convolution, ``[*kernel, hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""
    peephole_kernel: jax.Array | None
    """What the gates i, f, o see of the cell state, ``[*spatial_shape, 3 * hidden_size]``; ``None`` without."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvLSTM(ConvolutionalCell):
    r"""Convolutional long short-term memory (Shi et al. 2015); :math:`*` is a convolution.

    .. math::
        i_t, f_t &= \sigma(x_t * W_{i,f} + h_{t-1} * U_{i,f} + c_{t-1} \odot P_{i,f} + b_{i,f}) \\
        g_t &= \phi(x_t * W_g + h_{t-1} * U_g + b_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        o_t &= \sigma(x_t * W_o + h_{t-1} * U_o + c_t \odot P_o + b_o) \\
        h_t &= o_t \odot \phi(c_t)

    The output is the image :math:`h_t`. ``peephole=False`` leaves :math:`P` out.
    """

    peephole: bool = True
    forget_bias: float = 1.0
    activation: Activation = "tanh"

    paper = "Shi et al. 2015, Convolutional LSTM network, arXiv:1506.04214"
    conventions = (
        "Peepholes as in the paper: a weight of its own for each place and channel, zero at first. They tie the "
        "parameters to spatial_shape; without them the cell runs on images of any size.",
        "The output gate sees the new cell state.",
        "Gates in the order i, f, g, o, channels last, zeros around the edges.",
        "The forget gate's bias starts at 1, which the paper does not say.",
    )
    elsewhere = {
        "Keras": "no peepholes; gates i, f, g, o",
        "Flax linen, haiku": "no peepholes; gates i, g, f, o; two biases, of which only the sum matters; 1 is added to "
        "the forget gate in every step",
    }
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ConvLSTMParams:
        """Draw parameters; biases and peepholes are zero but for the forget gate's bias."""
        kernel_key, recurrent_key = jax.random.split(key)
        zeros = jnp.zeros(self.hidden_size, dtype)
        return ConvLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=jnp.concatenate([zeros, zeros + self.forget_bias, zeros, zeros]).astype(dtype),
            peephole_kernel=jnp.zeros((*self.spatial_shape, 3 * self.hidden_size), dtype) if self.peephole else None,
        )

    def __call__(
        self, params: ConvLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        gates = convolve(inputs, params.kernel) + convolve(carry.hidden, params.recurrent_kernel) + params.bias
        i, f, g, o = split_gates(gates, 4)
        if params.peephole_kernel is not None:
            peephole_i, peephole_f, peephole_o = split_gates(params.peephole_kernel, 3)
            i, f = i + carry.cell * peephole_i, f + carry.cell * peephole_f
        i, f = named(jax.nn.sigmoid(i), "input_gate"), named(jax.nn.sigmoid(f), "forget_gate")
        cell = named(f * carry.cell + i * named(activation(g), "candidate"), "cell")
        if params.peephole_kernel is not None:
            o = o + cell * peephole_o
        hidden = named(jax.nn.sigmoid(o), "output_gate") * activation(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


class ConvGRUParams(NamedTuple):
    """Parameters of :class:`ConvGRU`; gates side by side in the order r, z, n."""

    kernel: jax.Array
    """Input convolution, ``[*kernel, input_size, 3 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent convolution, ``[*kernel, hidden_size, 3 * hidden_size]``."""
    bias: jax.Array
    """``[3 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvGRU(ConvolutionalCell):
    r"""Convolutional gated recurrent unit (Ballas et al. 2016); :math:`*` is a convolution.

    .. math::
        r_t, z_t &= \sigma(x_t * W_{r,z} + h_{t-1} * U_{r,z} + b_{r,z}) \\
        n_t &= \phi(x_t * W_n + (r_t \odot h_{t-1}) * U_n + b_n) \\
        h_t &= (1 - z_t) \odot h_{t-1} + z_t \odot n_t

    The output is the image :math:`h_t`.
    """

    activation: Activation = "tanh"

    paper = "Ballas et al. 2016, Delving deeper into convolutional networks for learning video representations, ICLR"
    conventions = (
        "z writes the new state, as in the paper: the opposite of GRU, where it keeps the old one.",
        "The reset gate acts before the convolution.",
        "Gates in the order r, z, n, channels last, zeros around the edges; the paper writes no biases.",
    )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ConvGRUParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return ConvGRUParams(
            kernel=self.draw_kernel(kernel_key, 3, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 3, dtype),
            bias=jnp.zeros(3 * self.hidden_size, dtype),
        )

    def __call__(self, params: ConvGRUParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        activation, h = activation_function(self.activation), carry.hidden
        x_r, x_z, x_n = split_gates(convolve(inputs, params.kernel) + params.bias, 3)
        kernel_r, kernel_z, kernel_n = split_gates(params.recurrent_kernel, 3)
        r = named(jax.nn.sigmoid(x_r + convolve(h, kernel_r)), "reset_gate")
        z = named(jax.nn.sigmoid(x_z + convolve(h, kernel_z)), "update_gate")
        n = named(activation(x_n + convolve(r * h, kernel_n)), "candidate")
        hidden = (1 - z) * h + z * n
        return HiddenCarry(hidden), hidden
