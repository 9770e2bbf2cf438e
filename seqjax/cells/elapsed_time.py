"""Cells that read when each step happened, and which values were measured."""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, HiddenCellCarry
from seqjax.cells.gates import lstm_gates, named, split_gates


class TimedInputs(NamedTuple):
    """Inputs with the time since the step before."""

    values: jax.Array
    """``[*batch, input_size]``."""
    elapsed: jax.Array
    """``[*batch, 1]``: time since the step before, not negative."""


class StampedInputs(NamedTuple):
    """Inputs with the time at which they were measured."""

    values: jax.Array
    """``[*batch, input_size]``."""
    time: jax.Array
    """``[*batch, 1]``: time since any fixed origin."""


class IncompleteInputs(NamedTuple):
    """Inputs of which some values are missing."""

    values: jax.Array
    """``[*batch, input_size]``; any finite number, such as zero, where a value is missing."""
    mask: jax.Array
    """``[*batch, input_size]``: 1 where the value was observed, 0 where it is missing."""
    elapsed: jax.Array
    """``[*batch, input_size]``: time since each feature was last observed before this step."""


def example_timed_inputs(
    key: jax.Array, leading_shape: tuple[int, ...], input_size: int, dtype: DTypeLike
) -> TimedInputs:
    """Random inputs after random times between a half and one and a half."""
    values_key, elapsed_key = jax.random.split(key)
    return TimedInputs(
        values=jax.random.normal(values_key, (*leading_shape, input_size)).astype(dtype),
        elapsed=jax.random.uniform(elapsed_key, (*leading_shape, 1), minval=0.5, maxval=1.5).astype(dtype),
    )


class GRUDParams(NamedTuple):
    """Parameters of :class:`GRUD`; gates side by side in the order r, z, n."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 3 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, 3 * hidden_size]``."""
    mask_kernel: jax.Array
    """``[input_size, 3 * hidden_size]``."""
    bias: jax.Array
    """``[3 * hidden_size]``."""
    input_decay: jax.Array
    """How fast each feature's last value is forgotten, ``[input_size]``."""
    input_decay_bias: jax.Array
    """``[input_size]``."""
    hidden_decay: jax.Array
    """How fast the hidden state is forgotten, ``[input_size, hidden_size]``."""
    hidden_decay_bias: jax.Array
    """``[hidden_size]``."""


