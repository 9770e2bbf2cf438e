"""Leaky integrators: units that move a part of the way to where the plain network would put them."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeakyRNN(AffineCell):
    r"""Leaky integrator units, a continuous-time network in Euler steps (Beer 1995; Jaeger 2001).

    .. math:: h_t = (1 - a) h_{t-1} + a \, \phi(x_t W + h_{t-1} U + b)

    The output is :math:`h_t`. The leak :math:`a` is the step over the time constant, :math:`\Delta t / \tau`: 1 is the
    Elman network, and 0 does not move.
    """

    leak: float = 0.2
    activation: Activation = "tanh"

    paper = (
        "Jaeger 2001, The echo state approach to analysing and training recurrent neural networks, GMD Report 148; "
        "Beer 1995, On the dynamics of small continuous-time recurrent neural networks, Adaptive Behavior 3(4)"
    )
    conventions = (
        "The leak a multiplies what is new, and 1 - a what is kept.",
        "The leak is outside the nonlinearity (the rates leak); with it inside (the currents leak) it is "
        "ContinuousTimeRNN.",
        "The leak is a fixed number; 0.2 is a step of 20 ms at a time constant of 100 ms, as is usual in neuroscience.",
    )
    elsewhere = {"rnn-jax": "LeakyElmanCell: leak 1 and rectifiers by default"}
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.leak <= 1:
            raise ValueError(f"{type(self).__name__}.leak must be above 0 and at most 1, got {self.leak!r}")

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
        activation, h = activation_function(self.activation), carry.hidden
        target = activation(inputs @ params.kernel + h @ params.recurrent_kernel + params.bias)
        hidden = (1 - self.leak) * h + self.leak * target
        return HiddenCarry(hidden), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContinuousTimeRNN(LeakyRNN):
    r"""Continuous-time recurrent network (Beer 1995) in Euler steps: states leak, rates are seen.

    .. math::
        v_t &= (1 - a) v_{t-1} + a (x_t W + \sigma(v_{t-1} + b) U) \\
        y_t &= \sigma(v_t + b)

    The output is the rate :math:`y_t`; the carry is the state :math:`v_t`. The leak :math:`a` is the step over the time
    constant, :math:`\Delta t / \tau`.
    """

    activation: Activation = "sigmoid"

    paper = "Beer 1995, On the dynamics of small continuous-time recurrent neural networks, Adaptive Behavior 3(4)"
    conventions = (
        "The leak is inside the nonlinearity (the currents leak); LeakyRNN has it outside.",
        "The bias is inside the nonlinearity, beside the state.",
        "One time constant for all units.",
    )
    elsewhere = {}
    output_field = None

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        activation, v = activation_function(self.activation), carry.hidden
        current = inputs @ params.kernel + activation(v + params.bias) @ params.recurrent_kernel
        state = (1 - self.leak) * v + self.leak * current
        return HiddenCarry(state), activation(state + params.bias)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WilsonCowan(LeakyRNN):
    r"""Wilson and Cowan's (1972) populations of neurons in Euler steps.

    .. math:: h_t = (1 - a) h_{t-1} + a (\phi(h_{t-1} U + b) + x_t W)

    The output is :math:`h_t`. The input drives the rates directly; in :class:`LeakyRNN` it passes the nonlinearity.
    """

    paper = (
        "Wilson and Cowan 1972, Excitatory and inhibitory interactions in localized populations of model neurons, "
        "Biophysical Journal 12"
    )
    conventions = (
        "The input is outside the nonlinearity, as in today's discretisations; the paper has it inside, which is "
        "LeakyRNN.",
        "The paper's refractory factor (1 - r h) is left out, as it is today.",
        "No sign is imposed on the weights: the excitatory and the inhibitory population are one.",
    )
    elsewhere = {}

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        activation, h = activation_function(self.activation), carry.hidden
        target = activation(h @ params.recurrent_kernel + params.bias) + inputs @ params.kernel
        hidden = (1 - self.leak) * h + self.leak * target
        return HiddenCarry(hidden), hidden
