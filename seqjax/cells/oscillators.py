"""Networks of oscillators: each unit has a position and a velocity."""

import dataclasses
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, Cell
from seqjax.cells.initializers import Initializer, initialize


class OscillatorCarry(NamedTuple):
    """Carry of the oscillator cells."""

    hidden: jax.Array
    """Positions, ``[*batch, hidden_size]``."""
    velocity: jax.Array
    """``[*batch, hidden_size]``."""


class CoRNNParams(NamedTuple):
    """Parameters of :class:`CoRNN`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """From the positions, ``[hidden_size, hidden_size]``."""
    velocity_kernel: jax.Array
    """From the velocities, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoRNN(AffineCell):
    r"""Coupled oscillatory recurrent network (Rusch and Mishra 2021).

    .. math::
        z_t &= z_{t-1} + \Delta t \, (\tanh(x_t W + y_{t-1} U + z_{t-1} V + b)
            - \gamma y_{t-1} - \epsilon z_{t-1}) && \text{damping="explicit"} \\
        z_t &= z_{t-1} + \Delta t \, (\tanh(x_t W + y_{t-1} U + z_{t-1} V + b)
            - \gamma y_{t-1} - \epsilon z_t) && \text{damping="implicit"} \\
        y_t &= y_{t-1} + \Delta t \, z_t

    The output is the position :math:`y_t`; the velocity is :math:`z_t`. ``time_step`` is :math:`\Delta t`,
    ``stiffness`` :math:`\gamma`, ``friction`` :math:`\epsilon`.
    """

    time_step: float = 0.042
    stiffness: float = 2.7
    friction: float = 4.7
    damping: Literal["explicit", "implicit"] = "explicit"

    paper = "Rusch and Mishra 2021, Coupled oscillatory recurrent neural network (coRNN), ICLR, arXiv:2010.00951"
    conventions = (
        "The damping acts on the old velocity, as in the authors' code; the paper allows the new one too "
        '(damping="implicit", solved for z_t).',
        "The defaults of the three constants are the authors' for sequential MNIST; they are tuned for each task.",
    )
    elsewhere = {
        "torchrecurrent 0.2.5": "damping on the old velocity, where its documentation writes the new one; three biases",
        "rnn-jax 0.0.2": "stiffness and friction are not multiplied by the time step; ReLU in place of tanh by default",
    }
    carry_type = OscillatorCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.damping not in ("explicit", "implicit"):
            raise ValueError(f"CoRNN.damping must be 'explicit' or 'implicit', got {self.damping!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> CoRNNParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key, velocity_key = jax.random.split(key, 3)
        return CoRNNParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            velocity_kernel=self.draw_recurrent_kernel(velocity_key, dtype=dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(
        self, params: CoRNNParams, carry: OscillatorCarry, inputs: jax.Array
    ) -> tuple[OscillatorCarry, jax.Array]:
        """One step; see the class."""
        y, z, dt = carry.hidden, carry.velocity, self.time_step
        force = jnp.tanh(
            inputs @ params.kernel + y @ params.recurrent_kernel + z @ params.velocity_kernel + params.bias
        )
        if self.damping == "explicit":
            z = z + dt * (force - self.stiffness * y - self.friction * z)
        else:
            z = (z + dt * (force - self.stiffness * y)) / (1 + dt * self.friction)
        y = y + dt * z
        return OscillatorCarry(hidden=y, velocity=z), y


class RONParams(NamedTuple):
    """Parameters of :class:`RON`, all fixed."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """From the positions, ``[hidden_size, hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""
    stiffness: jax.Array
    """Of each unit, ``[hidden_size]``."""
    friction: jax.Array
    """Of each unit, ``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RON(AffineCell):
    r"""Random oscillators network: a fixed reservoir of oscillators, no two alike (Ceni et al. 2024).

    .. math::
        z_t &= z_{t-1} + \Delta t \, (\tanh(x_t W + y_{t-1} U + b)
            - \gamma \odot y_{t-1} - \epsilon \odot z_{t-1}) \\
        y_t &= y_{t-1} + \Delta t \, z_t

    The output is the position :math:`y_t`, for a read-out that is learned outside. ``time_step`` is :math:`\Delta t`;
    :math:`\gamma` and :math:`\epsilon` are drawn uniformly between the two numbers of ``stiffness`` and ``friction``.
    No weight has a gradient.
    """

    time_step: float = 0.042
    stiffness: tuple[float, float] = (1.7, 3.7)
    friction: tuple[float, float] = (4.2, 5.2)
    kernel_initializer: Initializer = "uniform(-1.0, 1.0)"
    recurrent_initializer: Initializer = "spectral_radius(0.99, initializer='uniform(-1.0, 1.0)')"
    bias_initializer: Initializer = "uniform(-1.0, 1.0)"

    paper = "Ceni, Cossu, Stoelzle, Liu, Della Santina, Bacciu and Gallicchio 2024, Random oscillators network, AISTATS"
    conventions = (
        "The velocities do not enter the nonlinearity, unlike in coRNN.",
        "Stiffness, friction, spectral radius and the scale of the inputs are tuned for each task; the defaults are "
        "around those of coRNN.",
        "The reservoir is stopped inside the step; leave its parameters out of weight decay.",
    )
    elsewhere = {
        "rnn-jax 0.0.2": "coRNN with heterogeneous=True is trained, reads the velocities, and draws the friction "
        "between the two numbers of the stiffness"
    }
    carry_type = OscillatorCarry
    law_exceptions = {
        "gradients_reach_every_leaf": "the fixed reservoir carries no gradient",
        "gradients_equal_finite_differences": "the fixed reservoir carries no gradient",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("stiffness", "friction"):
            bounds = getattr(self, name)
            if not (isinstance(bounds, tuple) and len(bounds) == 2 and bounds[0] <= bounds[1]):
                raise ValueError(f"RON.{name} must be a tuple (lowest, highest), got {bounds!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> RONParams:
        """Draw the reservoir."""
        kernel_key, recurrent_key, bias_key, stiffness_key, friction_key = jax.random.split(key, 5)
        shape = (self.hidden_size,)
        return RONParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=initialize(self.bias_initializer, bias_key, (1, self.hidden_size), dtype)[0],
            stiffness=_between(self.stiffness, stiffness_key, shape, dtype),
            friction=_between(self.friction, friction_key, shape, dtype),
        )

    def __call__(
        self, params: RONParams, carry: OscillatorCarry, inputs: jax.Array
    ) -> tuple[OscillatorCarry, jax.Array]:
        """One step; see the class."""
        params, y, z, dt = jax.lax.stop_gradient(params), carry.hidden, carry.velocity, self.time_step
        force = jnp.tanh(inputs @ params.kernel + y @ params.recurrent_kernel + params.bias)
        z = z + dt * (force - params.stiffness * y - params.friction * z)
        y = y + dt * z
        return OscillatorCarry(hidden=y, velocity=z), y


def _between(bounds: tuple[float, float], key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    return jax.random.uniform(key, shape, minval=bounds[0], maxval=bounds[1]).astype(dtype)


class UnICORNNParams(NamedTuple):
    """Parameters of :class:`UnICORNN`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_weights: jax.Array
    """Each unit's weight on its own position, ``[hidden_size]``."""
    bias: jax.Array
    """``[hidden_size]``."""
    time_scale: jax.Array
    """``[hidden_size]``: before the sigmoid, the share of the time step that each unit takes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnICORNN(Cell):
    r"""Undamped independent controlled oscillatory recurrent network (Rusch and Mishra 2021).

    .. math::
        z_t &= z_{t-1} - \Delta t \, \sigma(c) \odot (\tanh(w \odot y_{t-1} + x_t W + b) + \alpha y_{t-1}) \\
        y_t &= y_{t-1} + \Delta t \, \sigma(c) \odot z_t

    The output is the position :math:`y_t`. ``time_step`` is :math:`\Delta t`, ``stiffness`` :math:`\alpha`. The units
    of a layer do not see each other; one step is symplectic and can be inverted.
    """

    time_step: float = 0.19
    stiffness: float = 30.65
    kernel_initializer: Initializer = "glorot_uniform"

    paper = (
        "Rusch and Mishra 2021, UnICORNN: a recurrent model for learning very long time dependencies, ICML, "
        "arXiv:2103.05487"
    )
    conventions = (
        "One layer; the paper stacks several, with residual connections where there are many.",
        "The defaults of the two constants are the authors' for permuted sequential MNIST.",
    )
    elsewhere = {"RecurrentLayers.jl": "the recurrent weight is a full matrix by default"}
    carry_type = OscillatorCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> UnICORNNParams:
        """Draw parameters: w in (0, 1) and c in (-0.1, 0.1) as in the authors' code; the bias starts at zero."""
        kernel_key, recurrent_key, scale_key = jax.random.split(key, 3)
        shape = (self.hidden_size,)
        return UnICORNNParams(
            kernel=initialize(self.kernel_initializer, kernel_key, (self.input_size, self.hidden_size), dtype),
            recurrent_weights=_between((0.0, 1.0), recurrent_key, shape, dtype),
            bias=jnp.zeros(shape, dtype),
            time_scale=_between((-0.1, 0.1), scale_key, shape, dtype),
        )

    def __call__(
        self, params: UnICORNNParams, carry: OscillatorCarry, inputs: jax.Array
    ) -> tuple[OscillatorCarry, jax.Array]:
        """One step; see the class."""
        y, z, dt = carry.hidden, carry.velocity, self.time_step * jax.nn.sigmoid(params.time_scale)
        force = jnp.tanh(inputs @ params.kernel + params.recurrent_weights * y + params.bias)
        z = z - dt * (force + self.stiffness * y)
        y = y + dt * z
        return OscillatorCarry(hidden=y, velocity=z), y
