"""Long expressive memory: two states, each with its own learned time scale."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, HiddenCellCarry
from seqjax.cells.gates import named, split_gates


class LEMParams(NamedTuple):
    """Parameters of :class:`LEM`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``, in the order: step of z, step of y, z, y."""
    recurrent_kernel: jax.Array
    """From y to the two steps and to z, ``[hidden_size, 3 * hidden_size]``."""
    memory_kernel: jax.Array
    """From z to y, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``, in the order of the kernel."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LEM(AffineCell):
    r"""Long expressive memory (Rusch, Mishra, Erichson, Mahoney 2022).

    .. math::
        \Delta_t &= \Delta t \, \sigma(x_t W_1 + y_{t-1} U_1 + b_1) \\
        \bar\Delta_t &= \Delta t \, \sigma(x_t W_2 + y_{t-1} U_2 + b_2) \\
        z_t &= (1 - \Delta_t) \odot z_{t-1} + \Delta_t \odot \tanh(x_t W_z + y_{t-1} U_z + b_z) \\
        y_t &= (1 - \bar\Delta_t) \odot y_{t-1} + \bar\Delta_t \odot \tanh(x_t W_y + z_t V + b_y)

    The output is :math:`y_t`. ``time_step`` is :math:`\Delta t`. The carry's ``hidden`` is y, its ``cell`` is z.
    """

    time_step: float = 1.0

    paper = (
        "Rusch, Mishra, Erichson and Mahoney 2022, Long expressive memory for sequence modeling, ICLR, arXiv:2110.04744"
    )
    conventions = ("The new z enters y, as in the paper and in the authors' code.",)
    elsewhere = {
        "torchrecurrent 0.2.5": "the old z enters y, where its documentation writes the new one; the two steps are "
        "exchanged; three biases",
        "RecurrentLayers.jl, LuxRecurrentLayers.jl": "the old z enters y",
    }
    carry_type = HiddenCellCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LEMParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key, memory_key = jax.random.split(key, 3)
        return LEMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 3, dtype),
            memory_kernel=self.draw_recurrent_kernel(memory_key, dtype=dtype),
            bias=jnp.zeros(4 * self.hidden_size, dtype),
        )

    def __call__(
        self, params: LEMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        y, z = carry.hidden, carry.cell
        from_x = split_gates(inputs @ params.kernel + params.bias, 4)
        from_y = split_gates(y @ params.recurrent_kernel, 3)
        step_z = named(self.time_step * jax.nn.sigmoid(from_x[0] + from_y[0]), "input_gate")
        step_y = named(self.time_step * jax.nn.sigmoid(from_x[1] + from_y[1]), "update_gate")
        z = named((1 - step_z) * z + step_z * named(jnp.tanh(from_x[2] + from_y[2]), "candidate"), "cell")
        y = (1 - step_y) * y + step_y * jnp.tanh(from_x[3] + z @ params.memory_kernel)
        return HiddenCellCarry(hidden=y, cell=z), y
