"""Attention modules: their states, sizes and types; the maths is tested with the pure functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.nn import ATTENTIONS, AdditiveAttention, DotAttention, LocationAwareAttention, MonotonicAttention

BATCH, POSITIONS, SIZE, UNITS = 2, 5, 6, 4
STATES = jax.random.normal(jax.random.key(0), (BATCH, POSITIONS, SIZE))
QUERIES = jax.random.normal(jax.random.key(1), (3, BATCH, SIZE))


def steps(module, noise=None):
    """Contexts, weights and states of a few queries, one after the other."""
    memory = module.prepare(STATES, jnp.array([POSITIONS, 0]))
    state, results = module.initial_state(memory), []
    for query in QUERIES:
        context, weights, state = module(query, memory, state, noise=noise)
        results.append((context, weights, state))
    return results


@pytest.mark.parametrize("name", ATTENTIONS)
def test_weights_read_the_memory(name):
    for context, weights, _ in steps(ATTENTIONS[name](SIZE, SIZE, rngs=nnx.Rngs(0))):
        np.testing.assert_allclose(context, jnp.einsum("bp,bpf->bf", weights, STATES), rtol=1e-4, atol=1e-5)
        assert not np.any(weights[1])
        np.testing.assert_allclose(weights[0].sum(), 1, rtol=1e-5) if name != "monotonic" else None


@pytest.mark.parametrize(
    ("module", "summed"),
    [
        (AdditiveAttention(SIZE, SIZE, coverage=True, rngs=nnx.Rngs(0)), True),
        (LocationAwareAttention(SIZE, SIZE, cumulative=True, rngs=nnx.Rngs(0)), True),
        (LocationAwareAttention(SIZE, SIZE, width=4, rngs=nnx.Rngs(0)), False),
        (MonotonicAttention(SIZE, SIZE, rngs=nnx.Rngs(0)), False),
    ],
    ids=["coverage", "cumulative", "location", "monotonic"],
)
def test_states_are_the_weights_or_their_sum(module, summed):
    results = steps(module)
    expected = sum(weights for _, weights, _ in results) if summed else results[-1][1]
    np.testing.assert_allclose(results[-1][2], expected, rtol=1e-5, atol=1e-6)
    # The past matters: the same query reads otherwise than it did first.
    memory = module.prepare(STATES)
    again = module(QUERIES[0], memory, results[-1][2])[1]
    assert not np.allclose(again, module(QUERIES[0], memory, module.initial_state(memory))[1], atol=1e-4)


def test_monotonic_scores_have_the_size_of_the_gain():
    module = MonotonicAttention(SIZE, SIZE, offset=-3.0, rngs=nnx.Rngs(0))
    memory = module.prepare(STATES)
    scores = module.scores(QUERIES[0], memory, None)
    module.score_kernel[...] = 7 * module.score_kernel[...]
    np.testing.assert_allclose(module.scores(QUERIES[0], memory, None), scores, rtol=1e-4)
    module.gain[...] = 2 * module.gain[...]
    np.testing.assert_allclose(module.scores(QUERIES[0], memory, None) + 3, 2 * (scores + 3), rtol=1e-4)
    assert module.noise((3, BATCH), memory).shape == (3, BATCH, POSITIONS)
    module.eval()
    assert module.noise((3, BATCH), memory) is None


def test_parameter_counts():
    def count(module):
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(module, nnx.Param)))

    rngs, additive = nnx.Rngs(0), (SIZE + 1) * UNITS + 3 * UNITS + UNITS
    assert count(DotAttention(SIZE, SIZE, rngs=rngs)) == 0
    assert count(DotAttention(SIZE, 3, score="general", rngs=rngs)) == 3 * SIZE
    assert count(AdditiveAttention(SIZE, 3, units=UNITS, rngs=rngs)) == additive
    assert count(AdditiveAttention(SIZE, 3, units=UNITS, coverage=True, rngs=rngs)) == additive + UNITS
    location = LocationAwareAttention(SIZE, 3, units=UNITS, filters=2, width=5, rngs=rngs)
    assert count(location) == additive + 5 * 2 + 2 * UNITS
    assert count(MonotonicAttention(SIZE, 3, units=UNITS, rngs=rngs)) == additive + 2


@pytest.mark.parametrize("name", ATTENTIONS)
def test_half_precision_throughout(name):
    module = ATTENTIONS[name](SIZE, SIZE, rngs=nnx.Rngs(0), param_dtype=jnp.bfloat16)

    def run(query, states):
        memory = module.prepare(states)
        return module(query, memory, module.initial_state(memory))

    shapes = jax.eval_shape(run, QUERIES[0].astype(jnp.bfloat16), STATES.astype(jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype(jnp.bfloat16)}


def test_a_memory_of_another_size_is_told():
    with pytest.raises(ValueError, match=r"DotAttention got a memory of shape \(2, 5, 6\)"):
        DotAttention(SIZE, 3, score="general", rngs=nnx.Rngs(0)).prepare(STATES)
