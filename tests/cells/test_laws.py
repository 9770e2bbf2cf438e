"""Laws that every registered cell obeys, in every mode of the engine.

They prove that the ways of running a cell agree with each other; that the equations are the paper's is the matter of
``test_references.py``. A cell that cannot obey a law says so itself, with the reason:
``law_exceptions = {"causality": "reads the whole sequence"}`` as a class variable; the law's name is the test's.
"""

import dataclasses
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

import seqjax
from seqjax.cells import Cell, registry
from tests.cells import law_tools
from tests.cells.law_tools import BATCH, QUICK, TIME, Flags, Settings, arguments_of, evaluate, python_loop, ragged_flags
from tests.cells.variants import INPUT_SIZE, all_cells
from tests.trees import assert_trees_close

CELLS = all_cells()
# The options that are not here change sizes and elementwise work only, which the transformations do not see.
STRUCTURES = {name: cell for name, cell in CELLS.items() if name in registry() or name == "GRU-before"}
OPTIONS = {name: cell for name, cell in CELLS.items() if name not in STRUCTURES}

# name: (settings, are there lengths and resets?)
CASES: dict[str, tuple[Settings, bool]] = {
    "plain": (Settings(), False),
    "checkpoint": (Settings(checkpoint="sqrt"), False),
    "ragged": (Settings(return_carries=True), True),
    "ragged-reverse": (Settings(return_carries=True, reverse=True), True),
    "ragged-reverse-checkpoint": (Settings(return_carries=True, reverse=True, checkpoint="sqrt"), True),
}
OPTION_CASES = ("plain", "ragged-reverse-checkpoint")
FLOAT32 = 1e-5


def over(cases: Any, option_cases: Any = OPTION_CASES) -> pytest.MarkDecorator:
    """Every structure in all these cases, the options in a few of them: compilation is what the tests spend time on."""
    pairs = [(name, case) for name in STRUCTURES for case in cases]
    pairs += [(name, case) for name in OPTIONS for case in cases if case in option_cases]
    return pytest.mark.parametrize(
        ("cell", "case"), [pytest.param(CELLS[name], case, id=f"{name}-{case}") for name, case in pairs]
    )


every_cell = pytest.mark.parametrize("cell", list(CELLS.values()), ids=list(CELLS))
every_structure = pytest.mark.parametrize("cell", list(STRUCTURES.values()), ids=list(STRUCTURES))


@pytest.fixture(autouse=True)
def _declared_exceptions(request: pytest.FixtureRequest) -> None:
    cell = getattr(request.node, "callspec", None) and request.node.callspec.params.get("cell")
    reason = cell and cell.law_exceptions.get(request.node.originalname.removeprefix("test_"))
    if reason:
        pytest.skip(f"declared by {type(cell).__name__}: {reason}")


def test_declared_exceptions_name_laws_and_reasons() -> None:
    laws = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    for name, cell in registry().items():
        for law, reason in cell.law_exceptions.items():
            assert law in laws, f"{name} declares an exception to {law!r}, which is no law"
            assert len(reason.split()) >= 3, f"{name} gives no reason for its exception to {law!r}"


def gradients_of_outputs(cell: Cell, at: law_tools.Arguments, flags: Flags, mode: Any = "auto") -> Any:
    """Outputs, and gradients of their sum with a weight for every step and sequence, with no axis for the batch."""

    def outputs(at: law_tools.Arguments) -> jax.Array:
        return seqjax.scan(
            cell,
            at.params,
            at.inputs,
            at.carry,
            lengths=flags.lengths,
            resets=flags.resets,
            fresh_carry=at.fresh_carry,
            mode=mode,
        )[1]

    values, pull = jax.vjp(outputs, at)
    return values, pull(flags.outputs_weight[..., None] * jnp.cos(values))[0]


def run(cell: Cell, case: str, **changes: Any) -> law_tools.Everything:
    settings, ragged = CASES[case]
    return evaluate(cell, settings._replace(**changes), arguments_of(cell), ragged_flags() if ragged else Flags())


