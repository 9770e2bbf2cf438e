"""Operations of products, counted by hand."""

import jax
import jax.numpy as jnp
import pytest

from seqjax.cells import GRU, LSTM
from seqjax.engine.flops import product_flops

MATRIX, VECTOR = jax.ShapeDtypeStruct((4, 4), jnp.float32), jax.ShapeDtypeStruct((4,), jnp.float32)


@pytest.mark.parametrize(
    ("function", "products"),
    [
        (lambda p, x: x @ p, 1),
        (lambda p, x: jax.nn.relu(jax.jit(jnp.matmul)(x, p)) @ p, 2),
        (lambda p, x: x @ (p @ p), 1),
        (lambda p, x: x @ jax.scipy.linalg.expm(p), 1),
        (lambda p, x: x + jax.jit(lambda q: q[0] @ q)(p), 0),
        (lambda p, x: jax.lax.fori_loop(0, 3, lambda i, y: y @ p, x), 3),
        (lambda p, x: jax.lax.cond(x[0] > 0, lambda: x @ p, lambda: x), 1),
    ],
)
def test_products_that_need_the_argument(function, products):
    assert product_flops(function, MATRIX, VECTOR) == products * 2 * 4 * 4


def test_convolutions():
    image, kernel = jnp.ones((1, 6, 5, 2)), jnp.ones((3, 3, 2, 7))
    convolve = lambda k, x: jax.lax.conv_general_dilated(
        x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    assert product_flops(convolve, kernel, image) == 2 * (6 * 5 * 7) * (3 * 3 * 2)


@pytest.mark.parametrize(("cell_type", "gates"), [(LSTM, 4), (GRU, 3)])
def test_a_step_of_a_cell(cell_type, gates):
    cell = cell_type(input_size=3, hidden_size=5)
    params = cell.init(jax.random.key(0))
    assert product_flops(cell, params, cell.initial_carry(), jnp.ones(3)) == 2 * gates * 5 * (3 + 5)
