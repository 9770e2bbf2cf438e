"""How much of the gradient reaches the past: every loss against every hidden state, in one reverse pass."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.analysis.perturbed import is_state, perturbed
from seqjax.cells import Cell
from seqjax.engine import scan
from seqjax.engine.checks import batch_shape, check_inputs, describe
from seqjax.engine.driver import own_carry

Loss = Callable[..., jax.Array]


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
    step together, so the work is ``losses * time`` pullbacks of one step. A sequence has its own row of norms; the
    gradient goes through everything that the carry reaches, so in a step that stacks layers the lower layers' states
    see the losses through the layers above.

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
    time_steps = check_inputs(cell, inputs)
    if time_steps < 2:
        raise ValueError(f"the inputs have {time_steps} time step, and a gradient through time needs at least 2")
    inputs, params = jax.tree.map(jnp.asarray, (inputs, params))
    carry = jax.tree.map(jnp.asarray, own_carry(cell, params, inputs) if carry is None else carry)
    batch = batch_shape(cell, inputs) if isinstance(cell, Cell) else jax.tree.leaves(inputs)[0].shape[1:-1]
    names = leaf_names(carry)
    states = [is_state(leaf) for leaf in jax.tree.leaves(carry)]
    if not any(states):
        raise ValueError(
            f"the carry of {describe(cell)} has no floating leaf ({carry!r}): nothing recurs that has a gradient"
        )
    chosen = np.arange(time_steps) if times is None else np.atleast_1d(np.asarray(times))
    if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= time_steps:
        raise ValueError(f"times must be steps 0 to {time_steps - 1}, got {times!r}")
    norms = _flow(cell, loss, len(batch), params, inputs, carry, targets, jnp.asarray(chosen))
    kept = [name for name, state in zip(names, states, strict=True) if state]
    for name, values in zip(kept, norms, strict=True):
        finite = np.isfinite(values)
        if not finite.all():
            row, step, *_ = np.argwhere(~finite)[-1]
            raise ValueError(
                f"the gradient of the loss at step {chosen[row]} to {name} at step {step} is not finite; are the "
                "outputs finite, and is the loss defined for them?"
            )
    return GradientFlow(norms=dict(zip(kept, norms, strict=True)), times=chosen)


def leaf_names(carry: Any) -> list[str]:
    """The names of a carry's leaves, as the other tables of this package use them."""
    paths = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in jax.tree.leaves_with_path(carry)]
    return [path or "carry" for path in paths]


def _flow(
    cell: Any, loss: Loss | None, batch_axes: int, params: Any, inputs: Any, carry: Any, targets: Any, times: jax.Array
) -> list[jax.Array]:
    def run(params: Any, inputs: Any, carry: Any, targets: Any, times: jax.Array) -> list[jax.Array]:
        _, outputs, carries = scan(cell, params, inputs, carry, return_carries=True)
        before = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest[:-1]]), carry, carries)
        d_outputs = jax.grad(lambda outputs: _total(loss, outputs, targets))(outputs)
        one = lambda tree: jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), tree)
        step = perturbed(cell, params, carry, one(inputs))
        leaves, structure = jax.tree.flatten(carry)
        where = [index for index, leaf in enumerate(leaves) if is_state(leaf)]

        def with_states(tree: Any, states: list) -> Any:
            values = dict(zip(where, states, strict=True))
            return jax.tree.unflatten(
                structure, [values.get(index, leaf) for index, leaf in enumerate(jax.tree.leaves(tree))]
            )

        def pull_back(cotangents: list, at: Any) -> tuple[list, list]:
            time, carry, x, d_output = at

            def of_states(states: list, added: list) -> tuple[list, Any]:
                perturbation = dict(zip(where, added, strict=True))
                new_carry, output = step(
                    params, with_states(carry, states), x, [perturbation.get(i) for i in range(len(leaves))]
                )
                return [jax.tree.leaves(new_carry)[i] for i in where], output

            states = [jax.tree.leaves(carry)[i] for i in where]
            _, pull = jax.vjp(of_states, states, jax.tree.map(jnp.zeros_like, states))
            here = times == time
            pick = lambda a: jnp.where(jnp.expand_dims(here, range(1, a.ndim + 1)), a, jnp.zeros_like(a))
            d_states, d_added = jax.vmap(pull)((cotangents, jax.tree.map(pick, d_output)))
            return d_states, [_norm(d, batch_axes) for d in d_added]

        zeros = [jnp.zeros((times.size, *leaves[i].shape), leaves[i].dtype) for i in where]
        steps = jnp.arange(jax.tree.leaves(inputs)[0].shape[0])
        _, norms = jax.lax.scan(pull_back, zeros, (steps, before, inputs, d_outputs), reverse=True)
        return [jnp.moveaxis(leaf, 0, 1) for leaf in norms]

    return jax.jit(run)(params, inputs, carry, targets, times)


def _total(loss: Loss | None, outputs: Any, targets: Any) -> jax.Array:
    """The sum of all losses; no loss depends on another step's output, so its gradient is every loss's own."""
    if loss is None:
        return sum((jnp.sum(leaf) for leaf in jax.tree.leaves(outputs)), jnp.zeros(()))
    each = jax.vmap(loss)(outputs) if targets is None else jax.vmap(loss)(outputs, targets)
    return jnp.sum(each)


def _norm(cotangent: jax.Array, batch_axes: int) -> jax.Array:
    """Of each loss and sequence: ``[losses, *batch, ...]`` to ``[losses, *batch]``."""
    axes = tuple(range(1 + batch_axes, cotangent.ndim))
    return jnp.sqrt(jnp.sum(jnp.abs(cotangent) ** 2, axis=axes))
