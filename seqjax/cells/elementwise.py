"""Cells whose recurrence is element by element: all products of matrices are with the inputs."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import Initializer, initialize


class CellCarry(NamedTuple):
    """Carry of :class:`SRU`."""

    cell: jax.Array
    """``[*batch, hidden_size]``."""


class SRUParams(NamedTuple):
    """Parameters of :class:`SRU`; gates side by side in the order candidate, f, r."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 3 * hidden_size]``."""
    recurrent_weights: jax.Array | None
    """Of the gates f, r on the cell state, ``[2 * hidden_size]``; ``None`` in version 1."""
    bias: jax.Array
    """Of the gates f, r, ``[2 * hidden_size]``."""
    highway_kernel: jax.Array | None
    """``[input_size, hidden_size]``; ``None`` where the inputs are as wide as the hidden state."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SRU(Cell):
    r"""Simple recurrent unit (Lei, Zhang, Wang, Dai, Artzi 2018).

    .. math::
        f_t, r_t &= \sigma(x_t W_{f,r} + v_{f,r} \odot c_{t-1} + b_{f,r}) \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot x_t W \\
        h_t &= r_t \odot c_t + (1 - r_t) \odot \alpha x_t && \text{version=2} \\
        h_t &= r_t \odot \tanh(c_t) + (1 - r_t) \odot x_t, \quad v = 0 && \text{version=1}

    The output is :math:`h_t`. Version 2 is the published paper, version 1 the first one of arXiv:1709.02755, whose
    recurrence is linear in :math:`c`. ``highway_bias`` is the initial value of :math:`b_r`, and
    :math:`\alpha = \sqrt{1 + 2 e^{b_r}}` of that value. Where the inputs are not as wide as the hidden state,
    :math:`h_t` has :math:`x_t W_x` for :math:`x_t`.
    """

    version: Literal[1, 2] = 2
    highway_bias: float = 0.0
    kernel_initializer: Initializer = "lecun_uniform"

    paper = "Lei, Zhang, Wang, Dai and Artzi 2018, Simple recurrent units for highly parallelizable recurrence, EMNLP"
    conventions = (
        "One bias for each gate and none for the candidate.",
        "The scale alpha follows from the initial bias of the highway gate and stays; version 1 has none.",
        "Weights on the cell state start uniform with variance one half, and the gates' kernels with half the "
        "variance of the candidate's, as in the authors' code.",
    )
    elsewhere = {
        "sru 2.6.0": "SRUCell is this with rescale=True; SRU, which stacks it, has rescale=False; the authors' code "
        "orders kernels by unit, then by gate, and where the inputs are projected it scales the projection's initial "
        "values in place of alpha"
    }
    carry_type = CellCarry
    output_field = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version not in (1, 2):
            raise ValueError(f"SRU.version must be 1 or 2, got {self.version!r}")

    @property
    def highway_scale(self) -> float:
        """By how much the inputs are scaled on the highway."""
        return math.sqrt(1 + 2 * math.exp(self.highway_bias)) if self.version == 2 else 1.0

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> SRUParams:
        """Draw parameters; biases are zero but for the highway gate's."""
        kernel_key, recurrent_key, highway_key = jax.random.split(key, 3)
        shape, zeros = (self.input_size, self.hidden_size), jnp.zeros(self.hidden_size, dtype)
        kernel = initialize(self.kernel_initializer, kernel_key, shape, jnp.float32, 3)
        narrow = self.version == 2
        scales = jnp.repeat(jnp.array([1.0, math.sqrt(0.5), math.sqrt(0.5)]), self.hidden_size)
        bound = math.sqrt(3 / 2)
        recurrent = jax.random.uniform(recurrent_key, (2 * self.hidden_size,), minval=-bound, maxval=bound)
        return SRUParams(
            kernel=(kernel * scales if narrow else kernel).astype(dtype),
            recurrent_weights=recurrent.astype(dtype) if self.version == 2 else None,
            bias=jnp.concatenate([zeros, zeros + self.highway_bias]).astype(dtype),
            highway_kernel=None
            if self.input_size == self.hidden_size
            else initialize(self.kernel_initializer, highway_key, shape, dtype),
        )

    def __call__(self, params: SRUParams, carry: CellCarry, inputs: jax.Array) -> tuple[CellCarry, jax.Array]:
        """One step; see the class."""
        candidate, x_f, x_r = split_gates(inputs @ params.kernel, 3)
        b_f, b_r = split_gates(params.bias, 2)
        if params.recurrent_weights is None:
            f, r = x_f + b_f, x_r + b_r
        else:
            v_f, v_r = split_gates(params.recurrent_weights, 2)
            f, r = x_f + v_f * carry.cell + b_f, x_r + v_r * carry.cell + b_r
        f, r = named(jax.nn.sigmoid(f), "forget_gate"), named(jax.nn.sigmoid(r), "output_gate")
        cell = named(f * carry.cell + (1 - f) * named(candidate, "candidate"), "cell")
        highway = inputs if params.highway_kernel is None else inputs @ params.highway_kernel
        hidden = r * (cell if self.version == 2 else jnp.tanh(cell)) + (1 - r) * self.highway_scale * highway
        return CellCarry(cell), hidden


