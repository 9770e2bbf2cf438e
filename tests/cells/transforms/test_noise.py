"""Noise: whose it is, how long it lasts, how much of it there is, and that evaluation is its mean."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Elman
from seqjax.cells import transforms as T
from seqjax.cells.transforms.noise import StepKeys, uniform

SIZES = {"input_size": 3, "hidden_size": 4}
DROPOUTS = {
    "gal": lambda cell: T.recurrent_dropout(cell, 0.3),
    "gal-per-gate": lambda cell: T.recurrent_dropout(cell, 0.3, per_gate=True),
    "semeniuta": lambda cell: T.recurrent_dropout(cell, 0.3, "semeniuta"),
    "moon": lambda cell: T.recurrent_dropout(cell, 0.3, "moon"),
    "input": lambda cell: T.input_dropout(cell, 0.3),
}


@pytest.mark.parametrize("make", DROPOUTS.values(), ids=DROPOUTS)
def test_masks_are_fixed_over_time_and_differ_between_sequences(make: Any) -> None:
    cell = make(LSTM(**SIZES))
    params = cell.init(jax.random.key(0))
    carry = cell.initial_carry((500,), params=params, key=jax.random.key(1))
    last, _ = jax.eval_shape(lambda carry: seqjax.scan(cell, params, jnp.ones((3, 500, 3)), carry), carry)
    assert jax.tree.map(jnp.shape, last) == jax.tree.map(jnp.shape, carry)
    after, _ = cell(params, carry, jnp.ones((500, 3)))
    jax.tree.map(np.testing.assert_array_equal, after.noise, carry.noise)
    for mask in jax.tree.leaves(carry.noise):
        mask = np.asarray(mask)
        scale = 1.0 if carry is None or cell.options().get("kind") == "moon" else 1 / 0.7
        np.testing.assert_allclose(np.unique(mask), [0, scale], rtol=1e-6)
        share = (mask == 0).mean()
        assert abs(share - 0.3) < 4 * np.sqrt(0.21 / mask.size)
        assert len(np.unique(mask.reshape(500, -1), axis=0)) > 4
    assert cell.initial_carry((500,), params=params).noise is None


def test_noise_of_a_step_depends_on_key_and_step_alone() -> None:
    keys = T.zoneout(GRU(**SIZES), hidden=0.5).initial_carry((3,), key=jax.random.key(0)).noise
    assert isinstance(keys, StepKeys)
    draws = [np.asarray(uniform(keys._replace(step=jnp.full(3, t)), 4)) for t in range(3)]
    assert not np.allclose(draws[0], draws[1])
    assert not np.allclose(draws[0][0], draws[0][1])
    alone = StepKeys(keys.key[1], jnp.asarray(2))
    np.testing.assert_array_equal(uniform(alone, 4), draws[2][1])


def test_steps_are_counted_and_two_chunks_are_the_whole() -> None:
    cell = T.zoneout(T.recurrent_dropout(LSTM(**SIZES), 0.4, "semeniuta", per_step=True), hidden=0.4, cell_state=0.2)
    params, inputs = cell.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (6, 2, 3))
    start = cell.initial_carry((2,), params=params, key=jax.random.key(2))
    last, whole = seqjax.scan(cell, params, inputs, start)
    assert last.noise.step.tolist() == [6, 6]
    middle, first = seqjax.scan(cell, params, inputs[:3], start)
    _, second = seqjax.scan(cell, params, inputs[3:], middle)
    np.testing.assert_allclose(jnp.concatenate([first, second]), whole, rtol=1e-6, atol=1e-7)
    other = cell.initial_carry((2,), params=params, key=jax.random.key(3))
    assert np.abs(seqjax.scan(cell, params, inputs, other)[1] - whole).max() > 1e-2


def test_a_reset_without_a_fresh_carry_keeps_the_noise() -> None:
    cell = T.recurrent_dropout(GRU(**SIZES), 0.5)
    params, inputs = cell.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (6, 2, 3))
    start = cell.initial_carry((2,), params=params, key=jax.random.key(2))
    resets = jnp.zeros((6, 2), bool).at[3].set(True)
    _, outputs = seqjax.scan(cell, params, inputs, start, resets=resets)
    np.testing.assert_allclose(outputs[3:], seqjax.scan(cell, params, inputs[3:], start)[1], rtol=1e-6, atol=1e-7)


def mean_over_keys(cell: Any, params: Any, state: Any, count: int = 20_000) -> tuple[Any, Any]:
    """The mean new carry of one step over that many sequences of equal values, each with its own noise."""
    spread = lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape))
    noisy = cell.initial_carry((count,), params=params, key=jax.random.key(7))
    carry = T.with_noise_of(T.without_noise(jax.tree.map(spread, state)), noisy)
    inputs = jnp.full((count, 3), 0.3)
    new, _ = jax.jit(cell)(params, carry, inputs)
    values = jax.tree.map(lambda leaf: np.asarray(leaf), T.without_noise(new))
    return jax.tree.map(lambda a: a.mean(0), values), jax.tree.map(lambda a: 4 * a.std(0) / np.sqrt(count), values)


LINEAR = Elman(**SIZES, activation="identity")
MEANS = {
    "gal": (T.recurrent_dropout(LINEAR, 0.3), ("hidden",)),
    "input": (T.input_dropout(LINEAR, 0.3), ("hidden",)),
    "semeniuta": (T.recurrent_dropout(LSTM(**SIZES), 0.3, "semeniuta"), ("cell",)),
    "semeniuta-per-step": (T.recurrent_dropout(LSTM(**SIZES), 0.3, "semeniuta", per_step=True), ("cell",)),
    "zoneout": (T.zoneout(LSTM(**SIZES), hidden=0.2, cell_state=0.6), ("hidden", "cell")),
}


@pytest.mark.parametrize(("cell", "exact"), MEANS.values(), ids=MEANS)
def test_evaluation_is_the_mean_where_the_step_is_linear_in_the_noise(cell: Any, exact: tuple[str, ...]) -> None:
    params = cell.init(jax.random.key(0))
    state = jax.tree.map(lambda leaf: leaf + 0.5, cell.initial_carry(params=params))
    mean, error = mean_over_keys(cell, params, state)
    want, _ = cell(params, state, jnp.full(3, 0.3))
    for name in exact:
        assert (np.abs(getattr(mean, name) - getattr(want, name)) <= getattr(error, name) + 1e-5).all(), name
        assert (getattr(error, name) > 0).any()


def test_dropped_weights() -> None:
    cell = T.weight_drop(T.layer_normalization(LINEAR), 0.3)
    params = cell.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), 4000)
    dropped = jax.vmap(lambda key: cell.sample_params(params, key))(keys)
    kernels = np.asarray(dropped.recurrent_kernel.kernel)
    assert abs((kernels == 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(kernels.mean(0), params.recurrent_kernel.kernel, atol=0.06)
    for other in ("kernel", "bias"):
        jax.tree.map(
            lambda a, b: np.testing.assert_array_equal(a, jnp.broadcast_to(b, a.shape)),
            getattr(dropped, other),
            getattr(params, other),
        )
    np.testing.assert_array_equal(dropped.recurrent_kernel.scale, jnp.ones((4000, 4)))
