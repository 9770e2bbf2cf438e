"""Error surfaces against direct evaluation, descent against a loop, and the cliff of Pascanu et al."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.analysis import cliff, descend, error_surface, plane_of_weights, random_plane
from seqjax.cells import Elman

CELL = Elman(input_size=2, hidden_size=3)


def quadratic(params: Any) -> jax.Array:
    return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(params))


def test_the_surface_is_the_loss_at_each_point(float64: None) -> None:
    params = CELL.init(jax.random.key(0), jnp.float64)
    plane = plane_of_weights(params, ("recurrent_kernel", (0, 1)), ("bias", 2))
    x, y = np.linspace(-1, 1, 4), np.linspace(0, 2, 3)
    surface = error_surface(quadratic, plane, x, y)
    assert surface.shape == (3, 4)
    for row, value_y in enumerate(y):
        for column, value_x in enumerate(x):
            moved = params._replace(
                recurrent_kernel=params.recurrent_kernel.at[0, 1].set(value_x), bias=params.bias.at[2].set(value_y)
            )
            assert surface[row, column] == pytest.approx(float(quadratic(moved)), abs=1e-12)
    np.testing.assert_allclose(plane.coordinates(params), [params.recurrent_kernel[0, 1], params.bias[2]], atol=1e-12)


def test_random_directions_are_as_long_as_the_parameters() -> None:
    params = CELL.init(jax.random.key(0))
    plane = random_plane(jax.random.key(1), params)
    for direction in (plane.first, plane.second):
        np.testing.assert_allclose(
            jnp.linalg.norm(direction.recurrent_kernel), jnp.linalg.norm(params.recurrent_kernel), rtol=1e-5
        )
    assert np.abs(np.asarray(plane.first.kernel - plane.second.kernel)).max() > 0.1
    np.testing.assert_allclose(plane.coordinates(plane.at(0.5, -2.0)), [0.5, -2.0], atol=1e-5)


@pytest.mark.parametrize("clip", [None, 0.05])
def test_each_step_of_descent_is_a_step_by_differences(clip: float | None, float64: None) -> None:
    path = descend(cliff, {"w": jnp.asarray(5.5), "b": jnp.asarray(-3.2)}, 0.5, 4, clip)
    points = np.stack([path.params["w"], path.params["b"]], axis=1)
    at = lambda point: float(cliff({"w": point[0], "b": point[1]}))
    for step in range(4):
        slope = np.array([(at(points[step] + e) - at(points[step] - e)) / 2e-6 for e in 1e-6 * np.eye(2)])
        norm = math.hypot(*slope)
        assert path.losses[step] == pytest.approx(at(points[step]))
        assert path.gradient_norms[step] == pytest.approx(norm, rel=1e-4)
        scale = 1.0 if clip is None else min(1.0, clip / norm)
        np.testing.assert_allclose(points[step + 1], points[step] - 0.5 * scale * slope, atol=1e-5)


def test_clipping_converges_on_the_cliff_where_plain_descent_leaves() -> None:
    start = {"w": jnp.asarray(5.5), "b": jnp.asarray(-3.2)}
    plain, clipped = (descend(cliff, start, 1.0, 400, clip) for clip in (None, 0.1))
    plane = plane_of_weights(start, ("w", ()), ("b", ()))
    assert plain.losses[-1] > 0.05
    assert abs(plain.on(plane)[-1, 1] - (-3.2)) > 5
    assert clipped.losses[-1] < 1e-3
    assert clipped.gradient_norms.max() > 1


def test_bad_input_gets_a_clear_message() -> None:
    params = CELL.init(jax.random.key(0))
    with pytest.raises(ValueError, match="no leaf 'kernal'; they have kernel, recurrent_kernel, bias"):
        plane_of_weights(params, ("kernal", 0), ("bias", 0))
    with pytest.raises(ValueError, match=r"index 0 of kernel, \[2, 3\], is not one weight"):
        plane_of_weights(params, ("kernel", 0), ("bias", 0))