class GRUDCarry(NamedTuple):
    """Carry of :class:`GRUD`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    last_observation: jax.Array
    """Each feature's last observed value, ``[*batch, input_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GRUD(AffineCell):
    r"""Gated recurrent unit with decay, for series with missing values (Che et al. 2018).

    .. math::
        \gamma^x_t &= \exp(-\max(0, w_{\gamma x} \odot \delta_t + b_{\gamma x})), \quad
            \gamma^h_t = \exp(-\max(0, \delta_t W_{\gamma h} + b_{\gamma h})) \\
        \hat x_t &= m_t \odot x_t + (1 - m_t) \odot
            (\gamma^x_t \odot x_{t'} + (1 - \gamma^x_t) \odot \tilde x) \\
        \hat h_{t-1} &= \gamma^h_t \odot h_{t-1} \\
        r_t, z_t &= \sigma(\hat x_t W_{r,z} + \hat h_{t-1} U_{r,z} + m_t V_{r,z} + b_{r,z}) \\
        n_t &= \tanh(\hat x_t W_n + (r_t \odot \hat h_{t-1}) U_n + m_t V_n + b_n) \\
        h_t &= (1 - z_t) \odot \hat h_{t-1} + z_t \odot n_t

    The output is :math:`h_t`. The inputs are :class:`IncompleteInputs`: values :math:`x_t`, mask :math:`m_t`, elapsed
    time :math:`\delta_t`. :math:`x_{t'}` is the last observed value and :math:`\tilde x` is ``input_mean``, the mean of
    each feature over the training data, one number for all or one for each.
    """

    input_mean: float | tuple[float, ...] = 0.0

    paper = (
        "Che, Purushotham, Cho, Sontag and Liu 2018, Recurrent neural networks for multivariate time series with "
        "missing values, Scientific Reports 8:6085, arXiv:1606.01865"
    )
    conventions = (
        "z replaces the old state, as in this paper; in Cho et al. 2014 and in GRU of this library z keeps it.",
        "The reset gate acts before the product, as in the paper.",
        "Decays of the inputs are one number a feature, those of the hidden state are read from all features.",
        "Before a feature is first observed its last value is its mean.",
        "Decay rates start above zero: where the rectifier is shut nothing would ever move them.",
    )
    elsewhere = {
        "pypots 1.5": "torch's GRU cell (reset after the product, z keeps) that reads the decayed hidden state once "
        "more as an input",
    }
    carry_type = GRUDCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.input_mean, tuple) and len(self.input_mean) != self.input_size:
            raise ValueError(
                f"GRUD.input_mean has {len(self.input_mean)} numbers, expected {self.input_size} as "
                f"input_size={self.input_size}, or a single number for all"
            )

    def example_inputs(
        self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
    ) -> IncompleteInputs:
        """Random values, about half of them observed, after random positive times."""
        values_key, mask_key, elapsed_key = jax.random.split(key, 3)
        shape = (*leading_shape, self.input_size)
        return IncompleteInputs(
            values=jax.random.normal(values_key, shape).astype(dtype),
            mask=jax.random.bernoulli(mask_key, 0.5, shape).astype(dtype),
            elapsed=jax.random.uniform(elapsed_key, shape, minval=0.5, maxval=1.5).astype(dtype),
        )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> GRUDParams:
        """Draw parameters; decay rates are uniform above 0, those of the hidden state divided by the inputs' number."""
        kernel_key, recurrent_key, mask_key, input_key, hidden_key = jax.random.split(key, 5)
        hidden_decay = jax.random.uniform(hidden_key, (self.input_size, self.hidden_size)) / self.input_size
        return GRUDParams(
            kernel=self.draw_kernel(kernel_key, 3, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 3, dtype),
            mask_kernel=self.draw_kernel(mask_key, 3, dtype),
            bias=jnp.zeros(3 * self.hidden_size, dtype),
            input_decay=jax.random.uniform(input_key, (self.input_size,)).astype(dtype),
            input_decay_bias=jnp.zeros(self.input_size, dtype),
            hidden_decay=hidden_decay.astype(dtype),
            hidden_decay_bias=jnp.zeros(self.hidden_size, dtype),
        )

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: Any = None,
        key: jax.Array | None = None,
    ) -> GRUDCarry:
        """A hidden state of zeros, and the mean for each feature's last value."""
        del params, key
        mean = jnp.broadcast_to(jnp.asarray(self.input_mean, dtype), (*batch_shape, self.input_size))
        return GRUDCarry(hidden=jnp.zeros((*batch_shape, self.hidden_size), dtype), last_observation=mean)

    def __call__(self, params: GRUDParams, carry: GRUDCarry, inputs: IncompleteInputs) -> tuple[GRUDCarry, jax.Array]:
        """One step; see the class."""
        x, m, elapsed, last = inputs.values, inputs.mask, inputs.elapsed, carry.last_observation
        mean = jnp.asarray(self.input_mean, x.dtype)
        input_decay = jnp.exp(-jax.nn.relu(params.input_decay * elapsed + params.input_decay_bias))
        hidden_decay = jnp.exp(-jax.nn.relu(elapsed @ params.hidden_decay + params.hidden_decay_bias))
        filled = m * x + (1 - m) * (input_decay * last + (1 - input_decay) * mean)
        h = hidden_decay * carry.hidden

        kernel_r, kernel_z, kernel_n = split_gates(params.recurrent_kernel, 3)
        x_r, x_z, x_n = split_gates(filled @ params.kernel + m @ params.mask_kernel + params.bias, 3)
        r = named(jax.nn.sigmoid(x_r + h @ kernel_r), "reset_gate")
        z = named(jax.nn.sigmoid(x_z + h @ kernel_z), "update_gate")
        n = named(jnp.tanh(x_n + (r * h) @ kernel_n), "candidate")
        hidden = (1 - z) * h + z * n
        return GRUDCarry(hidden=hidden, last_observation=m * x + (1 - m) * last), hidden


