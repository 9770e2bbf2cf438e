"""Spectra against closed forms, brute force, and published Lyapunov exponents."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import analysis
from seqjax.cells import LSTM
from tests.analysis.draws import random_params

TIME = 7


def linear(kernel: Any, h: Any, x: Any) -> Any:
    h = h @ kernel + x
    return h, h


@pytest.fixture
def kernel(rng: np.random.Generator) -> np.ndarray:
    return 0.6 * rng.standard_normal((4, 4))


def test_linear_recurrences_equal_the_closed_form(kernel: np.ndarray, float64: None) -> None:
    inputs, carry = jnp.ones((TIME, 4)), jnp.zeros(4)
    jacobians = analysis.step_jacobians(linear, kernel, inputs, carry)
    np.testing.assert_allclose(jacobians, np.broadcast_to(kernel.T, (TIME, 4, 4)), rtol=1e-12)
    want = np.linalg.svd(np.linalg.matrix_power(kernel.T, TIME), compute_uv=False)
    got = analysis.product_singular_values(linear, kernel, inputs, carry)
    np.testing.assert_allclose(got, np.log(want), atol=1e-8)
    eigenvalues = np.sort(np.abs(np.linalg.eigvals(kernel)))[::-1]
    np.testing.assert_allclose(np.abs(analysis.jacobian_eigenvalues(linear, kernel, inputs, carry)[0]), eigenvalues)
    np.testing.assert_allclose(np.abs(analysis.kernel_eigenvalues(kernel)[0]), eigenvalues)


def test_lyapunov_exponents_of_a_linear_recurrence(float64: None) -> None:
    """A triangular kernel: the exponents are the logarithms of the moduli of its diagonal."""
    kernel = jnp.asarray([[1.2, 0.0, 0.0], [0.3, 0.8, 0.0], [-0.2, 0.5, 0.4]])
    got = analysis.lyapunov_exponents(linear, kernel, jnp.zeros((400, 3)), jnp.zeros(3), discard=200)
    np.testing.assert_allclose(got, np.log([1.2, 0.8, 0.4]), atol=1e-5)


def henon(params: Any, carry: Any, x: Any) -> Any:
    u, v = carry[0], carry[1]
    carry = jnp.stack([1 - 1.4 * u**2 + v, 0.3 * u])
    return carry, carry


def logistic(params: Any, carry: Any, x: Any) -> Any:
    carry = 4 * carry * (1 - carry)
    return carry, carry


def test_published_lyapunov_exponents(float64: None) -> None:
    """The Hénon map: 0.41922 and -1.62319 (Sprott 2003); the logistic map at 4: log 2."""
    got = analysis.lyapunov_exponents(henon, (), jnp.zeros((100_000, 1)), jnp.asarray([0.1, 0.1]), discard=100)
    np.testing.assert_allclose(got, [0.41922, -1.62319], atol=2e-3)
    assert float(got.sum()) == pytest.approx(math.log(0.3), abs=1e-9)
    got = analysis.lyapunov_exponents(logistic, (), jnp.zeros((100_000, 1)), jnp.asarray([0.3]), discard=100)
    assert float(got[0]) == pytest.approx(math.log(2), abs=1e-3)


def test_a_nonlinear_cell_equals_brute_force(float64: None) -> None:
    cell = LSTM(input_size=3, hidden_size=4)
    params = random_params(cell, dtype=jnp.float64)
    inputs = jax.random.normal(jax.random.key(1), (TIME, 3))
    carry = cell.initial_carry(dtype=jnp.float64)
    want, state = [], np.concatenate([carry.hidden, carry.cell])
    step = jax.jit(lambda state, x: jnp.concatenate(cell(params, type(carry)(state[:4], state[4:]), x)[0]))
    for x in inputs:
        columns = [(step(state + e, x) - step(state - e, x)) / 2e-6 for e in 1e-6 * np.eye(8)]
        want.append(np.stack(columns, axis=1))
        state = np.asarray(step(state, x))
    np.testing.assert_allclose(analysis.step_jacobians(cell, params, inputs), want, atol=1e-8)
    product = functools.reduce(lambda a, b: b @ a, want)
    got = analysis.product_singular_values(cell, params, inputs, count=3, iterations=60)
    np.testing.assert_allclose(np.exp(got), np.linalg.svd(product, compute_uv=False)[:3], rtol=1e-5)


def test_bad_input_gets_a_clear_message() -> None:
    with pytest.raises(ValueError, match=r"expected \[size, 4 \* size\]"):
        analysis.kernel_eigenvalues(jnp.ones((3, 9)), gates=4)
    with pytest.raises(ValueError, match="discard must be 0 to 6"):
        analysis.lyapunov_exponents(linear, jnp.eye(4), jnp.ones((TIME, 4)), jnp.zeros(4), discard=7)
    with pytest.raises(ValueError, match="no floating leaf"):
        analysis.step_jacobians(lambda p, c, x: (c, x), (), jnp.ones((TIME, 4)), ())