@over(CASES)
def test_scan_equals_the_python_loop(cell: Cell, case: str) -> None:
    settings, ragged = CASES[case]
    want = python_loop(cell, arguments_of(cell), ragged_flags() if ragged else Flags(), settings.reverse)
    for got in (run(cell, case), run(cell, case, mode="lax", checkpoint=None)):
        assert_trees_close(jax.tree.map(np.asarray, got.values), want[: len(got.values)], FLOAT32)


@over(CASES)
def test_gradients_equal_those_of_the_plain_scan(cell: Cell, case: str) -> None:
    got, want = run(cell, case), run(cell, case, mode="lax", checkpoint=None)
    assert_trees_close(got.gradients, want.gradients, FLOAT32)
    assert_trees_close(got.values, want.values, FLOAT32)
    used = want.gradients if CASES[case][1] else want.gradients._replace(fresh_carry=want.gradients.params)
    assert all(jnp.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(used)), "this case would not notice an error"


@over(["ragged", "ragged-reverse-checkpoint"])
def test_gradients_equal_finite_differences(cell: Cell, case: str, float64: None) -> None:
    settings, ragged = CASES[case]
    flags, at = ragged_flags() if ragged else Flags(), arguments_of(cell, dtype=jnp.float64)
    gradients, step = evaluate(cell, settings, at, flags).gradients, 1e-6
    for index, name in enumerate(at._fields):
        direction = arguments_of(cell, dtype=jnp.float64, seed=7 + index)[index]
        forward, backward = (jax.tree.map(lambda d, s=s: s * step * d, direction) for s in (1, -1))
        moved = [at._replace(**{name: jax.tree.map(jnp.add, at[index], d)}) for d in (forward, backward)]
        up, down = (float(evaluate(cell, settings, arguments, flags).loss) for arguments in moved)
        products = jax.tree.map(lambda g, d: float(jnp.vdot(g, d)), gradients[index], direction)
        slope, want = sum(jax.tree.leaves(products)), (up - down) / (2 * step)
        size = sum(
            float(jnp.linalg.norm(g) * jnp.linalg.norm(d))
            for g, d in zip(*map(jax.tree.leaves, (gradients[index], direction)))
        )
        assert abs(slope - want) <= 1e-6 * max(1.0, size), f"{name}: {slope} by the gradient, {want} by differences"


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
@over(["ragged", "ragged-reverse", "ragged-reverse-checkpoint"])
def test_padding_changes_nothing(cell: Cell, case: str, garbage: float) -> None:
    settings, flags, at = CASES[case][0], ragged_flags(), arguments_of(cell)
    padding = np.arange(TIME)[:, None] >= np.asarray(flags.lengths)
    assert padding.any()
    filled = at._replace(inputs=jnp.where(padding[..., None], garbage, at.inputs))
    got, want = evaluate(cell, settings, filled, flags), evaluate(cell, settings, at, flags)
    jax.tree.map(np.testing.assert_array_equal, got, want)
    assert not np.asarray(got.gradients.inputs)[padding].any()
    assert not np.asarray(got.values[1])[padding].any()


@over(["ragged", "ragged-reverse", "ragged-reverse-checkpoint"])
def test_a_sequence_of_length_zero_is_its_carry(cell: Cell, case: str) -> None:
    flags, at = ragged_flags(), arguments_of(cell)
    (empty,) = np.flatnonzero(np.asarray(flags.lengths) == 0)
    got = run(cell, case)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[empty], b[empty]), got.values[0], at.carry)
    assert not np.asarray(got.values[1])[:, empty].any()
    only_outputs = evaluate(cell, CASES[case][0], at, flags._replace(carry_weight=0.0)).gradients
    assert not any(np.asarray(leaf)[empty].any() for leaf in jax.tree.leaves(only_outputs.carry))


