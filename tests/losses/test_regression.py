import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.losses import absolute_error, binary_cross_entropy, huber, masked_mean, quantile_loss, squared_error

TIME, BATCH, FEATURES = 5, 3, 4
QUANTILES = np.array([0.1, 0.5, 0.8], np.float32)
MASK = np.arange(TIME)[:, None] < np.array([5, 3, 0])


def pinball(predictions, targets, mask=None):
    return quantile_loss(predictions, targets[..., 0], QUANTILES, mask)


LOSSES = {
    "squared": squared_error,
    "absolute": absolute_error,
    "huber": lambda *arguments: huber(*arguments, delta=0.7),
    "quantile": pinball,
    "binary": binary_cross_entropy,
}


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    predictions = generator.normal(size=(TIME, BATCH, FEATURES)).astype(np.float32)
    return predictions, generator.random((TIME, BATCH, FEATURES)).astype(np.float32)


def of(name, data):
    predictions, targets = data
    return (predictions[..., :3], targets) if name == "quantile" else data


@pytest.mark.parametrize("name", LOSSES)
def test_padding_touches_nothing(name, data):
    loss = LOSSES[name]
    predictions, targets = of(name, data)
    damaged = [np.where(MASK[..., None], values, np.nan) for values in (predictions, targets)]
    total = lambda predictions, targets: masked_mean(loss(predictions, targets, MASK), MASK)
    value, gradients = jax.value_and_grad(total, argnums=(0, 1))(*map(jnp.asarray, damaged))
    clean, clean_gradients = jax.value_and_grad(total, argnums=(0, 1))(*map(jnp.asarray, (predictions, targets)))
    np.testing.assert_array_equal(value, clean)
    for found, expected in zip(gradients, clean_gradients):
        np.testing.assert_array_equal(found, expected)
        assert not np.any(found[~MASK])
    all_losses, masked = loss(predictions, targets), loss(predictions, targets, MASK)
    np.testing.assert_array_equal(masked[MASK], all_losses[MASK])
    assert not np.any(masked[~MASK])
    np.testing.assert_allclose(value, np.mean(np.asarray(all_losses)[MASK]), rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_computed_in_single(name, data):
    predictions, targets = (jnp.asarray(values, jnp.bfloat16) for values in of(name, data))
    losses = LOSSES[name](predictions, targets)
    assert losses.dtype == jnp.float32
    exact = LOSSES[name](predictions.astype(jnp.float32), targets.astype(jnp.float32))
    np.testing.assert_array_equal(losses, exact)


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_do_not_fit(name, data):
    predictions, targets = of(name, data)
    with pytest.raises(ValueError, match=r"(predictions|logits) have shape"):
        LOSSES[name](predictions, targets[:, :1])
    with pytest.raises(ValueError, match=r"mask has shape \(5, 1\)"):
        LOSSES[name](predictions, targets, MASK[:, :1])
    with pytest.raises(ValueError, match="mask must be booleans"):
        LOSSES[name](predictions, targets, MASK.astype(int))


@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("squared", "mse_loss", {}),
        ("absolute", "l1_loss", {}),
        ("huber", "huber_loss", {"delta": 0.7}),
        ("binary", "binary_cross_entropy_with_logits", {}),
    ],
)
def test_torch(name, theirs, options, data):
    torch = pytest.importorskip("torch")
    predictions, targets = 3 * data[0], data[1]
    torch_predictions = torch.tensor(predictions, requires_grad=True)
    expected = getattr(torch.nn.functional, theirs)(
        torch_predictions, torch.tensor(targets), reduction="none", **options
    )
    expected.sum().backward()
    losses = LOSSES[name](predictions, targets)
    expected = expected.detach().numpy()
    np.testing.assert_allclose(losses, expected.sum(-1) if name == "binary" else expected, rtol=1e-5, atol=1e-6)
    gradient = jax.grad(lambda predictions: LOSSES[name](predictions, targets).sum())(predictions)
    np.testing.assert_allclose(gradient, torch_predictions.grad, rtol=1e-5, atol=1e-6)


def test_quantiles_of_scikit_learn(data):
    metrics = pytest.importorskip("sklearn.metrics")
    predictions, targets = of("quantile", data)
    losses = pinball(predictions, targets)
    for index, quantile in enumerate(QUANTILES):
        expected = metrics.mean_pinball_loss(
            targets[..., 0].ravel(), predictions[..., index].ravel(), alpha=float(quantile)
        )
        np.testing.assert_allclose(losses[..., index].mean(), expected, rtol=1e-5)


def test_the_quantile_loses_least():
    sample = np.random.default_rng(1).normal(size=2001).astype(np.float32)
    candidates = np.linspace(-2, 2, 401, dtype=np.float32)
    losses = quantile_loss(
        np.broadcast_to(candidates[:, None, None], (401, 2001, 3)), np.tile(sample, (401, 1)), QUANTILES
    )
    best = candidates[np.argmin(losses.mean(axis=1), axis=0)]
    np.testing.assert_allclose(best, np.quantile(sample, QUANTILES), atol=0.02)


def test_mask_of_every_feature(data):
    mask = np.random.default_rng(2).random(data[0].shape) < 0.5
    losses = squared_error(*data, mask)
    assert not np.any(losses[~mask])
    np.testing.assert_allclose(masked_mean(losses, mask), np.square(data[0] - data[1])[mask].mean(), rtol=1e-5)


def test_nothing_to_count(data):
    assert masked_mean(squared_error(*data, np.zeros_like(MASK)), np.zeros_like(MASK)) == 0
    assert masked_mean(np.zeros((0, 3))) == 0


def test_large_logits_do_not_overflow():
    logits = jnp.array([[1e4, -1e4, 1e4, -1e4]])
    np.testing.assert_allclose(binary_cross_entropy(logits, jnp.array([[1, 0, 1, 0]])), [0.0])
    np.testing.assert_allclose(binary_cross_entropy(logits, jnp.array([[False, False, True, True]])), [2e4])


def test_independent_labels_are_a_distribution():
    """The probabilities of all sets of 4 labels sum to 1."""
    logits = jax.random.normal(jax.random.key(0), (4,))
    every = (np.arange(16)[:, None] >> np.arange(4)) & 1
    losses = binary_cross_entropy(jnp.broadcast_to(logits, (16, 4)), every)
    np.testing.assert_allclose(jnp.sum(jnp.exp(-losses)), 1, rtol=1e-6)


@pytest.mark.parametrize("target", [-0.1, 1.5, np.nan])
def test_a_target_out_of_range_is_seen(target):
    losses = binary_cross_entropy(jnp.zeros((2, 2)), jnp.array([[0.0, target], [0.0, 1.0]]))
    assert jnp.isnan(losses[0])
    assert not jnp.isnan(losses[1])


def test_errors(data):
    with pytest.raises(ValueError, match="delta must be positive, got 0"):
        huber(*data, delta=0)
    with pytest.raises(ValueError, match="quantiles must lie between 0 and 1"):
        quantile_loss(data[0][..., :2], data[1][..., 0], [0.5, 1.0])
    with pytest.raises(ValueError, match="broadcasting would compare each with all"):
        squared_error(data[0], data[1][..., :1])
