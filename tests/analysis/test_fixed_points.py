"""Fixed points against closed forms and a root finder; memory capacity against a delay line."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from seqjax.analysis import fixed_points, memory_capacity
from seqjax.cells import GRU, Elman


def bistable(w: Any, h: Any, x: Any) -> Any:
    h = jnp.tanh(w * h + x)
    return h, h


def test_a_bistable_unit_has_two_stable_points_and_an_unstable_one(float64: None) -> None:
    found = fixed_points(bistable, 2.0, jnp.zeros(1), jnp.linspace(-2, 2, 21)[:, None])
    root = scipy.optimize.brentq(lambda h: math.tanh(2 * h) - h, 0.5, 1.5)
    order = np.argsort(found.states[:, 0])
    np.testing.assert_allclose(found.states[order, 0], [-root, 0, root], atol=1e-9)
    np.testing.assert_allclose(found.eigenvalues[order, 0], [2 * (1 - root**2), 2, 2 * (1 - root**2)], atol=1e-8)
    assert found.fixed.all()
    assert found.stable[order].tolist() == [True, False, True]
    assert found.found_from.sum() == 21


def test_a_saddle_node_that_is_gone_leaves_a_slow_point(float64: None) -> None:
    """h = tanh(2 h + x) loses two of its fixed points as x grows past 0.53; near there the state lingers."""
    found = fixed_points(bistable, 2.0, jnp.asarray([0.55]), jnp.asarray([[-0.7], [1.0]]))
    assert found.fixed.tolist() == [True, False]
    assert found.states[1, 0] == pytest.approx(-math.sqrt(0.5), abs=0.1)
    assert found.speed[1] < 1e-3
    assert "slow, not fixed" in str(found)


@pytest.mark.parametrize("cell", [Elman(input_size=2, hidden_size=5), GRU(input_size=2, hidden_size=5)])
def test_a_fixed_point_of_a_cell_stays_where_it_is(cell: Any, float64: None) -> None:
    params = cell.init(jax.random.key(0), jnp.float64)
    starts = cell.carry_type(jax.random.normal(jax.random.key(1), (8, 5)))
    x = jnp.asarray([0.3, -0.2])
    found = fixed_points(cell, params, x, starts)
    assert found.fixed[0]
    carry = cell.carry_type(jnp.asarray(found.states[0]))
    np.testing.assert_allclose(cell(params, carry, x)[0].hidden, found.states[0], atol=1e-8)
    step = lambda h: np.asarray(cell(params, cell.carry_type(jnp.asarray(h)), x)[0].hidden)
    columns = [(step(found.states[0] + e) - step(found.states[0] - e)) / 2e-6 for e in 1e-6 * np.eye(5)]
    want = np.sort(np.abs(np.linalg.eigvals(np.stack(columns, axis=1))))[::-1]
    np.testing.assert_allclose(np.abs(found.eigenvalues[0]), want, atol=1e-6)


def test_a_delay_line_of_eight_units_remembers_eight_steps() -> None:
    def delay_line(params: Any, h: Any, x: Any) -> Any:
        h = jnp.concatenate([x, h[:-1]])
        return h, h

    got = memory_capacity(delay_line, (), jax.random.key(0), jnp.zeros(8), delays=12, input_size=1)
    np.testing.assert_allclose(got.recall[:8], 1, atol=1e-4)
    assert got.recall[8:].max() < 0.03
    assert got.total == pytest.approx(8, abs=0.1)


def test_bad_input_gets_a_clear_message() -> None:
    cell = Elman(input_size=1, hidden_size=4)
    params = cell.init(jax.random.key(0))
    with pytest.raises(ValueError, match="a longer delay needs a longer washout"):
        memory_capacity(cell, params, jax.random.key(0), delays=300)
    with pytest.raises(ValueError, match="too short to fit 5 weights; use 40"):
        memory_capacity(cell, params, jax.random.key(0), delays=3, length=10)
