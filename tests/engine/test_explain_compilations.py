"""``explain`` counts compilations."""

import jax
import jax.numpy as jnp
import pytest

import seqjax
from seqjax.cells import Elman
from seqjax.engine import compilations

PARAMS = Elman(input_size=2, hidden_size=3).init(jax.random.key(0))


@pytest.fixture
def cell():
    """A cell that no other test uses."""
    return Elman(input_size=2, hidden_size=3, activation=lambda values: jnp.tanh(values))


def run(cell, length, **options):
    return seqjax.scan(cell, PARAMS, jnp.ones((length, 1, 2)), **options)


def test_equal_shapes_compile_once_and_another_length_again(cell):
    assert "compiled in this process: not yet" in str(seqjax.explain(cell))
    run(cell, 2)
    run(cell, 2)
    plan = seqjax.explain(cell)
    assert (plan.compilations, plan.compiled_shapes) == (1, ("[2, 1, 2]",))
    assert "compiled in this process: once, for inputs [2, 1, 2]" in str(plan)
    run(cell, 3)
    plan = seqjax.explain(cell)
    assert (plan.compilations, plan.compiled_shapes) == (2, ("[2, 1, 2]", "[3, 1, 2]"))
    assert "compiled in this process: 2 times, for inputs [2, 1, 2] and [3, 1, 2]" in str(plan)


def test_equal_cells_share_the_count_and_others_do_not(cell):
    equal = Elman(input_size=2, hidden_size=3, activation=cell.activation)
    run(cell, 2)
    run(equal, 2)
    assert seqjax.explain(cell).compilations == seqjax.explain(equal).compilations == 1
    assert seqjax.explain(Elman(input_size=2, hidden_size=3, activation=lambda values: values)).compilations == 0


def test_other_options_compile_again_for_the_same_shape(cell):
    run(cell, 2)
    run(cell, 2, reverse=True)
    plan = seqjax.explain(cell)
    assert (plan.compilations, plan.compiled_shapes) == (2, ("[2, 1, 2]",))


def test_a_training_step_that_runs_again_is_not_counted_again(cell):
    step = jax.jit(jax.grad(lambda params, inputs: jnp.sum(seqjax.scan(cell, params, inputs)[1])))
    for length in (2, 2, 3):
        step(PARAMS, jnp.ones((length, 1, 2)))
    assert seqjax.explain(cell).compilations == 2


def test_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(compilations, "_compilations", type(compilations._compilations)())
    inputs = [jax.ShapeDtypeStruct((length, 2), jnp.float32) for length in range(compilations.MOST_SHAPES + 1)]
    for shape in inputs:
        compilations.count_compilation("step", shape)
    entry = compilations.compilations("step")
    assert entry.count == compilations.MOST_SHAPES + 1
    assert (len(entry.shapes), next(iter(entry.shapes))) == (compilations.MOST_SHAPES, "[1, 2]")
    for index in range(compilations.MOST_STEPS):
        compilations.count_compilation(index, inputs[0])
    assert compilations.compilations("step").count == 0
    assert len(compilations._compilations) == compilations.MOST_STEPS


def test_a_step_without_a_hash_is_not_counted():
    class Step:
        __hash__ = None

        def __call__(self, params, carry, inputs):
            return carry + inputs, carry

    step = Step()
    seqjax.scan(step, (), jnp.ones((2, 1)), jnp.zeros(1))
    assert seqjax.explain(step, (), jnp.ones((2, 1)), jnp.zeros(1)).compilations == 0
