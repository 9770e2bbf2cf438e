"""Networks whose recurrent kernel is antisymmetric: Euler steps of a system that neither grows nor decays."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import Initializer


def antisymmetric(free: jax.Array, diffusion: float) -> jax.Array:
    r""":math:`A - A^\top - \gamma I`: eigenvalues with real part :math:`-\gamma`, for any square :math:`A`."""
    return free - free.T - diffusion * jnp.eye(free.shape[0], dtype=free.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AntisymmetricRNN(AffineCell):
    r"""Antisymmetric network (Chang, Chen, Haber and Chi 2019).

    .. math:: h_t = h_{t-1} + \epsilon \tanh(x_t W + h_{t-1} (U - U^\top - \gamma I) + b)

    The output is :math:`h_t`. ``time_step`` is :math:`\epsilon`, ``diffusion`` is :math:`\gamma`.
    """

    time_step: float = 0.1
    diffusion: float = 0.01
    activation: Activation = "tanh"
    recurrent_initializer: Initializer = "lecun_normal"

    paper = "Chang, Chen, Haber and Chi 2019, AntisymmetricRNN, arXiv:1902.09689"
    conventions = (
        "U is stored whole, and only U minus its transpose counts; the paper counts its upper triangle.",
        "The diffusion is subtracted on the diagonal.",
        "The paper tunes step size and diffusion by task; 0.1 and 0.01 here.",
        "Rows of the kernel are for the units that are read: with columns for them, as in the paper, U has the other "
        "sign.",
    )
    elsewhere = {
        "torchrecurrent": "step size 1 and no diffusion by default; a second bias",
        "rnn-jax": "rectifiers; subtracts gamma from every preactivation, the paper gamma times the state",
    }
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("time_step", "diffusion"):
            if getattr(self, name) < 0:
                raise ValueError(f"{type(self).__name__}.{name} must not be negative, got {getattr(self, name)!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        recurrent = carry.hidden @ antisymmetric(params.recurrent_kernel, self.diffusion)
        slope = activation_function(self.activation)(inputs @ params.kernel + recurrent + params.bias)
        hidden = carry.hidden + self.time_step * slope
        return HiddenCarry(hidden), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class GatedAntisymmetricRNN(AntisymmetricRNN):
    r"""Antisymmetric network with an input gate (Chang, Chen, Haber and Chi 2019).

    .. math::
        v_t &= h_{t-1} (U - U^\top - \gamma I) \\
        z_t &= \sigma(x_t W_z + v_t + b_z) \\
        h_t &= h_{t-1} + \epsilon \, z_t \odot \tanh(x_t W_n + v_t + b_n)

    The output is :math:`h_t`. Gate and candidate share the recurrent kernel; ``time_step`` is :math:`\epsilon`,
    ``diffusion`` is :math:`\gamma`.
    """

    conventions = (
        *AntisymmetricRNN.conventions,
        "Gate and candidate side by side in the order z, n; both see the same product of the state.",
    )
    elsewhere = {
        "torchrecurrent": "its recurrent bias is in the candidate alone, where its documentation has it in both",
        "rnn-jax": "rectifiers; subtracts gamma from every preactivation, the paper gamma times the state",
    }

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; biases start at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 2, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.zeros(2 * self.hidden_size, dtype),
        )

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        recurrent = carry.hidden @ antisymmetric(params.recurrent_kernel, self.diffusion)
        x_z, x_n = split_gates(inputs @ params.kernel + params.bias, 2)
        gate = named(jax.nn.sigmoid(x_z + recurrent), "input_gate")
        candidate = named(activation_function(self.activation)(x_n + recurrent), "candidate")
        hidden = carry.hidden + self.time_step * gate * candidate
        return HiddenCarry(hidden), hidden
