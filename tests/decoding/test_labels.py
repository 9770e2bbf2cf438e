"""Drawing many labels a step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.decoding import sample_labels


def decaying(carry, labels):
    carry = carry + labels
    return carry, 1.0 - carry


def test_without_temperature_the_probable_hold():
    first = jnp.array([[0.0, 1.0, 3.0]])
    drawn = sample_labels(decaying, jnp.zeros([1, 3]), first, 4, jax.random.key(0), 0.0)
    carry, labels, expected = np.zeros(3), np.asarray(first)[0], []
    for _ in range(4):
        carry = carry + labels
        labels = (1.0 - carry > 0).astype(np.float32)
        expected.append(labels)
    np.testing.assert_array_equal(drawn.labels[:, 0], expected)
    np.testing.assert_array_equal(drawn.carry[0], carry)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_shares_are_the_probabilities(temperature):
    logits = jnp.array([-2.0, 0.0, 1.5])
    step = lambda carry, labels: (carry, jnp.broadcast_to(logits, labels.shape))
    drawn = sample_labels(step, None, jnp.zeros([500, 3]), 20, jax.random.key(1), temperature)
    np.testing.assert_allclose(drawn.labels.mean((0, 1)), jax.nn.sigmoid(logits / temperature), atol=0.02)


def test_a_partial_compiles_once(compilations):
    step = jax.tree_util.Partial(lambda weight, carry, labels: (carry, weight * labels), jnp.ones(3))
    run = lambda seed: sample_labels(step, jnp.zeros(2), jnp.ones([2, 3]), 5, jax.random.key(seed), 0.5).labels
    run(0)
    compilations()
    run(1)
    assert compilations() == 0


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"logits of shape \(2,\) for labels of shape \(3,\)"):
        sample_labels(lambda carry, labels: (carry, labels[:2]), None, jnp.zeros(3), 2, jax.random.key(0))
    with pytest.raises(ValueError, match="temperature must be at least 0"):
        sample_labels(decaying, None, jnp.zeros(3), 2, jax.random.key(0), -1.0)
