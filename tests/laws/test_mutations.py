"""No law is idle: each one fails where the thing that it is about is broken on purpose."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from seqjax.engine import driver, segments
from seqjax.laws import LAWS, LawBroken, Subject, transformations
from tests.laws.broken_cells import BROKEN, Sound

Patch = pytest.MonkeyPatch


def engine(change: Callable[..., Any]) -> Callable[[Patch], None]:
    """The time engine with its results changed by ``change(carry, outputs, inputs, reverse)``."""

    def apply(patch: Patch) -> None:
        planned = driver.run_planned

        def changed(step: Any, params: Any, carry: Any, inputs: Any, reverse: bool, **options: Any) -> Any:
            last, outputs = planned(step, params, carry, inputs, reverse, **options)
            return change(last, outputs, inputs, carry)

        patch.setattr(driver, "run_planned", changed)

    return apply


def outputs_only(change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda last, outputs, inputs, carry: (last, jax.tree.map(change, outputs))


def with_gradient_of_more(a: jax.Array) -> jax.Array:
    return a + 0.01 * (a - jax.lax.stop_gradient(a))


@jax.custom_vjp
def once_differentiable(a: jax.Array) -> jax.Array:
    return a


once_differentiable.defvjp(lambda a: (a, None), lambda _, g: (jax.lax.stop_gradient(g),))


def in_eight_bits(a: jax.Array) -> jax.Array:
    return a.astype(jnp.float8_e4m3fn).astype(a.dtype) if a.dtype == jnp.bfloat16 else a


def seen_from_later(last: Any, outputs: Any, inputs: Any, carry: Any) -> Any:
    return last, jax.tree.map(lambda a: a + 0.01 * a.mean(0) if a.shape[0] else a, outputs)


def no_lengths(patch: Patch) -> None:
    original = segments.segmented_inputs
    patch.setattr(
        segments, "segmented_inputs", lambda inputs, time, lengths, resets: original(inputs, time, None, resets)
    )


def no_resets(patch: Patch) -> None:
    original = segments.segmented_inputs
    patch.setattr(
        segments, "segmented_inputs", lambda inputs, time, lengths, resets: original(inputs, time, lengths, None)
    )


def never_reversed(patch: Patch) -> None:
    planned = driver.run_planned
    patch.setattr(
        driver,
        "run_planned",
        lambda step, params, carry, inputs, reverse, **options: planned(step, params, carry, inputs, False, **options),
    )


def way_of_scanning(name: str) -> Callable[[Patch], None]:
    """One of the transformations that the laws apply gives other values."""

    def apply(patch: Patch) -> None:
        original = getattr(transformations, name)

        def changed(*arguments: Any, **options: Any) -> Any:
            return jax.tree.map(lambda a: a * 1.001, original(*arguments, **options))

        patch.setattr(transformations, name, changed)

    return apply


# What is broken, and the laws that must notice. Every mutation has a cell of its own, for nothing is compiled twice.
MUTATIONS: dict[str, tuple[Callable[[Patch], None], tuple[str, ...]]] = {
    "other outputs": (
        engine(outputs_only(lambda a: a * 1.001)),
        (
            "scan_equals_the_python_loop",
            "any_number_of_time_steps",
            "eager_equals_jit",
            "vmap_equals_batch",
            "a_reset_without_a_fresh_carry_restores_the_cells_own",
        ),
    ),
    "other gradients": (
        engine(outputs_only(with_gradient_of_more)),
        (
            "gradients_equal_those_of_the_plain_scan",
            "gradients_equal_finite_differences",
            "vmap_over_parameters",
        ),
    ),
    "no second derivative": (engine(outputs_only(once_differentiable)), ("gradients_of_gradients",)),
    "other rounding": (engine(outputs_only(in_eight_bits)), ("bfloat16_in_bfloat16_out",)),
    "the future": (engine(seen_from_later), ("causality",)),
    "the carry is not handed on": (
        engine(lambda last, outputs, inputs, carry: (carry, outputs)),
        ("two_chunks_equal_the_whole",),
    ),
    "no lengths": (no_lengths, ("padding_changes_nothing", "a_sequence_of_length_zero_is_its_carry")),
    "no resets": (no_resets, ("a_reset_equals_a_fresh_run",)),
    "never reversed": (never_reversed, ("reverse_equals_flip",)),
    "a checkpoint": (way_of_scanning("_checkpointed"), ("under_jax_checkpoint",)),
    "several devices": (
        way_of_scanning("_sharded"),
        ("shard_map_over_the_batch", "shard_map_with_the_cells_own_carry"),
    ),
}


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_a_mutation_is_noticed(name: str, monkeypatch: Patch) -> None:
    mutate, laws = MUTATIONS[name]
    mutate(monkeypatch)
    cell = Sound(input_size=2, hidden_size=5 + list(MUTATIONS).index(name))
    for law in laws:
        with pytest.raises(LawBroken):
            LAWS[law].check(Subject(cell))


def test_every_law_can_fail() -> None:
    by_cells = {law for law, _, _ in BROKEN.values()}
    by_mutations = {law for _, laws in MUTATIONS.values() for law in laws}
    assert by_cells | by_mutations == set(LAWS)


def test_a_mutation_is_seen_in_full_too(monkeypatch: Patch) -> None:
    engine(outputs_only(lambda a: a * 1.001))(monkeypatch)
    cell = Sound(input_size=2, hidden_size=3)
    with pytest.raises(LawBroken, match=r"case plain, mode auto: outputs\[\d+, \d, \d\] is -?\d\.\d+, expected"):
        LAWS["scan_equals_the_python_loop"].check(Subject(cell, full=True))
