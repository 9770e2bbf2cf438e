"""Nested LSTM: the memory of an LSTM is an LSTM."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import initialize


class NestedLSTMParams(NamedTuple):
    """Parameters of :class:`NestedLSTM`; gates side by side in the order i, f, g, o, levels from the outside in."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""
    inner_kernel: jax.Array
    """Input kernels of the inner levels, ``[depth - 1, hidden_size, 4 * hidden_size]``."""
    inner_recurrent_kernel: jax.Array
    """Recurrent kernels of the inner levels, ``[depth - 1, hidden_size, 4 * hidden_size]``."""
    inner_bias: jax.Array
    """``[depth - 1, 4 * hidden_size]``."""


class NestedLSTMCarry(NamedTuple):
    """Carry of :class:`NestedLSTM`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    cell: jax.Array
    """The outer cell state, ``[*batch, hidden_size]``."""
    inner_cells: jax.Array
    """The inner cell states from the outside in, ``[*batch, depth - 1, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NestedLSTM(AffineCell):
    r"""LSTM whose cell state is computed by an inner LSTM (Moniz and Krueger 2017).

    .. math::
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        \tilde h_{t-1} &= f_t \odot c_{t-1} \\
        \tilde x_t &= i_t \odot (x_t W_g + h_{t-1} U_g + b_g) \\
        \tilde i_t, \tilde f_t, \tilde o_t &=
            \sigma(\tilde x_t \tilde W_{i,f,o} + \tilde h_{t-1} \tilde U_{i,f,o} + \tilde b_{i,f,o}) \\
        \tilde c_t &= \tilde f_t \odot \tilde c_{t-1}
            + \tilde i_t \odot \phi(\tilde x_t \tilde W_g + \tilde h_{t-1} \tilde U_g + \tilde b_g) \\
        c_t &= \tilde o_t \odot \phi(\tilde c_t) \\
        h_t &= o_t \odot \phi(c_t)

    The output is :math:`h_t`. With a larger ``depth``, :math:`\tilde c_t` is in its turn computed by an LSTM.
    """

    depth: int = 2
    forget_bias: float = 1.0
    activation: Activation = "tanh"
    outer_activation: Activation = "identity"

    paper = "Moniz and Krueger 2017, Nested LSTMs, arXiv:1801.10308"
    conventions = (
        "The outer candidate has no squashing function, as in the paper; outer_activation gives it one.",
        "Gates in the order i, f, g, o on every level, forget biases start at 1 and are learned.",
        "Every level has hidden_size units.",
    )
    carry_type = NestedLSTMCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or self.depth < 2:
            raise ValueError(f"NestedLSTM.depth must be a whole number from 2 on (1 is LSTM), got {self.depth!r}")

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """A cell state for each inner level."""
        return {"inner_cells": (self.depth - 1, self.hidden_size)}

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> NestedLSTMParams:
        """Draw parameters; biases are zero but for the forget gates'."""
        kernel_key, recurrent_key, inner_key, inner_recurrent_key = jax.random.split(key, 4)
        square, levels = (self.hidden_size, self.hidden_size), self.depth - 1
        zeros = jnp.zeros(self.hidden_size, dtype)
        bias = jnp.concatenate([zeros, zeros + self.forget_bias, zeros, zeros]).astype(dtype)
        draw = lambda how, key: jnp.stack([initialize(how, k, square, dtype, 4) for k in jax.random.split(key, levels)])
        return NestedLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=bias,
            inner_kernel=draw(self.kernel_initializer, inner_key),
            inner_recurrent_kernel=draw(self.recurrent_initializer, inner_recurrent_key),
            inner_bias=jnp.tile(bias, (levels, 1)),
        )

    def __call__(
        self, params: NestedLSTMParams, carry: NestedLSTMCarry, inputs: jax.Array
    ) -> tuple[NestedLSTMCarry, jax.Array]:
        """One step; see the class."""
        activation, outer_activation = map(activation_function, (self.activation, self.outer_activation))
        gates = inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = split_gates(gates, 4)
        i, f = named(jax.nn.sigmoid(i), "input_gate"), named(jax.nn.sigmoid(f), "forget_gate")
        x, h = i * named(outer_activation(g), "candidate"), f * carry.cell
        output_gates = [named(jax.nn.sigmoid(o), "output_gate")]
        for level in range(self.depth - 1):
            gates = x @ params.inner_kernel[level] + h @ params.inner_recurrent_kernel[level] + params.inner_bias[level]
            i, f, g, o = split_gates(gates, 4)
            x, h = jax.nn.sigmoid(i) * activation(g), jax.nn.sigmoid(f) * carry.inner_cells[..., level, :]
            output_gates.append(jax.nn.sigmoid(o))
        cells = [h + x]
        for o in output_gates[:0:-1]:
            cells.insert(0, o * activation(cells[0]))
        cell, inner_cells = named(cells[0], "cell"), jnp.stack(cells[1:], axis=-2)
        hidden = output_gates[0] * activation(cell)
        return NestedLSTMCarry(hidden=hidden, cell=cell, inner_cells=inner_cells), hidden
