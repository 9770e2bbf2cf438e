"""Attention as pure functions: against plain NumPy, Keras, enumeration, and torch's convolution."""

import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import attention

os.environ.setdefault("KERAS_BACKEND", "jax")

BATCH, POSITIONS, FEATURES, UNITS = 3, 5, 4, 6
LENGTHS = np.array([5, 3, 0])
MASK = np.arange(POSITIONS) < LENGTHS[:, None]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def softmax(scores):
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


def test_additive_attention_is_the_loop_over_positions():
    query, states, kernel, score = (
        draw(BATCH, UNITS),
        draw(BATCH, POSITIONS, FEATURES),
        draw(FEATURES, UNITS),
        draw(UNITS),
    )
    memory = attention.prepare(states, MASK, kernel)
    weights = attention.masked_softmax(attention.additive_scores(query, memory.keys, score), memory.mask)
    context = attention.read(weights, memory.values)
    for row, length in enumerate(LENGTHS):
        scores = [score @ np.tanh(query[row] + states[row, j] @ kernel) for j in range(length)]
        expected = np.zeros(POSITIONS)
        expected[:length] = softmax(np.array(scores)) if length else []
        np.testing.assert_allclose(weights[row], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(context[row], expected @ states[row], rtol=1e-5, atol=1e-6)


def test_offset_and_features_are_added():
    query, keys, score = draw(BATCH, UNITS), draw(BATCH, POSITIONS, UNITS), draw(UNITS)
    features = draw(BATCH, POSITIONS, UNITS, seed=1)
    got = attention.additive_scores(query, keys, score, features, offset=2.0)
    np.testing.assert_allclose(got, np.tanh(query[:, None] + keys + features) @ score + 2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_dot_scores_are_products(scaled):
    query, keys = draw(BATCH, FEATURES), draw(BATCH, POSITIONS, FEATURES)
    expected = np.stack([k @ q for q, k in zip(query, keys, strict=True)]) / (2 if scaled else 1)
    np.testing.assert_allclose(attention.dot_scores(query, keys, scaled=scaled), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_agrees_with_keras(kind):
    keras = pytest.importorskip("keras")
    queries, states = draw(BATCH, 2, FEATURES), draw(BATCH, POSITIONS, FEATURES)
    mask = np.arange(POSITIONS) < np.array([[5], [3], [1]])
    scale = draw(FEATURES) if kind == "additive" else None
    layer = keras.layers.AdditiveAttention() if kind == "additive" else keras.layers.Attention()
    layer.build([queries.shape, states.shape, states.shape])
    if scale is not None:
        layer.scale.assign(scale)
    expected, expected_weights = layer([queries, states], mask=[None, mask], return_attention_scores=True)
    memory = attention.prepare(states, mask)
    over_time = np.moveaxis(queries, 1, 0)
    scores = (
        attention.dot_scores(over_time, memory.keys)
        if scale is None
        else attention.additive_scores(over_time, memory.keys, scale)
    )
    weights = attention.masked_softmax(scores, memory.mask)
    np.testing.assert_allclose(np.moveaxis(weights, 0, 1), np.asarray(expected_weights), rtol=1e-4, atol=1e-6)
    got = np.moveaxis(np.asarray(attention.read(weights, memory.values)), 0, 1)
    np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_all_steps_at_once_are_the_steps_one_by_one():
    queries, states, score = draw(7, BATCH, UNITS), draw(BATCH, POSITIONS, UNITS), draw(UNITS)
    memory = attention.prepare(states, MASK)
    for scores in (
        lambda q: attention.additive_scores(q, memory.keys, score),
        lambda q: attention.dot_scores(q, memory.keys),
    ):
        weights = attention.masked_softmax(scores(queries), memory.mask)
        contexts = attention.read(weights, memory.values)
        for time in range(7):
            one = attention.masked_softmax(scores(queries[time]), memory.mask)
            np.testing.assert_allclose(weights[time], one, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(contexts[time], attention.read(one, memory.values), rtol=1e-5, atol=1e-6)


def test_beams_share_a_memory_under_vmap():
    queries, states = draw(BATCH, 4, FEATURES), draw(BATCH, POSITIONS, FEATURES)
    memory = attention.prepare(states, MASK)

    def read(query):
        weights = attention.masked_softmax(attention.dot_scores(query, memory.keys), memory.mask)
        return attention.read(weights, memory.values)

    program = jax.make_jaxpr(jax.vmap(read, in_axes=1, out_axes=1))(queries)
    assert all(
        v.aval.shape != (BATCH, 4, POSITIONS, FEATURES) for equation in program.eqns for v in equation.outvars
    ), "the memory is copied for every beam"
    got = jax.vmap(read, in_axes=1, out_axes=1)(queries)
    for beam in range(4):
        np.testing.assert_allclose(got[:, beam], read(queries[:, beam]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["additive", "dot", "location", "monotonic"])
def test_padding_touches_neither_values_nor_gradients(kind):
    """NaN in the padding and a memory of length 0: what is read and its gradients are those of the memory cut short."""
    kernel, score = draw(FEATURES, UNITS), draw(UNITS)
    filters, filter_kernel = draw(3, 2), draw(2, UNITS)

    def read(query, states, lengths):
        mask = np.arange(states.shape[1]) < lengths[:, None]
        memory = attention.prepare(states, mask, kernel)
        past = jnp.zeros(states.shape[:2]).at[:, 0].set(1)
        if kind == "dot":
            scores = attention.dot_scores(query, memory.keys)
        else:
            features = attention.location_features(past, filters, filter_kernel) if kind == "location" else None
            scores = attention.additive_scores(query, memory.keys, score, features)
        if kind == "monotonic":
            weights = attention.monotonic_weights(past, attention.stopping_probabilities(scores, mask))
        else:
            weights = attention.masked_softmax(scores, mask)
        return jnp.sum(attention.read(weights, memory.values) ** 2)

    query, states = draw(BATCH, UNITS), draw(BATCH, POSITIONS, FEATURES)
    bad = np.where(MASK[..., None], states, np.nan)
    value, gradients = jax.jit(jax.value_and_grad(read, (0, 1)))(query, bad, LENGTHS)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in gradients)
    assert not np.any(gradients[1][~MASK])
    assert not np.any(gradients[0][2])
    for row, length in ((0, 5), (1, 3)):
        alone = jax.grad(read, (0, 1))(query[row : row + 1], states[row : row + 1, :length], LENGTHS[row : row + 1])
        np.testing.assert_allclose(gradients[0][row], alone[0][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(gradients[1][row, :length], alone[1][0], rtol=1e-4, atol=1e-5)


def test_masked_softmax_of_extreme_scores():
    scores = jnp.array([[1e30, 0.0, jnp.nan], [-1e30, -1e30, jnp.inf], [jnp.nan] * 3])
    mask = jnp.array([[True, True, False], [True, True, False], [False] * 3])
    np.testing.assert_array_equal(attention.masked_softmax(scores, mask), [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 0]])
    gradient = jax.grad(lambda scores: (attention.masked_softmax(scores, mask) ** 2).sum())(scores)
    np.testing.assert_array_equal(gradient, np.zeros((3, 3)))


def test_half_precision_stays_and_is_summed_in_single():
    scores = jnp.zeros((1, 3000), jnp.bfloat16)
    for mask in (None, jnp.ones((1, 3000), bool)):
        weights = attention.masked_softmax(scores, mask)
        assert weights.dtype == jnp.bfloat16
        np.testing.assert_allclose(weights.astype(np.float32).sum(), 1, rtol=5e-3)


@pytest.mark.parametrize("width", [1, 4, 5])
def test_location_features_are_torchs_convolution(width):
    torch = pytest.importorskip("torch")
    weights, filters, kernel = draw(2, 3, POSITIONS), draw(width, 2), draw(2, UNITS)
    padded = np.pad(weights.reshape(6, 1, POSITIONS), [(0, 0), (0, 0), (width // 2, (width - 1) // 2)])
    expected = torch.nn.functional.conv1d(torch.tensor(padded), torch.tensor(filters.T[:, None].copy()))
    expected = np.moveaxis(expected.numpy(), 1, 2).reshape(2, 3, POSITIONS, 2) @ kernel
    np.testing.assert_allclose(attention.location_features(weights, filters, kernel), expected, rtol=1e-4, atol=1e-5)


def enumerated(before, probabilities):
    """The expected weights by trying every start and every decision at every position."""
    positions = len(before)
    weights = np.zeros(positions)
    for start, decisions in itertools.product(range(positions), itertools.product([0, 1], repeat=positions)):
        chance = before[start] * np.prod(np.where(decisions, probabilities, 1 - probabilities))
        stops = [j for j in range(start, positions) if decisions[j]]
        if stops:
            weights[stops[0]] += chance
    return weights


def test_monotonic_weights_are_the_expectation(rng):
    before = rng.dirichlet(np.ones(POSITIONS), size=20) * rng.uniform(0, 1, (20, 1))
    probabilities = rng.uniform(0, 1, (20, POSITIONS))
    # Certain stops and certain passes are where the form with products divides by zero.
    probabilities[:5] = rng.integers(0, 2, (5, POSITIONS))
    got = attention.monotonic_weights(jnp.asarray(before), jnp.asarray(probabilities))
    expected = [enumerated(*pair) for pair in zip(before, probabilities, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_monotonic_weights_stay_exact_over_long_memories(float64):
    """The paper's cumulative products underflow here: 2000 positions, each passed with probability one half."""
    positions = 2000
    before = jnp.zeros(positions).at[1500].set(1.0)
    stop = jax.jit(jax.value_and_grad(lambda p: attention.monotonic_weights(before, p)[1503]))
    weight, gradient = stop(jnp.full(positions, 0.5))
    np.testing.assert_allclose(weight, 0.5**4)
    expected = np.zeros(positions)
    expected[1500:1504] = [-(0.5**3)] * 3 + [0.5**3]
    np.testing.assert_allclose(gradient, expected, atol=1e-12)


def test_decisions_are_expectations_with_certainty(rng):
    scores = rng.normal(size=(50, POSITIONS)).astype(np.float32)
    mask = np.arange(POSITIONS) < rng.integers(0, POSITIONS + 1, (50, 1))
    before = np.eye(POSITIONS, dtype=np.float32)[rng.integers(0, POSITIONS, 50)]
    before[:3] = 0
    got = attention.monotonic_choice(before, scores, mask)
    np.testing.assert_array_equal(got, attention.monotonic_weights(before, np.float32((scores > 0) & mask)))
    assert set(np.unique(got.sum(-1))) == {0, 1}
    np.testing.assert_array_equal(
        attention.monotonic_choice(before, scores), attention.monotonic_choice(before, scores, scores < 9)
    )


def test_coverage_loss_is_the_double_loop(rng):
    weights = rng.dirichlet(np.ones(POSITIONS), size=(6, BATCH)).astype(np.float32)
    mask = rng.uniform(size=(6, BATCH)) < 0.7
    expected, past = np.zeros((6, BATCH)), np.zeros((BATCH, POSITIONS))
    for time in range(6):
        for row in range(BATCH):
            if mask[time, row]:
                expected[time, row] = sum(min(weights[time, row, j], past[row, j]) for j in range(POSITIONS))
                past[row] += weights[time, row]
    np.testing.assert_allclose(attention.coverage_loss(weights, mask), expected, rtol=1e-5, atol=1e-6)
    weights[~mask] = np.nan
    gradient = jax.grad(lambda weights: attention.coverage_loss(weights, mask).sum())(weights)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attention.prepare(jnp.ones(3)), r"a memory has shape \(3,\)"),
        (lambda: attention.prepare(jnp.ones((2, 3, 4)), jnp.ones((2, 3))), "mask is float32"),
        (lambda: attention.prepare(jnp.ones((2, 3, 4)), jnp.ones((2, 4), bool)), r"mask is bool\[2, 4\]"),
        (lambda: attention.dot_scores(jnp.ones((2, 3)), jnp.ones((2, 5, 4))), "queries have 3 features"),
        (lambda: attention.additive_scores(jnp.ones((2, 3)), jnp.ones((2, 5, 4)), jnp.ones(4)), "and keys 4"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
