"""What a loop reads, and where it writes, in the compiled program."""

import re

import jax
import jax.numpy as jnp
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Elman, LiGRU, PeepholeLSTM
from seqjax.engine.loop import Loop
from seqjax.engine.platform import Choices, force
from seqjax.engine.program import Program
from seqjax.engine.sequential import backward_loop, forward_loop

TIME, BATCH, SIZE, CHUNK = 23, 4, 3, 5
CELLS = {
    "LSTM": LSTM(input_size=2, hidden_size=SIZE),
    "PeepholeLSTM": PeepholeLSTM(input_size=2, hidden_size=SIZE),
    "GRU": GRU(input_size=2, hidden_size=SIZE),
    "LiGRU": LiGRU(input_size=2, hidden_size=SIZE),
    "Elman": Elman(input_size=2, hidden_size=SIZE),
    "Elman of relu": Elman(input_size=2, hidden_size=SIZE, activation="relu"),
}
WHOLE = Choices(fetch_apart=True, write_over=True)
IN_CHUNKS = Choices(fetch_apart=True, write_over=True, chunk_bytes=1, shortest=CHUNK)


def arguments(cell):
    return cell.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (TIME, BATCH, 2))


def compiled(cell, chosen, **options):
    loss = lambda params, inputs: jnp.sum(seqjax.scan(cell, params, inputs, **options)[1] ** 2)
    with force(chosen):
        return jax.jit(jax.grad(loss, argnums=(0, 1))).lower(*arguments(cell)).compile().as_text()


def innermost_loops(program):
    """The computations that loops run at every step, without loops of loops."""
    computations = {
        text.split(" ", 1)[0]: text for text in re.split(r"^(?:ENTRY )?%", program, flags=re.MULTILINE) if "{" in text
    }
    bodies = [computations[name] for name in re.findall(r"body=%([\w.-]+)", program)]
    return [body for body in bodies if " while(" not in body]


def copies_of_stacks(program):
    """Copies, at every step, of what is stacked over time."""
    stacks = re.compile(rf"= f32\[(?:{TIME}|{CHUNK}),{BATCH},\d+\]\S* copy\(")
    return [found for body in innermost_loops(program) for found in stacks.findall(body)]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("chosen", [WHOLE, IN_CHUNKS], ids=["whole", "in chunks"])
@pytest.mark.parametrize("name", CELLS)
def test_no_step_copies_what_the_loop_writes(name, chosen, reverse):
    program = compiled(CELLS[name], chosen, reverse=reverse)
    assert len(innermost_loops(program)) >= 2
    assert copies_of_stacks(program) == []


def test_what_needs_nothing_that_was_fetched_is_not_written_over_it(monkeypatch):
    """It would be copied: a GRU keeps a product that can be written before the input's product has been read."""
    monkeypatch.setattr(Loop, "_need", lambda self, apart: set(self.plan.emitted))
    # Of a size of its own: what has been traced is not traced again.
    assert copies_of_stacks(compiled(GRU(input_size=2, hidden_size=SIZE + 1), WHOLE))


def loop(cell, chosen):
    params, inputs = arguments(cell)
    program = Program(cell, params, cell.initial_carry((BATCH,)), inputs, False, chosen)
    return forward_loop(program, program.frontier_values(jax.tree.leaves(params)), saving=True)


def test_what_is_written_over_what():
    sizes = lambda loop: [v.aval.shape[-1] for v in loop.written_over]
    # Preactivations over the inputs' product; the cell and the hidden state have nothing of their shape.
    assert sizes(loop(CELLS["LSTM"], WHOLE)) == [4 * SIZE]
    assert sizes(loop(CELLS["Elman"], WHOLE)) == [SIZE]
    assert sizes(loop(CELLS["GRU"], WHOLE)) == []
    assert sizes(loop(CELLS["LSTM"], Choices(fetch_apart=True))) == []


def test_a_chunk_writes_results_to_their_place():
    found = loop(CELLS["GRU"], IN_CHUNKS)
    assert found.chunk_length == CHUNK
    # The hidden state, and what is kept: both preactivations, the candidate, and its part of the recurrent product.
    assert [v.aval.shape[-1] for v in found.stored] == 5 * [SIZE]
    assert not found.written_over
    assert loop(CELLS["GRU"], WHOLE).stored == []


def test_what_is_kept_to_the_end_needs_no_chunks():
    """Of a GRU the inputs' products are dead after the loop; the others write what they keep over them."""
    length = lambda name, chunk_bytes: loop(CELLS[name], Choices(write_over=True, chunk_bytes=chunk_bytes)).chunk_length
    assert length("LSTM", 1) == length("Elman", 1) == TIME
    products = TIME * BATCH * 3 * SIZE * 4
    assert length("GRU", products) == TIME
    assert length("GRU", products // 2) < TIME


def test_large_products_hide_where_a_backward_loop_reads():
    cell = CELLS["LSTM"]
    params, inputs = arguments(cell)

    def lengths(**changes):
        chosen = Choices(chunk_bytes=1, shortest=CHUNK, whole_below_products=2**20, hiding_operations=0.1, **changes)
        program = Program(cell, params, cell.initial_carry((BATCH,)), inputs, False, chosen)
        values = program.frontier_values(jax.tree.leaves(params))
        return [run(program, values).chunk_length for run in (forward_loop, backward_loop)]

    assert lengths() == [CHUNK, TIME]
    # With much that is kept beside it, it would lie in memory that is new to the process: products do not hide that.
    assert lengths(keep_below=1) == [CHUNK, CHUNK]


def test_explain_says_how_it_runs():
    lstm, elman = CELLS["LSTM"], CELLS["Elman"]
    products = lambda plan: [stage.products for part in (plan.forward, plan.backward) for stage in part][2::4]
    explain = lambda cell: seqjax.explain(cell, batch_size=BATCH, length=TIME)
    with force(IN_CHUNKS):
        assert (explain(CELLS["GRU"]).chunk, explain(elman).chunk) == (CHUNK, TIME)
        assert products(explain(lstm)) == [("[4, 3] x [3, 12]",), ("[4, 12] x [12, 3]",)]
    few = {"few_rows": range(1, 100), "turn_steps": 1}
    with force(Choices(turn_above=1, **few)):
        there, back = products(explain(lstm))
        assert (there, back) == (("[4, 3] x [3, 12] from the other side",), ("[4, 12] x [12, 3] from the other side",))
    with force(Choices(piece_bytes=40, piece_columns=1, **few)):
        assert products(explain(lstm)) == [("[4, 3] x [3, 12] in 4 pieces",), ("[4, 12] x [12, 3]",)]
