"""Reservoirs: recurrent networks whose weights are drawn once and stay; only a read-out above them is learned."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry
from seqjax.cells.initializers import Initializer, SpectralRadius, initialize
from seqjax.cells.leaky import LeakyRNN

_FIXED = {
    "gradients_reach_every_leaf": "the fixed reservoir carries no gradient",
    "gradients_equal_finite_differences": "the fixed reservoir carries no gradient",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Reservoir(AffineCell):
    """What both reservoirs draw.

    Attributes:
        spectral_radius: largest modulus of the eigenvalues of the recurrent kernel.
        connectivity: which part of the other units a unit reads.
        input_scaling: input weights are ``kernel_initializer``'s times this.
    """

    spectral_radius: float = 0.9
    connectivity: float = 0.1
    input_scaling: float = 1.0
    activation: Activation = "tanh"
    kernel_initializer: Initializer = "uniform(-1.0, 1.0)"
    recurrent_initializer: Initializer = "uniform(-1.0, 1.0)"

    carry_type = HiddenCarry
    law_exceptions = _FIXED

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.spectral_radius < 0:
            raise ValueError(
                f"{type(self).__name__}.spectral_radius must not be negative, got {self.spectral_radius!r}"
            )
        if not 0 < self.connectivity <= 1:
            raise ValueError(
                f"{type(self).__name__}.connectivity must be above 0 and at most 1, got {self.connectivity!r}"
            )

    def draw_kernel(
        self, key: jax.Array, gates: int = 1, dtype: DTypeLike = jnp.float32, rows: int | None = None
    ) -> jax.Array:
        """An input kernel with its scaling."""
        return self.input_scaling * super().draw_kernel(key, gates, dtype, rows)

    def draw_recurrent_kernel(self, key: jax.Array, gates: int = 1, dtype: DTypeLike = jnp.float32) -> jax.Array:
        """A sparse recurrent kernel of the given spectral radius."""
        reservoir = SpectralRadius(self.spectral_radius, self.connectivity, self.recurrent_initializer)
        return initialize(reservoir, key, (self.hidden_size, self.hidden_size), dtype, gates)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EchoState(_Reservoir, LeakyRNN):
    r"""Echo-state network (Jaeger 2001): a fixed random reservoir of leaky units.

    .. math:: h_t = (1 - a) h_{t-1} + a \, \phi(x_t W + h_{t-1} U + b)

    The output is :math:`h_t`, for a read-out that is learned outside. :math:`U` is sparse (``connectivity``) and scaled
    to ``spectral_radius``, :math:`W` is scaled by ``input_scaling``; neither has a gradient. The step is that of
    :class:`LeakyRNN`.
    """

    leak: float = 1.0

    paper = "Jaeger 2001, The echo state approach to analysing and training recurrent neural networks, GMD Report 148"
    conventions = (
        "The leak a multiplies what is new, outside the nonlinearity; 1 is the reservoir without leak.",
        "The spectral radius is that of U, not of (1 - a) I + a U.",
        "Every unit reads from the same number of units, so that no draw is without a cycle.",
        "The reservoir is stopped inside the step; leave its parameters out of weight decay. The bias starts at zero.",
        "No feedback from the read-out.",
    )
    elsewhere = {
        "reservoirpy": "the same step; input weights are -1 or 1 with connectivity 0.1",
        "tensorflow-addons": "use_norm2 scales by the Frobenius norm, which is larger than the spectral radius",
    }

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        return super().__call__(jax.lax.stop_gradient(params), carry, inputs)


class ES2NParams(NamedTuple):
    """Parameters of :class:`ES2N`, all fixed."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """The reservoir, ``[hidden_size, hidden_size]``."""
    orthogonal_kernel: jax.Array
    """An orthogonal matrix, ``[hidden_size, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ES2N(_Reservoir):
    r"""Edge of stability echo-state network (Ceni and Gallicchio 2024).

    .. math:: h_t = \beta \, \phi(x_t W + h_{t-1} U) + (1 - \beta) h_{t-1} O

    The output is :math:`h_t`, for a read-out that is learned outside. :math:`O` is orthogonal, so that a small
    ``proximity`` :math:`\beta` holds the eigenvalues of the derivative near the unit circle. No weight has a gradient.
    """

    proximity: float = 0.1

    paper = "Ceni and Gallicchio 2024, Edge of stability echo state network, IEEE TNNLS 36(4), arXiv:2308.02902"
    conventions = (
        "The spectral radius and the input scaling are inside the kernels.",
        "No bias, as in the paper.",
        "The paper tunes the proximity between 0 and 1; 0.1 here.",
        "The reservoir is stopped inside the step; leave its parameters out of weight decay.",
    )
    elsewhere = {"reservoirpy": "the same step, with a bias; proximity 1 by default, which has no orthogonal part"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.proximity <= 1:
            raise ValueError(f"ES2N.proximity must be above 0 and at most 1, got {self.proximity!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> ES2NParams:
        """Draw the reservoir and the orthogonal matrix."""
        kernel_key, recurrent_key, orthogonal_key = jax.random.split(key, 3)
        square = (self.hidden_size, self.hidden_size)
        return ES2NParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            orthogonal_kernel=initialize("orthogonal", orthogonal_key, square, dtype),
        )

    def __call__(self, params: ES2NParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        params, h = jax.lax.stop_gradient(params), carry.hidden
        activation = activation_function(self.activation)
        target = activation(inputs @ params.kernel + h @ params.recurrent_kernel)
        hidden = self.proximity * target + (1 - self.proximity) * (h @ params.orthogonal_kernel)
        return HiddenCarry(hidden), hidden
