"""Polynomial memories hold the signal that they say they hold: it is read back from their coefficients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.legendre import legval

import seqjax
from seqjax.cells import LMU, Cell, CoRNN, HiPPORNN


def smooth(steps: int) -> np.ndarray:
    time = np.arange(steps) / steps
    return 0.5 * np.sin(5 * time) + 0.3 * np.cos(11 * time)


def zeros(cell: Cell) -> Any:
    return jax.tree.map(jnp.zeros_like, cell.init(jax.random.key(0), jnp.float64))


@pytest.mark.parametrize("discretization", ["zero_order_hold", "euler"])
def test_a_legendre_memory_is_the_window_of_its_input(discretization: Any, float64: None) -> None:
    window, signal = 200, smooth(500)
    cell = LMU(input_size=1, hidden_size=1, memory_size=12, window=window, discretization=discretization)
    params = zeros(cell)._replace(input_encoder=jnp.ones(1))
    memory = seqjax.scan(cell, params, jnp.asarray(signal)[:, None])[0].memory
    ago = np.arange(1, window)
    read = legval(2 * (ago / window) - 1, np.asarray(memory))
    np.testing.assert_allclose(read, signal[-ago], atol=0.01 if discretization == "zero_order_hold" else 0.05)


@pytest.mark.parametrize("steps", [100, 400])
def test_a_scaled_legendre_memory_is_all_of_its_input(steps: int, float64: None) -> None:
    signal = smooth(steps)
    cell = HiPPORNN(input_size=1, hidden_size=1, memory_size=12)
    # An open gate, so that the hidden state is the input.
    params = zeros(cell)._replace(kernel=jnp.array([[0.0, 1.0]]), bias=jnp.array([50.0, 0.0]), encoder=jnp.ones(1))
    memory = seqjax.scan(cell, params, jnp.arctanh(jnp.asarray(signal))[:, None])[0].memory
    scaled = np.asarray(memory) * np.sqrt(2 * np.arange(12) + 1)
    read = legval(2 * (np.arange(steps) + 0.5) / steps - 1, scaled)
    middle = slice(steps // 20, -steps // 20)
    np.testing.assert_allclose(read[middle], signal[middle], atol=0.05)


@pytest.mark.parametrize(
    ("cell", "thousands"),
    [
        pytest.param(
            LMU(input_size=1, hidden_size=212, memory_size=256, window=784), 102, id="LMU, permuted sequential MNIST"
        ),
        pytest.param(CoRNN(input_size=1, hidden_size=256), 134, id="coRNN, sequential MNIST"),
    ],
)
def test_as_many_parameters_as_the_papers_say(cell: Cell, thousands: int) -> None:
    """With the read-out to ten classes that their counts include."""
    params = jax.eval_shape(cell.init, jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(params)) + 10 * cell.hidden_size + 10
    assert round(count / 1000) == thousands
