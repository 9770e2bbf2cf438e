"""How much of the gradient reaches the past: every loss against every hidden state, in one reverse pass."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.analysis.backward import Loss, Pull, backward, checked, leaf_names


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GradientFlow:
    r"""How strongly each loss depends on each hidden state.

    Attributes:
        norms: for every leaf of the carry, by name, :math:`G_{t,k} = \| dL_t / d h_k \|` as ``[losses, time, *batch]``;
            zero where the loss comes before the state.
        times: the time step of each loss, ``[losses]``.
    """

    norms: Mapping[str, jax.Array]
    times: np.ndarray

    @property
    def time_steps(self) -> int:
        """Number of time steps."""
        return next(iter(self.norms.values())).shape[1]

    def by_lag(self, leaf: str) -> np.ndarray:
        r"""The typical norm at each lag ``[time]``: :math:`\exp` of the mean of :math:`\log G_{t,t-lag}`.

        The mean runs over the losses that look so far back and over the batch. The geometric mean is the one that a
        product of factors grows by; a lag at which some norm is exactly zero is zero.
        """
        norms = np.asarray(self.norms[leaf], np.float64)
        lags = np.full(self.time_steps, np.nan)
        with np.errstate(divide="ignore"):
            logs = np.log(norms)
        for lag in range(self.time_steps):
            rows = np.flatnonzero(self.times >= lag)
            if len(rows):
                lags[lag] = math.exp(logs[rows, self.times[rows] - lag].mean())
        return lags

    def summary(self, leaf: str, *, vanishing: float = 1e-3, exploding: float = 1e3) -> "FlowSummary":
        """The numbers that say whether gradients reach the past through this leaf.

        Args:
            leaf: a name in ``norms``.
            vanishing: below this share of the norm at lag 0, at the largest lag, the verdict is "vanishing".
            exploding: above this multiple the verdict is "exploding".
        """
        lags = self.by_lag(leaf)
        lags = lags[~np.isnan(lags)]
        known = np.flatnonzero(lags > 0)
        if not len(known):
            raise ValueError(f"no gradient of any loss reaches {leaf}; does the loss depend on the outputs?")
        # A leaf need not reach the loss of its own step: the first lag that has a gradient is the reference.
        first = known[0]
        rate = float(np.polyfit(known, np.log(lags[known]), 1)[0]) if len(known) > 1 else -math.inf
        ratio = float(lags[-1] / lags[first]) if len(lags) > 1 else 1.0
        above = np.flatnonzero(lags >= 0.01 * lags[first])
        verdict = "vanishing" if ratio < vanishing else "exploding" if ratio > exploding else "healthy"
        return FlowSummary(
            leaf=leaf,
            rate=rate,
            half_life=math.log(2) / -rate if rate < 0 else math.inf,
            effective_memory=int(above[-1]),
            ratio=ratio,
            horizon=len(lags) - 1,
            verdict=verdict,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowSummary:
    """Whether gradients reach the past through one leaf of the carry; print it.

    Attributes:
        leaf: of the carry.
        rate: slope of the logarithm of the norm against the lag, by least squares; in nats a step.
        half_life: steps in which the norm halves; infinite where it does not shrink.
        effective_memory: the largest lag at which the norm is still a hundredth of that at lag 0.
        ratio: norm at the largest lag over that at lag 0.
        horizon: the largest lag.
        verdict: "vanishing", "exploding" or "healthy".
    """

    leaf: str
    rate: float
    half_life: float
    effective_memory: int
    ratio: float
    horizon: int
    verdict: Literal["vanishing", "exploding", "healthy"]

    def __str__(self) -> str:
        half = "does not shrink" if math.isinf(self.half_life) else f"halves every {self.half_life:.3g} steps"
        return (
            f"{self.leaf}: {self.verdict}; a factor {math.exp(self.rate):.4g} a step ({half}), "
            f"{self.ratio:.3g} over {self.horizon} steps, effective memory {self.effective_memory} steps"
        )


def gradient_flow(
    cell: Any,
    params: Any,
    inputs: Any,
    carry: Any = None,
    *,
    loss: Loss | None = None,
    targets: Any = None,
    times: Any = None,
) -> GradientFlow:
    r"""Measure :math:`G_{t,k} = \| dL_t / d h_k \|` for every leaf of the carry, every loss and every step.

    One forward pass and one reverse pass: going back in time, the cotangents of all losses so far are pulled through a
    step together, so the work is ``losses * time`` pullbacks of one step: with every loss it grows with the square of
    the time, and ``times`` thins it out. A sequence has its own row of norms; the gradient goes through everything that
    the carry reaches, so in a step that stacks layers the lower layers' states see the losses through the layers above.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters.
        inputs: ``[time, *batch, ...]``; a function's batch axes are all but the first and the last.
        carry: the carry before the first step; a cell's own if not given.
        loss: ``loss(output, target)`` of one step, one number a sequence ``[*batch]`` (or their sum); without targets
            ``loss(output)``. The sum of the output's features if not given.
        targets: a tree of arrays ``[time, *batch, ...]``.
        times: the steps whose losses are looked at; all if not given. For a sequence with one label, the last.

    Raises:
        ValueError: fewer than two steps, a carry without floating leaves, times that do not exist, or a gradient that
            is not finite.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> linear = lambda w, h, x: (w * h + x, w * h + x)
        >>> flow = seqjax.analysis.gradient_flow(linear, 1.1, jnp.ones([51, 1]), jnp.zeros(1), times=[50])
        >>> round(float(flow.norms["carry"][0, 0]), 2)  # 1.1 ** 50
        117.39
    """
    return flow_meter(cell, loss=loss)(params, inputs, carry, targets=targets, times=times)


def flow_meter(cell: Any, *, loss: Loss | None = None) -> Callable[..., GradientFlow]:
    """:func:`gradient_flow` of one step and one loss, for measuring it often: shapes that were seen compile nothing.

    Args:
        cell: as for :func:`gradient_flow`.
        loss: as for :func:`gradient_flow`.

    Returns:
        ``measure(params, inputs, carry=None, *, targets=None, times=None)``, which raises as :func:`gradient_flow`.
    """

    def visit(batch_axes: int, state: None, time: jax.Array, pull: Pull, rows: Any) -> tuple[None, list]:
        _, _, d_states = jax.vmap(pull)(rows)
        return None, [_norm(d, batch_axes) for d in d_states]

    @jax.jit
    def run(params: Any, inputs: Any, carry: Any, targets: Any, times: jax.Array) -> list[jax.Array]:
        *_, batch_axes = checked(cell, params, inputs, carry)
        at_step = functools.partial(visit, batch_axes)
        _, norms = backward(cell, params, inputs, carry, loss, targets, times, at_step, None)
        return [jnp.moveaxis(leaf, 0, 1) for leaf in norms]

    def measure(params: Any, inputs: Any, carry: Any = None, *, targets: Any = None, times: Any = None) -> GradientFlow:
        params, inputs, carry, _ = checked(cell, params, inputs, carry)
        time_steps = jax.tree.leaves(inputs)[0].shape[0]
        chosen = np.arange(time_steps) if times is None else np.atleast_1d(np.asarray(times))
        if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= time_steps:
            raise ValueError(f"times must be steps 0 to {time_steps - 1}, got {times!r}")
        names, norms = leaf_names(carry), run(params, inputs, carry, targets, jnp.asarray(chosen))
        for name, values in zip(names, norms, strict=True):
            finite = np.isfinite(values)
            if not finite.all():
                row, step, *_ = np.argwhere(~finite)[-1]
                raise ValueError(
                    f"the gradient of the loss at step {chosen[row]} to {name} at step {step} is not finite; are the "
                    "outputs finite, and is the loss defined for them?"
                )
        return GradientFlow(norms=dict(zip(names, norms, strict=True)), times=chosen)

    return measure


def _norm(cotangent: jax.Array, batch_axes: int) -> jax.Array:
    """Of each loss and sequence: ``[losses, *batch, ...]`` to ``[losses, *batch]``."""
    axes = tuple(range(1 + batch_axes, cotangent.ndim))
    # Gradients that vanish do so long before their squares would leave the range of a float.
    size = jnp.abs(cotangent)
    largest = jnp.max(size, axis=axes, keepdims=True, initial=0)
    scaled = size / jnp.where(largest > 0, largest, 1)
    return jnp.squeeze(largest, axes) * jnp.sqrt(jnp.sum(scaled**2, axis=axes))
