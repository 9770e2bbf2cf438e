"""Gradient flow against closed forms, brute-force Jacobians and jax.grad of one loss at a time."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.analysis import gradient_flow
from seqjax.cells import GRU, LSTM, Elman, Jordan
from tests.analysis.draws import random_carry, random_params

TIME, BATCH = 6, 2


def scalar(w: Any, h: Any, x: Any) -> Any:
    h = w * h + x
    return h, h


@pytest.mark.parametrize(("w", "factor"), [(1.1, 117.39), (0.9, 0.00515)])
def test_a_scalar_linear_network(w: float, factor: float) -> None:
    flow = gradient_flow(scalar, w, jnp.ones([51, 1]), jnp.zeros(1), times=[50])
    assert float(flow.norms["carry"][0, 0]) == pytest.approx(factor, rel=1e-3)
    assert float(flow.norms["carry"][0, 0]) == pytest.approx(w**50, rel=1e-5)
    summary = flow.summary("carry")
    assert summary.rate == pytest.approx(math.log(w), rel=1e-4)
    assert summary.ratio == pytest.approx(w**50, rel=1e-4)
    assert summary.verdict == "healthy"
    assert flow.summary("carry", vanishing=0.01, exploding=100).verdict == ("exploding" if w > 1 else "vanishing")


def test_a_gradient_whose_square_is_no_float_is_still_measured() -> None:
    flow = gradient_flow(scalar, 0.25, jnp.ones([51, 1]), jnp.zeros(1), times=[50])
    assert float(flow.norms["carry"][0, 0]) == pytest.approx(0.25**50, rel=1e-4)


def test_a_linear_recurrence_is_a_matrix_power(float64: None, rng: np.random.Generator) -> None:
    kernel, weights = 0.6 * rng.standard_normal((4, 4)), rng.standard_normal(4)

    def step(kernel: Any, h: Any, x: Any) -> Any:
        h = h @ kernel + x
        return h, h

    inputs = rng.standard_normal((TIME, BATCH, 4))
    flow = gradient_flow(step, kernel, inputs, jnp.zeros((BATCH, 4)), loss=lambda h: h @ weights)
    for t in range(TIME):
        for k in range(TIME):
            want = np.linalg.norm(np.linalg.matrix_power(kernel, t - k) @ weights) if k <= t else 0.0
            np.testing.assert_allclose(flow.norms["carry"][t, k], want, rtol=1e-10, atol=1e-14)


CELLS = {
    "Elman": Elman(input_size=3, hidden_size=4),
    "Jordan": Jordan(input_size=3, hidden_size=4, units=2),
    "LSTM": LSTM(input_size=3, hidden_size=4),
    "GRU-before": GRU(input_size=3, hidden_size=4, reset="before"),
}


@pytest.mark.parametrize("name", list(CELLS))
def test_equals_the_gradient_of_each_loss_alone(name: str, float64: None) -> None:
    """Every carry of a Python loop is perturbed in turn; a carry's perturbation reaches its own step's output."""
    cell = CELLS[name]
    params = random_params(cell, dtype=jnp.float64)
    inputs = jax.random.normal(jax.random.key(3), (TIME, BATCH, 3))
    targets = jax.random.normal(jax.random.key(4), (TIME, BATCH, cell.output_size))
    start = random_carry(cell, (BATCH,), params, dtype=jnp.float64)
    loss = lambda output, target: ((output - target) ** 2).sum(-1)
    flow = gradient_flow(cell, params, inputs, start, loss=loss, targets=targets, times=[2, 5])
    field = cell.output_field

    def losses(added: Any) -> jax.Array:
        carry, each = start, []
        for t in range(TIME):
            carry, _ = cell(params, carry, inputs[t])
            carry = jax.tree.map(jnp.add, carry, added[t])
            each.append(loss(getattr(carry, field), targets[t]))
        return jnp.stack(each)

    zeros = [jax.tree.map(jnp.zeros_like, start) for _ in range(TIME)]
    for row, t in enumerate((2, 5)):
        slopes = jax.grad(lambda added, t=t: losses(added)[t].sum())(zeros)
        for k in range(TIME):
            want = jnp.linalg.norm(getattr(slopes[k], field), axis=-1)
            np.testing.assert_allclose(flow.norms[field][row, k], want, rtol=1e-9, atol=1e-14)


def test_the_cell_path_of_an_lstm_is_the_product_of_its_forget_gates(float64: None) -> None:
    """Without recurrent weights the only way back is the cell, and each step multiplies by f."""
    cell = LSTM(input_size=3, hidden_size=4)
    params = random_params(cell, dtype=jnp.float64)
    params = params._replace(recurrent_kernel=jnp.zeros_like(params.recurrent_kernel))
    inputs = jax.random.normal(jax.random.key(3), (TIME, BATCH, 3))
    i, f, g, o = (jnp.split(inputs @ params.kernel + params.bias, 4, axis=-1)[n] for n in range(4))
    f, o, c = jax.nn.sigmoid(f), jax.nn.sigmoid(o), jnp.zeros((BATCH, 4))
    cells = []
    for t in range(TIME):
        c = f[t] * c + jax.nn.sigmoid(i[t]) * jnp.tanh(g[t])
        cells.append(c)
    flow = gradient_flow(cell, params, inputs)
    for t in range(TIME):
        for k in range(t + 1):
            path = o[t] * (1 - jnp.tanh(cells[t]) ** 2) * jnp.prod(f[k + 1 : t + 1], axis=0)
            np.testing.assert_allclose(flow.norms["cell"][t, k], jnp.linalg.norm(path, axis=-1), rtol=1e-10)
            want = np.sqrt(4.0) if k == t else 0.0
            np.testing.assert_allclose(flow.norms["hidden"][t, k], want, rtol=1e-12)


def test_bad_input_gets_a_clear_message() -> None:
    cell = Elman(input_size=3, hidden_size=4)
    params, inputs = cell.init(jax.random.key(0)), jnp.ones((5, 2, 3))
    with pytest.raises(ValueError, match="have 1 time step, and a gradient through time needs at least 2"):
        gradient_flow(cell, params, inputs[:1])
    with pytest.raises(ValueError, match="times must be steps 0 to 4"):
        gradient_flow(cell, params, inputs, times=[5])
    with pytest.raises(ValueError, match="no floating leaf"):
        gradient_flow(lambda p, c, x: (c, x), params, inputs, ())
    with pytest.raises(ValueError, match="at step 4 to hidden at step 3 is not finite"):
        gradient_flow(cell, params, inputs.at[4].set(jnp.nan))
    with pytest.raises(ValueError, match="pass carry"):
        gradient_flow(scalar, 1.0, inputs)
