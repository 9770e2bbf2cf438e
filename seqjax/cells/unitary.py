"""Networks with a complex state that a product of simple unitary matrices turns."""

import dataclasses
from abc import abstractmethod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.initializers import Initializer, initialize
from seqjax.cells.orthogonal_maps import at_least_single, modrelu, reflect


class ComplexCarry(NamedTuple):
    """Carry of a complex hidden state."""

    real: jax.Array
    """``[*batch, hidden_size]``."""
    imaginary: jax.Array
    """``[*batch, hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ComplexRNN(Cell):
    """A complex state that is turned, an input, and modReLU."""

    kernel_initializer: Initializer = "glorot_uniform"

    carry_type = ComplexCarry
    output_field = None

    @property
    def output_size(self) -> int:
        """Real and imaginary parts."""
        return 2 * self.hidden_size

    @abstractmethod
    def turn(self, params: Any, state: jax.Array) -> jax.Array:
        """``W`` times a complex state ``[*batch, hidden_size]``, one factor after the other."""

    def __call__(self, params: Any, carry: ComplexCarry, inputs: jax.Array) -> tuple[ComplexCarry, jax.Array]:
        """One step; see the class."""
        dtype = carry.real.dtype
        params, carry, inputs = jax.tree.map(at_least_single, (params, carry, inputs))
        real, imaginary = jnp.split(inputs @ params.kernel, 2, axis=-1)
        preactivation = self.turn(params, jax.lax.complex(*carry)) + jax.lax.complex(real, imaginary)
        hidden = modrelu(preactivation, params.bias)
        new = ComplexCarry(hidden.real.astype(dtype), hidden.imag.astype(dtype))
        return new, jnp.concatenate(new, axis=-1)


class UnitaryRNNParams(NamedTuple):
    """Parameters of :class:`UnitaryRNN`, with n for the hidden size."""

    kernel: jax.Array
    """Input kernel, its real and its imaginary part side by side, ``[input_size, 2 * n]``."""
    phases: jax.Array
    """Angles of the diagonal matrices D1, D2 and D3, ``[3, n]``."""
    reflections: jax.Array
    """Vectors of the reflections R1 and R2, real and imaginary parts, ``[2, 2, n]``."""
    bias: jax.Array
    """Of the nonlinearity, ``[n]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitaryRNN(_ComplexRNN):
    r"""Unitary evolution network, uRNN (Arjovsky, Shah and Bengio 2016).

    .. math::
        W &= D_3 R_2 F^{-1} D_2 \Pi R_1 F D_1 \\
        z_t &= W h_{t-1} + V x_t \\
        h_t &= \frac{z_t}{|z_t|} \max(0, |z_t| + b)

    The state :math:`h_t` is complex; the output is its real and its imaginary part side by side, ``2 * hidden_size``
    features. :math:`D_k` are diagonal with entries :math:`e^{i \theta}`, :math:`R_k = I - 2 v v^* / v^* v` reflections,
    :math:`F` the Fourier transform and :math:`\Pi` a permutation drawn once from ``permutation_seed``. So one step
    costs :math:`n \log n`.
    """

    permutation_seed: int = 0

    paper = "Arjovsky, Shah and Bengio 2016, Unitary evolution recurrent neural networks, arXiv:1511.06464"
    conventions = (
        "The carry is two real arrays; a step computes in single precision where they have less.",
        "The output is the real part and then the imaginary part, as the paper's read-out sees them.",
        "The permutation is part of the configuration and not a parameter.",
        "The initial state is zero; the paper learns it.",
        "Where a preactivation is zero, so is the state, and no gradient passes there.",
    )
    elsewhere = {
        "rnn-jax": "its reflection is 1 - 2 v (v h) / |v| without h, conjugation and square, and its modReLU has no "
        "rectifier: the step is not unitary"
    }

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> UnitaryRNNParams:
        """Draw parameters as in the paper; the bias starts at zero."""
        kernel_key, phase_key, reflection_key = jax.random.split(key, 3)
        exact, size = jnp.promote_types(dtype, jnp.float32), self.hidden_size
        phases = jax.random.uniform(phase_key, (3, size), exact, -jnp.pi, jnp.pi)
        reflections = jax.random.uniform(reflection_key, (2, 2, size), exact, -1, 1)
        return UnitaryRNNParams(
            kernel=initialize(self.kernel_initializer, kernel_key, (self.input_size, size), dtype, 2),
            phases=phases.astype(dtype),
            reflections=reflections.astype(dtype),
            bias=jnp.zeros(size, dtype),
        )

    def turn(self, params: UnitaryRNNParams, state: jax.Array) -> jax.Array:
        """``W`` times a complex state ``[*batch, hidden_size]``, one factor after the other."""
        permutation = np.random.default_rng(self.permutation_seed).permutation(self.hidden_size)
        first, second, third = jnp.exp(1j * params.phases)
        vectors = params.reflections[:, 0] + 1j * params.reflections[:, 1]
        state = jnp.fft.fft(state * first)
        state = reflect(state, vectors[0])[..., permutation] * second
        return reflect(jnp.fft.ifft(state), vectors[1]) * third


