"""Initialisers: what they draw, and that those with a parameter are written as text, compared, pickled, printed."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.cells import Elman
from seqjax.cells.initializers import (
    INITIALIZERS,
    Normal,
    ScaledIdentity,
    SpectralRadius,
    Uniform,
    initialize,
    initializer_function,
    spectral_radius,
)

KEY = jax.random.key(0)
WRITTEN: dict[str, Any] = {
    "normal(0.25)": Normal(0.25),
    "uniform(-1.0, high=0.5)": Uniform(-1.0, 0.5),
    "scaled_identity(0.01)": ScaledIdentity(0.01),
    "spectral_radius(0.9, connectivity=0.1)": SpectralRadius(0.9, 0.1),
}


def largest_modulus(matrix: Any) -> float:
    return np.abs(np.linalg.eigvals(np.asarray(matrix, np.float64))).max()


@pytest.mark.parametrize("text", list(WRITTEN))
def test_text_and_object_are_the_same(text: str) -> None:
    made = WRITTEN[text]
    assert initializer_function(text) == made
    assert initializer_function(made) is made
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(initializer_function(text)) == hash(made)
    assert eval(repr(made)) == made
    np.testing.assert_array_equal(
        initialize(text, KEY, (5, 5), jnp.float32), initialize(made, KEY, (5, 5), jnp.float32)
    )
    cell = Elman(input_size=3, hidden_size=4, recurrent_initializer=text)
    assert eval(repr(cell)) == pickle.loads(pickle.dumps(cell)) == cell


@pytest.mark.parametrize("name", [*INITIALIZERS, *WRITTEN])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_every_initialiser_draws_stacked_kernels(name: str, dtype: Any) -> None:
    kernel = initialize(name, KEY, (6, 6), dtype, gates=3)
    assert kernel.shape == (6, 18)
    assert kernel.dtype == dtype
    assert np.isfinite(np.asarray(kernel, np.float32)).all()
    assert jax.eval_shape(lambda: initialize(name, KEY, (6, 6), dtype, gates=3)).shape == kernel.shape


@pytest.mark.parametrize("connectivity", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("size", [1, 4, 37])
def test_spectral_radius(size: int, connectivity: float) -> None:
    for seed in range(5):
        matrix = SpectralRadius(0.8, connectivity)(jax.random.key(seed), (size, size))
        assert largest_modulus(matrix) == pytest.approx(0.8, rel=2e-4)
        assert (np.count_nonzero(matrix, axis=0) == max(1, round(connectivity * size))).all()


def test_spectral_radius_of_known_matrices(float64: None) -> None:
    rotation = np.array([[0.0, -2.0], [2.0, 0.0]])
    jordan_block = np.array([[0.5, 100.0], [0.0, 0.5]])
    nilpotent = np.array([[0.0, 3.0], [0.0, 0.0]])
    for matrix, want in ((rotation, 2.0), (jordan_block, 0.5), (nilpotent, 0.0), (np.zeros((3, 3)), 0.0)):
        assert float(spectral_radius(jnp.asarray(matrix))) == pytest.approx(want, abs=1e-7)
    for seed in range(5):
        matrix = np.random.default_rng(seed).standard_normal((20, 20))
        assert float(spectral_radius(jnp.asarray(matrix))) == pytest.approx(largest_modulus(matrix), rel=1e-8)


def test_np_rnn_is_positive_definite_with_the_largest_eigenvalue_one(float64: None) -> None:
    matrix = np.asarray(initialize("np_rnn", KEY, (30, 30), jnp.float64))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert eigenvalues[0] > 0
    assert eigenvalues[-1] == pytest.approx(1)
    # R'R / N of a square normal matrix has eigenvalues between 0 and about 4, so those of the whole are above 1/5.
    assert 0.15 < eigenvalues[0] < 0.3


def test_np_rnn_input_has_the_papers_deviation() -> None:
    kernel = np.asarray(initialize("np_rnn_input", KEY, (500, 100), jnp.float32))
    assert kernel.std() == pytest.approx(np.sqrt(2) * np.exp(1.2 / 97.6) / 10, rel=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("orthogonl", "did you mean 'orthogonal'"),
        ("spectral_radios(0.9)", "did you mean 'spectral_radius'"),
        ("spectral_radius", r"takes parameters; write spectral_radius\(radius, connectivity=1.0"),
        ("spectral_radius(-1.0)", "SpectralRadius.radius must not be negative, got -1.0"),
        ("spectral_radius(0.9, 0)", "SpectralRadius.connectivity must be above 0 and at most 1, got 0"),
        ("normal(print(1))", r"write normal\(deviation\)"),
        ("normal(1, 2)", r"write normal\(deviation\)"),
    ],
)
def test_what_cannot_be_read_says_how_to_write_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initializer_function(text)


@pytest.mark.parametrize("name", ["np_rnn", "spectral_radius(0.9)"])
def test_square_matrices_only(name: str) -> None:
    with pytest.raises(ValueError, match=r"draws square matrices, got the shape \(3, 4\)"):
        initialize(name, KEY, (3, 4), jnp.float32)
