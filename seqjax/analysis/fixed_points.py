"""Where a recurrence comes to rest under a constant input, and what it does near there."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.analysis.trajectory import flatten_state, trajectory

State = tuple[jax.Array, jax.Array, jax.Array]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FixedPoints:
    r"""Fixed and slow points of :math:`s \mapsto F(s, x)`, the best first; print it.

    Attributes:
        states: the carry's floating leaves as one vector each, ``[points, size]``.
        speed: :math:`q = \frac12 \| F(s) - s \|^2`, ``[points]``; zero at a fixed point, small at a slow point.
        eigenvalues: of the Jacobian at each, the largest modulus first, complex ``[points, size]``.
        found_from: how many of the starts ended at each, ``[points]``.
        tolerance: speed up to which a point counts as fixed.
    """

    states: np.ndarray
    speed: np.ndarray
    eigenvalues: np.ndarray
    found_from: np.ndarray
    tolerance: float

    @property
    def fixed(self) -> np.ndarray:
        """Which points are fixed, not only slow; booleans ``[points]``."""
        return self.speed <= self.tolerance

    @property
    def stable(self) -> np.ndarray:
        """Which points attract: no eigenvalue outside the unit circle; booleans ``[points]``."""
        return np.abs(self.eigenvalues[:, 0]) < 1

    def __str__(self) -> str:
        lines = ["point   speed      largest |eigenvalue|   unstable directions   starts"]
        for index, (speed, values, count) in enumerate(zip(self.speed, self.eigenvalues, self.found_from, strict=True)):
            kind = "" if self.fixed[index] else "   slow, not fixed"
            unstable = int((np.abs(values) >= 1).sum())
            lines.append(f"{index:>5}   {speed:8.2e}   {np.abs(values[0]):20.4f}   {unstable:>19}   {count:>6}{kind}")
        return "\n".join(lines)


def fixed_points(
    cell: Any,
    params: Any,
    inputs: Any,
    starts: Any,
    *,
    iterations: int = 200,
    tolerance: float | None = None,
    distance: float = 1e-3,
) -> FixedPoints:
    r"""Find fixed and slow points by minimising :math:`q(s) = \frac12 \| F(s, x) - s \|^2` from many starts together.

    Each start goes downhill by Levenberg and Marquardt's damped Gauss-Newton steps, all in one compiled loop. Points
    nearer to each other than ``distance`` are one.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters.
        inputs: the constant input of one step, without time or batch axis.
        starts: carries to start from, a tree of arrays ``[starts, ...]``: states of the network at work are best.
        iterations: damped steps from each start.
        tolerance: speed up to which a point is fixed; what rounding allows for the type if not given.
        distance: within which two points are the same.

    Source: Sussillo and Barak 2013, Opening the black box, Neural Computation 25(3).
    """
    first = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], starts)
    path = trajectory(cell, params, jax.tree.map(lambda a: jnp.asarray(a)[None], inputs), first)
    like, x = (jax.tree.map(lambda a: a[0], tree) for tree in (path.before, path.inputs))
    step = lambda state: path.step(state, like, x)
    residual = lambda state: step(state) - state

    def improve(state: jax.Array, damping: jax.Array, value: jax.Array) -> State:
        slope = jax.jacfwd(residual)(state)
        normal = slope.T @ slope
        moved = state - jnp.linalg.solve(normal + damping * jnp.eye(len(state)), slope.T @ residual(state))
        new = jnp.sum(residual(moved) ** 2) / 2
        better = new < value
        damping = jnp.clip(jnp.where(better, damping / 3, damping * 4), 1e-12, 1e6)
        return jnp.where(better, moved, state), damping, jnp.where(better, new, value)

    def search(state: jax.Array) -> tuple[jax.Array, jax.Array]:
        start = (state, jnp.asarray(1e-2, state.dtype), jnp.sum(residual(state) ** 2) / 2)
        state, _, value = jax.lax.fori_loop(0, iterations, lambda _, at: improve(*at), start)
        return state, value

    vectors = jax.vmap(flatten_state)(jax.tree.map(jnp.asarray, starts))
    states, speed = map(np.asarray, jax.jit(jax.vmap(search))(vectors))
    if tolerance is None:
        tolerance = float(states.shape[1] * (10 * np.finfo(states.dtype).eps) ** 2)
    states, speed, counts = _distinct(states, speed, distance)
    jacobians = np.asarray(jax.jit(jax.vmap(jax.jacfwd(step)))(states))
    values = np.linalg.eigvals(jacobians)
    order = np.argsort(-np.abs(values), axis=-1)
    return FixedPoints(
        states=states,
        speed=speed,
        eigenvalues=np.take_along_axis(values, order, axis=-1),
        found_from=counts,
        tolerance=tolerance,
    )


def _distinct(states: np.ndarray, speed: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best of every group of neighbours, the best first, and the sizes of the groups."""
    kept: list[int] = []
    counts: list[int] = []
    for index in np.argsort(speed, kind="stable"):
        apart = [np.linalg.norm(states[index] - states[other]) for other in kept]
        if apart and min(apart) < distance:
            counts[int(np.argmin(apart))] += 1
        else:
            kept.append(int(index))
            counts.append(1)
    return states[kept], speed[kept], np.array(counts)