class EURNNParams(NamedTuple):
    """Parameters of :class:`EURNN`, with n for the hidden size."""

    kernel: jax.Array
    """Input kernel, its real and its imaginary part side by side, ``[input_size, 2 * n]``."""
    angles: jax.Array
    """What each pair of units turns by, the layers one after the other."""
    phases: jax.Array
    """What the first unit of each pair is shifted by, likewise."""
    diagonal: jax.Array
    """Angles of the diagonal matrix D, ``[n]``."""
    bias: jax.Array
    """Of the nonlinearity, ``[n]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EURNN(_ComplexRNN):
    r"""Efficient unitary network, tunable form (Jing, Shen, Dubcek, Peurifoy, Skirlo, LeCun, Tegmark, Soljacic 2017).

    .. math::
        W &= D F_1 F_2 \cdots F_L \\
        z_t &= W h_{t-1} + V x_t \\
        h_t &= \frac{z_t}{|z_t|} \max(0, |z_t| + b)

    The state :math:`h_t` is complex; the output is its real and its imaginary part side by side, ``2 * hidden_size``
    features. Each of the ``capacity`` layers :math:`F_l` turns pairs of neighbours: odd layers the units (0, 1), (2,
    3) and so on, even layers (1, 2), (3, 4) and so on.

    .. math:: (a, b) \to (e^{i \varphi} (a \cos \theta - b \sin \theta), a \sin \theta + b \cos \theta)

    With ``capacity=hidden_size`` every unitary matrix can be reached.
    """

    capacity: int = 2

    paper = (
        "Jing, Shen, Dubcek, Peurifoy, Skirlo, LeCun, Tegmark and Soljacic 2017, Tunable efficient unitary neural "
        "networks (EUNN) and their application to RNNs, arXiv:1612.05231"
    )
    conventions = (
        "The tunable form with neighbours, not the one of the fast Fourier transform; two layers, as in most of the "
        "paper.",
        "Units at the ends that have no neighbour in a layer are left alone.",
        "The carry is two real arrays; a step computes in single precision where they have less.",
        "The initial state is zero.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.capacity < 1:
            raise ValueError(f"EURNN.capacity must be a positive number of layers, got {self.capacity!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> EURNNParams:
        """Draw parameters, all angles uniform over the circle; the bias starts at zero."""
        kernel_key, *keys = jax.random.split(key, 4)
        size, rotations = self.hidden_size, sum((self.hidden_size - layer % 2) // 2 for layer in range(self.capacity))
        circle = f"uniform({-np.pi}, {np.pi})"
        angles, phases, diagonal = (
            initialize(circle, k, (length,), dtype)
            for k, length in zip(keys, (rotations, rotations, size), strict=True)
        )
        return EURNNParams(
            kernel=initialize(self.kernel_initializer, kernel_key, (self.input_size, size), dtype, 2),
            angles=angles,
            phases=phases,
            diagonal=diagonal,
            bias=jnp.zeros(size, dtype),
        )

    def turn(self, params: EURNNParams, state: jax.Array) -> jax.Array:
        """``W`` times a complex state ``[*batch, hidden_size]``, one factor after the other."""
        cos, sin, shift = jnp.cos(params.angles), jnp.sin(params.angles), jnp.exp(1j * params.phases)
        end = params.angles.size
        for layer in reversed(range(self.capacity)):
            first = layer % 2
            count = (self.hidden_size - first) // 2
            of_layer, units = slice(end - count, end), slice(first, first + 2 * count)
            end -= count
            a, b = state[..., units][..., ::2], state[..., units][..., 1::2]
            turned = (shift[of_layer] * (a * cos[of_layer] - b * sin[of_layer]), a * sin[of_layer] + b * cos[of_layer])
            pairs = jnp.stack(turned, axis=-1).reshape(*state.shape[:-1], 2 * count)
            state = jnp.concatenate([state[..., :first], pairs, state[..., units.stop :]], axis=-1)
        return state * jnp.exp(1j * params.diagonal)
