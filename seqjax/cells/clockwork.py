"""The clockwork network: modules of units that each tick with a period of their own."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell, AffineParams


class ClockworkCarry(NamedTuple):
    """Carry of :class:`Clockwork`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    step: jax.Array
    """Number of steps taken, ``[*batch]``, 32-bit integers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clockwork(AffineCell):
    r"""Clockwork network (Koutnik, Greff, Gomez and Schmidhuber 2014).

    .. math::
        h_t = \begin{cases} \phi(x_t W + h_{t-1} U + b) & \text{the module's period divides } t \\
        h_{t-1} & \text{otherwise} \end{cases}

    The output is :math:`h_t`. The hidden units are split into one module a period, fast ones first. A module reads from
    itself and from slower modules: of :math:`U` only the blocks from slow to fast count.
    """

    periods: tuple[int, ...] = (1, 2, 4, 8)
    activation: Activation = "tanh"

    paper = "Koutnik, Greff, Gomez and Schmidhuber 2014, A clockwork RNN, arXiv:1402.3511"
    conventions = (
        "Time starts at 0, where every module ticks; a reset starts it anew.",
        "Periods are powers of two, as in the paper; any increasing whole numbers are possible.",
        "Where the number of modules does not divide hidden_size, the first modules have one unit more.",
        "U is stored whole, and its blocks from fast to slow count as zero. With columns for the units that are "
        "read, as in the paper, it is upper triangular in blocks; here, with rows for them, lower triangular.",
        "A module that does not tick keeps its state.",
    )
    elsewhere = {"rnn-jax": "modules that do not tick apply the nonlinearity to their state at every step"}
    carry_type = ClockworkCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "periods", tuple(self.periods))
        whole = all(isinstance(period, int) and period > 0 for period in self.periods)
        if not self.periods or not whole or list(self.periods) != sorted(set(self.periods)):
            raise ValueError(f"Clockwork.periods must be increasing positive whole numbers, got {self.periods!r}")
        if self.hidden_size < len(self.periods):
            raise ValueError(
                f"Clockwork.hidden_size must be at least the number of periods, {len(self.periods)}: a unit a module; "
                f"got {self.hidden_size}. Give fewer periods or more units."
            )

    @property
    def unit_periods(self) -> np.ndarray:
        """The period of every unit, ``[hidden_size]``."""
        modules = np.array_split(np.arange(self.hidden_size), len(self.periods))
        return np.repeat(np.asarray(self.periods, np.int32), [len(module) for module in modules])

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: AffineParams | None = None,
        key: jax.Array | None = None,
    ) -> ClockworkCarry:
        """Zeros, at time 0."""
        return ClockworkCarry(jnp.zeros((*batch_shape, self.hidden_size), dtype), jnp.zeros(batch_shape, jnp.int32))

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias starts at zero."""
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, dtype=dtype),
            bias=jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(
        self, params: AffineParams, carry: ClockworkCarry, inputs: jax.Array
    ) -> tuple[ClockworkCarry, jax.Array]:
        """One step; see the class."""
        periods = self.unit_periods
        slow_to_fast = jnp.where(periods[:, None] >= periods, params.recurrent_kernel, 0)
        target = activation_function(self.activation)(
            inputs @ params.kernel + carry.hidden @ slow_to_fast + params.bias
        )
        ticks = carry.step[..., None] % periods == 0
        hidden = jnp.where(ticks, target, carry.hidden)
        return ClockworkCarry(hidden, carry.step + 1), hidden
