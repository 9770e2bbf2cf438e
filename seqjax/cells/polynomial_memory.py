"""Cells that write a signal into the coefficients of orthogonal polynomials: a memory with a mathematical meaning."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell
from seqjax.cells.gates import named, split_gates
from seqjax.cells.initializers import Initializer, initialize


class LMUParams(NamedTuple):
    """Parameters of :class:`LMU`."""

    kernel: jax.Array
    """Input kernel, ``[input_size, hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, hidden_size]``."""
    memory_kernel: jax.Array
    """From the memory to the hidden state, ``[memory_size, hidden_size]``."""
    input_encoder: jax.Array
    """``[input_size]``."""
    hidden_encoder: jax.Array
    """``[hidden_size]``."""
    memory_encoder: jax.Array
    """``[memory_size]``."""


class MemoryCarry(NamedTuple):
    """Carry of :class:`LMU`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    memory: jax.Array
    """Coefficients of Legendre polynomials, ``[*batch, memory_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LMU(AffineCell):
    r"""Legendre memory unit: a sliding window of one signal, as Legendre polynomials (Voelker et al. 2019).

    .. math::
        u_t &= e_x \cdot x_t + e_h \cdot h_{t-1} + e_m \cdot m_{t-1} \\
        m_t &= \bar A m_{t-1} + \bar B u_t \\
        h_t &= \tanh(x_t W + h_{t-1} U + m_t W_m) \\
        A_{ij} &= \frac{2i + 1}{\theta} \begin{cases} -1 & i < j \\ (-1)^{i-j+1} & i \ge j \end{cases}, \quad
            B_i = \frac{(2i + 1) (-1)^i}{\theta} \\
        \bar A &= e^A, \quad \bar B = A^{-1} (e^A - I) B && \text{discretization="zero\_order\_hold"} \\
        \bar A &= I + A, \quad \bar B = B && \text{discretization="euler"}

    The output is :math:`h_t`. ``memory_size`` is the number of polynomials, ``window`` the length :math:`\theta` of the
    sliding window in steps. A and B are fixed.
    """

    memory_size: int = 16
    window: float = 100.0
    discretization: Literal["zero_order_hold", "euler"] = "zero_order_hold"
    recurrent_initializer: Initializer = "glorot_normal"
    kernel_initializer: Initializer = "glorot_normal"
    encoder_initializer: Initializer = "lecun_uniform"

    paper = (
        "Voelker, Kajic and Eliasmith 2019, Legendre memory units: continuous-time representation in recurrent neural "
        "networks, NeurIPS"
    )
    conventions = (
        "One signal is remembered and there is no bias, as in the paper.",
        "A and B stay as they are; the paper lets them be trained and does not in its experiments.",
        "Euler's method needs a window of more than about four times memory_size.",
    )
    elsewhere = {
        "keras-lmu 0.9.0": "no path from hidden state or memory to the memory by default, any number of signals, and "
        "any cell in place of the tanh layer"
    }
    carry_type = MemoryCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.discretization not in ("zero_order_hold", "euler"):
            raise ValueError(f"LMU.discretization must be 'zero_order_hold' or 'euler', got {self.discretization!r}")
        if not self.window > 0:
            raise ValueError(f"LMU.window must be a number of steps above 0, got {self.window!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LMUParams:
        """Draw parameters; the memory does not read itself at the start, as in the paper."""
        kernel_key, recurrent_key, memory_key, input_key, hidden_key = jax.random.split(key, 5)
        return LMUParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            memory_kernel=self.draw_kernel(memory_key, dtype=dtype, rows=self.memory_size),
            input_encoder=initialize(self.encoder_initializer, input_key, (self.input_size, 1), dtype)[:, 0],
            hidden_encoder=initialize(self.encoder_initializer, hidden_key, (self.hidden_size, 1), dtype)[:, 0],
            memory_encoder=jnp.zeros(self.memory_size, dtype),
        )

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The memory of polynomials."""
        return {"memory": (self.memory_size,)}

    def __call__(self, params: LMUParams, carry: MemoryCarry, inputs: jax.Array) -> tuple[MemoryCarry, jax.Array]:
        """One step; see the class."""
        h, m = carry.hidden, carry.memory
        a, b = legendre_window(self.memory_size, self.window, self.discretization)
        signal = inputs @ params.input_encoder + h @ params.hidden_encoder + m @ params.memory_encoder
        m = m @ jnp.asarray(a.T, m.dtype) + signal[..., None] * jnp.asarray(b, m.dtype)
        h = jnp.tanh(inputs @ params.kernel + h @ params.recurrent_kernel + m @ params.memory_kernel)
        return MemoryCarry(hidden=h, memory=m), h


@functools.cache
def legendre_window(size: int, window: float, discretization: str) -> tuple[np.ndarray, np.ndarray]:
    """The discrete A ``[size, size]`` and B ``[size]`` of a sliding window, for steps of length one."""
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    rate = (2 * np.arange(size) + 1) / window
    a = rate[:, None] * np.where(row < column, -1.0, (-1.0) ** (row - column + 1))
    b = rate * (-1.0) ** np.arange(size)
    if discretization == "euler":
        return np.eye(size) + a, b
    # One exponential of the system with its input held constant as one more state gives both.
    both = scipy.linalg.expm(np.block([[a, b[:, None]], [np.zeros((1, size + 1))]]))
    return both[:size, :size], both[:size, size]


