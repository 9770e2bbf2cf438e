"""Networks with an orthogonal recurrent kernel, each with its own way to parametrise it."""

import dataclasses
from abc import abstractmethod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
from jax.typing import DTypeLike

from seqjax.cells.base import Cell, HiddenCarry
from seqjax.cells.initializers import Initializer, initialize
from seqjax.cells.orthogonal_maps import at_least_single, cayley, draw_rotations, modrelu, skew_symmetric


class OrthogonalParams(NamedTuple):
    """Parameters of :class:`ScoRNN` and :class:`ExpRNN`, with n for the hidden size."""

    kernel: jax.Array
    """Input kernel, ``[input_size, n]``."""
    skew: jax.Array
    """What is above the diagonal of a skew-symmetric matrix, ``[n * (n - 1) / 2]``."""
    bias: jax.Array
    """Of the nonlinearity, ``[n]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _OrthogonalRNN(Cell):
    """A state that an orthogonal matrix turns, an input, and modReLU."""

    kernel_initializer: Initializer = "glorot_normal"

    carry_type = HiddenCarry

    @abstractmethod
    def recurrent_kernel(self, params: Any) -> jax.Array:
        """The effective recurrent kernel, ``[hidden_size, hidden_size]``, in single precision at least."""

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw parameters: rotations by up to a quarter turn, and small biases."""
        kernel_key, skew_key, bias_key = jax.random.split(key, 3)
        shape = (self.input_size, self.hidden_size)
        return OrthogonalParams(
            kernel=initialize(self.kernel_initializer, kernel_key, shape, dtype),
            skew=draw_rotations(skew_key, self.hidden_size, dtype),
            bias=initialize("uniform(-0.01, 0.01)", bias_key, (self.hidden_size,), dtype),
        )

    def __call__(self, params: Any, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        recurrent_kernel = self.recurrent_kernel(params).astype(params.kernel.dtype)
        hidden = modrelu(inputs @ params.kernel + carry.hidden @ recurrent_kernel, params.bias)
        return HiddenCarry(hidden), hidden


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoRNN(_OrthogonalRNN):
    r"""Scaled Cayley orthogonal network (Helfrich, Willmott and Ye 2018).

    .. math::
        Q &= (I + A)^{-1} (I - A) D, \quad A^\top = -A \\
        z_t &= x_t W + h_{t-1} Q^\top \\
        h_t &= \operatorname{sign}(z_t) \odot \max(0, |z_t| + b)

    The output is :math:`h_t`. :math:`D` is diagonal with ones and ``negative_ones`` times -1 (half of them if not
    given), which is not learned: with the right number of them every orthogonal matrix can be reached.
    """

    negative_ones: int | None = None

    paper = (
        "Helfrich, Willmott and Ye 2018, Orthogonal recurrent neural networks with scaled Cayley transform, "
        "arXiv:1707.09520"
    )
    conventions = (
        "D ends with its negative ones. The paper tunes their number; half of the units here.",
        "A starts with blocks that turn by up to a quarter turn, as in the paper; the initial state is zero.",
        "Gradients flow to A through the Cayley transform, as in the paper.",
    )
    elsewhere = {"geotorch": "its Cayley map of X is this one of A = -X / 2, without D: rotations only"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.negative_ones is not None and not 0 <= self.negative_ones <= self.hidden_size:
            raise ValueError(
                f"ScoRNN.negative_ones must be between 0 and hidden_size, {self.hidden_size}, or None; "
                f"got {self.negative_ones!r}"
            )

    def recurrent_kernel(self, params: OrthogonalParams) -> jax.Array:
        """The transpose of ``Q``."""
        negative = self.hidden_size // 2 if self.negative_ones is None else self.negative_ones
        signs = np.where(np.arange(self.hidden_size) < self.hidden_size - negative, 1.0, -1.0)
        skew = at_least_single(params.skew)
        return (cayley(skew_symmetric(skew, self.hidden_size)) * signs.astype(skew.dtype)).T


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpRNN(_OrthogonalRNN):
    r"""Orthogonal network by the exponential map (Lezcano-Casado and Martínez-Rubio 2019).

    .. math::
        Q &= \exp(A), \quad A^\top = -A \\
        z_t &= x_t W + h_{t-1} Q^\top \\
        h_t &= \operatorname{sign}(z_t) \odot \max(0, |z_t| + b)

    The output is :math:`h_t`. Every rotation can be reached.
    """

    paper = (
        "Lezcano-Casado and Martínez-Rubio 2019, Cheap orthogonal constraints in neural networks: a simple "
        "parametrization of the orthogonal and unitary group, arXiv:1901.08428"
    )
    conventions = (
        "A starts as in ScoRNN, one of the paper's two ways.",
        "The map is taken around the identity for the whole training (the paper's exponential parametrisation, not the "
        "later dynamic trivialisation).",
    )

    def recurrent_kernel(self, params: OrthogonalParams) -> jax.Array:
        """The transpose of ``Q``."""
        return jax.scipy.linalg.expm(skew_symmetric(at_least_single(params.skew), self.hidden_size)).T


class NNRNNParams(NamedTuple):
    """Parameters of :class:`NNRNN`, with n for the hidden size."""

    kernel: jax.Array
    """Input kernel, ``[input_size, n]``."""
    skew: jax.Array
    """Of the basis: what is above the diagonal of a skew-symmetric matrix, ``[n * (n - 1) / 2]``."""
    bias: jax.Array
    """Of the nonlinearity, ``[n]``."""
    angles: jax.Array
    """What each pair of units turns by, ``[n // 2]``."""
    gains: jax.Array
    """What each pair of units is multiplied by, ``[(n + 1) // 2]``; an odd unit at the end has a gain of its own."""
    triangle: jax.Array
    """From each unit to those in later pairs, ``[n, n]``; the rest of it counts as zero."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NNRNN(_OrthogonalRNN):
    r"""Non-normal network, by a Schur decomposition (Kerg, Goyette, Touzel, Gidel, Vorontsov, Bengio and Lajoie 2019).

    .. math::
        U &= P (\Lambda + T) P^\top, \quad P = \exp(A), \quad A^\top = -A \\
        z_t &= x_t W + h_{t-1} U \\
        h_t &= \operatorname{sign}(z_t) \odot \max(0, |z_t| + b)

    The output is :math:`h_t`. :math:`\Lambda` has blocks :math:`\gamma_i` times a rotation by :math:`\theta_i`, and
    :math:`T` is strictly triangular beside these blocks. With :math:`T = 0` and :math:`\gamma = 1` the kernel is
    orthogonal; it starts there.
    """

    paper = (
        "Kerg, Goyette, Touzel, Gidel, Vorontsov, Bengio and Lajoie 2019, Non-normal recurrent neural network (nnRNN): "
        "learning long time dependencies while improving expressivity with transient dynamics, arXiv:1905.12080"
    )
    conventions = (
        "modReLU, as in the authors' code.",
        "T is upper triangular where rows are the units that are read, and leaves the 2 by 2 blocks alone.",
        "An odd unit at the end is a block of its own, with a gain and no angle.",
        "The paper's penalty on the gains' distance from 1 belongs to the loss.",
    )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> NNRNNParams:
        """Draw parameters: an orthogonal kernel, angles uniform over the circle, and small biases."""
        orthogonal_key, angle_key = jax.random.split(key)
        return NNRNNParams(
            *super().init(orthogonal_key, dtype),
            angles=initialize(f"uniform(0.0, {2 * np.pi})", angle_key, (self.hidden_size // 2,), dtype),
            gains=jnp.ones((self.hidden_size + 1) // 2, dtype),
            triangle=jnp.zeros((self.hidden_size, self.hidden_size), dtype),
        )

    def recurrent_kernel(self, params: NNRNNParams) -> jax.Array:
        """``U``."""
        skew, angles, gains, triangle = (
            at_least_single(part) for part in (params.skew, params.angles, params.gains, params.triangle)
        )
        unit = np.arange(self.hidden_size)
        angles = jnp.pad(angles, (0, self.hidden_size % 2))[unit // 2]
        gains = gains[unit // 2]
        to_next = jnp.where(unit % 2 == 0, -gains * jnp.sin(angles), 0)[:-1]
        blocks = jnp.diag(gains * jnp.cos(angles)) + jnp.diag(to_next, 1) - jnp.diag(to_next, -1)
        schur = blocks + jnp.where(unit[:, None] // 2 < unit // 2, triangle, 0)
        basis = jax.scipy.linalg.expm(skew_symmetric(skew, self.hidden_size))
        return basis @ schur @ basis.T