class QRNNParams(NamedTuple):
    """Parameters of :class:`QRNN`; gates side by side in the order z, f, o, i, as many as the pooling has."""

    kernel: jax.Array
    """From this step's inputs, ``[input_size, gates * hidden_size]``."""
    previous_kernel: jax.Array
    """From the inputs of the step before, ``[input_size, gates * hidden_size]``."""
    bias: jax.Array
    """``[gates * hidden_size]``."""


class QRNNCarry(NamedTuple):
    """Carry of :class:`QRNN`."""

    cell: jax.Array
    """``[*batch, hidden_size]``."""
    previous_inputs: jax.Array
    """``[*batch, input_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QRNN(Cell):
    r"""Quasi-recurrent network with a window of two steps (Bradbury, Merity, Xiong, Socher 2017).

    .. math::
        z_t &= \tanh(x_{t-1} V_z + x_t W_z + b_z) \\
        f_t, o_t, i_t &= \sigma(x_{t-1} V_{f,o,i} + x_t W_{f,o,i} + b_{f,o,i}) \\
        h_t &= c_t = f_t \odot c_{t-1} + (1 - f_t) \odot z_t && \text{pooling="f"} \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot z_t, \quad h_t = o_t \odot c_t && \text{pooling="fo"} \\
        c_t &= f_t \odot c_{t-1} + i_t \odot z_t, \quad h_t = o_t \odot c_t && \text{pooling="ifo"}

    The output is :math:`h_t`. Before the first step the inputs were zero.
    """

    pooling: Literal["f", "fo", "ifo"] = "fo"
    kernel_initializer: Initializer = "glorot_uniform"

    paper = "Bradbury, Merity, Xiong and Socher 2017, Quasi-recurrent neural networks, ICLR, arXiv:1611.01576"
    conventions = (
        "The convolution over time is two products, and the inputs of the step before are in the carry.",
        "Gates have biases, which the paper's equations leave out.",
        "fo-pooling by default, which the paper uses for its language models.",
    )
    elsewhere = {
        "speechbrain 1.1.2": "a window of one step, and f weighs the candidate, where the paper's f keeps the old state"
    }
    carry_type = QRNNCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in ("f", "fo", "ifo"):
            raise ValueError(f"QRNN.pooling must be 'f', 'fo' or 'ifo', got {self.pooling!r}")

    @property
    def output_field(self) -> str | None:  # ty: ignore[incompatible-property-override]
        """The cell state where no gate stands before the output."""
        return "cell" if self.pooling == "f" else None

    @property
    def gates(self) -> int:
        """How many gates stand side by side, the candidate z among them."""
        return 1 + len(self.pooling)

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> QRNNParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, previous_key = jax.random.split(key)
        shape = (self.input_size, self.hidden_size)
        return QRNNParams(
            kernel=initialize(self.kernel_initializer, kernel_key, shape, dtype, self.gates),
            previous_kernel=initialize(self.kernel_initializer, previous_key, shape, dtype, self.gates),
            bias=jnp.zeros(self.gates * self.hidden_size, dtype),
        )

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The inputs of the step before."""
        return {"previous_inputs": (self.input_size,)}

    def __call__(self, params: QRNNParams, carry: QRNNCarry, inputs: jax.Array) -> tuple[QRNNCarry, jax.Array]:
        """One step; see the class."""
        preactivations = inputs @ params.kernel + carry.previous_inputs @ params.previous_kernel + params.bias
        z, *others = split_gates(preactivations, self.gates)
        z, (f, *others) = named(jnp.tanh(z), "candidate"), map(jax.nn.sigmoid, others)
        f = named(f, "forget_gate")
        i = named(others[1], "input_gate") if self.pooling == "ifo" else 1 - f
        cell = named(f * carry.cell + i * z, "cell")
        hidden = cell if self.pooling == "f" else named(others[0], "output_gate") * cell
        return QRNNCarry(cell=cell, previous_inputs=inputs), hidden
