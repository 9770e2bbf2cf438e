"""What came in is either in the memory or has left."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import seqjax
from seqjax.cells import MassConservingLSTM


def test_mass_is_conserved(float64: None) -> None:
    cell = MassConservingLSTM(input_size=3, hidden_size=4, mass_size=2)
    params = cell.init(jax.random.key(0), jnp.float64)
    inputs = cell.example_inputs(jax.random.key(1), (20, 5), jnp.float64)
    carry, outputs, carries = seqjax.scan(cell, params, inputs, return_carries=True)
    came, left = inputs.mass.sum(-1).cumsum(0), outputs.sum(-1).cumsum(0)
    np.testing.assert_allclose(carries.cell.sum(-1) + left, came, rtol=1e-12)
    assert (outputs >= 0).all()
    assert (carry.cell >= 0).all()


def test_an_empty_memory_has_gradients() -> None:
    cell = MassConservingLSTM(input_size=3, hidden_size=4)
    params = cell.init(jax.random.key(0))
    inputs = cell.example_inputs(jax.random.key(1), (2, 1))
    dry = inputs._replace(mass=jnp.zeros_like(inputs.mass))
    gradients = jax.grad(lambda params: seqjax.scan(cell, params, dry)[1].sum())(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_at_first_mass_mostly_stays_in_the_memory() -> None:
    cell = MassConservingLSTM(input_size=3, hidden_size=4)
    still = dataclasses.replace(cell, kernel_initializer="zeros", recurrent_initializer="zeros")
    params = still.init(jax.random.key(0))
    carry, output = still(
        params, still.initial_carry()._replace(cell=jnp.ones(4)), still.example_inputs(jax.random.key(1), ())
    )
    assert output.sum() < 0.06 * carry.cell.sum()
