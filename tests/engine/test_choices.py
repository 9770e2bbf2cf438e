"""The engine's choices for a platform change how fast a program is and what it keeps, and not what it computes.

``pytest --choices on`` and ``--choices off`` run all other tests with all of them forced; here it is one at a time.
"""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Elman
from seqjax.engine.chunks import dividing
from seqjax.engine.platform import Choices, choices, force
from seqjax.engine.program import Program
from tests.conftest import EVERY_CHOICE_ON
from tests.jaxprs import all_equations
from tests.trees import assert_trees_close

TIME, BATCH = 23, 4
CELLS = {"LSTM": LSTM(input_size=3, hidden_size=4), "GRU": GRU(input_size=3, hidden_size=4, reset="before")}
GROUPS = {
    "chunks": ("chunk_bytes", "shortest", "whole_bytes", "whole_below_products", "hiding_operations"),
    "in rows": ("in_rows",),
    "fetch apart": ("fetch_apart",),
    "shift apart": ("shift_apart",),
    "write over": ("write_over",),
    "pack": ("pack_below",),
    "transpose apart": ("transpose_apart",),
    "blocks": ("batch_blocks",),
    "turn": ("turn_above", "turn_steps", "few_rows"),
    "pieces": ("piece_bytes", "piece_columns", "few_rows"),
    "activations": ("activations_from",),
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


def arguments(cell, batch=BATCH):
    draw = jax.random.split(jax.random.key(0), 3)
    carry = jax.tree.map(lambda a: a + 0.3, cell.initial_carry((batch,)))
    return cell.init(draw[0]), jax.random.normal(draw[1], (TIME, batch, 3)), carry


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


def test_a_short_sequence_is_taken_at_once():
    chosen = Choices(chunk_bytes=1000, whole_bytes=2000)
    assert [chosen.chunk_length(time, 10) for time in (150, 200, 201)] == [150, 200, 67]
    # Every block of the batch may hand on that much.
    assert dataclasses.replace(chosen, batch_blocks=2).chunk_length(400, 10) == 400


def test_a_backward_loop_of_large_products_is_taken_at_once():
    chosen = Choices(
        chunk_bytes=1000, whole_bytes=2000, whole_below_products=3000, hiding_operations=40.0, keep_below=4500
    )
    length = lambda *arguments: chosen.chunk_length(300, *arguments)
    assert length(10, 400, 5) == 300
    # Too few operations, too much kept, too much handed on, and a forward pass.
    assert [length(10, 399, 5), length(10, 400, 5.1), length(11, 440, 1), length(10)] == [100, 100, 75, 100]
    assert dataclasses.replace(chosen, batch_blocks=2).chunk_length(600, 10, 400, 5) == 600


def operands(jaxpr):
    """Shapes of the operands of all products, inner programs among them."""
    products = [equation for equation in all_equations(jaxpr) if equation.primitive.name == "dot_general"]
    return [tuple(operand.aval.shape for operand in product.invars) for product in products]


def traced(batch, chosen, gradients=True):
    cell = CELLS["LSTM"]
    loss = lambda *values: jnp.sum(seqjax.scan(cell, *values)[1] ** 2)
    with force(chosen):
        return jax.jit(jax.grad(loss) if gradients else loss).trace(*arguments(cell, batch))


# What the LSTM's loops multiply, forwards and backwards.
AS_WRITTEN = ((6, 4), (4, 16)), ((6, 16), (16, 4))
FROM_THE_OTHER_SIDE = ((16, 4), (6, 4)), ((4, 16), (6, 16))
IN_PIECES = ((6, 4), (4, 5)), ((6, 4), (4, 1))
MATRIX = 4 * 16 * 4  # bytes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"turn_above": MATRIX}, FROM_THE_OTHER_SIDE),
        ({"turn_above": MATRIX, "piece_bytes": 1}, FROM_THE_OTHER_SIDE),
        ({"turn_above": MATRIX + 1}, AS_WRITTEN),
        ({"turn_above": MATRIX, "few_rows": range(7, 100)}, AS_WRITTEN),
        ({"turn_above": MATRIX, "few_rows": range(3, 4), "batch_blocks": 2}, FROM_THE_OTHER_SIDE),
        ({"turn_above": MATRIX, "turn_steps": TIME + 1}, AS_WRITTEN),
        ({"piece_bytes": MATRIX / 3}, AS_WRITTEN),
    ],
)
def test_products_with_a_large_matrix(changes, expected):
    found = operands(traced(6, Choices(**{"few_rows": range(6, 7), "turn_steps": TIME} | changes)).jaxpr)
    others = {*AS_WRITTEN, *FROM_THE_OTHER_SIDE, *IN_PIECES} - set(expected)
    assert set(expected) <= set(found)
    assert others.isdisjoint(found)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"piece_bytes": MATRIX / 3}, IN_PIECES),
        ({"piece_bytes": MATRIX / 2}, AS_WRITTEN[:1]),
        ({"piece_bytes": MATRIX / 3, "few_rows": range(7, 100)}, AS_WRITTEN[:1]),
        ({"piece_bytes": MATRIX / 3, "piece_columns": 16}, AS_WRITTEN[:1]),
    ],
)
def test_products_in_pieces_without_gradients(changes, expected):
    found = operands(traced(6, Choices(**{"few_rows": range(6, 7)} | changes), gradients=False).jaxpr)
    assert set(expected) <= set(found)
    assert {*AS_WRITTEN[:1], *IN_PIECES}.difference(expected).isdisjoint(found)


def test_inputs_that_a_loop_reads_in_parts_are_fetched_apart():
    """The compiler must not inline the call, or it fuses what is fetched with what reads it."""

    def calls(cell, **options):
        with force(Choices(**options)):
            program = jax.jit(jax.grad(lambda *values: jnp.sum(seqjax.scan(cell, *values)[1]))).lower(*arguments(cell))
        return program.compile().as_text().count("to_apply=%_fetch")

    lstm, elman = CELLS["LSTM"], Elman(input_size=3, hidden_size=4)
    # Forwards the LSTM splits the sum of what it fetches and a product into gates; backwards nothing is split.
    assert calls(lstm, fetch_apart=True) == 1
    assert calls(elman, fetch_apart=True) == 0
    # What is packed is read in parts.
    assert calls(elman, fetch_apart=True, pack_below=2**20) == 1
    assert calls(lstm, fetch_apart=False) == 0


def test_an_accelerator_takes_all_steps_at_once(monkeypatch):
    assert choices().chunk_length(1000, 2**20) < 1000
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert choices() == Choices()
    assert choices().chunk_length(1000, 2**20) == 1000
