"""Every cell equals its paper's equations as written a second time in NumPy: values, and gradients by differences."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import Cell, registry
from seqjax.cells.activations import ACTIVATIONS
from tests.cells import references
from tests.cells.law_tools import arguments_of
from tests.cells.references import tools
from tests.cells.variants import FULL, all_cells
from tests.trees import floats, gradient, with_floats

TIME = 5
CELLS = all_cells()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        few = metafunc.config.getoption("--breadth") == "representative"
        names = [name for name in CELLS if name in FULL or not few]
        metafunc.parametrize("cell", [CELLS[name] for name in names], ids=names)


def test_every_registered_cell_has_a_reference() -> None:
    assert set(references.REFERENCES) == set(registry()), (
        "write the cell's equations from its paper in a file of tests/cells/references"
    )


def test_every_activation_has_a_reference(float64: None) -> None:
    assert set(tools.FUNCTIONS) == set(ACTIVATIONS)
    points = np.linspace(-4, 4, 41)
    for name, function in ACTIVATIONS.items():
        got, want = np.asarray(function(jnp.asarray(points))), tools.function(name)(points)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14, err_msg=name)


def in_numpy(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def test_values(cell: Cell, float64: None) -> None:
    at = arguments_of(cell, TIME, (3,), dtype=jnp.float64)
    carry, outputs = seqjax.scan(cell, at.params, at.inputs, at.carry)
    params, start, inputs = in_numpy(at[:3])
    for example in range(3):
        of_example = jax.tree.map(lambda a, i=example: a[i], start)
        of_inputs = jax.tree.map(lambda a, i=example: a[:, i], inputs)
        last, want = references.run(cell, params, of_example, of_inputs)
        np.testing.assert_allclose(outputs[:, example], want, rtol=1e-12, atol=1e-13)
        for got_leaf, want_leaf in zip(jax.tree.leaves(carry), jax.tree.leaves(last), strict=True):
            np.testing.assert_allclose(got_leaf[example], want_leaf, rtol=1e-12, atol=1e-13)


def test_gradients(cell: Cell, float64: None) -> None:
    def loss(values: Any) -> Any:
        rng, total = np.random.default_rng(0), 0.0
        for leaf in floats(values):
            total += ((leaf + leaf**2) * rng.standard_normal(leaf.shape)).sum()
        return total

    def by_seqjax(params: Any, carry: Any, inputs: Any) -> Any:
        last, outputs = seqjax.scan(cell, params, inputs, carry)
        return loss((outputs, jax.tree.leaves(last))), ()

    by_the_engine = jax.jit(lambda *trees: gradient(by_seqjax, *trees)[2])
    stopped = references.STOPPED.get(type(cell).__name__)
    # A network of rectifiers may be silent for one draw, and then nothing of its first steps would be compared.
    for seed in range(5):
        start = in_numpy(arguments_of(cell, TIME, (), seed, jnp.float64)[:3])
        got = floats(by_the_engine(*start))
        first_of_carry, first_of_inputs = len(floats(start[0])), len(floats(start[:2]))
        silent = {"params": range(first_of_carry), "carry": range(first_of_carry, first_of_inputs)}.get(stopped, ())
        if all(np.abs(slopes).max() > 1e-3 for index, slopes in enumerate(got) if index not in silent):
            break
    leaves, held = floats(start), references.undisturbed(cell, *start)

    def by_reference() -> float:
        params, carry, inputs = with_floats(start, leaves)
        last, outputs = references.run(cell, params, carry, inputs, held)
        return float(loss((outputs, jax.tree.leaves(last))))

    step = 1e-6
    for index, (leaf, slopes) in enumerate(zip(leaves, got, strict=True)):
        leaves[index] = moved = leaf.copy()
        want = np.zeros_like(leaf)
        for place in np.ndindex(leaf.shape):
            moved[place] = leaf[place] + step
            up = by_reference()
            moved[place] = leaf[place] - step
            want[place] = (up - by_reference()) / (2 * step)
            moved[place] = leaf[place]
        leaves[index] = leaf
        if index in silent:
            assert not want.any()
            assert not slopes.any()
            continue
        assert np.abs(want).max() > 1e-3
        np.testing.assert_allclose(slopes, want, rtol=1e-6, atol=1e-6 * max(1.0, np.abs(want).max()))