@every_cell
def test_a_reset_equals_a_fresh_run(cell: Cell) -> None:
    start, at = 17, arguments_of(cell)
    resets = jnp.zeros((TIME, BATCH), bool).at[start].set(True)
    carry, outputs = seqjax.scan(cell, at.params, at.inputs, at.carry, resets=resets, fresh_carry=at.fresh_carry)
    fresh = python_loop(cell, at._replace(inputs=at.inputs[start:], carry=at.fresh_carry))
    before = python_loop(cell, at._replace(inputs=at.inputs[:start]))
    assert_trees_close(outputs[start:], jnp.asarray(fresh[1]), FLOAT32)
    assert_trees_close(outputs[:start], jnp.asarray(before[1]), FLOAT32)
    assert_trees_close(carry, jax.tree.map(jnp.asarray, fresh[0]), FLOAT32)
    # No gradient crosses a reset; the reset itself passes one to the fresh carry.
    late = jnp.zeros((TIME, BATCH)).at[start + 3].set(1.0)
    flags = Flags(jnp.full(BATCH, TIME), resets, late, 0.0)
    gradients = evaluate(cell, CASES["ragged"][0], at, flags).gradients
    assert not np.asarray(gradients.inputs)[:start].any()
    assert np.asarray(gradients.inputs)[start].any()
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradients.carry))
    assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradients.fresh_carry))


@every_cell
def test_a_reset_without_a_fresh_carry_restores_the_cells_own(cell: Cell) -> None:
    start, at = 17, arguments_of(cell)
    resets = jnp.zeros((TIME, BATCH), bool).at[start].set(True)
    outputs = seqjax.scan(cell, at.params, at.inputs, at.carry, resets=resets)[1]
    own = at._replace(inputs=at.inputs[start:], carry=cell.initial_carry((BATCH,), params=at.params))
    assert_trees_close(outputs[start:], jnp.asarray(python_loop(cell, own)[1]), FLOAT32)


@over(CASES)
def test_causality(cell: Cell, case: str) -> None:
    settings, ragged = CASES[case]
    t, b = 7, 3
    weight = jnp.zeros((TIME, BATCH)).at[t, b].set(1.0)
    flags = (ragged_flags() if ragged else Flags())._replace(outputs_weight=weight, carry_weight=0.0)
    flags = flags._replace(resets=flags.resets.at[:, b].set(False)) if ragged else flags
    gradient = np.asarray(evaluate(cell, settings, arguments_of(cell), flags).gradients.inputs)
    future = np.s_[:t] if settings.reverse else np.s_[t + 1 :]
    assert not gradient[future].any(), "an output depends on the future"
    assert not np.delete(gradient, b, axis=1).any(), "an output depends on another sequence"
    assert gradient[t, b].any()
    assert gradient[t + 1 if settings.reverse else t - 1, b].any(), "nothing is carried"


@every_structure
def test_reverse_equals_flip(cell: Cell) -> None:
    at, flags = arguments_of(cell), Flags(jnp.full(BATCH, TIME), jnp.zeros((TIME, BATCH), bool))
    flipped = at._replace(inputs=at.inputs[::-1])
    got = evaluate(cell, CASES["ragged-reverse"][0], at, flags).values
    want = evaluate(cell, Settings(), flipped).values
    assert_trees_close(got[1], want[1][::-1], FLOAT32)
    assert_trees_close(got[0], want[0], FLOAT32)


@every_structure
def test_two_chunks_equal_the_whole(cell: Cell) -> None:
    at, flags, cut = arguments_of(cell), ragged_flags(), 20
    for reverse in (False, True):
        carry, outputs = at.carry, []
        for piece in (slice(cut), slice(cut, None))[:: -1 if reverse else 1]:
            inputs = at.inputs[piece]
            lengths = jnp.clip(flags.lengths - (piece.start or 0), 0, inputs.shape[0])
            carry, part = seqjax.scan(
                cell,
                at.params,
                inputs,
                carry,
                lengths=lengths,
                resets=flags.resets[piece],
                fresh_carry=at.fresh_carry,
                reverse=reverse,
            )
            outputs.append(part)
        want = run(cell, "ragged-reverse" if reverse else "ragged").values
        whole = jnp.concatenate(outputs[:: -1 if reverse else 1])
        assert_trees_close((carry, whole), want[:2], FLOAT32)


