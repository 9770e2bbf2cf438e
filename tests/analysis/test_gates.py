"""Gate statistics against gates computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.analysis import gate_statistics
from seqjax.cells import GRU, LSTM, Elman
from tests.analysis.draws import random_params

TIME, BATCH = 6, 2


def test_gates_of_an_lstm_without_recurrence() -> None:
    """Without recurrent weights every gate is a function of its input alone."""
    cell = LSTM(input_size=3, hidden_size=4)
    params = random_params(cell)
    params = params._replace(recurrent_kernel=jnp.zeros_like(params.recurrent_kernel), kernel=4 * params.kernel)
    inputs = jax.random.normal(jax.random.key(3), (TIME, BATCH, 3))
    got = gate_statistics(cell, params, inputs)
    i, f, _, o = jnp.split(jax.nn.sigmoid(inputs @ params.kernel + params.bias), 4, axis=-1)
    assert got.gates == ("input_gate", "forget_gate", "output_gate")
    for name, want in (("input_gate", i), ("forget_gate", f), ("output_gate", o)):
        np.testing.assert_allclose(got.values[name], want, rtol=1e-5)
        assert got.mean(name) == pytest.approx(float(want.mean()), rel=1e-5)
        shut, opened = got.saturated(name)
        np.testing.assert_allclose(shut, (np.asarray(want) < 0.1).mean((0, 1)))
        np.testing.assert_allclose(opened, (np.asarray(want) > 0.9).mean((0, 1)))
    assert 0 < got.saturated("input_gate")[0].mean() < 1
    np.testing.assert_allclose(got.time_scales(), -1 / np.log(np.asarray(f)).mean((0, 1)), rtol=1e-5)
    assert not got.dead_units().any()
    assert "dead units: 0 of 4" in str(got)


def test_a_rectifier_that_never_fires_is_dead() -> None:
    cell = Elman(input_size=3, hidden_size=4, activation="relu")
    params = cell.init(jax.random.key(0))
    params = params._replace(bias=jnp.asarray([-100.0, 1.0, 1.0, -100.0]))
    got = gate_statistics(cell, params, jax.random.normal(jax.random.key(3), (TIME, BATCH, 3)))
    assert got.dead_units().tolist() == [True, False, False, True]
    assert got.gates == ()


def test_bad_input_gets_a_clear_message() -> None:
    cell = GRU(input_size=3, hidden_size=4)
    got = gate_statistics(cell, cell.init(jax.random.key(0)), jnp.ones((TIME, BATCH, 3)))
    assert got.gates == ("update_gate", "reset_gate")
    with pytest.raises(ValueError, match="names no 'forget_gate'; it names "):
        got.time_scales()
    with pytest.raises(TypeError, match="need a cell"):
        gate_statistics(lambda p, c, x: (c, x), (), jnp.ones((TIME, BATCH, 3)))  # ty: ignore[invalid-argument-type]
