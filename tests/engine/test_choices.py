"""The engine's choices for a platform change how fast a program is and what it keeps, and not what it computes.

``pytest --choices on`` and ``--choices off`` run all other tests with all of them forced; here it is one at a time.
"""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import seqjax
from seqjax.cells import GRU, LSTM
from seqjax.engine.chunks import dividing
from seqjax.engine.platform import Choices, choices, force
from seqjax.engine.program import Program
from tests.conftest import EVERY_CHOICE_ON
from tests.trees import assert_trees_close

TIME, BATCH = 23, 4
CELLS = {"LSTM": LSTM(input_size=3, hidden_size=4), "GRU": GRU(input_size=3, hidden_size=4, reset="before")}
GROUPS = {
    "chunks": ("chunk_bytes", "shortest", "longest"),
    "fetch ahead": ("fetch_ahead",),
    "pack": ("pack_below",),
    "transpose apart": ("transpose_apart",),
    "blocks": ("batch_blocks",),
    "recompute": ("keep_below", "recompute_below"),
}
ONE_CHANGED = {"all on": EVERY_CHOICE_ON, "all off": Choices()} | {
    f"{name} {state}": dataclasses.replace(start, **{field: getattr(other, field) for field in fields})
    for name, fields in GROUPS.items()
    for state, start, other in (("on", Choices(), EVERY_CHOICE_ON), ("off", EVERY_CHOICE_ON, Choices()))
}


def test_every_choice_is_here():
    fields = {field.name for field in dataclasses.fields(Choices)}
    assert fields == {field for group in GROUPS.values() for field in group}
    assert all(getattr(EVERY_CHOICE_ON, field) != getattr(Choices(), field) for field in fields)


def arguments(cell):
    draw = jax.random.split(jax.random.key(0), 3)
    carry = jax.tree.map(lambda a: a + 0.3, cell.initial_carry((BATCH,)))
    return cell.init(draw[0]), jax.random.normal(draw[1], (TIME, BATCH, 3)), carry


def everything(cell, mode, chosen):
    """Outputs, last carry and all gradients."""

    def loss(params, inputs, carry):
        carry, outputs = seqjax.scan(cell, params, inputs, carry, mode=mode)
        return jnp.sum(jnp.cos(outputs)) + sum(jnp.sum(leaf**2) for leaf in carry), (carry, outputs)

    with force(chosen):
        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))(*arguments(cell))


PLAIN = {}


@pytest.mark.parametrize("changed", ONE_CHANGED)
@pytest.mark.parametrize("name", CELLS)
def test_a_choice_changes_no_result(name, changed):
    if name not in PLAIN:
        PLAIN[name] = everything(CELLS[name], "lax", Choices())
    assert_trees_close(everything(CELLS[name], "auto", ONE_CHANGED[changed]), PLAIN[name], 1e-5)


def program(chosen, time_steps=TIME):
    cell = CELLS["LSTM"]
    params, inputs, carry = arguments(cell)
    inputs = jax.ShapeDtypeStruct((time_steps, *inputs.shape[1:]), inputs.dtype)
    return Program(cell, params, carry, inputs, False, chosen)


def test_products_are_computed_again_only_where_keeping_costs_more():
    chosen = Choices(keep_below=10 * BATCH * 6 * 4 * 4, recompute_below=100.0)
    kept = lambda program: sum(v.aval.size for v in program.gradient.saved)
    # What one step keeps: cell and hidden state; and the preactivations of four gates, which are 14 operations each.
    assert kept(program(chosen, time_steps=8)) == 6 * BATCH * 4
    assert kept(program(chosen, time_steps=100)) == 2 * BATCH * 4
    # What would be kept is 8 times ``keep_below``, and then 83 times.
    dear = dataclasses.replace(chosen, recompute_below=0.1)
    assert kept(program(dear, time_steps=100)) == 6 * BATCH * 4
    assert kept(program(dear, time_steps=1000)) == 2 * BATCH * 4


def test_chunks_divide_the_time_where_a_length_near_does():
    assert [dividing(time, 45) for time in (2048, 2047, 2053, 45)] == [32, 23, 45, 45]


def test_an_accelerator_takes_all_steps_at_once(monkeypatch):
    assert choices().chunk_length(1000, 2**20) < 1000
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert choices() == Choices()
    assert choices().chunk_length(1000, 2**20) == 1000