class TimeAwareLSTMParams(NamedTuple):
    """Parameters of :class:`TimeAwareLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""
    short_term_kernel: jax.Array
    """From the cell state to its short-term part, ``[hidden_size, hidden_size]``."""
    short_term_bias: jax.Array
    """``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeAwareLSTM(AffineCell):
    r"""Time-aware LSTM: the short-term part of the cell state fades with elapsed time (Baytas et al. 2017).

    .. math::
        s_t &= \tanh(c_{t-1} W_d + b_d) \\
        \hat c_{t-1} &= c_{t-1} - s_t + g(\Delta_t) \, s_t \\
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \tanh(x_t W_g + h_{t-1} U_g + b_g) \\
        c_t &= f_t \odot \hat c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \tanh(c_t) \\
        g(\Delta) &= 1 / \log(e + \Delta) && \text{decay="logarithmic"} \\
        g(\Delta) &= 1 / \max(\Delta, 1) && \text{decay="reciprocal"}

    The output is :math:`h_t`. The inputs are :class:`TimedInputs`, with the elapsed time :math:`\Delta_t`.
    ``forget_bias`` is the initial value of :math:`b_f`.
    """

    decay: Literal["logarithmic", "reciprocal"] = "logarithmic"
    forget_bias: float = 1.0

    paper = "Baytas et al. 2017, Patient subtyping via time-aware LSTM networks, KDD"
    conventions = (
        "The paper has the logarithmic decay for long gaps and the reciprocal one for short ones, and asks for a "
        "function that never grows: a gap below 1 counts as 1 in the reciprocal one, which would amplify there and has "
        "no value at 0.",
        "Gates in the order i, f, g, o, with one bias.",
    )
    carry_type = HiddenCellCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay not in ("logarithmic", "reciprocal"):
            raise ValueError(f"TimeAwareLSTM.decay must be 'logarithmic' or 'reciprocal', got {self.decay!r}")

    def example_inputs(
        self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
    ) -> TimedInputs:
        """Random values after random positive times."""
        return example_timed_inputs(key, leading_shape, self.input_size, dtype)

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> TimeAwareLSTMParams:
        """Draw parameters; biases are zero but for the forget gate's."""
        kernel_key, recurrent_key, short_term_key = jax.random.split(key, 3)
        zeros = jnp.zeros(self.hidden_size, dtype)
        return TimeAwareLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=jnp.concatenate([zeros, zeros + self.forget_bias, zeros, zeros]).astype(dtype),
            short_term_kernel=self.draw_recurrent_kernel(short_term_key, dtype=dtype),
            short_term_bias=zeros,
        )

    def __call__(
        self, params: TimeAwareLSTMParams, carry: HiddenCellCarry, inputs: TimedInputs
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        logarithmic = self.decay == "logarithmic"
        kept = 1 / (jnp.log(math.e + inputs.elapsed) if logarithmic else jnp.maximum(inputs.elapsed, 1))
        short_term = jnp.tanh(carry.cell @ params.short_term_kernel + params.short_term_bias)
        adjusted = carry.cell - short_term + kept * short_term

        gates = inputs.values @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = lstm_gates(gates)
        cell = named(f * adjusted + i * g, "cell")
        hidden = o * jnp.tanh(cell)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


class PhasedLSTMParams(NamedTuple):
    """Parameters of :class:`PhasedLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""
    log_period: jax.Array
    """``[hidden_size]``: the logarithm of each unit's period."""
    shift: jax.Array
    """``[hidden_size]``: the time at which each unit opens."""
    open_ratio_logit: jax.Array
    """``[hidden_size]``: before the sigmoid, the share of its period for which each unit is open."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhasedLSTM(AffineCell):
    r"""Phased LSTM: each unit is updated only while its own clock has it open (Neil, Pfeiffer, Liu 2016).

    .. math::
        \phi_t &= \frac{(t - s) \bmod \tau}{\tau} \\
        k_t &= \begin{cases}
            2 \phi_t / r & \phi_t < r / 2 \\
            2 - 2 \phi_t / r & r / 2 \le \phi_t < r \\
            \alpha \phi_t & \text{otherwise}
        \end{cases} \\
        i_t, f_t, o_t &= \sigma(x_t W_{i,f,o} + h_{t-1} U_{i,f,o} + b_{i,f,o}) \\
        g_t &= \tanh(x_t W_g + h_{t-1} U_g + b_g) \\
        \tilde c_t &= f_t \odot c_{t-1} + i_t \odot g_t, \quad c_t = k_t \odot \tilde c_t + (1 - k_t) \odot c_{t-1} \\
        \tilde h_t &= o_t \odot \tanh(\tilde c_t), \quad h_t = k_t \odot \tilde h_t + (1 - k_t) \odot h_{t-1}

    The output is :math:`h_t`. The inputs are :class:`StampedInputs`, with the time stamp :math:`t`. ``leak`` is
    :math:`\alpha`; it lets gradients pass through closed units, and the paper sets it to zero after training.
    ``open_ratio`` is the initial :math:`r`; initial periods :math:`\tau` are log-uniform between ``shortest_period``
    and ``longest_period``.
    """

    leak: float = 0.001
    open_ratio: float = 0.05
    shortest_period: float = 1.0
    longest_period: float = math.exp(3.0)
    forget_bias: float = 1.0

    paper = (
        "Neil, Pfeiffer and Liu 2016, Phased LSTM: accelerating recurrent network training for long or event-based "
        "sequences, NeurIPS, arXiv:1610.09513"
    )
    conventions = (
        "No peepholes, which the paper calls optional.",
        "The period is learned as its logarithm and the open ratio as its logit, so that no step of training leaves "
        "their domain; at the start they are the paper's.",
        "Gates in the order i, f, g, o, with one bias.",
    )
    elsewhere = {
        "TensorFlow 1 contrib": "period and open ratio are learned as they are; by default the ratio starts at 0.1 and "
        "periods reach 1000"
    }
    carry_type = HiddenCellCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.open_ratio < 1:
            raise ValueError(f"PhasedLSTM.open_ratio must be between 0 and 1, got {self.open_ratio!r}")
        if not 0 < self.shortest_period <= self.longest_period:
            raise ValueError(
                "PhasedLSTM.shortest_period must be above 0 and at most longest_period, got "
                f"{self.shortest_period!r} and {self.longest_period!r}"
            )

    def example_inputs(
        self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32
    ) -> StampedInputs:
        """Random values at random times."""
        values_key, time_key = jax.random.split(key)
        return StampedInputs(
            values=jax.random.normal(values_key, (*leading_shape, self.input_size)).astype(dtype),
            time=jax.random.uniform(time_key, (*leading_shape, 1), maxval=1.0).astype(dtype),
        )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> PhasedLSTMParams:
        """Draw parameters; the bias is zero but for the forget gate's, shifts are uniform over the period."""
        kernel_key, recurrent_key, period_key, shift_key = jax.random.split(key, 4)
        shape, zeros = (self.hidden_size,), jnp.zeros(self.hidden_size, dtype)
        log_period = jax.random.uniform(
            period_key, shape, minval=math.log(self.shortest_period), maxval=math.log(self.longest_period)
        )
        return PhasedLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=jnp.concatenate([zeros, zeros + self.forget_bias, zeros, zeros]).astype(dtype),
            log_period=log_period.astype(dtype),
            shift=(jax.random.uniform(shift_key, shape) * jnp.exp(log_period)).astype(dtype),
            open_ratio_logit=jnp.full(shape, math.log(self.open_ratio / (1 - self.open_ratio)), dtype),
        )

    def __call__(
        self, params: PhasedLSTMParams, carry: HiddenCellCarry, inputs: StampedInputs
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        cycles = (inputs.time - params.shift) / jnp.exp(params.log_period)
        phase, ratio = cycles - jnp.floor(cycles), jax.nn.sigmoid(params.open_ratio_logit)
        rising, falling = phase < ratio / 2, phase < ratio
        k = jnp.where(rising, 2 * phase / ratio, jnp.where(falling, 2 - 2 * phase / ratio, self.leak * phase))

        gates = inputs.values @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        i, f, g, o = lstm_gates(gates)
        proposed = f * carry.cell + i * g
        cell = named(k * proposed + (1 - k) * carry.cell, "cell")
        hidden = k * o * jnp.tanh(proposed) + (1 - k) * carry.hidden
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden
