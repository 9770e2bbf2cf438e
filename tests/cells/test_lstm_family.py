"""The LSTM family: first biases, batch statistics, truncated gradients, parameter counts, what is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import gammaincc

import seqjax
from seqjax.cells import (
    JANET,
    LSTM,
    SLSTM,
    URLSTM,
    BatchNormLSTM,
    Cell,
    CoupledLSTM,
    Elman,
    LayerNormLSTM,
    OriginalLSTM,
    PeepholeLSTM,
    ProjectedLSTM,
    ResidualLSTM,
)
from seqjax.cells.forget_bias import draw_forget_bias
from seqjax.cells.lstm_normalized import population_statistics
from seqjax.laws.subject import randomised

SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 4}


def random_params(cell: Cell, dtype: Any = jnp.float32) -> Any:
    """With noise on everything, so that no bias is zero."""
    return jax.tree.map(jnp.asarray, randomised(cell.init(jax.random.key(0), dtype), 0))


def distance(samples: Any, distribution: Any) -> float:
    """Kolmogorov's: of the samples' distribution from the one given."""
    ordered = np.sort(np.asarray(samples, np.float64))
    return float(np.abs((np.arange(len(ordered)) + 0.5) / len(ordered) - distribution(ordered)).max())


def test_distributions_of_forget_biases() -> None:
    count, longest, key = 20_000, 50, jax.random.key(0)
    uniform, chrono, power_law = (
        np.asarray(draw_forget_bias(kind, key, count, longest if kind == "chrono" else None))
        for kind in ("uniform", "chrono", "power_law")
    )
    # The one percent quantile of Kolmogorov's distance, and what a wrong distribution would give.
    close, far = 1.63 / count**0.5, 0.05
    assert distance(1 / (1 + np.exp(-uniform)), lambda f: f) < close
    small = np.asarray(draw_forget_bias("uniform", key, 4))
    assert ((1 / (1 + np.exp(-small)) >= 0.25) & (1 / (1 + np.exp(-small)) <= 0.75)).all()
    assert distance(np.exp(chrono), lambda u: (u - 1) / (longest - 2)) < close
    forget_time = -1 / np.log(1 / (1 + np.exp(-power_law.astype(np.float64))))
    inverse_gamma = lambda shape, scale: lambda t: np.asarray(gammaincc(shape, scale / t))
    assert distance(forget_time, inverse_gamma(0.56, 1.0)) < close
    assert distance(forget_time, inverse_gamma(1.0, 1.0)) > far
    scaled = np.asarray(draw_forget_bias("power_law", key, count, shape=1.5, scale=3.0), np.float64)
    assert distance(-1 / np.log(1 / (1 + np.exp(-scaled))), inverse_gamma(1.5, 3.0)) < close


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_a_drawn_forget_bias_starts_the_input_gate_at_its_negative(dtype: Any) -> None:
    for kind in ("uniform", "chrono", "power_law"):
        longest = 100 if kind == "chrono" else None
        for cell in (LSTM, PeepholeLSTM, SLSTM):
            params = cell(**SIZES, forget_bias=kind, longest_memory=longest).init(jax.random.key(0), dtype)
            i, f, g, o = jnp.split(params.bias, 4)
            assert params.bias.dtype == dtype
            assert jnp.isfinite(params.bias).all()
            assert (i == -f).all()
            assert len(set(np.asarray(f, np.float32).tolist())) > 2
            assert not g.any()
            assert not o.any()
    bias = URLSTM(**SIZES).init(jax.random.key(0), dtype).bias
    assert (bias[:4] == -bias[4:8]).all()
    assert bias[:4].any()
    constant = LSTM(**SIZES, forget_bias=-0.5).init(jax.random.key(0), dtype).bias
    np.testing.assert_array_equal(np.asarray(constant, np.float32), [0] * 4 + [-0.5] * 4 + [0] * 8)


def test_what_is_refused() -> None:
    for cell, options, words in (
        (LSTM, {"forget_bias": "chrono"}, r"LSTM.longest_memory must be a whole number above 2 .* got None; .*=100"),
        (JANET, {"forget_bias": "cronos"}, r"JANET.forget_bias must be a number or one of 'uniform', .*'cronos'"),
        (LSTM, {"longest_memory": 9}, r"LSTM.longest_memory is read with forget_bias='chrono' only.*leave it out"),
        (LSTM, {"forget_bias": True}, "LSTM.forget_bias must be a number"),
        (LSTM, {"cell_clip": 0.0}, "LSTM.cell_clip must be above zero, or None"),
        (ProjectedLSTM, {"projection_size": 5}, "ProjectedLSTM.projection_size must be at most hidden_size=4, got 5"),
        (ProjectedLSTM, {"projection_size": 0}, "ProjectedLSTM.projection_size must be a positive whole number, got 0"),
        (ResidualLSTM, {"shortcut": "identity"}, "needs input_size == hidden_size, got 3 and 4; use shortcut='kernel'"),
        (ResidualLSTM, {"shortcut": "none"}, "ResidualLSTM.shortcut must be"),
        (
            LayerNormLSTM,
            {"placement": "both"},
            "LayerNormLSTM.placement must be one of 'separate', 'joint', got 'both'",
        ),
        (LayerNormLSTM, {"cell_norm": None}, "LayerNormLSTM.cell_norm must be one of"),
        (BatchNormLSTM, {"statistics_steps": 0}, "BatchNormLSTM.statistics_steps must be a positive whole number"),
        (OriginalLSTM, {"squashing": "relu"}, "OriginalLSTM.squashing must be"),
        (SLSTM, {"forget": "tanh"}, "SLSTM.forget must be"),
    ):
        with pytest.raises(ValueError, match=words):
            cell(**SIZES, **options)
    training = BatchNormLSTM(**SIZES, training=True)
    with pytest.raises(ValueError, match="training=True needs a batch axis"):
        training(training.init(jax.random.key(0)), training.initial_carry(), jnp.zeros(3))


def test_parameter_counts() -> None:
    def count(cell: Any) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(cell.init, jax.random.key(0))))

    sizes: dict[str, Any] = {"input_size": 7, "hidden_size": 10}
    elman, n, m = count(Elman(**sizes)), 7, 10
    assert elman == n * m + m * m + m
    assert count(LSTM(**sizes)) == 4 * elman
    assert count(PeepholeLSTM(**sizes)) == 4 * elman + 3 * m
    assert count(CoupledLSTM(**sizes)) == count(OriginalLSTM(**sizes)) == 3 * elman
    assert count(JANET(**sizes)) == 2 * elman
    # Sak et al. 2014, section 2.1, for the recurrent and the projection weights.
    projection = 3
    assert (
        count(ProjectedLSTM(**sizes, projection_size=projection)) == 4 * (n * m + projection * m + m) + m * projection
    )
    assert ProjectedLSTM(**sizes).output_size == 5


def test_identity_shortcut() -> None:
    square: dict[str, Any] = {"input_size": 4, "hidden_size": 4}
    kernel, identity = ResidualLSTM(**square), ResidualLSTM(**square, shortcut="identity")
    params, inputs = random_params(identity), jax.random.normal(jax.random.key(1), (5, 2, 4))
    assert params.shortcut_kernel is None
    got = seqjax.scan(identity, params, inputs)[1]
    want = seqjax.scan(kernel, params._replace(shortcut_kernel=jnp.eye(4)), inputs)[1]
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def batch_norm_in_numpy(p: Any, inputs: Any, epsilon: float) -> np.ndarray:
    """Cooijmans et al. 2016 in training: statistics of the batch at each step, all sequences side by side."""
    h = c = np.zeros((inputs.shape[1], p.cell_scale.size))
    sigma = lambda a: 1 / (1 + np.exp(-a))
    norm = lambda a: (a - a.mean(0)) / np.sqrt(((a - a.mean(0)) ** 2).mean(0) + epsilon)
    outputs = []
    for x in inputs:
        a = norm(x @ p.kernel) * p.scale + norm(h @ p.recurrent_kernel) * p.recurrent_scale + p.bias
        i, f, g, o = np.split(a, 4, axis=1)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(p.cell_scale * norm(c) + p.cell_bias)
        outputs.append(h)
    return np.stack(outputs)


def test_batch_norm_in_training(float64: None) -> None:
    cell = BatchNormLSTM(**SIZES, training=True, statistics_steps=4)
    params = random_params(cell, dtype=jnp.float64)
    inputs = jax.random.normal(jax.random.key(1), (6, 5, 3), jnp.float64)
    want = batch_norm_in_numpy(jax.tree.map(np.asarray, params), np.asarray(inputs), cell.epsilon)
    np.testing.assert_allclose(seqjax.scan(cell, params, inputs)[1], want, rtol=1e-10, atol=1e-12)

    def loss(params: Any, mode: Any) -> Any:
        return jnp.sin(seqjax.scan(cell, params, inputs, mode=mode)[1]).sum()

    ours, plain = (jax.jit(jax.grad(loss), static_argnums=1)(params, mode) for mode in ("auto", "lax"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10), ours, plain)
    assert jax.tree.all(jax.tree.map(lambda a: not a.any(), ours[-3:])), "training moved the population's statistics"
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(ours[:-3]))
    step = 1e-6
    moved = [params._replace(kernel=params.kernel.at[1, 2].add(s * step)) for s in (1, -1)]
    slope = (loss(moved[0], "lax") - loss(moved[1], "lax")) / (2 * step)
    np.testing.assert_allclose(ours.kernel[1, 2], slope, rtol=1e-6)


def test_population_statistics(float64: None) -> None:
    """On the sequences that they are from, evaluation is training; after them, the last step's are used."""
    training = BatchNormLSTM(**SIZES, training=True, statistics_steps=8)
    cell = BatchNormLSTM(**SIZES, statistics_steps=8)
    params = random_params(cell, dtype=jnp.float64)
    inputs = jax.random.normal(jax.random.key(1), (6, 5, 3), jnp.float64)
    filled = jax.jit(population_statistics, static_argnums=0)(cell, params, inputs)
    want = seqjax.scan(training, params, inputs)[1]
    np.testing.assert_allclose(seqjax.scan(cell, filled, inputs)[1], want, rtol=1e-10, atol=1e-12)
    assert jax.tree.map(jnp.shape, filled) == jax.tree.map(jnp.shape, params)
    for statistics in filled[-3:]:
        np.testing.assert_array_equal(statistics.mean[5:], jnp.tile(statistics.mean[5], (3, 1)))
    np.testing.assert_allclose(filled.statistics.mean[2], (inputs[2] @ params.kernel).mean(0), rtol=1e-12)
    np.testing.assert_allclose(filled.statistics.deviation[2], (inputs[2] @ params.kernel).std(0), rtol=1e-12)
    short = BatchNormLSTM(**SIZES, statistics_steps=2)
    held = population_statistics(short, params, inputs)
    late = seqjax.scan(short, held, inputs)[1]
    padded = jax.tree.map(lambda a: jnp.pad(a, ((0, 6), (0, 0)), mode="edge"), held[-3:])
    whole = seqjax.scan(cell, held._replace(**dict(zip(held._fields[-3:], padded))), inputs)[1]
    np.testing.assert_allclose(late, whole, rtol=1e-12)


def test_truncated_gradient_of_the_original_lstm(float64: None) -> None:
    """The gradient of the loss with what the gates read from the past held where it is, by differences."""
    cell, truncated = OriginalLSTM(**SIZES), OriginalLSTM(**SIZES, truncated_gradient=True)
    params = random_params(cell, dtype=jnp.float64)
    inputs = jax.random.normal(jax.random.key(1), (5, 2, 3), jnp.float64)
    value = lambda cell: lambda params: jnp.sin(2 * seqjax.scan(cell, params, inputs)[1]).sum()
    outputs = seqjax.scan(cell, params, inputs)[1]
    np.testing.assert_allclose(seqjax.scan(truncated, params, inputs)[1], outputs, rtol=1e-12)
    held = jnp.concatenate([jnp.zeros_like(outputs[:1]), outputs[:-1]])

    def with_held_past(params: Any) -> Any:
        carry, total = cell.initial_carry((2,), jnp.float64), 0.0
        for x, hidden in zip(inputs, held, strict=True):
            carry, output = cell(params, carry._replace(hidden=hidden), x)
            total += jnp.sin(2 * output).sum()
        return total

    got, full = (jax.jit(jax.grad(value(c)))(params) for c in (truncated, cell))
    compiled, step = jax.jit(with_held_past), 1e-6
    for name, place in (("kernel", (1, 3)), ("recurrent_kernel", (2, 5)), ("recurrent_kernel", (0, 1)), ("bias", (9,))):
        up, down = (compiled(params._replace(**{name: getattr(params, name).at[place].add(s * step)})) for s in (1, -1))
        np.testing.assert_allclose(getattr(got, name)[place], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)
    assert jnp.abs(got.kernel - full.kernel).max() > 1e-2


def test_slstm_stays_finite_and_starts_fresh_anywhere() -> None:
    """Input gates that leave the range of the exponential at the first step, and a batch where only some start."""
    cell = SLSTM(**SIZES)
    params = cell.init(jax.random.key(0))
    far = params._replace(bias=params.bias.at[:4].set(jnp.array([-300.0, 300.0, 0.0, -100.0])))
    inputs = jax.random.normal(jax.random.key(1), (4, 2, 3))
    loss = lambda params: seqjax.scan(cell, params, inputs)[1].sum()
    assert np.isfinite(loss(far))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.grad(loss)(far)))
    resets = jnp.zeros((4, 2), bool).at[2, 1].set(True)
    outputs = seqjax.scan(cell, far, inputs, resets=resets)[1]
    np.testing.assert_allclose(outputs[2:, 1], seqjax.scan(cell, far, inputs[2:, 1])[1], rtol=1e-5, atol=1e-6)
