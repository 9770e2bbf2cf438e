"""Where a transform has to give a cell that is known otherwise, and what the engine makes of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Elman, IndRNN
from seqjax.cells import transforms as T
from seqjax.cells.kernels import DiagonalKernel, LowRankKernel
from seqjax.laws.subject import quick_options, randomised

SIZES = {"input_size": 3, "hidden_size": 4}
CELLS = [Elman(**SIZES), LSTM(**SIZES), GRU(**SIZES), GRU(**SIZES, reset="before")]
every_cell = pytest.mark.parametrize("cell", CELLS, ids=["Elman", "LSTM", "GRU", "GRU-before"])
INPUTS = np.asarray(jax.random.normal(jax.random.key(9), (5, 2, 3)), np.float64)


def run(cell: Any, params: Any, key: Any = None) -> Any:
    def scan(params: Any, inputs: Any) -> Any:
        carry = cell.initial_carry((2,), inputs.dtype, params, key)
        return seqjax.scan(cell, params, inputs, carry)[1]

    return np.asarray(jax.jit(scan, compiler_options=quick_options())(params, INPUTS))


def params_of(cell: Any, seed: int = 1) -> Any:
    return randomised(cell.init(jax.random.key(0), jnp.float64), seed=seed)


@every_cell
def test_rates_of_zero_give_the_cell(cell: Any, float64: None) -> None:
    params, key = params_of(cell), jax.random.key(5)
    made = T.zoneout(T.recurrent_dropout(T.input_dropout(T.weight_drop(cell, 0.0), 0.0), 0.0), hidden=0.0)
    np.testing.assert_array_equal(
        made.sample_params(params, key).recurrent_kernel, params.recurrent_kernel, "weights are dropped"
    )
    want = run(cell, params)
    np.testing.assert_allclose(run(made, params, key), want, rtol=1e-12)
    np.testing.assert_allclose(run(made, params), want, rtol=1e-12)


@every_cell
def test_structured_kernels_equal_matrices_of_that_structure(cell: Any, float64: None) -> None:
    params = params_of(cell)
    matrices = np.split(np.asarray(params.recurrent_kernel), params.recurrent_kernel.shape[1] // 4, 1)
    diagonals = [np.diag(np.diag(matrix)) for matrix in matrices]
    weights = DiagonalKernel(weights=jnp.stack([np.diag(matrix) for matrix in matrices]))
    np.testing.assert_allclose(
        run(T.diagonal(cell), params._replace(recurrent_kernel=weights)),
        run(cell, params._replace(recurrent_kernel=np.concatenate(diagonals, 1))),
        rtol=1e-12,
    )
    factors = LowRankKernel(left=jnp.eye(4), right=params.recurrent_kernel)
    np.testing.assert_allclose(
        run(T.low_rank(cell, 4), params._replace(recurrent_kernel=factors)), run(cell, params), rtol=1e-12
    )
    one_head = T.block_diagonal(cell, 1)
    blocks = params_of(one_head).recurrent_kernel
    matrix = np.concatenate([blocks.blocks[0, :, gate] for gate in range(len(matrices))], 1)
    np.testing.assert_allclose(
        run(one_head, params._replace(recurrent_kernel=blocks)),
        run(cell, params._replace(recurrent_kernel=matrix)),
        rtol=1e-12,
    )


def test_a_diagonal_elman_network_is_the_independent_one(float64: None) -> None:
    cell, independent = T.diagonal(Elman(**SIZES, activation="relu")), IndRNN(**SIZES)
    params = params_of(cell)
    weights = params.recurrent_kernel.weights[0]
    theirs = params_of(independent)._replace(kernel=params.kernel, recurrent_kernel=weights, bias=params.bias)
    np.testing.assert_allclose(run(cell, params), run(independent, theirs), rtol=1e-12)


@every_cell
def test_what_starts_as_the_cell(cell: Any, float64: None) -> None:
    key = jax.random.key(3)
    want = run(cell, cell.init(key, jnp.float64))
    for made in (T.weight_normalization(cell), T.learned_initial_carry(cell), T.clip_gradient(cell, norm=1.0)):
        np.testing.assert_allclose(run(made, made.init(key, jnp.float64)), want, rtol=1e-12)
    additive = T.multiplicative_integration(cell, alpha=0.0, beta1=1.0, beta2=1.0)
    np.testing.assert_allclose(run(additive, additive.init(key, jnp.float64)), want, rtol=1e-12)


def test_cell_clip_is_the_option_of_the_cell(float64: None) -> None:
    params = params_of(LSTM(**SIZES), seed=2)
    want = run(LSTM(**SIZES, cell_clip=0.2), params)
    np.testing.assert_allclose(run(T.cell_clip(LSTM(**SIZES), 0.2), params), want, rtol=1e-12)
    assert np.abs(want - run(LSTM(**SIZES), params)).max() > 1e-3


@pytest.mark.parametrize(("options", "clip"), [({"value": 0.05}, "value"), ({"norm": 0.08}, "norm")])
def test_clipped_gradients_by_hand(options: dict[str, float], clip: str, float64: None) -> None:
    """Backward through an Elman network in NumPy, step by step."""
    cell = T.clip_gradient(Elman(**SIZES), **options)
    params = params_of(cell)
    loss = lambda params: (seqjax.scan(cell, params, INPUTS)[1] ** 2).sum()
    got = jax.jit(jax.grad(loss), compiler_options=quick_options())(params)
    h = run(Elman(**SIZES), params)
    kernel, bias, after = np.zeros((4, 4)), np.zeros(4), np.zeros((2, 4))
    for t in reversed(range(5)):
        slope = (2 * h[t] + after) * (1 - h[t] ** 2)
        before = h[t - 1] if t else np.zeros((2, 4))
        kernel, bias = kernel + before.T @ slope, bias + slope.sum(0)
        after = slope @ np.asarray(params.recurrent_kernel).T
        if clip == "value":
            after = np.clip(after, -0.05, 0.05)
        else:
            lengths = np.linalg.norm(after, axis=1, keepdims=True)
            after = np.where(lengths > 0.08, after * 0.08 / lengths, after)
    np.testing.assert_allclose(got.recurrent_kernel, kernel, rtol=1e-10)
    np.testing.assert_allclose(got.bias, bias, rtol=1e-10)


def test_a_learned_initial_carry_is_where_sequences_and_resets_start(float64: None) -> None:
    cell = T.learned_initial_carry(LSTM(**SIZES))
    params = params_of(cell)
    resets = jnp.zeros((5, 2), bool).at[3].set(True)
    outputs = seqjax.scan(cell, params, INPUTS, resets=resets)[1]
    start = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (2, 4)), params.initial_carry)
    want = seqjax.scan(LSTM(**SIZES), params.params, INPUTS[3:], start)[1]
    np.testing.assert_allclose(outputs[3:], want, rtol=1e-12)
    stacked = T.recurrent_dropout(T.zoneout(cell, hidden=0.5), 0.5)
    carry = stacked.initial_carry((2,), jnp.float64, params, jax.random.key(0))
    np.testing.assert_array_equal(carry.hidden, start.hidden)


def test_initial_values() -> None:
    lstm, key = LSTM(input_size=3, hidden_size=2), jax.random.key(0)
    drawn = T.reinitialized(lstm, recurrent_kernel="identity", kernel=0.25).init(key)
    np.testing.assert_array_equal(drawn.recurrent_kernel, np.tile(np.eye(2), 4))
    np.testing.assert_array_equal(drawn.kernel, np.full((3, 8), 0.25))
    orthogonal = T.reinitialized(LSTM(**SIZES, recurrent_initializer="zeros"), recurrent_kernel="orthogonal").init(key)
    for matrix in np.split(np.asarray(orthogonal.recurrent_kernel), 4, 1):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(4), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "want"),
    [("LSTM", [0, 3, 0, 0]), ("GRU", [0, 3, 0]), ("JANET", [3, 0]), ("MGU", [-3, 0]), ("UGRNN", [3, 0])],
)
def test_the_gate_that_keeps_is_found(name: str, want: list[float]) -> None:
    """MGU's forget gate keeps the old state where it is closed."""
    cell = seqjax.cells.registry()[name](input_size=3, hidden_size=2)
    bias = T.forget_gate_init(cell, 3.0).init(jax.random.key(0)).bias
    np.testing.assert_array_equal(bias, np.repeat(np.array(want, float), 2))
    drawn = T.forget_gate_init(cell, "chrono", longest_memory=50).init(jax.random.key(0)).bias
    keeps = np.asarray(drawn).reshape(-1, 2)[np.argmax(np.abs(want))] * np.sign(sum(want))
    assert ((keeps > 0) & (keeps < np.log(49))).all()
    if name == "LSTM":
        np.testing.assert_array_equal(drawn[:2], -drawn[2:4])


