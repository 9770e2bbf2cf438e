"""The effective kernels of the unitary and orthogonal cells are what their names say, for any parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.cells import EURNN, NNRNN, ExpRNN, ScoRNN, UnitaryRNN
from seqjax.cells.antisymmetric import antisymmetric
from seqjax.cells.orthogonal_maps import cayley, draw_rotations, modrelu, skew_symmetric

SIZES = [(3, 1), (3, 4), (2, 7), (5, 32)]
every_size = pytest.mark.parametrize(("input_size", "hidden_size"), SIZES)


def somewhere(params: Any) -> Any:
    """Parameters that no initialiser would give."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + 0.5 * rng.standard_normal(leaf.shape), params)


def assert_unitary(matrix: Any, tolerance: float = 1e-12) -> None:
    matrix = np.asarray(matrix)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(len(matrix)), atol=tolerance)


@pytest.mark.parametrize("kind", [ScoRNN, ExpRNN])
@every_size
def test_orthogonal_kernels(kind: Any, input_size: int, hidden_size: int, float64: None) -> None:
    cell = kind(input_size=input_size, hidden_size=hidden_size)
    start = cell.init(jax.random.key(0), jnp.float64)
    for params in (start, somewhere(start)):
        kernel = np.asarray(cell.recurrent_kernel(params))
        assert_unitary(kernel)
        negative = hidden_size // 2 if kind is ScoRNN else 0
        assert np.linalg.det(kernel) == pytest.approx((-1) ** negative)
    assert params.skew.size == hidden_size * (hidden_size - 1) // 2
    single = jax.tree.map(lambda a: a.astype(jnp.float32), params)
    assert_unitary(cell.recurrent_kernel(single), 2e-5)


@every_size
def test_the_non_normal_kernel_starts_orthogonal_and_leaves_it(
    input_size: int, hidden_size: int, float64: None
) -> None:
    cell = NNRNN(input_size=input_size, hidden_size=hidden_size)
    start = cell.init(jax.random.key(0), jnp.float64)
    assert_unitary(cell.recurrent_kernel(start))
    # The eigenvalues stay those of the blocks, whatever is in the triangle.
    triangle = jnp.asarray(np.random.default_rng(0).standard_normal((hidden_size, hidden_size)))
    gains = 1 + jnp.arange(len(start.gains)) / 10
    kernel = np.asarray(cell.recurrent_kernel(start._replace(triangle=triangle, gains=gains)))
    want = np.repeat(gains, 2)[:hidden_size]
    np.testing.assert_allclose(np.sort(np.abs(np.linalg.eigvals(kernel))), want, rtol=1e-4)
    if hidden_size > 2:
        assert np.abs(kernel @ kernel.T - kernel.T @ kernel).max() > 0.1


@every_size
def test_the_unitary_product(input_size: int, hidden_size: int, float64: None) -> None:
    cell = UnitaryRNN(input_size=input_size, hidden_size=hidden_size)
    start = cell.init(jax.random.key(0), jnp.float64)
    for params in (start, somewhere(start)):
        assert_unitary(cell.turn(params, jnp.eye(hidden_size, dtype=complex)))
    # 7 n for the matrix and n for the bias, as in the paper, beside a complex input kernel.
    assert sum(leaf.size for leaf in params) - params.kernel.size == 8 * hidden_size
    assert params.kernel.size == 2 * input_size * hidden_size


@pytest.mark.parametrize("capacity", [1, 2, 7])
@every_size
def test_the_efficient_unitary_product(input_size: int, hidden_size: int, capacity: int, float64: None) -> None:
    cell = EURNN(input_size=input_size, hidden_size=hidden_size, capacity=capacity)
    params = cell.init(jax.random.key(0), jnp.float64)
    assert_unitary(cell.turn(params, jnp.eye(hidden_size, dtype=complex)))
    if capacity == hidden_size:
        # With the diagonal as many free numbers as a unitary matrix has, n^2.
        assert params.angles.size + params.phases.size + params.diagonal.size == hidden_size**2


def test_drawn_rotations_turn_by_less_than_a_quarter(float64: None) -> None:
    matrix = np.asarray(cayley(skew_symmetric(draw_rotations(jax.random.key(0), 9, jnp.float64), 9)))
    assert_unitary(matrix)
    angles = np.abs(np.angle(np.linalg.eigvals(matrix)))
    assert (angles <= np.pi / 2).all()
    assert angles.max() > 0.5
    # Pairs of units and one that is left over.
    assert not matrix[np.arange(9)[:, None] // 2 != np.arange(9) // 2].any()


def test_antisymmetric_eigenvalues_have_the_diffusion_as_real_part(float64: None) -> None:
    free = jnp.asarray(np.random.default_rng(0).standard_normal((6, 6)))
    np.testing.assert_allclose(np.linalg.eigvals(np.asarray(antisymmetric(free, 0.3))).real, -0.3, atol=1e-12)


def test_modrelu_has_gradients_everywhere(float64: None) -> None:
    points, bias = jnp.array([-2.0, -0.5, 0.0, 0.5, 2.0]), -1.0
    np.testing.assert_allclose(modrelu(points, jnp.asarray(bias)), [-1, 0, 0, 0, 1])
    np.testing.assert_allclose(jax.vmap(jax.grad(modrelu), (0, None))(points, bias), [1, 0, 0, 0, 1])
    gradient = jax.grad(lambda z: jnp.abs(modrelu(z, jnp.asarray(bias))), holomorphic=False)(jnp.array(0.0 + 0.0j))
    assert np.isfinite(gradient)
    with pytest.raises(ValueError, match=r"ScoRNN.negative_ones must be between 0 and hidden_size, 4, or None; got 5"):
        ScoRNN(input_size=3, hidden_size=4, negative_ones=5)