@every_structure
def test_any_leading_batch_shape(cell: Cell) -> None:
    at, want = arguments_of(cell), run(cell, "ragged")
    square = (BATCH // 2, 2)
    to_square = lambda tree, axis: jax.tree.map(
        lambda a: a.reshape(*a.shape[:axis], *square, *a.shape[axis + 1 :]), tree
    )
    flags = ragged_flags()
    got = evaluate(
        cell,
        CASES["ragged"][0]._replace(return_carries=False),
        law_tools.Arguments(at.params, to_square(at.carry, 0), to_square(at.inputs, 1), to_square(at.fresh_carry, 0)),
        Flags(to_square(flags.lengths, 0), to_square(flags.resets, 1)),
    )
    assert_trees_close(got.values, (to_square(want.values[0], 0), to_square(want.values[1], 1)), FLOAT32)
    one = seqjax.scan(cell, at.params, at.inputs[:, 0], jax.tree.map(lambda a: a[0], at.carry))
    plain = run(cell, "plain").values
    assert_trees_close(one, (jax.tree.map(lambda a: a[0], plain[0]), plain[1][:, 0]), FLOAT32)


@pytest.mark.parametrize(
    ("time", "case"),
    [(0, "ragged"), (0, "ragged-reverse-checkpoint"), (1, "ragged"), (131, "ragged"), (331, "ragged-reverse")],
)
@every_structure
def test_any_number_of_time_steps(cell: Cell, time: int, case: str) -> None:
    at, flags, settings = arguments_of(cell, time), ragged_flags(time), CASES[case][0]
    got = evaluate(cell, settings, at, flags)
    assert got.values[1].shape == (time, BATCH, cell.output_size)
    if time == 0:
        jax.tree.map(np.testing.assert_array_equal, got.values[0], at.carry)
        assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(got.gradients.params))
        assert all(np.asarray(leaf).all() for leaf in jax.tree.leaves(got.gradients.carry))
        return
    want = evaluate(cell, settings._replace(mode="lax"), at, flags)
    assert_trees_close(got[1:], want[1:], FLOAT32)
    loop = python_loop(cell, at, flags, settings.reverse)
    assert_trees_close(jax.tree.map(np.asarray, got.values), loop, FLOAT32)


@every_structure
def test_bfloat16_in_bfloat16_out(cell: Cell) -> None:
    wide = arguments_of(cell)
    at = jax.tree.map(lambda a: a.astype(jnp.bfloat16), wide)
    carry, outputs = seqjax.scan(cell, at.params, at.inputs)
    assert {leaf.dtype for leaf in jax.tree.leaves((carry, outputs))} == {jnp.dtype(jnp.bfloat16)}
    got, plain = (evaluate(cell, Settings(mode=mode), at) for mode in ("auto", "lax"))
    assert {leaf.dtype for leaf in jax.tree.leaves((got.values, got.gradients))} == {jnp.dtype(jnp.bfloat16)}
    # What eight bits can give is what the plain scan gives: no further from float32 than that.
    exact = evaluate(cell, Settings(mode="lax"), jax.tree.map(lambda a: a.astype(jnp.float32), at))
    for ours, theirs, want in zip(
        *(jax.tree.leaves((e.values, e.gradients)) for e in (got, plain, exact)), strict=True
    ):
        error, allowed = (jnp.linalg.norm((a.astype(jnp.float32) - want).ravel()) for a in (ours, theirs))
        assert error <= 1.5 * allowed + 0.01 * jnp.linalg.norm(want.ravel())


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
@every_cell
def test_init_draws_any_floating_type(cell: Cell, dtype: Any) -> None:
    params = cell.init(jax.random.key(0), dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(dtype)}
    in_float32 = cell.init(jax.random.key(0))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, in_float32)


