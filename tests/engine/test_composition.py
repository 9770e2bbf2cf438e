"""``seqjax.scan`` inside and around JAX's transformations and other loops gives what ``jax.lax.scan`` gives there."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM
from tests.trees import assert_trees_close

TIME, BATCH, SIZE = 70, 2, 3
CELL = LSTM(input_size=SIZE, hidden_size=SIZE)
LAYERS = [CELL.init(jax.random.key(layer)) for layer in range(2)]
INPUTS = jax.random.normal(jax.random.key(9), (TIME, BATCH, SIZE))
Scan = Callable[..., Any]


def loss(scan: Scan, params: Any, inputs: Any) -> Any:
    return jnp.sin(3 * scan(CELL, params, inputs)[1]).sum()


def inside_a_step(scan: Scan, params: Any, inputs: Any) -> Any:
    """A scan over words in the step of a scan over sentences."""
    sentence = GRU(input_size=SIZE, hidden_size=SIZE)
    outer = sentence.init(jax.random.key(3))

    def step(params: Any, carry: Any, words: Any) -> Any:
        last, _ = scan(CELL, params[0], words)
        return sentence(params[1], carry, last.hidden)

    sentences = inputs.reshape(10, 7, BATCH, SIZE)
    return jnp.sin(scan(step, (params[0], outer), sentences, sentence.initial_carry((BATCH,)))[1]).sum()


def over_layers(scan: Scan, params: Any, inputs: Any) -> Any:
    """``lax.scan`` over the layers of a stack."""
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *params)
    outputs, _ = jax.lax.scan(lambda x, layer: (scan(CELL, layer, x)[1], None), inputs, stacked)
    return (outputs**2).sum()


def under_checkpoint_and_vmap(scan: Scan, params: Any, inputs: Any) -> Any:
    each = jax.vmap(jax.checkpoint(lambda p, x: loss(scan, p, x)), in_axes=(None, 1))
    return (each(params[0], inputs) ** 2).sum()


def in_a_conditional(scan: Scan, params: Any, inputs: Any) -> Any:
    return jax.lax.cond(
        inputs.sum() > -1e9, lambda: loss(scan, params[0], inputs), lambda: loss(scan, params[1], -inputs)
    )


def gradient_inside(scan: Scan, params: Any, inputs: Any) -> Any:
    """A step of learning, differentiated (MAML)."""
    gradients = jax.grad(lambda p: loss(scan, p, inputs[:6]))(params[0])
    adapted = jax.tree.map(lambda p, g: p - 0.01 * g, params[0], gradients)
    return loss(scan, adapted, inputs[6:12])


def gradient_in_the_step(scan: Scan, params: Any, inputs: Any) -> Any:
    """The step itself takes a gradient: fast weights by descent."""

    def step(p: Any, w: Any, x: Any) -> Any:
        error = lambda w: ((jnp.tanh(x @ p) @ w - x) ** 2).sum()
        return w - 0.05 * jax.grad(error)(w), x @ w

    return jnp.sin(scan(step, params[0].recurrent_kernel[:, :SIZE], inputs, jnp.eye(SIZE))[1]).sum()


def both_directions(scan: Scan, params: Any, inputs: Any) -> Any:
    lengths = jnp.array([TIME, 5])
    forward = outputs_of(scan, params[0], inputs, lengths, False)
    return (forward * outputs_of(scan, params[1], forward, lengths, True)).sum()


def outputs_of(scan: Scan, params: Any, inputs: Any, lengths: Any, reverse: bool) -> Any:
    return scan(CELL, params, inputs, lengths=lengths, reverse=reverse)[1]


def across_examples(scan: Scan, params: Any, inputs: Any) -> Any:
    """``vmap`` over parameters, inputs, and neither, nested."""
    ensemble = jax.tree.map(lambda *a: jnp.stack(a), *params)
    each = jax.vmap(jax.vmap(lambda p, x: loss(scan, p, x), (None, 1)), (0, None))
    return (each(ensemble, inputs) ** 2).sum()


@pytest.mark.parametrize(
    "problem",
    [
        inside_a_step,
        over_layers,
        under_checkpoint_and_vmap,
        in_a_conditional,
        gradient_inside,
        gradient_in_the_step,
        both_directions,
        across_examples,
    ],
    ids=lambda problem: problem.__name__,
)
def test_gradients(problem: Callable[..., Any]) -> None:
    plain: Scan = lambda *args, **kwargs: seqjax.scan(*args, mode="lax", **kwargs)
    run = lambda scan: jax.jit(jax.value_and_grad(lambda p, x: problem(scan, p, x), (0, 1)))(LAYERS, INPUTS)
    assert_trees_close(run(seqjax.scan), run(plain), 2e-5)


def test_vmap_of_gradients() -> None:
    """Gradients of each example, by the outermost ``vmap``, and the Jacobian by reverse mode."""
    each = jax.jit(jax.vmap(jax.grad(lambda p, x: loss(seqjax.scan, p, x)), (None, 1)))(LAYERS[0], INPUTS)
    for example in range(BATCH):
        alone = jax.grad(lambda p, x: loss(seqjax.scan, p, x))(LAYERS[0], INPUTS[:, example])
        assert_trees_close(jax.tree.map(lambda a, i=example: a[i], each), alone, 2e-5)
    means = lambda mode: lambda p: seqjax.scan(CELL, p, INPUTS[:5], mode=mode)[1].mean((1, 2))
    got, want = (jax.jit(jax.jacrev(means(mode)))(LAYERS[0]) for mode in ("auto", "lax"))
    assert_trees_close(got, want, 2e-5)


def test_truncated_back_propagation_compiles_once() -> None:
    """An update called with the carry that the one before returned."""

    @jax.jit
    def update(params: Any, carry: Any, inputs: Any) -> Any:
        def chunk_loss(params: Any) -> Any:
            last, outputs = seqjax.scan(CELL, params, inputs, carry)
            return (outputs**2).mean(), last

        gradients, last = jax.grad(chunk_loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), last

    params, carry = LAYERS[0], CELL.initial_carry((BATCH,))
    for start in range(0, TIME, 35):
        params, carry = update(params, carry, INPUTS[start : start + 35])
    assert update._cache_size() == 1  # ty: ignore[missing-attribute]
    assert np.isfinite(np.asarray(carry.hidden)).all()
