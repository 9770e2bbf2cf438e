"""Liquid cells: neurons with conductance-based synapses, and their closed form."""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, Cell, HiddenCarry
from seqjax.cells.elapsed_time import example_timed_inputs
from seqjax.cells.gates import split_gates
from seqjax.cells.initializers import Initializer, initialize


def _check_elapsed(cell: Any) -> None:
    if cell.elapsed is not None and not cell.elapsed > 0:
        raise ValueError(
            f"{type(cell).__name__}.elapsed must be a time above 0, or None to read it from TimedInputs, got "
            f"{cell.elapsed!r}"
        )


def _example_inputs(cell: Any, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    timed = example_timed_inputs(key, leading_shape, cell.input_size, dtype)
    return timed if cell.elapsed is None else timed.values


def _values_and_elapsed(cell: Any, inputs: Any) -> tuple[jax.Array, Any]:
    return tuple(inputs) if cell.elapsed is None else (inputs, cell.elapsed)


class Synapses(NamedTuple):
    """Synapses from some neurons to all neurons of the layer, each array ``[from, hidden_size]``."""

    conductance: jax.Array
    """Before the softplus: how strongly a fully open synapse pulls."""
    steepness: jax.Array
    """How fast the synapse opens with the potential before it."""
    midpoint: jax.Array
    """The potential at which it is half open."""
    reversal: jax.Array
    """The potential that it pulls towards."""


class LTCParams(NamedTuple):
    """Parameters of :class:`LTC`."""

    sensory: Synapses
    """From the inputs, each array ``[input_size, hidden_size]``."""
    recurrent: Synapses
    """Between the neurons, each array ``[hidden_size, hidden_size]``."""
    leak_conductance: jax.Array
    """Before the softplus, ``[hidden_size]``."""
    leak_potential: jax.Array
    """``[hidden_size]``."""
    capacitance: jax.Array
    """Before the softplus, ``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LTC(Cell):
    r"""Liquid time-constant network, with the fused semi-implicit solver (Hasani et al. 2021).

    .. math::
        C \frac{dv}{dt} &= g \odot (v_{leak} - v) + \sum_j S_j(v) \odot (E_j - v) + \sum_j S_j(x) \odot (E_j - v) \\
        S_j(u) &= w_j \odot \sigma(\lambda_j \odot (u_j - \mu_j)) \\
        v &\leftarrow \frac{C \odot v + \delta (g \odot v_{leak} + \sum_j S_j(v) \odot E_j + \sum_j S_j(x) \odot E_j)}
            {C + \delta (g + \sum_j S_j(v) + \sum_j S_j(x))}

    The last line is done ``unfolds`` times in every step, each with :math:`\delta` the elapsed time divided by
    ``unfolds``. The output is the potential :math:`v`. ``elapsed`` is the time from step to step; with ``None`` each
    step's inputs say it, as :class:`~seqjax.cells.elapsed_time.TimedInputs`.
    """

    unfolds: int = 6
    elapsed: float | None = 1.0

    paper = "Hasani, Lechner, Amini, Rus and Grosu 2021, Liquid time-constant networks, AAAI, arXiv:2006.04439"
    conventions = (
        "Conductances and capacitance are the softplus of what is learned; the authors clip them after each update.",
        "All neurons are connected, and there is no affine map of inputs and outputs, which the authors' code adds.",
        "Initial values are drawn from the ranges of the authors' code.",
    )
    elsewhere = {
        "ncps 1.0.1": "affine maps of inputs and outputs by default, sparse wirings; 1e-8 is added to the denominator"
    }
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.unfolds, int) or self.unfolds < 1:
            raise ValueError(f"LTC.unfolds must be a positive whole number, got {self.unfolds!r}")
        _check_elapsed(self)

    def example_inputs(self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Any:
        """Random values, after random positive times where the cell reads them."""
        return _example_inputs(self, key, leading_shape, dtype)

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LTCParams:
        """Draw parameters; synapses pull towards 1 or -1, at random."""
        keys = jax.random.split(key, 5)
        hidden = (self.hidden_size,)
        return LTCParams(
            sensory=_draw_synapses(keys[0], (self.input_size, self.hidden_size), dtype),
            recurrent=_draw_synapses(keys[1], (self.hidden_size, self.hidden_size), dtype),
            leak_conductance=_softplus_inverse(_uniform(keys[2], hidden, 0.001, 1.0)).astype(dtype),
            leak_potential=_uniform(keys[3], hidden, -0.2, 0.2).astype(dtype),
            capacitance=_softplus_inverse(_uniform(keys[4], hidden, 0.4, 0.6)).astype(dtype),
        )

    def __call__(self, params: LTCParams, carry: HiddenCarry, inputs: Any) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x, elapsed = _values_and_elapsed(self, inputs)
        v, leak = carry.hidden, jax.nn.softplus(params.leak_conductance)
        capacitance, time = jax.nn.softplus(params.capacitance), elapsed / self.unfolds
        pull_x, conductance_x = _currents(params.sensory, x)
        for _ in range(self.unfolds):
            pull, conductance = _currents(params.recurrent, v)
            v = (capacitance * v + time * (leak * params.leak_potential + pull + pull_x)) / (
                capacitance + time * (leak + conductance + conductance_x)
            )
        return HiddenCarry(v), v


def _currents(synapses: Synapses, potential: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What open synapses pull towards, and how strongly, summed over the neurons before them."""
    opened = jax.nn.sigmoid(synapses.steepness * (potential[..., None] - synapses.midpoint))
    strength = jax.nn.softplus(synapses.conductance) * opened
    return jnp.sum(strength * synapses.reversal, axis=-2), jnp.sum(strength, axis=-2)


def _draw_synapses(key: jax.Array, shape: tuple[int, int], dtype: DTypeLike) -> Synapses:
    keys = jax.random.split(key, 4)
    return Synapses(
        conductance=_softplus_inverse(_uniform(keys[0], shape, 0.001, 1.0)).astype(dtype),
        steepness=_uniform(keys[1], shape, 3.0, 8.0).astype(dtype),
        midpoint=_uniform(keys[2], shape, 0.3, 0.8).astype(dtype),
        reversal=jax.random.rademacher(keys[3], shape).astype(dtype),
    )


def _uniform(key: jax.Array, shape: tuple[int, ...], low: float, high: float) -> jax.Array:
    return jax.random.uniform(key, shape, minval=low, maxval=high)


def _softplus_inverse(value: jax.Array) -> jax.Array:
    return jnp.log(jnp.expm1(value))


class CfCParams(NamedTuple):
    """Parameters of :class:`CfC`; heads side by side in the order g, h, a, b, and in pure mode the one head g."""

    kernel: jax.Array
    """From the inputs to the backbone, ``[input_size, backbone_size]``."""
    recurrent_kernel: jax.Array
    """From the hidden state to the backbone, ``[hidden_size, backbone_size]``."""
    bias: jax.Array
    """``[backbone_size]``."""
    head_kernel: jax.Array
    """``[backbone_size, heads * hidden_size]``."""
    head_bias: jax.Array
    """``[heads * hidden_size]``."""
    rate: jax.Array | None
    """Of the pure mode, ``[hidden_size]``."""
    limit: jax.Array | None
    """Of the pure mode, ``[hidden_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CfC(AffineCell):
    r"""Closed-form continuous-time network (Hasani et al. 2022).

    .. math::
        u_t &= 1.7159 \tanh(0.666 \, (x_t W + h_{t-1} U + b)) \\
        g_t, \bar h_t &= \tanh(u_t W_{g,h} + b_{g,h}) \\
        k_t &= \sigma((u_t W_a + b_a) \Delta_t + u_t W_b + b_b) \\
        h_t &= (1 - k_t) \odot g_t + k_t \odot \bar h_t && \text{mode="default"} \\
        h_t &= g_t + k_t \odot \bar h_t && \text{mode="no\_gate"} \\
        h_t &= A - A \odot \exp(-\Delta_t (|w| + |f_t|)) \odot f_t, \quad f_t = u_t W_g + b_g
            && \text{mode="pure"}

    The output is :math:`h_t`. ``elapsed`` is the time :math:`\Delta_t` from step to step; with ``None`` each step's
    inputs say it, as :class:`~seqjax.cells.elapsed_time.TimedInputs`.
    """

    mode: Literal["default", "no_gate", "pure"] = "default"
    backbone_size: int = 128
    recurrent_initializer: Initializer = "glorot_uniform"
    elapsed: float | None = 1.0

    paper = (
        "Hasani et al. 2022, Closed-form continuous-time neural networks, Nature Machine Intelligence 4, "
        "arXiv:2106.13898"
    )
    conventions = (
        "The backbone that the heads share is one layer of LeCun's scaled tanh, the default of the authors' code.",
        "The time gate is that of the authors' code: the paper's sigmoid(-f t) with a second head added and the minus "
        "sign left to the weights.",
    )
    elsewhere = {"ncps 1.0.1": "the same, with any number of backbone layers and sparse wirings"}
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("default", "no_gate", "pure"):
            raise ValueError(f"CfC.mode must be 'default', 'no_gate' or 'pure', got {self.mode!r}")
        _check_elapsed(self)

    def example_inputs(self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Any:
        """Random values, after random positive times where the cell reads them."""
        return _example_inputs(self, key, leading_shape, dtype)

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> CfCParams:
        """Draw parameters; biases start at zero, in pure mode the rate at zero and the limit at one."""
        kernel_key, recurrent_key, head_key = jax.random.split(key, 3)
        pure = self.mode == "pure"
        heads = 1 if pure else 4
        return CfCParams(
            kernel=initialize(self.kernel_initializer, kernel_key, (self.input_size, self.backbone_size), dtype),
            recurrent_kernel=initialize(
                self.recurrent_initializer, recurrent_key, (self.hidden_size, self.backbone_size), dtype
            ),
            bias=jnp.zeros(self.backbone_size, dtype),
            head_kernel=self.draw_kernel(head_key, heads, dtype, rows=self.backbone_size),
            head_bias=jnp.zeros(heads * self.hidden_size, dtype),
            rate=jnp.zeros(self.hidden_size, dtype) if pure else None,
            limit=jnp.ones(self.hidden_size, dtype) if pure else None,
        )

    def __call__(self, params: CfCParams, carry: HiddenCarry, inputs: Any) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        x, elapsed = _values_and_elapsed(self, inputs)
        backbone = x @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias
        backbone = 1.7159 * jnp.tanh(0.666 * backbone)
        heads = backbone @ params.head_kernel + params.head_bias
        if params.rate is not None and params.limit is not None:
            decay = jnp.exp(-elapsed * (jnp.abs(params.rate) + jnp.abs(heads)))
            hidden = params.limit - params.limit * decay * heads
        else:
            g, h, a, b = split_gates(heads, 4)
            k = jax.nn.sigmoid(a * elapsed + b)
            hidden = (1 - k if self.mode == "default" else 1) * jnp.tanh(g) + k * jnp.tanh(h)
        return HiddenCarry(hidden), hidden
