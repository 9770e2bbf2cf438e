"""``seqjax.scan``: what lengths, resets, reverse and carries mean, and what is said where they do not fit."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM

TIME, BATCH, SIZE = 6, 3, 2
CELL = LSTM(input_size=3, hidden_size=SIZE)
PARAMS = CELL.init(jax.random.key(0))
INPUTS = jnp.ones((TIME, BATCH, 3))
CARRY = CELL.initial_carry((BATCH,))
EVERY_MODE = pytest.mark.parametrize("mode", ["auto", "lax"])


# Semantics, by loops over sequences and steps in NumPy.


def step(params: Any, carry: Any, inputs: Any) -> Any:
    level = params["decay"] * carry["level"] + inputs["x"]
    return {"level": level, "count": carry["count"] + 1}, (level * params["gain"], carry["count"])


def by_hand(
    params: Any, carry: Any, inputs: Any, fresh: Any, lengths: Any, resets: Any, reverse: bool
) -> tuple[Any, Any, Any]:
    level, count = (np.array(carry[name]) for name in ("level", "count"))
    outputs = np.zeros((TIME, BATCH, SIZE)), np.zeros((TIME, BATCH), count.dtype)
    levels, counts = np.zeros((TIME, BATCH, SIZE)), np.zeros((TIME, BATCH), count.dtype)
    for b in range(BATCH):
        for t in range(TIME - 1, -1, -1) if reverse else range(TIME):
            if lengths is None or t < lengths[b]:
                if resets is not None and resets[t, b]:
                    level[b], count[b] = fresh["level"][b], fresh["count"][b]
                outputs[1][t, b] = count[b]
                level[b] = params["decay"] * level[b] + inputs["x"][t, b]
                count[b] += 1
                outputs[0][t, b] = level[b] * params["gain"]
            levels[t, b], counts[t, b] = level[b], count[b]
    return {"level": level, "count": count}, outputs, {"level": levels, "count": counts}


RNG = np.random.default_rng(0)
STEP_PARAMS = {"decay": np.array([0.5, -0.8], np.float32), "gain": np.float32(2.0)}
STEP_CARRY = {"level": RNG.standard_normal((BATCH, SIZE)).astype(np.float32), "count": np.array([0, 5, -2], np.int32)}
STEP_FRESH = {
    "level": RNG.standard_normal((BATCH, SIZE)).astype(np.float32),
    "count": np.array([100, 200, 300], np.int32),
}
STEP_INPUTS = {"x": RNG.standard_normal((TIME, BATCH, SIZE)).astype(np.float32)}
LENGTHS = [np.array([TIME, TIME, TIME]), np.array([0, 3, TIME]), np.array([1, 0, 5]), np.array([0, 0, 0])]
RESETS = [RNG.random((TIME, BATCH)) < p for p in (0.3, 0.7, 1.0, 0.0)]


def run_step(mode: Any, reverse: bool, lengths: Any, resets: Any, checkpoint: Any = None) -> Any:
    return seqjax.scan(
        step,
        STEP_PARAMS,
        STEP_INPUTS,
        STEP_CARRY,
        fresh_carry=STEP_FRESH,
        lengths=lengths,
        resets=resets,
        reverse=reverse,
        return_carries=True,
        mode=mode,
        checkpoint=checkpoint,
    )


@EVERY_MODE
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("with_resets", [False, True])
def test_semantics(mode: Any, reverse: bool, with_lengths: bool, with_resets: bool) -> None:
    for lengths in LENGTHS if with_lengths else [None]:
        for resets in RESETS if with_resets else [None]:
            if resets is not None and lengths is not None:
                resets = resets & (np.arange(TIME)[:, None] < lengths)
            for checkpoint in (None, "sqrt", 4):
                got = run_step(mode, reverse, lengths, resets, checkpoint)
                want = by_hand(STEP_PARAMS, STEP_CARRY, STEP_INPUTS, STEP_FRESH, lengths, resets, reverse)
                jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6), got, want)


@EVERY_MODE
@pytest.mark.parametrize("reverse", [False, True])
def test_resets_in_the_padding_touch_nothing(mode: Any, reverse: bool) -> None:
    lengths = LENGTHS[1]
    padding = np.arange(TIME)[:, None] >= lengths
    got = run_step(mode, reverse, lengths, RESETS[0] | padding)
    want = by_hand(STEP_PARAMS, STEP_CARRY, STEP_INPUTS, STEP_FRESH, lengths, RESETS[0] & ~padding, reverse)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6), got, want)


@EVERY_MODE
def test_one_length_for_all_and_resets_for_all(mode: Any) -> None:
    resets = np.array([False, False, True, False, False, False])
    got = run_step(mode, False, np.int32(4), resets)
    want = by_hand(
        STEP_PARAMS, STEP_CARRY, STEP_INPUTS, STEP_FRESH, [4] * BATCH, np.repeat(resets[:, None], BATCH, 1), False
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6), got, want)


@EVERY_MODE
def test_reverse_starts_at_the_last_valid_step(mode: Any) -> None:
    """Each sequence reversed is the sequence flipped within its own length."""
    lengths = LENGTHS[1]
    _, (outputs, _), _ = run_step(mode, True, lengths, None)
    for b, length in enumerate(lengths):
        alone = {"x": jnp.asarray(STEP_INPUTS["x"][:length, b][::-1])}
        carry = jax.tree.map(lambda a, b=b: a[b], STEP_CARRY)
        _, (flipped, _) = jax.lax.scan(lambda c, x: step(STEP_PARAMS, c, x), carry, alone)
        np.testing.assert_allclose(outputs[:length, b], flipped[::-1], rtol=2e-6, atol=1e-6)
        assert not np.asarray(outputs[length:, b]).any()


@EVERY_MODE
def test_lengths_may_be_traced(mode: Any) -> None:
    run = jax.jit(lambda lengths: run_step(mode, False, lengths, None))
    for lengths in LENGTHS[:3]:
        want = by_hand(STEP_PARAMS, STEP_CARRY, STEP_INPUTS, STEP_FRESH, lengths, None, False)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6), run(lengths), want)


@EVERY_MODE
def test_carry_before_is_what_the_step_saw(mode: Any) -> None:
    carry, outputs, carries = run_step(mode, False, None, None)
    np.testing.assert_array_equal(carries["count"][:-1], outputs[1][1:])
    jax.tree.map(lambda last, every: np.testing.assert_array_equal(last, every[-1]), carry, carries)
    assert len(seqjax.scan(step, STEP_PARAMS, STEP_INPUTS, STEP_CARRY, mode=mode)) == 2


@EVERY_MODE
def test_random_keys_of_the_padding_are_left_alone(mode: Any) -> None:
    """Keys have no zero: padding them must not fail, and outputs after the end are zero all the same."""

    def noisy(params: Any, carry: Any, inputs: Any) -> Any:
        return carry + 1, jax.random.normal(inputs, (2,)) + carry

    keys = jax.random.split(jax.random.key(1), TIME)
    carry, outputs = seqjax.scan(noisy, None, keys, jnp.float32(0), lengths=2, mode=mode)
    assert carry == 2
    assert not np.asarray(outputs[2:]).any()
    want = np.stack([jax.random.normal(key, (2,)) + t for t, key in enumerate(keys[:2])])
    np.testing.assert_allclose(outputs[:2], want, rtol=1e-6)


@EVERY_MODE
def test_outputs_that_are_python_numbers(mode: Any) -> None:
    _, outputs = seqjax.scan(lambda p, c, x: (c, (1.0, 2)), None, jnp.ones(4), 0.0, lengths=3, mode=mode)
    np.testing.assert_array_equal(outputs[0], [1, 1, 1, 0])
    np.testing.assert_array_equal(outputs[1], [2, 2, 2, 0])


# Derivatives that the modes offer.


def scan_outputs(params: Any, mode: Any) -> jax.Array:
    return seqjax.scan(CELL, params, INPUTS, lengths=jnp.array([6, 0, 3]), mode=mode)[1]


def test_forward_mode_in_the_plain_scan() -> None:
    tangent = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), PARAMS)
    outputs, slope = jax.jvp(lambda p: scan_outputs(p, "lax"), (PARAMS,), (tangent,))
    weights = jnp.sin(jnp.arange(outputs.size, dtype=outputs.dtype)).reshape(outputs.shape)
    gradient = jax.grad(lambda p: (scan_outputs(p, "lax") * weights).sum())(PARAMS)
    along = sum(jnp.vdot(g, t) for g, t in zip(gradient, tangent, strict=True))
    np.testing.assert_allclose((slope * weights).sum(), along, rtol=1e-5)
    jacobians = [
        jacobian(lambda b: scan_outputs(PARAMS._replace(bias=b), "lax"))(PARAMS.bias)
        for jacobian in (jax.jacfwd, jax.jacrev)
    ]
    assert np.abs(jacobians[0]).max() > 1e-2
    np.testing.assert_allclose(jacobians[0], jacobians[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jitted", [False, True])
def test_forward_mode_elsewhere_names_the_mode_that_offers_it(jitted: bool) -> None:
    function = lambda p: scan_outputs(p, "auto")
    function = jax.jit(function) if jitted else function
    with pytest.raises(Exception, match=re.escape('mode="lax"')):
        jax.jvp(function, (PARAMS,), (PARAMS,))
    with pytest.raises(Exception, match=re.escape('mode="lax"')):
        jax.jacfwd(function)(PARAMS)


def test_hessian_in_the_plain_scan_is_symmetric() -> None:
    loss = lambda b: (scan_outputs(PARAMS._replace(bias=b), "lax") ** 2).sum()
    hessian = jax.hessian(loss)(PARAMS.bias)
    assert np.abs(hessian).max() > 1e-2
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-5)


# Messages: what was got, what was expected, the next move.


def refuse(error: Any, *parts: str, cell: Any = CELL, inputs: Any = INPUTS, **options: Any) -> None:
    with pytest.raises(error) as caught:
        seqjax.scan(cell, options.pop("params", PARAMS), inputs, **options)
    message = str(caught.value)
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} not in {message!r}"
    assert len(message) < 600, "a message is one sentence"


def test_features_that_do_not_match() -> None:
    refuse(
        ValueError, "inputs have 5 features", "(6, 3, 5)", "LSTM(input_size=3", "expects 3", inputs=jnp.ones((6, 3, 5))
    )
    refuse(ValueError, "is time the first axis", "expects 3", inputs=jnp.ones((3, 6, 5)))
    refuse(ValueError, "embedding", "expects 3", inputs=jnp.ones((7, 6, 5)))
    refuse(ValueError, "(6,)", "[time, ..., 3]", "feature axis", inputs=jnp.ones(6))


def test_inputs_without_time() -> None:
    plain = lambda params, carry, inputs: (carry, inputs)
    refuse(ValueError, "inputs hold no array", "pass at least one", cell=plain, inputs={}, carry=0.0)
    refuse(ValueError, "inputs hold no array", cell=plain, inputs=None, carry=0.0)
    refuse(ValueError, "inputs['a'] is a scalar", "[time, ...]", cell=plain, inputs={"a": 1.0}, carry=0.0)
    different = {"a": jnp.ones(3), "b": jnp.ones((4, 2))}
    refuse(ValueError, "disagree", "inputs['a'] (3,)", "inputs['b'] (4, 2)", cell=plain, inputs=different, carry=0.0)


def test_lengths_out_of_range() -> None:
    refuse(
        ValueError,
        "lengths[1] is 7",
        "expected 0 to 6",
        "pad the inputs or cut the length",
        lengths=np.array([6, 7, 2]),
    )
    refuse(ValueError, "lengths[2] is -1", "expected 0 to 6", lengths=jnp.array([6, 0, -1]))
    refuse(ValueError, "8", "expected 0 to 6", lengths=8)


def test_lengths_in_a_list() -> None:
    got = seqjax.scan(CELL, PARAMS, INPUTS, lengths=[6, 0, 2])[1]
    np.testing.assert_array_equal(got, seqjax.scan(CELL, PARAMS, INPUTS, lengths=np.array([6, 0, 2]))[1])
    refuse(ValueError, "lengths[1] is 9", "expected 0 to 6", lengths=[6, 9, 2])


def test_lengths_of_another_type_or_shape() -> None:
    refuse(ValueError, "lengths must be whole numbers", "float32", lengths=jnp.ones(3))
    refuse(ValueError, "lengths must be whole numbers", "bool", lengths=np.ones(3, bool))
    refuse(ValueError, "lengths are for a batch of shape (2,)", "(6, 3, 3)", lengths=jnp.array([1, 2]))
    refuse(ValueError, "lengths are for a batch of shape (3, 3)", lengths=jnp.ones((3, 3), int))


def test_resets_of_another_type_or_shape() -> None:
    refuse(ValueError, "resets have shape (5, 3)", "6 time steps", resets=jnp.zeros((5, 3), bool))
    refuse(ValueError, "resets have shape ()", "6 time steps", resets=True)
    refuse(ValueError, "resets must be booleans", "int32", resets=jnp.zeros((6, 3), jnp.int32))
    refuse(ValueError, "resets are for a batch of shape (2,)", "(6, 3, 3)", resets=jnp.zeros((6, 2), bool))


def test_carry_missing() -> None:
    plain = lambda params, carry, inputs: (carry, inputs)
    refuse(ValueError, "is a function", "no initial carry", "pass carry", cell=plain)
    resets = jnp.zeros(6, bool)
    refuse(ValueError, "is a function", "pass fresh_carry", "reset", cell=plain, carry=0.0, resets=resets)


def test_carry_of_another_structure_shape_or_type() -> None:
    def forgets(params: Any, carry: Any, inputs: Any) -> Any:
        return carry[0], inputs

    refuse(TypeError, "forgets", "carry of structure", "returned", cell=forgets, carry=(1.0, 2.0))
    widens = lambda params, carry, inputs: (carry + jnp.ones(2), inputs)
    refuse(TypeError, "float32[]", "float32[2]", "before the step", "after it", cell=widens, carry=0.0)
    casts = lambda params, carry, inputs: ({"a": carry["a"] + 0.5}, inputs)
    refuse(TypeError, "carry['a']", "int32[3]", "float32[3]", "promote", cell=casts, carry={"a": jnp.arange(3)})
    refuse(TypeError, "carry.hidden", "float32[2]", "float32[3, 2]", "batch axes", carry=CELL.initial_carry())
    half = CELL.initial_carry((BATCH,), jnp.bfloat16)
    refuse(TypeError, "carry.hidden", "bfloat16[3, 2]", "float32[3, 2]", "promote", carry=half)
    other = GRU(input_size=3, hidden_size=2).initial_carry((BATCH,))
    refuse((TypeError, AttributeError), "cell", carry=other)


def test_fresh_carry_of_another_shape() -> None:
    resets = jnp.zeros((6, 3), bool)
    refuse(
        TypeError, "fresh", "float32[3, 2]", "float32[2]", carry=CARRY, resets=resets, fresh_carry=CELL.initial_carry()
    )


def test_batch_of_carry_and_lengths() -> None:
    lengths = jnp.array([1, 2, 3])
    refuse(ValueError, "carry.hidden", "(2,)", "batch axes", carry=CELL.initial_carry(), lengths=lengths)


def test_outputs_without_the_batch_axes_of_lengths() -> None:
    average = lambda params, carry, inputs: (carry + inputs, inputs.mean((0, 1)) + jnp.zeros(5))
    refuse(ValueError, "output", "(3,)", "batch", cell=average, carry=jnp.zeros((3, 3)), lengths=jnp.array([1, 2, 3]))


@pytest.mark.parametrize("mode", ["fast", "", None, "LAX"])
def test_unknown_mode(mode: Any) -> None:
    refuse(ValueError, "mode must be one of", "'auto'", "'lax'", repr(mode), mode=mode)


@pytest.mark.parametrize("checkpoint", [0, -1, "log", True, 2.5])
def test_unknown_checkpoint(checkpoint: Any) -> None:
    refuse(ValueError, "checkpoint must be None, 'sqrt' or", repr(checkpoint), checkpoint=checkpoint)
