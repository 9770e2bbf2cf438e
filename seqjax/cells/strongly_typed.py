"""Strongly typed networks: no matrix acts on the hidden state, and gates read inputs alone."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import Cell, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import Initializer, initialize

_PAPER = "Balduzzi and Ghifary 2016, Strongly-typed recurrent neural networks, ICML, arXiv:1602.02218"


class StronglyTypedRNNParams(NamedTuple):
    """Parameters of :class:`StronglyTypedRNN`."""

    kernel: jax.Array
    """In the order f, z, ``[input_size, 2 * hidden_size]``."""
    bias: jax.Array
    """The gate's, ``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StronglyTypedRNN(Cell):
    r"""Strongly typed recurrent network, T-RNN (Balduzzi, Ghifary 2016): linear in the hidden state.

    .. math::
        f_t &= \sigma(x_t W_f + b) \\
        h_t &= f_t \odot h_{t-1} + (1 - f_t) \odot (x_t W_z)

    The output is :math:`h_t`.
    """

    kernel_initializer: Initializer = "glorot_uniform"

    paper = _PAPER
    conventions = ("Kernel in the order f, z; only the gate has a bias, as in the paper.",)
    elsewhere = {"torchrecurrent": "kernel in the order z, f; z has a bias too"}
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> StronglyTypedRNNParams:
        """Draw parameters; the bias starts at zero."""
        return StronglyTypedRNNParams(
            kernel=initialize(self.kernel_initializer, key, (self.input_size, self.hidden_size), dtype, gates=2),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(
        self, params: StronglyTypedRNNParams, carry: HiddenCarry, inputs: jax.Array
    ) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x_f, z = split_gates(inputs @ params.kernel, 2)
        f = named(jax.nn.sigmoid(x_f + params.bias), "forget_gate")
        hidden = f * carry.hidden + (1 - f) * named(z, "candidate")
        return HiddenCarry(hidden), hidden


class StronglyTypedParams(NamedTuple):
    """Parameters of :class:`StronglyTypedGRU` and :class:`StronglyTypedLSTM`; gates in the order f, z, o."""

    kernel: jax.Array
    """Of the inputs, ``[input_size, 3 * hidden_size]``."""
    previous_kernel: jax.Array
    """Of the inputs of the step before, ``[input_size, 3 * hidden_size]``."""
    bias: jax.Array
    """``[3 * hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _PreviousInputs(Cell):
    """What the two cells that read the inputs of the step before share; ``state`` is their other carry."""

    kernel_initializer: Initializer = "glorot_uniform"

    state: ClassVar[str]

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Zeros stand for the inputs before the first step."""
        return {"previous_inputs": (self.input_size,)}

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> StronglyTypedParams:
        """Draw parameters; the bias starts at zero."""
        shape = (self.input_size, self.hidden_size)
        kernel_key, previous_key = jax.random.split(key)
        return StronglyTypedParams(
            kernel=initialize(self.kernel_initializer, kernel_key, shape, dtype, gates=3),
            previous_kernel=initialize(self.kernel_initializer, previous_key, shape, dtype, gates=3),
            bias=jnp.zeros(3 * self.hidden_size, dtype),
        )

    def gates(self, params: StronglyTypedParams, previous_inputs: jax.Array, inputs: jax.Array) -> list[jax.Array]:
        """The values of f, z and o."""
        total = inputs @ params.kernel + previous_inputs @ params.previous_kernel + params.bias
        f, z, o = split_gates(total, 3)
        return [named(jax.nn.sigmoid(f), "forget_gate"), named(z, "candidate"), named(jnp.tanh(o), "output_gate")]


class StronglyTypedGRUCarry(NamedTuple):
    """Carry of :class:`StronglyTypedGRU`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    previous_inputs: jax.Array
    """``[*batch, input_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StronglyTypedGRU(_PreviousInputs):
    r"""Strongly typed gated recurrent unit, T-GRU (Balduzzi, Ghifary 2016).

    .. math::
        z_t &= x_t W_z + x_{t-1} V_z + b_z \\
        f_t &= \sigma(x_t W_f + x_{t-1} V_f + b_f) \\
        o_t &= \tanh(x_t W_o + x_{t-1} V_o + b_o) \\
        h_t &= f_t \odot h_{t-1} + z_t \odot o_t

    The output is :math:`h_t`. The previous inputs live in the carry, and are zero before the first step.
    """

    paper = _PAPER
    conventions = ("Gates in the order f, z, o, with one bias.", "There is no input before the first: it is zero.")
    elsewhere = {"torchrecurrent": "gates z, f, o; two biases, of which only the sum matters"}
    carry_type = StronglyTypedGRUCarry
    state = "hidden"

    def __call__(
        self, params: StronglyTypedParams, carry: StronglyTypedGRUCarry, inputs: jax.Array
    ) -> tuple[StronglyTypedGRUCarry, jax.Array]:
        """One step; see the class."""
        f, z, o = self.gates(params, carry.previous_inputs, inputs)
        hidden = f * carry.hidden + z * o
        return StronglyTypedGRUCarry(hidden=hidden, previous_inputs=inputs), hidden


class StronglyTypedLSTMCarry(NamedTuple):
    """Carry of :class:`StronglyTypedLSTM`."""

    cell: jax.Array
    """``[*batch, hidden_size]``."""
    previous_inputs: jax.Array
    """``[*batch, input_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StronglyTypedLSTM(_PreviousInputs):
    r"""Strongly typed long short-term memory, T-LSTM (Balduzzi, Ghifary 2016).

    .. math::
        z_t &= x_t W_z + x_{t-1} V_z + b_z \\
        f_t &= \sigma(x_t W_f + x_{t-1} V_f + b_f) \\
        o_t &= \tanh(x_t W_o + x_{t-1} V_o + b_o) \\
        c_t &= f_t \odot c_{t-1} + (1 - f_t) \odot z_t \\
        h_t &= c_t \odot o_t

    The output is :math:`h_t`, which nothing reads again. The previous inputs live in the carry, and are zero before the
    first step. Not the time-aware LSTM of Baytas et al. 2017, which is called T-LSTM too.
    """

    paper = _PAPER
    conventions = ("Gates in the order f, z, o, with one bias.", "There is no input before the first: it is zero.")
    elsewhere = {"torchrecurrent": "gates z, f, o; two biases, of which only the sum matters"}
    carry_type = StronglyTypedLSTMCarry
    output_field = None
    state = "cell"

    def __call__(
        self, params: StronglyTypedParams, carry: StronglyTypedLSTMCarry, inputs: jax.Array
    ) -> tuple[StronglyTypedLSTMCarry, jax.Array]:
        """One step; see the class."""
        f, z, o = self.gates(params, carry.previous_inputs, inputs)
        cell = named(f * carry.cell + (1 - f) * z, "cell")
        return StronglyTypedLSTMCarry(cell=cell, previous_inputs=inputs), cell * o
