import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.losses import bits_per_symbol, cross_entropy, mean_cross_entropy

BATCH, TIME, CLASSES = 3, 5, 7


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(BATCH, TIME, CLASSES)).astype(np.float32) * 3
    labels = generator.integers(0, CLASSES, size=(BATCH, TIME))
    mask = np.arange(TIME) < np.array([5, 3, 0])[:, None]
    return logits, labels, mask


def reference(logits, labels):
    logits = np.asarray(logits, np.float64)
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    return -np.log(np.take_along_axis(probabilities, labels[..., None], -1)[..., 0]), probabilities


def test_values_and_gradient(data):
    logits, labels, mask = data
    losses, probabilities = reference(logits, labels)
    np.testing.assert_allclose(cross_entropy(logits, labels), losses, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cross_entropy(logits, labels, mask), losses * mask, rtol=1e-5, atol=1e-6)
    gradient = jax.grad(mean_cross_entropy)(jnp.asarray(logits), labels, mask)
    expected = (probabilities - np.eye(CLASSES)[labels]) * mask[..., None] / mask.sum()
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_agrees_with_torch(data):
    torch = pytest.importorskip("torch")
    logits, labels, mask = data
    ignored = np.where(mask, labels, -100)
    torch_logits = torch.tensor(logits, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(torch_logits.reshape(-1, CLASSES), torch.tensor(ignored).reshape(-1))
    loss.backward()
    value, gradient = jax.value_and_grad(mean_cross_entropy)(jnp.asarray(logits), jnp.asarray(ignored), mask)
    np.testing.assert_allclose(value, loss.item(), rtol=1e-5)
    np.testing.assert_allclose(gradient, torch_logits.grad, atol=1e-6)


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_label_smoothing_is_that_of_torch(data, share):
    torch = pytest.importorskip("torch")
    logits, labels, mask = data
    torch_logits = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        torch_logits.reshape(-1, CLASSES),
        torch.tensor(labels).reshape(-1),
        reduction="none",
        label_smoothing=share,
    ).reshape(BATCH, TIME)
    (expected * torch.tensor(mask)).sum().div(mask.sum()).backward()
    damaged = jnp.where(mask[..., None], logits, jnp.nan)
    losses = cross_entropy(damaged, labels, mask, label_smoothing=share)
    np.testing.assert_allclose(losses, np.where(mask, expected.detach(), 0), rtol=1e-5, atol=1e-6)
    gradient = jax.grad(lambda logits: mean_cross_entropy(logits, labels, mask, label_smoothing=share))(damaged)
    np.testing.assert_allclose(gradient, torch_logits.grad, atol=1e-6)


def test_no_smoothing_changes_no_bit(data):
    logits, labels, mask = data
    np.testing.assert_array_equal(
        cross_entropy(logits, labels, mask, label_smoothing=0.0), cross_entropy(logits, labels, mask)
    )


def test_a_share_out_of_range():
    with pytest.raises(ValueError, match=r"label_smoothing is a share of the target, 0 to 1, got 1\.5"):
        cross_entropy(jnp.zeros((2, CLASSES)), jnp.array([0, 1]), label_smoothing=1.5)


def test_large_logits_do_not_overflow():
    logits = jnp.array([[1e4, 0.0, -1e4]])
    np.testing.assert_allclose(cross_entropy(logits, jnp.array([0])), [0.0])
    np.testing.assert_allclose(cross_entropy(logits, jnp.array([2])), [2e4])


def test_padding_touches_nothing(data):
    logits, labels, mask = data
    damaged = np.where(mask[..., None], logits, np.nan)
    value, gradient = jax.value_and_grad(mean_cross_entropy)(jnp.asarray(damaged), np.where(mask, labels, -1), mask)
    clean_value, clean_gradient = jax.value_and_grad(mean_cross_entropy)(jnp.asarray(logits), labels, mask)
    np.testing.assert_array_equal(value, clean_value)
    np.testing.assert_array_equal(gradient, clean_gradient)
    assert not np.any(gradient[~mask])


def test_every_token_weighs_the_same(data):
    logits, labels, mask = data
    losses, _ = reference(logits, labels)
    np.testing.assert_allclose(mean_cross_entropy(logits, labels, mask), losses[mask].sum() / 8, rtol=1e-5)
    np.testing.assert_allclose(mean_cross_entropy(logits, labels), losses.mean(), rtol=1e-5)


def test_nothing_to_count(data):
    logits, labels, mask = data
    value, gradient = jax.value_and_grad(mean_cross_entropy)(jnp.asarray(logits), labels, np.zeros_like(mask))
    assert value == 0
    assert not np.any(gradient)


@pytest.mark.parametrize("label", [-1, CLASSES, -100])
def test_a_label_out_of_range_is_seen(label):
    losses = cross_entropy(jnp.zeros((2, CLASSES)), jnp.array([label, 0]))
    assert jnp.isnan(losses[0])
    assert not jnp.isnan(losses[1])


def test_half_precision_is_summed_in_single():
    classes = 4096
    losses = cross_entropy(jnp.zeros((1, classes), jnp.bfloat16), jnp.array([0]))
    assert losses.dtype == jnp.float32
    np.testing.assert_allclose(losses, np.log(classes), rtol=1e-6)


def test_bits():
    assert bits_per_symbol(np.log(8.0)) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("logits", "labels", "mask", "message"),
    [
        (np.zeros((2, 3)), np.zeros(2), None, "labels must be whole numbers"),
        (np.zeros((2, 3)), np.zeros(3, int), None, r"logits have shape \(2, 3\) and labels \(3,\)"),
        (np.zeros((2, 3)), np.zeros(2, int), np.ones(2), "mask must be booleans"),
        (np.zeros((2, 3)), np.zeros(2, int), np.ones((2, 1), bool), r"mask has shape \(2, 1\)"),
    ],
)
def test_errors(logits, labels, mask, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy(logits, labels, mask)
