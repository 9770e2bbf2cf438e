"""Random step functions, and a list of nasty ones, give what ``jax.lax.scan`` gives: values and all gradients.

``SEQJAX_TEST_EXAMPLES=500 pytest tests/engine/test_random_steps.py`` draws many more.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import seqjax
from tests.engine.nasty_steps import NASTY, Problem
from tests.engine.plain_scan import plain_scan
from tests.engine.random_steps import BATCH, OPERATIONS, Program, arguments, programs
from tests.trees import assert_trees_close, gradient, weighted_sum

QUICK = {"xla_backend_optimization_level": 0}


def everything(scan: Any, step: Any, options: dict[str, Any], lengths: Any, resets: Any) -> Any:
    """A compiled function of the arguments to what the scan gives and the gradients to every floating argument."""

    def loss_and_values(params: Any, carry: Any, inputs: Any, fresh_carry: Any, closure: Any) -> Any:
        closed = lambda params, carry, inputs: step(params, carry, inputs, closure)
        segments = {"lengths": lengths, "resets": resets}
        if resets is not None:
            segments["fresh_carry"] = fresh_carry
        values = scan(closed, params, inputs, carry, **segments, **options)
        return weighted_sum(values), values

    return jax.jit(lambda *arguments: gradient(loss_and_values, *arguments)[1:], compiler_options=QUICK)


@given(data=st.data())
def test_random_steps_equal_the_plain_scan(data: st.DataObject) -> None:
    program = data.draw(programs, label="program")
    time = data.draw(st.sampled_from([131, 5, 37, 1, 0]), label="time")
    seed = data.draw(st.integers(0, 3), label="seed")
    options = {
        "reverse": data.draw(st.booleans(), label="reverse"),
        "return_carries": data.draw(st.booleans(), label="return_carries"),
    }
    checkpoint = data.draw(st.sampled_from([None, None, "sqrt", 1, 4, 100]), label="checkpoint")
    lengths = resets = None
    batch_shapes = [(BATCH,), ()] if program.outputs_have_batch_axes else [()]
    batch_shape = data.draw(st.sampled_from(batch_shapes), label="batch shape of lengths and resets")
    rng = np.random.default_rng(seed)
    if data.draw(st.booleans(), label="with lengths"):
        lengths = jnp.asarray(rng.integers(0, time + 1, batch_shape))
    if data.draw(st.booleans(), label="with resets"):
        resets = rng.random((time, *batch_shape)) < 0.3
        if lengths is not None:
            resets &= np.arange(time).reshape(-1, *[1] * len(batch_shape)) < lengths
        resets = jnp.asarray(resets)
    with jax.enable_x64(True):
        at = arguments(time, seed)
        want = everything(plain_scan, program, options, lengths, resets)(*at)
        planned = {**options, "mode": "auto", "checkpoint": checkpoint}
        got = everything(seqjax.scan, program, planned, lengths, resets)(*at)
        note(f"lengths {lengths}")
        assert_trees_close(got, want, 2e-2 if program.rounds else 1e-7)


NAMES = sorted(OPERATIONS)


@pytest.mark.parametrize("names", [NAMES[i::14] for i in range(14)], ids=lambda names: f"{names[0]} and others")
def test_every_operation(names: list[str], float64: None) -> None:
    """None waits for the draw: each is applied to the carry or to what came of it, and its values are all shown."""
    program = Program(
        operations=tuple((name, i % 3, 1, i % 4) for i, name in enumerate(names)),
        carry_rules=(("leak", 0, 1), ("gate", 2, 3)),
        output_rule=("a value", 0, 1),
        changes=("count", "flag", "m", "z"),
        shows_everything=True,
    )
    at = arguments(9)
    got = everything(seqjax.scan, program, {"mode": "auto"}, None, None)(*at)
    want = everything(plain_scan, program, {}, None, None)(*at)
    assert_trees_close(got, want, 2e-2 if program.rounds else 1e-9)


@pytest.mark.parametrize("problem", NASTY, ids=lambda problem: problem.__name__)
def test_nasty_steps_equal_the_plain_scan(problem: Any) -> None:
    def loss_and_values(scan: Any) -> Any:
        def of_arguments(params: Any, carry: Any, inputs: Any, closure: Any) -> Any:
            step = lambda params, carry, inputs: case.step(
                params, carry, inputs, *([] if closure is None else [closure])
            )
            values = scan(step, params, carry, inputs)
            return weighted_sum(values), values

        return jax.jit(lambda *at: gradient(of_arguments, *at)[1:], compiler_options=QUICK)

    case: Problem = problem()
    at = (case.params, case.carry, case.inputs, case.closure)
    want = loss_and_values(lambda s, p, c, x: jax.lax.scan(lambda c, x: s(p, c, x), c, x))(*at)
    got = loss_and_values(lambda s, p, c, x: seqjax.scan(s, p, x, c))(*at)
    assert_trees_close(got, want, case.tolerance)


def test_an_effect_happens_once_a_step() -> None:
    seen: list[int] = []

    def step(params: Any, carry: Any, inputs: Any) -> Any:
        jax.debug.callback(lambda value: seen.append(int(value)), inputs)
        return carry + params * inputs, None

    seqjax.scan(step, 1.0, jnp.arange(9), 0.0)
    jax.effects_barrier()
    assert sorted(seen) == list(range(9))


def test_a_host_function_of_the_inputs_stays_usable() -> None:
    """It cannot be mapped over time, only called step by step."""

    def step(params: Any, carry: Any, inputs: Any) -> Any:
        doubled = jax.pure_callback(lambda a: np.asarray(2 * a), jax.ShapeDtypeStruct((2,), jnp.float32), inputs)
        return carry + params * doubled, carry

    inputs = jnp.arange(10.0).reshape(5, 2)
    carry, outputs = seqjax.scan(step, 3.0, inputs, jnp.zeros(2))
    np.testing.assert_allclose(carry, 6 * np.asarray(inputs).sum(0))
    np.testing.assert_allclose(outputs[1:], np.asarray(6 * jnp.cumsum(inputs, 0)[:-1]))


def test_a_step_that_cannot_be_hashed() -> None:
    class Step:
        __hash__ = None

        def __call__(self, params: Any, carry: Any, inputs: Any) -> Any:
            return jnp.tanh(carry * params + inputs), carry

    at = (jnp.float32(0.5), jnp.arange(8.0).reshape(4, 2), jnp.ones(2))
    got = jax.grad(lambda p: seqjax.scan(Step(), p, *at[1:])[1].sum())(at[0])
    want = jax.grad(lambda p: jax.lax.scan(lambda c, x: Step()(p, c, x), at[2], at[1])[1].sum())(at[0])
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_the_closed_over_array_is_read_at_every_call() -> None:
    """One function object, called again after what it closes over has changed."""
    scale = jnp.float32(1.0)

    def make(scale: jax.Array) -> Any:
        return lambda params, carry, inputs: (carry + scale * inputs, carry)

    got = jax.vmap(lambda scale: seqjax.scan(make(scale), None, jnp.ones(5), 0.0)[0])(jnp.arange(3.0))
    np.testing.assert_allclose(got, 5 * np.arange(3.0))
    assert seqjax.scan(make(scale), None, jnp.ones(5), 0.0)[0] == 5
