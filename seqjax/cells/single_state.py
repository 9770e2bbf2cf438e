"""What cells with one hidden state and one kernel of each kind share: how their parameters are drawn."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry


@dataclasses.dataclass(frozen=True, kw_only=True)
class SingleStateCell(AffineCell):
    """A cell with one hidden state, one input kernel, one recurrent kernel and one bias, gates side by side.

    Attributes:
        input_gates: how many gates read the inputs.
        recurrent_gates: how many gates read the hidden state.
        biased_gates: how many gates have a bias.
    """

    input_gates: ClassVar[int]
    recurrent_gates: ClassVar[int]
    biased_gates: ClassVar[int]
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, self.input_gates, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, self.recurrent_gates, dtype),
            bias=jnp.zeros(self.biased_gates * self.hidden_size, dtype),
        )