@pytest.mark.parametrize("cell", CELLS, ids=["Elman", "LSTM", "GRU", "GRU-before"])
def test_a_diagonal_recurrence_leaves_no_product_in_the_loop(cell: Any) -> None:
    plan = seqjax.explain(T.diagonal(cell))
    assert plan.products_in_loop == 0
    assert plan.products_in_backward_loop == 0
    assert {entry for row in plan.structure for entry in row} == {"diagonal"}
    assert {entry for row in seqjax.explain(cell).structure for entry in row} >= {"full"}
    assert seqjax.explain(T.low_rank(cell, 2)).products_in_loop >= 2


def test_with_named_works_under_transformations_and_says_what_is_there(float64: None) -> None:
    cell = LSTM(**SIZES)
    params = params_of(cell)
    seen = []
    step = T.with_named(cell, {"candidate": lambda value: seen.append(value.shape) or jnp.zeros_like(value)})
    closed = run_step(step, params)
    want = seqjax.scan(
        cell,
        params._replace(
            kernel=zeroed(params.kernel), recurrent_kernel=zeroed(params.recurrent_kernel), bias=zeroed(params.bias)
        ),
        INPUTS,
    )[1]
    np.testing.assert_allclose(closed, want, rtol=1e-12)
    assert seen
    mapped = jax.vmap(lambda x: run_step(step, params, x[:, None])[:, 0], 1, 1)(INPUTS)
    np.testing.assert_allclose(mapped, closed, rtol=1e-12)
    gradient = jax.grad(lambda p: (run_step(step, p) ** 2).sum())(params)
    assert not np.asarray(gradient.bias[8:12]).any()
    assert np.asarray(gradient.bias[12:]).any() or not np.asarray(closed).any()
    with pytest.raises(ValueError, match=r"names no value 'reset_gate'; it names 'input_gate', 'forget_gate'"):
        T.with_named(cell, {"reset_gate": lambda value: value})(params, cell.initial_carry((2,)), INPUTS[0])
    assert dict(T.named_values(cell))["cell"] == (4,)


def zeroed(stacked: Any) -> Any:
    """Without the candidate's part, of the gates i, f, g, o."""
    return jnp.asarray(stacked).at[..., 8:12].set(0)


def run_step(step: Any, params: Any, inputs: Any = INPUTS) -> Any:
    carry = LSTM(**SIZES).initial_carry((inputs.shape[1],), jnp.float64)
    return seqjax.scan(step, params, inputs, carry)[1]
