"""Mass-conserving LSTM: what flows in is stored, moved or flows out, and nothing is lost."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, AffineParams
from seqjax.cells.gates import named


class MassInputs(NamedTuple):
    """Inputs of one step of :class:`MassConservingLSTM`."""

    mass: jax.Array
    """What is to be conserved, not negative, ``[*batch, mass_size]``."""
    auxiliary: jax.Array
    """What the gates see besides, ``[*batch, input_size]``."""


class MassCarry(NamedTuple):
    """Carry of :class:`MassConservingLSTM`."""

    cell: jax.Array
    """The mass in each memory cell, ``[*batch, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MassConservingLSTM(AffineCell):
    r"""Mass-conserving LSTM (Hoedt et al. 2021), for mass inputs :math:`x` and auxiliary inputs :math:`a`.

    .. math::
        \bar c &= c_{t-1} / \lVert c_{t-1} \rVert_1 \\
        R_t &= \mathrm{softmax}(a_t W_R + \bar c U_R + b_R) && \text{each row sums to 1} \\
        i_t &= \mathrm{softmax}(a_t W_i + \bar c U_i + b_i) && \text{each row sums to 1} \\
        o_t &= \sigma(a_t W_o + \bar c U_o + b_o) \\
        m_t &= c_{t-1} R_t + x_t i_t \\
        c_t &= (1 - o_t) \odot m_t \\
        h_t &= o_t \odot m_t

    The output is :math:`h_t`, the mass that leaves: the sums of :math:`c_t` and of all outputs so far are together the
    mass that came in. ``input_size`` counts the auxiliary inputs, ``mass_size`` the mass inputs.
    """

    mass_size: int = 1
    output_bias: float = -3.0

    paper = "Hoedt et al. 2021, MC-LSTM: mass-conserving LSTM, arXiv:2101.05186"
    conventions = (
        "Rows of the redistribution and of the input gate are normalised by a softmax; the paper also tries others.",
        "Gates side by side: the hidden_size rows of R, the mass_size rows of i, then o.",
        "An empty memory is divided by 1.",
        "The bias of R starts as the identity, and that of o at -3, so that little mass leaves at first.",
    )
    carry_type = MassCarry
    output_field = None

    @property
    def gates(self) -> int:
        """Rows of R, rows of i, and o."""
        return self.hidden_size + self.mass_size + 1

    def example_inputs(
        self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
    ) -> MassInputs:
        """Masses from 0 to 1, and normal auxiliary inputs."""
        mass_key, auxiliary_key = jax.random.split(key)
        mass = jax.random.uniform(mass_key, (*leading_shape, self.mass_size))
        auxiliary = jax.random.normal(auxiliary_key, (*leading_shape, self.input_size))
        return MassInputs(mass.astype(dtype), auxiliary.astype(dtype))

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters."""
        kernel_key, recurrent_key = jax.random.split(key)
        rows = [jnp.eye(self.hidden_size, dtype=dtype), jnp.zeros((self.mass_size, self.hidden_size), dtype)]
        bias = jnp.concatenate([*rows, jnp.full((1, self.hidden_size), self.output_bias, dtype)])
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, self.gates, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, self.gates, dtype),
            bias=bias.reshape(-1),
        )

    def __call__(self, params: AffineParams, carry: MassCarry, inputs: MassInputs) -> tuple[MassCarry, jax.Array]:
        """One step; see the class."""
        total = jnp.abs(carry.cell).sum(-1, keepdims=True)
        share = carry.cell / jnp.where(total == 0, jnp.ones_like(total), total)
        gates = inputs.auxiliary @ params.kernel + share @ params.recurrent_kernel + params.bias
        gates = gates.reshape(*gates.shape[:-1], self.gates, self.hidden_size)
        redistribution = jax.nn.softmax(gates[..., : self.hidden_size, :])
        i = named(jax.nn.softmax(gates[..., self.hidden_size : -1, :]), "input_gate")
        o = named(jax.nn.sigmoid(gates[..., -1, :]), "output_gate")
        moved = jnp.einsum("...j,...jk->...k", carry.cell, redistribution)
        mass = moved + jnp.einsum("...m,...mk->...k", inputs.mass, i)
        hidden = o * mass
        return MassCarry(cell=named(mass - hidden, "cell")), hidden
