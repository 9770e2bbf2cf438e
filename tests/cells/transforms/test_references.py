"""Transforms that change equations, of Elman, LSTM and GRU, equal NumPy: values, and gradients by differences."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Elman
from seqjax.cells import transforms as T
from seqjax.cells.transforms import NoisyCarry
from seqjax.cells.transforms.noise import StepKeys, uniform
from seqjax.laws.subject import quick_options, randomised
from seqjax.laws.trees import floats, gradient, weighted_sum, with_floats
from tests.cells.transforms import references as R

TIME, UNITS = 4, 4
CELLS = {"Elman": Elman, "LSTM": LSTM, "GRU": GRU}
# name: (the transform, its reference, with noise, only for these cells)
CASES: dict[str, tuple[Any, type[R.Reference], bool, tuple[str, ...]]] = {
    "diagonal": (T.diagonal, R.Diagonal, False, tuple(CELLS)),
    "block_diagonal": (functools.partial(T.block_diagonal, heads=2), R.BlockDiagonal, False, tuple(CELLS)),
    "low_rank": (functools.partial(T.low_rank, rank=2), R.LowRank, False, tuple(CELLS)),
    "layer": (T.layer_normalization, R.LayerNormalization, False, ("Elman", "LSTM", "GRU")),
    "layer-per-gate": (
        functools.partial(T.layer_normalization, placement="recurrent", per_gate=True),
        R.LayerNormalizationPerGate,
        False,
        tuple(CELLS),
    ),
    "layer-sum": (
        functools.partial(T.layer_normalization, placement="sum", per_gate=True),
        R.LayerNormalizationOfSum,
        False,
        tuple(CELLS),
    ),
    "weight": (T.weight_normalization, R.WeightNormalization, False, tuple(CELLS)),
    "integration": (T.multiplicative_integration, R.MultiplicativeIntegration, False, tuple(CELLS)),
    "gal": (functools.partial(T.recurrent_dropout, rate=0.4), R.GalDropout, True, tuple(CELLS)),
    "semeniuta": (
        functools.partial(T.recurrent_dropout, rate=0.4, kind="semeniuta"),
        R.SemeniutaDropout,
        True,
        ("LSTM", "GRU"),
    ),
    "moon": (functools.partial(T.recurrent_dropout, rate=0.4, kind="moon"), R.MoonDropout, True, ("LSTM",)),
    "input": (functools.partial(T.input_dropout, rate=0.4), R.InputDropout, True, tuple(CELLS)),
    "zoneout": (functools.partial(T.zoneout, hidden=0.3, cell_state=0.6), R.Zoneout, True, ("LSTM",)),
    "zoneout-hidden": (functools.partial(T.zoneout, hidden=0.3), R.Zoneout, True, ("Elman", "GRU")),
    "zoneout-evaluation": (
        functools.partial(T.zoneout, hidden=0.3, cell_state=0.6),
        R.ZoneoutInEvaluation,
        False,
        ("LSTM",),
    ),
    "cell_clip": (functools.partial(T.cell_clip, bound=0.3), R.CellClip, False, ("LSTM",)),
    "residual": (T.residual, R.Residual, False, tuple(CELLS)),
    "skip": (T.skip, R.Skip, False, tuple(CELLS)),
}
PAIRS = [(case, name) for case, (*_, names) in CASES.items() for name in names]


def start(case: str, name: str) -> tuple[Any, Any, Any, Any, Any]:
    """The cell, its parameters, carry and inputs, and the noise, if any, apart from the carry."""
    transform, _, noisy, _ = CASES[case]
    cell = transform(CELLS[name](input_size=4, hidden_size=UNITS))
    params = randomised(cell.init(jax.random.key(0), jnp.float64), seed=1)
    carry = cell.initial_carry((), jnp.float64, params, jax.random.key(2) if noisy else None)
    noise = carry.noise if noisy else None
    inner = randomised(carry.carry if isinstance(carry, NoisyCarry) else carry, seed=3)
    inputs = jax.random.normal(jax.random.key(4), (TIME, 4), jnp.float64)
    return cell, params, inner, inputs, noise


@pytest.mark.parametrize(("case", "name"), PAIRS, ids=[f"{name}-{case}" for case, name in PAIRS])
def test_values_and_gradients(case: str, name: str, float64: None) -> None:
    cell, *trees, noise = start(case, name)
    wrapped = isinstance(cell.initial_carry(), NoisyCarry)
    weights = lambda outputs, carry: weighted_sum((outputs, list(carry)))

    def by_seqjax(params: Any, carry: Any, inputs: Any) -> Any:
        last, outputs = seqjax.scan(cell, params, inputs, NoisyCarry(carry, noise) if wrapped else carry)
        last = last.carry if wrapped else last
        return weights(outputs, last), (outputs, last)

    compiled = jax.jit(lambda *trees: gradient(by_seqjax, *trees), compiler_options=quick_options())
    _, (outputs, last), slopes = compiled(*trees)

    def by_reference(params: Any, carry: Any, inputs: Any) -> Any:
        reference = CASES[case][1](name, params, UNITS)
        reference.noise = jax.tree.map(np.asarray, noise)
        if isinstance(noise, StepKeys):
            reference.draws = lambda t: np.asarray(uniform(noise._replace(step=jnp.int32(t)), UNITS * len(carry)))
        state, results = carry._asdict(), []
        for x in inputs:
            state, output = reference.step(state, x)
            results.append(output)
        return np.stack(results), type(carry)(**state)

    trees = jax.tree.map(np.asarray, trees)
    want, want_last = by_reference(*trees)
    np.testing.assert_allclose(outputs, want, rtol=1e-11, atol=1e-13)
    for got, expected in zip(last, want_last, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-13)

    rng, step = np.random.default_rng(0), 1e-6
    for index, tree in enumerate(trees):
        direction = [rng.standard_normal(leaf.shape) for leaf in floats(tree)]
        ends = []
        for sign in (1, -1):
            moved = [leaf + sign * step * d for leaf, d in zip(floats(tree), direction, strict=True)]
            ends.append(float(weights(*by_reference(*trees[:index], with_floats(tree, moved), *trees[index + 1 :]))))
        slope = sum(float(np.vdot(g, d)) for g, d in zip(floats(slopes[index]), direction, strict=True))
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-6)


def test_batch_normalization(float64: None) -> None:
    """Needs the batch, so it stands alone: an Elman network, one step, in NumPy."""
    cell = T.batch_normalization(Elman(input_size=3, hidden_size=4))
    params = randomised(cell.init(jax.random.key(0), jnp.float64), seed=1)
    x, h = (np.asarray(jax.random.normal(jax.random.key(k), (5, n), jnp.float64)) for k, n in ((2, 3), (3, 4)))
    _, output = cell(params, cell.cell.carry_type(jnp.asarray(h)), jnp.asarray(x))

    def scaled(kernel: Any, value: Any) -> Any:
        product = value @ np.asarray(kernel.kernel)
        return kernel.scale * (product - product.mean(0)) / np.sqrt(product.var(0) + 1e-5)

    want = np.tanh(scaled(params.kernel, x) + scaled(params.recurrent_kernel, h) + np.asarray(params.bias))
    np.testing.assert_allclose(output, want, rtol=1e-12)
    _, alone = cell(params, cell.cell.carry_type(jnp.asarray(h[0])), jnp.asarray(x[0]))
    np.testing.assert_allclose(alone, np.tanh(params.bias), rtol=1e-12)