@every_cell
def test_equal_hashable_picklable_and_printed_as_code(cell: Cell) -> None:
    twin = dataclasses.replace(cell)
    assert twin == cell
    assert hash(twin) == hash(cell)
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert eval(repr(cell), {"jax": jax, **registry()}) == cell
    larger = dataclasses.replace(cell, hidden_size=cell.hidden_size + 1)
    assert larger != cell
    assert repr(larger) != repr(cell)
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.hidden_size = 5  # ty: ignore[invalid-assignment]


@every_cell
def test_init_uses_every_key_once_and_repeats(cell: Cell, checked_keys: None) -> None:
    first, again, other = (cell.init(jax.random.key(seed)) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    kernels = [(a, b) for a, b in zip(*map(jax.tree.leaves, (first, other))) if a.ndim == 2]
    assert any(np.any(a != b) for a, b in kernels)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(first))
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    assert jax.tree.map(lambda a: (a.shape, a.dtype), shapes) == jax.tree.map(lambda a: (a.shape, a.dtype), first)


@every_structure
def test_a_second_call_compiles_nothing(cell: Cell, compilations: Any) -> None:
    def call(cell: Cell, at: law_tools.Arguments, flags: Flags) -> None:
        def loss(params: Any) -> jax.Array:
            return seqjax.scan(cell, params, at.inputs, lengths=flags.lengths, resets=flags.resets)[1].sum()

        seqjax.scan(cell, at.params, at.inputs, at.carry)
        jax.block_until_ready(jax.grad(loss)(at.params))

    twin = pickle.loads(pickle.dumps(cell))
    batches = [(arguments_of(cell, seed=seed), ragged_flags(seed=seed)) for seed in (0, 1)]
    call(cell, *batches[0])
    assert compilations() > 0, "the counter of compilations does not count"
    call(twin, *batches[1])
    assert compilations() == 0


@every_structure
def test_eager_equals_jit(cell: Cell) -> None:
    at, flags = arguments_of(cell), ragged_flags()
    got = seqjax.scan(
        cell,
        at.params,
        at.inputs,
        at.carry,
        lengths=np.asarray(flags.lengths),
        resets=flags.resets,
        fresh_carry=at.fresh_carry,
    )
    assert_trees_close(got, run(cell, "ragged").values[:2], FLOAT32)
    with jax.disable_jit():
        few = jax.tree.map(lambda a: a[:3], at.inputs)
        got = seqjax.scan(cell, at.params, few, at.carry)[1]
    assert_trees_close(got, run(cell, "plain").values[1][:3], FLOAT32)


@every_structure
def test_vmap_equals_batch(cell: Cell) -> None:
    at, flags = arguments_of(cell), ragged_flags()
    axes = law_tools.Arguments(None, 0, 1, 0)
    run_each = jax.vmap(
        lambda at, lengths, resets, weight: gradients_of_outputs(cell, at, Flags(lengths, resets, weight)),
        in_axes=(axes, 0, 1, 1),
        out_axes=(1, law_tools.Arguments(0, 0, 1, 0)),
    )
    weight = jax.random.normal(jax.random.key(5), (TIME, BATCH))
    outputs, gradients = jax.jit(run_each)(at, flags.lengths, flags.resets, weight)
    want, expected = gradients_of_outputs(cell, at, flags._replace(outputs_weight=weight), mode="lax")
    assert_trees_close(outputs, want, FLOAT32)
    gradients = gradients._replace(params=jax.tree.map(lambda a: a.sum(0), gradients.params))
    assert_trees_close(gradients, expected, FLOAT32)


