"""Gated recurrence with a feedback from several steps ago."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineParams
from seqjax.cells.gates import named, split_gates
from seqjax.cells.single_state import SingleStateCell


class TauGRUCarry(NamedTuple):
    """Carry of :class:`TauGRU`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    history: jax.Array
    """The ``delay`` hidden states before it, oldest first, ``[*batch, delay, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TauGRU(SingleStateCell):
    r"""Gated recurrent unit with weighted time-delay feedback, τ-GRU (Erichson, Lim, Mahoney 2022).

    .. math::
        u_t &= \tanh(x_t W_u + h_{t-1} U_u + b_u) \\
        z_t &= \tanh(x_t W_z + h_{t-1-d} U_z + b_z) \\
        g_t, a_t &= \sigma(x_t W_{g,a} + h_{t-1} U_{g,a} + b_{g,a}) \\
        h_t &= (1 - g_t) \odot h_{t-1} + g_t \odot (u_t + a_t \odot z_t)

    The output is :math:`h_t`; :math:`d` is ``delay``. The hidden state was zero before the first step.
    """

    delay: int = 10

    paper = (
        "Erichson, Lim and Mahoney 2022, Gated recurrent neural networks with weighted time-delay feedback, "
        "arXiv:2212.00228"
    )
    conventions = (
        "Gates in the order u, z, g, a, with one bias; the paper's equations write none.",
        "The delay counts from the previous hidden state; the paper tunes it to the task, and 10 is our choice.",
    )
    elsewhere = {
        "torchrecurrent": "the layer keeps the history, starts it at zero in each call and does not return it, so that "
        "two chunks are not the whole; delay 1; two biases, of which only the sum matters"
    }
    carry_type = TauGRUCarry
    input_gates = recurrent_gates = biased_gates = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.delay, bool) or not isinstance(self.delay, int) or self.delay < 1:
            raise ValueError(
                f"{type(self).__name__}.delay must be a positive whole number of steps, got {self.delay!r}"
            )

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: AffineParams | None = None,
        key: jax.Array | None = None,
    ) -> TauGRUCarry:
        """Zeros."""
        hidden = jnp.zeros((*batch_shape, self.hidden_size), dtype)
        return TauGRUCarry(hidden, jnp.zeros((*batch_shape, self.delay, self.hidden_size), dtype))

    def __call__(self, params: AffineParams, carry: TauGRUCarry, inputs: jax.Array) -> tuple[TauGRUCarry, jax.Array]:
        """One step; see the class."""
        h, delayed = carry.hidden, carry.history[..., 0, :]
        x_u, x_z, x_g, x_a = split_gates(inputs @ params.kernel + params.bias, 4)
        kernel_u, kernel_z, kernel_g, kernel_a = split_gates(params.recurrent_kernel, 4)
        u = named(jnp.tanh(x_u + h @ kernel_u), "candidate")
        z = jnp.tanh(x_z + delayed @ kernel_z)
        g = named(jax.nn.sigmoid(x_g + h @ kernel_g), "update_gate")
        a = jax.nn.sigmoid(x_a + h @ kernel_a)
        hidden = (1 - g) * h + g * (u + a * z)
        history = jnp.concatenate([carry.history[..., 1:, :], h[..., None, :]], axis=-2)
        return TauGRUCarry(hidden, history), hidden
