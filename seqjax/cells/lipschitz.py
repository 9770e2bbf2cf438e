"""The Lipschitz network: a stable linear part beside a Lipschitz nonlinearity, in steps of an integrator."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, HiddenCarry
from seqjax.cells.initializers import Initializer


class LipschitzRNNParams(NamedTuple):
    """Parameters of :class:`LipschitzRNN`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """Free form of the kernel inside the nonlinearity, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""
    linear_kernel: jax.Array
    """Free form of the kernel of the linear part, ``[hidden_size, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LipschitzRNN(AffineCell):
    r"""Lipschitz network (Erichson, Azencot, Queiruga, Hodgkinson and Mahoney 2021).

    .. math::
        S(M) &= (1 - \beta)(M + M^\top) + \beta (M - M^\top) - \gamma I \\
        f_t(h) &= h \, S(A) + \tanh(x_t W + h \, S(U) + b) \\
        h_t &= h_{t-1} + \epsilon f_t(h_{t-1}) && \text{integrator="euler"} \\
        h_t &= h_{t-1} + \epsilon f_t(h_{t-1} + \tfrac{\epsilon}{2} f_t(h_{t-1})) && \text{integrator="midpoint"}

    The output is :math:`h_t`. ``time_step`` is :math:`\epsilon`, ``antisymmetry`` is :math:`\beta`, ``diffusion`` is
    :math:`\gamma`; the latter two are the same in both kernels. ``integrator="midpoint"`` is the paper's RK2.
    """

    time_step: float = 0.03
    antisymmetry: float = 0.75
    diffusion: float = 0.001
    integrator: Literal["euler", "midpoint"] = "euler"
    activation: Activation = "tanh"
    recurrent_initializer: Initializer = "lecun_normal"

    paper = (
        "Erichson, Azencot, Queiruga, Hodgkinson and Mahoney 2021, Lipschitz recurrent neural networks, "
        "arXiv:2006.12070"
    )
    conventions = (
        "One beta and one gamma for both kernels, as in the authors' code; the paper's equations give each its own.",
        "The second-order Runge-Kutta method is the midpoint rule.",
        "The paper tunes step size, beta and gamma by task.",
        "Rows of the kernels are for the units that are read, as in the authors' code.",
    )
    elsewhere = {"rnn-jax": "subtracts gamma from every component, where the paper subtracts gamma times the state"}
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.integrator not in ("euler", "midpoint"):
            raise ValueError(f"LipschitzRNN.integrator must be 'euler' or 'midpoint', got {self.integrator!r}")
        if not 0 <= self.antisymmetry <= 1:
            raise ValueError(f"LipschitzRNN.antisymmetry must be between 0 and 1, got {self.antisymmetry!r}")
        for name in ("time_step", "diffusion"):
            if getattr(self, name) < 0:
                raise ValueError(f"LipschitzRNN.{name} must not be negative, got {getattr(self, name)!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LipschitzRNNParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key, linear_key = jax.random.split(key, 3)
        return LipschitzRNNParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
            linear_kernel=self.draw_recurrent_kernel(linear_key, dtype=dtype),
        )

    def stable(self, free: jax.Array) -> jax.Array:
        """The paper's kernel from its free form, ``S`` above."""
        beta, identity = self.antisymmetry, jnp.eye(self.hidden_size, dtype=free.dtype)
        return (1 - beta) * (free + free.T) + beta * (free - free.T) - self.diffusion * identity

    def __call__(
        self, params: LipschitzRNNParams, carry: HiddenCarry, inputs: jax.Array
    ) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        linear_kernel, recurrent_kernel = self.stable(params.linear_kernel), self.stable(params.recurrent_kernel)
        x = inputs @ params.kernel

        def slope(h: jax.Array) -> jax.Array:
            return h @ linear_kernel + activation(x + h @ recurrent_kernel + params.bias)

        h = carry.hidden
        hidden = h + self.time_step * slope(h if self.integrator == "euler" else h + self.time_step / 2 * slope(h))
        return HiddenCarry(hidden), hidden
