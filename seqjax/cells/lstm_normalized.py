"""LSTMs with layer normalisation and with batch normalisation inside their step."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import HiddenCellCarry
from seqjax.cells.forget_bias import ForgetGateCell
from seqjax.cells.gates import lstm_gates, named
from seqjax.cells.kernels import normalized


class LayerNormLSTMParams(NamedTuple):
    """Parameters of :class:`LayerNormLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""
    scale: jax.Array
    """Gain of the normalised product of the inputs, or of the normalised sum, ``[4 * hidden_size]``."""
    recurrent_scale: jax.Array | None
    """Gain of the normalised product of the hidden state, ``[4 * hidden_size]``; ``None`` if the sum is normalised."""
    cell_scale: jax.Array | None
    """Gain of the normalised cell state, ``[hidden_size]``; ``None`` if it is not normalised."""
    cell_bias: jax.Array | None
    """Bias of the normalised cell state, ``[hidden_size]``; ``None`` if it is not normalised."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerNormLSTM(ForgetGateCell):
    r"""LSTM with layer normalisation (Ba, Kiros, Hinton 2016).

    .. math::
        a_t &= \gamma_x \odot LN(x_t W) + \gamma_h \odot LN(h_{t-1} U) + b && \text{placement="separate"} \\
        a_t &= \gamma_x \odot LN(x_t W + h_{t-1} U) + b && \text{placement="joint"} \\
        i_t, f_t, o_t &= \sigma(a_{i,f,o}), \quad g_t = \phi(a_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \phi(\gamma_c \odot LN(c_t) + b_c) && \text{cell_norm="output"} \\
        c_t &\leftarrow \gamma_c \odot LN(c_t) + b_c, \quad h_t = o_t \odot \phi(c_t) && \text{cell_norm="state"} \\
        h_t &= o_t \odot \phi(c_t) && \text{cell_norm="none"}

    LN subtracts the mean over the features and divides by their standard deviation. The output is :math:`h_t`. With
    ``placement="separate"`` the features are those of the four gates together, with ``placement="joint"`` those of
    each gate. With ``cell_norm="output"`` the cell state is normalised where it is read, with ``"state"`` the
    normalised one is also carried on.
    """

    placement: Literal["separate", "joint"] = "separate"
    cell_norm: Literal["output", "state", "none"] = "output"
    activation: Activation = "tanh"
    epsilon: float = 1e-5

    paper = "Ba, Kiros and Hinton 2016, Layer normalization, arXiv:1607.06450"
    conventions = (
        "Gates in the order i, f, g, o, with one bias: the paper's three are summed.",
        "The paper's placement: both products are normalised, each over the four gates together, and so is the cell "
        "state where the output reads it.",
        "Gains start at 1; epsilon is added to the variance.",
    )
    elsewhere = {
        "TensorFlow 1 (contrib)": "placement='joint', cell_norm='state', epsilon=1e-12; adds 1 to the forget gate",
        "TensorFlow Addons": "placement='separate', cell_norm='state', epsilon=1e-3; each norm has a bias",
    }
    carry_type = HiddenCellCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, names in (("placement", ("separate", "joint")), ("cell_norm", ("output", "state", "none"))):
            if getattr(self, field) not in names:
                raise ValueError(
                    f"LayerNormLSTM.{field} must be one of {', '.join(map(repr, names))}, got {getattr(self, field)!r}"
                )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LayerNormLSTMParams:
        """Draw parameters; gains start at one, biases at zero but for the forget gate's."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        ones = jnp.ones(4 * self.hidden_size, dtype)
        of_cell = (ones[: self.hidden_size], jnp.zeros(self.hidden_size, dtype))
        return LayerNormLSTMParams(
            self.draw_kernel(kernel_key, 4, dtype),
            self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            self.draw_bias(bias_key, "ifgo", dtype),
            ones,
            ones if self.placement == "separate" else None,
            *(of_cell if self.cell_norm != "none" else (None, None)),
        )

    def __call__(
        self, params: LayerNormLSTMParams, carry: HiddenCellCarry, inputs: jax.Array
    ) -> tuple[HiddenCellCarry, jax.Array]:
        """One step; see the class."""
        activation = activation_function(self.activation)
        layer_norm = lambda value, size: normalized(value, "features", size, self.epsilon)
        by_inputs, by_hidden = inputs @ params.kernel, carry.hidden @ params.recurrent_kernel
        if params.recurrent_scale is None:
            gates = layer_norm(by_inputs + by_hidden, self.hidden_size) * params.scale + params.bias
        else:
            gates = layer_norm(by_inputs, None) * params.scale
            gates = gates + layer_norm(by_hidden, None) * params.recurrent_scale + params.bias
        i, f, g, o = lstm_gates(gates, activation)
        cell = read = f * carry.cell + i * g
        if params.cell_scale is not None and params.cell_bias is not None:
            read = layer_norm(cell, None) * params.cell_scale + params.cell_bias
        cell = named(read if self.cell_norm == "state" else cell, "cell")
        hidden = o * activation(read)
        return HiddenCellCarry(hidden=hidden, cell=cell), hidden


class Statistics(NamedTuple):
    """Mean and standard deviation of each feature at each of the first time steps."""

    mean: jax.Array
    """``[statistics_steps, features]``."""
    deviation: jax.Array
    """``[statistics_steps, features]``."""


class BatchNormLSTMParams(NamedTuple):
    """Parameters of :class:`BatchNormLSTM`; gates side by side in the order i, f, g, o."""

    kernel: jax.Array
    """Input kernel, ``[input_size, 4 * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, 4 * hidden_size]``."""
    bias: jax.Array
    """``[4 * hidden_size]``."""
    scale: jax.Array
    """Gain of the normalised product of the inputs, ``[4 * hidden_size]``."""
    recurrent_scale: jax.Array
    """Gain of the normalised product of the hidden state, ``[4 * hidden_size]``."""
    cell_scale: jax.Array
    """Gain of the normalised cell state, ``[hidden_size]``."""
    cell_bias: jax.Array
    """Bias of the normalised cell state, ``[hidden_size]``."""
    statistics: Statistics
    """Of the product of the inputs, over the population; read in evaluation, as are the next two."""
    recurrent_statistics: Statistics
    """Of the product of the hidden state."""
    cell_statistics: Statistics
    """Of the cell state."""


class BatchNormLSTMCarry(NamedTuple):
    """Carry of :class:`BatchNormLSTM`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    cell: jax.Array
    """``[*batch, hidden_size]``."""
    step: jax.Array
    """How many steps were made, ``[*batch]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchNormLSTM(ForgetGateCell):
    r"""LSTM with batch normalisation, with statistics for each time step (Cooijmans et al. 2016).

    .. math::
        a_t &= \gamma_x \odot BN_t(x_t W) + \gamma_h \odot BN_t(h_{t-1} U) + b \\
        i_t, f_t, o_t &= \sigma(a_{i,f,o}), \quad g_t = \phi(a_g) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \phi(\gamma_c \odot BN_t(c_t) + b_c)

    BN subtracts a mean and divides by a standard deviation, a pair for each feature and time step. The output is
    :math:`h_t`. With ``training`` the pair is that of the batch, so that the sequences of a batch act on each other.
    Without, it is that of the population, from the parameters' statistics, the last one from step
    ``statistics_steps`` on; :func:`population_statistics` fills them in after training.
    """

    training: bool = False
    statistics_steps: int = 32
    activation: Activation = "tanh"
    epsilon: float = 1e-5

    paper = "Cooijmans et al. 2016, Recurrent batch normalization, ICLR 2017, arXiv:1603.09025"
    conventions = (
        "Gates in the order i, f, g, o, with one bias; the normalised products have gains and no biases of their own.",
        "Gains start at 0.1, as in the paper.",
        "Statistics of the population are parameters that training does not read, so that it gives them no gradient; "
        "before population_statistics they are mean 0 and deviation 1.",
        "The variance is that of the batch, without correction; epsilon is added to it.",
        "The initial carry is zero, so that nothing of the hidden state passes the first step; where inputs begin with "
        "many equal steps, the paper adds noise to it.",
        "In training, padded steps count in the statistics: train on sequences of one length.",
    )
    carry_type = BatchNormLSTMCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        steps = self.statistics_steps
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise ValueError(f"BatchNormLSTM.statistics_steps must be a positive whole number, got {steps!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> BatchNormLSTMParams:
        """Draw parameters; gains start at 0.1, biases at zero but for the forget gate's."""
        kernel_key, recurrent_key, bias_key = jax.random.split(key, 3)
        size, steps = self.hidden_size, self.statistics_steps
        gain = lambda size: jnp.full(size, 0.1, dtype)
        statistics = lambda size: Statistics(jnp.zeros((steps, size), dtype), jnp.ones((steps, size), dtype))
        return BatchNormLSTMParams(
            kernel=self.draw_kernel(kernel_key, 4, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 4, dtype),
            bias=self.draw_bias(bias_key, "ifgo", dtype),
            scale=gain(4 * size),
            recurrent_scale=gain(4 * size),
            cell_scale=gain(size),
            cell_bias=jnp.zeros(size, dtype),
            statistics=statistics(4 * size),
            recurrent_statistics=statistics(4 * size),
            cell_statistics=statistics(size),
        )

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: Any = None,
        key: jax.Array | None = None,
    ) -> BatchNormLSTMCarry:
        """Zeros, and no steps made."""
        del params, key
        zeros = jnp.zeros((*batch_shape, self.hidden_size), dtype)
        return BatchNormLSTMCarry(hidden=zeros, cell=zeros, step=jnp.zeros(batch_shape, jnp.int32))

    def __call__(
        self, params: BatchNormLSTMParams, carry: BatchNormLSTMCarry, inputs: jax.Array
    ) -> tuple[BatchNormLSTMCarry, jax.Array]:
        """One step; see the class."""
        carry, _ = self.step_and_statistics(params, carry, inputs)
        return carry, carry.hidden

    def step_and_statistics(
        self, params: BatchNormLSTMParams, carry: BatchNormLSTMCarry, inputs: jax.Array
    ) -> tuple[BatchNormLSTMCarry, tuple[Statistics, Statistics, Statistics]]:
        """One step, and the statistics of its three normalisations, without the axis of time."""
        activation = activation_function(self.activation)
        by_inputs, of_inputs = self._normalized(inputs @ params.kernel, params.statistics, carry.step)
        by_hidden, of_hidden = self._normalized(
            carry.hidden @ params.recurrent_kernel, params.recurrent_statistics, carry.step
        )
        gates = by_inputs * params.scale + by_hidden * params.recurrent_scale + params.bias
        i, f, g, o = lstm_gates(gates, activation)
        cell = named(f * carry.cell + i * g, "cell")
        read, of_cell = self._normalized(cell, params.cell_statistics, carry.step)
        hidden = o * activation(read * params.cell_scale + params.cell_bias)
        carry = BatchNormLSTMCarry(hidden=hidden, cell=cell, step=carry.step + 1)
        return carry, (of_inputs, of_hidden, of_cell)

    def _normalized(self, value: jax.Array, stored: Statistics, step: jax.Array) -> tuple[jax.Array, Statistics]:
        if self.training:
            if value.ndim < 2:
                raise ValueError(
                    "BatchNormLSTM.training=True needs a batch axis, for its statistics are those of a batch; got one "
                    "sequence alone: add an axis, or set training=False"
                )
            axes = tuple(range(value.ndim - 1))
            mean, variance = value.mean(axes), value.var(axes)
        else:
            step = jnp.minimum(step, self.statistics_steps - 1)
            mean, variance = stored.mean[step], jnp.square(stored.deviation[step])
        return (value - mean) * jax.lax.rsqrt(variance + self.epsilon), Statistics(mean, jnp.sqrt(variance))


def population_statistics(cell: BatchNormLSTM, params: BatchNormLSTMParams, inputs: jax.Array) -> BatchNormLSTMParams:
    """The parameters with statistics of these inputs, ``[time, *batch, input_size]``, for evaluation.

    Give as many sequences as represent the population. Where they are shorter than ``cell.statistics_steps``, the last
    step's statistics fill the rest.

    Example:
        >>> import dataclasses, jax, seqjax
        >>> from seqjax.cells import BatchNormLSTM
        >>> from seqjax.cells.lstm_normalized import population_statistics
        >>> cell = BatchNormLSTM(input_size=2, hidden_size=3)
        >>> params, inputs = cell.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (5, 8, 2))
        >>> training = dataclasses.replace(cell, training=True)
        >>> in_training = seqjax.scan(training, params, inputs)[1]
        >>> in_evaluation = seqjax.scan(cell, population_statistics(cell, params, inputs), inputs)[1]
        >>> bool(abs(in_training - in_evaluation).max() < 1e-5)
        True
    """
    training = dataclasses.replace(cell, training=True)

    def step(carry: BatchNormLSTMCarry, inputs: jax.Array) -> tuple[BatchNormLSTMCarry, Any]:
        return training.step_and_statistics(params, carry, inputs)

    steps, start = cell.statistics_steps, training.initial_carry(inputs.shape[1:-1], inputs.dtype)
    _, found = jax.lax.scan(step, start, inputs[:steps])
    found = jax.tree.map(lambda a: jnp.pad(a, ((0, steps - a.shape[0]), (0, 0)), mode="edge"), found)
    of_inputs, of_hidden, of_cell = found
    return params._replace(statistics=of_inputs, recurrent_statistics=of_hidden, cell_statistics=of_cell)
