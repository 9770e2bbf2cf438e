r"""Spectra of the linearised recurrence: step Jacobians, their products, Lyapunov exponents.

With :math:`s_t` the carry as one vector and :math:`J_t = d s_t / d s_{t-1}`, gradients to the past are products
:math:`J_T^\top \cdots J_{k+1}^\top`. Everything here is for one sequence, without a batch axis;
``jax.vmap`` it for more.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from seqjax.analysis.trajectory import trajectory


def step_jacobians(cell: Any, params: Any, inputs: Any, carry: Any = None) -> jax.Array:
    """The Jacobians :math:`J_t` of every step along a trajectory, ``[time, size, size]``.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters.
        inputs: one sequence, ``[time, ...]``.
        carry: the carry before the first step; a cell's own if not given.
    """
    run = trajectory(cell, params, inputs, carry)
    return jax.jit(jax.vmap(jax.jacrev(run.step)))(run.states, run.before, run.inputs)


def jacobian_eigenvalues(cell: Any, params: Any, inputs: Any, carry: Any = None) -> jax.Array:
    """The eigenvalues of every :math:`J_t`, ``[time, size]``, complex, the largest modulus first."""
    values = jnp.linalg.eigvals(step_jacobians(cell, params, inputs, carry))
    return jnp.take_along_axis(values, jnp.argsort(-jnp.abs(values), axis=-1), axis=-1)


def kernel_eigenvalues(recurrent_kernel: Any, gates: int = 1) -> jax.Array:
    """The eigenvalues of a recurrent kernel, gate by gate, the largest modulus first.

    Args:
        recurrent_kernel: ``[hidden_size, gates * hidden_size]``.
        gates: how many gates stand side by side.

    Returns:
        ``[gates, hidden_size]``, complex; the spectral radius of each gate is the modulus of its first.

    Raises:
        ValueError: a kernel that is not that many square matrices side by side.
    """
    kernel = jnp.asarray(recurrent_kernel)
    if kernel.ndim != 2 or kernel.shape[1] != gates * kernel.shape[0]:
        raise ValueError(
            f"the recurrent kernel has shape {kernel.shape}, expected [size, {gates} * size] for gates={gates}"
        )
    values = jnp.linalg.eigvals(jnp.stack(jnp.split(kernel, gates, axis=1)))
    return jnp.take_along_axis(values, jnp.argsort(-jnp.abs(values), axis=-1), axis=-1)


def product_singular_values(
    cell: Any,
    params: Any,
    inputs: Any,
    carry: Any = None,
    *,
    count: int | None = None,
    iterations: int = 30,
    key: jax.Array | None = None,
) -> jax.Array:
    r"""The largest singular values of :math:`J_T J_{T-1} \cdots J_1`, ``[count]``, the largest first.

    Matrix-free: subspace iteration with forward and reverse products of the whole trajectory, each renormalised on the
    way, so that a size of thousands and products that over- or underflow a float are no obstacle; what is returned are
    the **logarithms**. Converges as the ratio of neighbouring singular values to the power ``2 * iterations``.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters.
        inputs: one sequence, ``[time, ...]``.
        carry: the carry before the first step; a cell's own if not given.
        count: how many; all if not given.
        iterations: of the subspace.
        key: of the first subspace.

    Returns:
        Natural logarithms of the singular values.
    """
    run = trajectory(cell, params, inputs, carry)
    size = run.states.shape[1]
    count = size if count is None else min(count, size)
    start = jax.random.normal(jax.random.key(0) if key is None else key, (size, count), run.states.dtype)

    def sweep(basis: jax.Array, at: Any) -> tuple[jax.Array, jax.Array]:
        state, before, x = at
        moved = jax.linearize(lambda state: run.step(state, before, x), state)[1]
        return _orthonormal(jax.vmap(moved, 1, 1)(basis))

    def sweep_back(basis: jax.Array, at: Any) -> tuple[jax.Array, jax.Array]:
        state, before, x = at
        pull = jax.vjp(lambda state: run.step(state, before, x), state)[1]
        return _orthonormal(jax.vmap(lambda v: pull(v)[0], 1, 1)(basis))

    path = (run.states, run.before, run.inputs)

    def iterate(basis: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
        forward, _ = lax.scan(sweep, basis, path)
        back, logs = lax.scan(sweep_back, forward, path, reverse=True)
        return back, logs.sum(0)

    basis, _ = jnp.linalg.qr(start)
    _, logs = jax.jit(lambda basis: lax.scan(iterate, basis, None, length=iterations))(basis)
    return logs[-1]


def lyapunov_exponents(
    cell: Any,
    params: Any,
    inputs: Any,
    carry: Any = None,
    *,
    count: int | None = None,
    discard: int = 0,
    key: jax.Array | None = None,
) -> jax.Array:
    r"""The Lyapunov spectrum by QR: the mean growth rates of small perturbations, in nats a step, the largest first.

    .. math:: \lambda_i = \frac{1}{T} \sum_t \log | R_t |_{ii}, \qquad Q_t R_t = J_t Q_{t-1}

    The largest is positive for a chaotic recurrence and negative for one that forgets. ``count`` vectors are pushed
    through the steps, so no Jacobian is formed.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters.
        inputs: one sequence, ``[time, ...]``; long ones give exact means.
        carry: the carry before the first step; a cell's own if not given.
        count: how many exponents; all if not given.
        discard: leave the first steps out of the mean, until the vectors have turned.
        key: of the first vectors.

    Source: Benettin et al. 1980; for recurrent networks Engelken, Wolf and Abbott 2023, Physical Review Research 5.
    """
    run = trajectory(cell, params, inputs, carry)
    time, size = run.states.shape
    count = size if count is None else min(count, size)
    if not 0 <= discard < time:
        raise ValueError(f"discard must be 0 to {time - 1} for {time} time steps, got {discard!r}")
    start = jax.random.normal(jax.random.key(0) if key is None else key, (size, count), run.states.dtype)

    def push(basis: jax.Array, at: Any) -> tuple[jax.Array, jax.Array]:
        state, before, x = at
        moved = jax.linearize(lambda state: run.step(state, before, x), state)[1]
        return _orthonormal(jax.vmap(moved, 1, 1)(basis))

    basis, _ = jnp.linalg.qr(start)
    _, logs = jax.jit(lambda basis: lax.scan(push, basis, (run.states, run.before, run.inputs)))(basis)
    return logs[discard:].mean(0)


def _orthonormal(vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
    """An orthonormal basis, and the logarithms of what each vector was longer than its basis vector."""
    basis, upper = jnp.linalg.qr(vectors)
    return basis, jnp.log(jnp.abs(jnp.diagonal(upper)))