@every_structure
def test_vmap_over_parameters(cell: Cell) -> None:
    members = [arguments_of(cell, seed=seed) for seed in (0, 1, 2)]
    stacked, flags = jax.tree.map(lambda *a: jnp.stack(a), *members), Flags(outputs_weight=jnp.ones((TIME, BATCH)))
    got = jax.jit(jax.vmap(lambda at: law_tools.uncompiled(cell, Settings(), at, flags)))(stacked)
    for index, member in enumerate(members):
        want = evaluate(cell, Settings(mode="lax"), member)
        assert_trees_close(jax.tree.map(lambda a, index=index: a[index], got[1:]), want[1:], FLOAT32)


@every_structure
def test_gradients_of_gradients(cell: Cell) -> None:
    at = arguments_of(cell, 9)

    def gradient_norm(at: law_tools.Arguments, mode: Any) -> jax.Array:
        def loss(at: law_tools.Arguments) -> jax.Array:
            carry, outputs = seqjax.scan(cell, at.params, at.inputs, at.carry, mode=mode)
            return jnp.sum(jnp.sin(3 * outputs)) + sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(carry))

        return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(jax.grad(loss)(at))), jnp.zeros(()))

    second = jax.jit(jax.grad(gradient_norm), static_argnums=1, compiler_options=QUICK)
    assert_trees_close(second(at, "auto"), second(at, "lax"), 3e-5)


@every_structure
def test_under_jax_checkpoint(cell: Cell) -> None:
    at = arguments_of(cell)

    def loss(at: law_tools.Arguments) -> jax.Array:
        return jnp.sum(jnp.sin(seqjax.scan(cell, at.params, at.inputs, at.carry)[1]))

    got, want = jax.jit(lambda at: (jax.grad(jax.checkpoint(loss))(at), jax.grad(loss)(at)))(at)
    assert_trees_close(got, want, FLOAT32)


@every_structure
def test_shard_map_over_the_batch(cell: Cell) -> None:
    at, flags = arguments_of(cell), ragged_flags()
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    rows, columns = PartitionSpec("batch"), PartitionSpec(None, "batch")

    def outputs(at: law_tools.Arguments, lengths: Any, resets: Any) -> Any:
        return seqjax.scan(
            cell, at.params, at.inputs, at.carry, lengths=lengths, resets=resets, fresh_carry=at.fresh_carry
        )

    specs = (law_tools.Arguments(PartitionSpec(), rows, columns, rows), rows, columns)
    sharded = jax.shard_map(outputs, mesh=mesh, in_specs=specs, out_specs=(rows, columns))
    loss = lambda function: (
        lambda at: sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(function(at, flags.lengths, flags.resets)))
    )
    got, want = jax.jit(lambda at: (jax.value_and_grad(loss(sharded))(at), jax.value_and_grad(loss(outputs))(at)))(at)
    assert_trees_close(got, want, FLOAT32)


@every_structure
def test_shard_map_with_the_cells_own_carry(cell: Cell) -> None:
    at = arguments_of(cell)
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    columns = PartitionSpec(None, "batch")
    sharded = jax.shard_map(
        lambda params, inputs: seqjax.scan(cell, params, inputs)[1],
        mesh=mesh,
        in_specs=(PartitionSpec(), columns),
        out_specs=columns,
    )
    want = python_loop(cell, at._replace(carry=cell.initial_carry((BATCH,), params=at.params)))[1]
    assert_trees_close(sharded(at.params, at.inputs), jnp.asarray(want), FLOAT32)


@every_cell
def test_the_step_works_alone_and_in_the_plain_scan(cell: Cell) -> None:
    at = arguments_of(cell, 5)
    got = jax.lax.scan(lambda carry, x: cell(at.params, carry, x), at.carry, at.inputs)
    assert_trees_close(got, jax.tree.map(jnp.asarray, python_loop(cell, at)[:2]), FLOAT32)
    carry, output = cell(at.params, at.carry, at.inputs[0])
    assert output.shape == (BATCH, cell.output_size)
    assert jax.tree.structure(carry) == jax.tree.structure(at.carry)
    assert at.inputs.shape[-1] == INPUT_SIZE