class HiPPORNNParams(NamedTuple):
    """Parameters of :class:`HiPPORNN`; gates side by side in the order g (update), n (candidate)."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 2 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, 2 * hidden_size]``."""
    memory_kernel: jax.Array
    """From the memory, ``[memory_size, 2 * hidden_size]``."""
    bias: jax.Array
    """``[2 * hidden_size]``."""
    encoder: jax.Array
    """From the hidden state to the remembered signal, ``[hidden_size]``."""
    encoder_bias: jax.Array
    """``[]``."""


class HiPPOCarry(NamedTuple):
    """Carry of :class:`HiPPORNN`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    memory: jax.Array
    """Coefficients of Legendre polynomials over all that was seen, ``[*batch, memory_size]``."""
    steps: jax.Array
    """How many steps were seen, whole numbers ``[*batch]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HiPPORNN(AffineCell):
    r"""Gated recurrent network that remembers the whole past by scaled Legendre polynomials (Gu et al. 2020).

    .. math::
        g_t &= \sigma(x_t W_g + h_{t-1} U_g + c_{t-1} V_g + b_g) \\
        h_t &= (1 - g_t) \odot h_{t-1} + g_t \odot \tanh(x_t W_n + h_{t-1} U_n + c_{t-1} V_n + b_n) \\
        f_t &= e \cdot h_t + b_f \\
        (I + \tfrac{1}{2t} A) \, c_t &= (I - \tfrac{1}{2t} A) \, c_{t-1} + \tfrac{1}{t} B f_t
            && \text{discretization="bilinear"} \\
        c_t &= (I - \tfrac{1}{t} A) \, c_{t-1} + \tfrac{1}{t} B f_t && \text{discretization="euler"} \\
        A_{nk} &= \begin{cases} \sqrt{(2n + 1) (2k + 1)} & n > k \\ n + 1 & n = k \\ 0 & n < k \end{cases}, \quad
            B_n = \sqrt{2n + 1}

    The output is :math:`h_t`. The memory :math:`c_t` (HiPPO-LegS) holds the coefficients of :math:`f` over all the
    :math:`t` steps seen so far, however many; ``memory_size`` is the number of polynomials.
    """

    memory_size: int = 16
    discretization: Literal["bilinear", "euler"] = "bilinear"

    paper = "Gu, Dao, Ermon, Rudra and Re 2020, HiPPO: recurrent memory with optimal polynomial projections, NeurIPS"
    conventions = (
        "The hidden state reads the memory of the step before, then the memory reads the new hidden state, as in the "
        "paper's figure.",
        "The bilinear rule, which the paper's experiments use; its equation 4 is Euler's rule, which is unstable "
        "while there are more polynomials than steps.",
        "The first step has t = 1.",
        "One signal is remembered.",
    )
    elsewhere = {
        "authors' code": "the memory reads the inputs and the old hidden state, then the hidden state reads the new "
        "memory, and by default not itself; the first sample is written as a constant"
    }
    carry_type = HiPPOCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.discretization not in ("bilinear", "euler"):
            raise ValueError(f"HiPPORNN.discretization must be 'bilinear' or 'euler', got {self.discretization!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> HiPPORNNParams:
        """Draw parameters; biases start at zero."""
        kernel_key, recurrent_key, memory_key, encoder_key = jax.random.split(key, 4)
        return HiPPORNNParams(
            kernel=self.draw_kernel(kernel_key, 2, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 2, dtype),
            memory_kernel=self.draw_kernel(memory_key, 2, dtype, rows=self.memory_size),
            bias=jnp.zeros(2 * self.hidden_size, dtype),
            encoder=initialize(self.kernel_initializer, encoder_key, (self.hidden_size, 1), dtype)[:, 0],
            encoder_bias=jnp.zeros((), dtype),
        )

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: Any = None,
        key: jax.Array | None = None,
    ) -> HiPPOCarry:
        """Zeros."""
        del params, key
        return HiPPOCarry(
            hidden=jnp.zeros((*batch_shape, self.hidden_size), dtype),
            memory=jnp.zeros((*batch_shape, self.memory_size), dtype),
            steps=jnp.zeros(batch_shape, jnp.int32),
        )

    def __call__(self, params: HiPPORNNParams, carry: HiPPOCarry, inputs: jax.Array) -> tuple[HiPPOCarry, jax.Array]:
        """One step; see the class."""
        h, c, steps = carry.hidden, carry.memory, carry.steps + 1
        g, n = split_gates(
            inputs @ params.kernel + h @ params.recurrent_kernel + c @ params.memory_kernel + params.bias, 2
        )
        g, n = named(jax.nn.sigmoid(g), "update_gate"), named(jnp.tanh(n), "candidate")
        h = (1 - g) * h + g * n
        signal = (h @ params.encoder + params.encoder_bias)[..., None]

        a, b = scaled_legendre(self.memory_size)
        # Solving has no half-precision form.
        exact = jnp.promote_types(c.dtype, jnp.float32)
        a, b, share = jnp.asarray(a, exact), jnp.asarray(b, exact), 1 / steps.astype(exact)[..., None]
        old = c.astype(exact)
        if self.discretization == "euler":
            new = old + share * (b * signal - old @ a.T)
        else:
            right = old + share * (b * signal - old @ a.T / 2)
            left = jnp.eye(self.memory_size, dtype=exact) + share[..., None] / 2 * a
            new = jax.lax.linalg.triangular_solve(left, right[..., None], left_side=True, lower=True)[..., 0]
        return HiPPOCarry(hidden=h, memory=new.astype(c.dtype), steps=steps), h


@functools.cache
def scaled_legendre(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A ``[size, size]`` and B ``[size]`` of HiPPO-LegS."""
    b = np.sqrt(2 * np.arange(size) + 1.0)
    return np.tril(np.outer(b, b), -1) + np.diag(np.arange(size) + 1.0), b
