"""JAX's transformations of a scan: compilation, mapping, gradients of gradients, checkpoints, several devices."""

import contextlib
import functools
import pickle
from collections.abc import Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from seqjax.engine import scan
from seqjax.laws.registry import LawBroken, law
from seqjax.laws.running import compare, compare_gradients
from seqjax.laws.segments import eager
from seqjax.laws.subject import (
    BATCH,
    CASES,
    Arguments,
    Everything,
    Flags,
    Settings,
    Subject,
    compiled_run_with_gradients,
    quick,
    run,
    run_with_gradients,
)
from seqjax.laws.trees import floats, gradient, on_host, with_floats

_CAUSE = "the step is not the same function under this transformation: a Python branch on a value, or a side effect"
_MOVE = "use jnp.where instead of if, and shapes from inputs.shape instead of values"
_counting: list[int] = [0]


@functools.cache
def _listener() -> None:
    def record(event: str, duration_secs: float, **kwargs: Any) -> None:
        del duration_secs, kwargs
        _counting[0] += event.startswith("/jax/core/compile/")

    jax.monitoring.register_event_duration_secs_listener(record)


@contextlib.contextmanager
def _counted() -> Generator[list[int]]:
    """How many traces, lowerings and compilations there were, in a list of one number."""
    _listener()
    before, count = _counting[0], [0]
    yield count
    count[0] = _counting[0] - before


@law()
def a_second_call_compiles_nothing(subject: Subject) -> None:
    """Equal cells share compiled programs: new values of the same shapes cost no compilation."""
    twin = pickle.loads(pickle.dumps(subject.cell))
    with _counted() as count:
        # A function that was never there before.
        jax.jit(lambda: jnp.zeros(()))()
    if not count[0]:
        raise LawBroken("the counter of compilations does not count", move="report this to the authors of seqjax")
    case = subject.cases("ragged")[0]
    for cell, seed in ((subject.cell, 0), (twin, 1)):
        at, flags = subject.arguments(seed=seed), subject.ragged(seed=seed)
        with _counted() as count:
            eager(Subject(cell, full=subject.full), at, flags)
            compiled_run_with_gradients(cell, CASES[case][0], at, flags, scan)
    if count[0]:
        raise LawBroken(
            f"an equal cell and other values cost {count[0]} more traces, lowerings or compilations, expected none",
            "the cell is not equal to its copy, or a field holds a function that is made anew",
            "define functions at the top of a module",
        )


@law()
def eager_equals_jit(subject: Subject) -> None:
    """``seqjax.scan`` called directly gives the same as inside ``jax.jit`` and with compilation disabled."""
    at, flags = subject.arguments(), subject.ragged()
    got, want = eager(subject, at, flags), subject.loop(at, flags)
    compare(got.outputs, want.outputs, subject.tolerance, "outputs", _CAUSE, _MOVE)
    compare(got.carry, want.carry, subject.tolerance, "carry", _CAUSE, _MOVE)
    if not subject.full:
        return
    few = jax.tree.map(lambda a: a[:3], at.inputs)
    with jax.disable_jit():
        outputs = on_host(scan(subject.cell, at.params, few, at.carry)[1])
    compare(outputs, subject.loop(at).outputs[:3], subject.tolerance, "without jit: outputs", _CAUSE, _MOVE)


@law()
def vmap_equals_batch(subject: Subject) -> None:
    """``jax.vmap`` over the sequences is the batch."""
    at, flags = subject.arguments(), subject.ragged()
    axes, cell = Arguments(None, 0, 1, 0), subject.cell
    if not subject.full:
        outputs = _mapped_over_sequences(cell, at, flags.lengths, flags.resets)
        compare(outputs, subject.loop(at, flags).outputs, subject.tolerance, "outputs", _CAUSE, _MOVE)
        return
    weight = np.random.default_rng(5).standard_normal((subject.time, BATCH)).astype(subject.dtype)
    run_each = jax.vmap(
        lambda at, lengths, resets, weight: _outputs_and_gradients(cell, at, Flags(lengths, resets, weight)),
        in_axes=(axes, 0, 1, 1),
        out_axes=(1, Arguments(0, 0, 1, 0)),
    )
    outputs, gradients = quick(run_each)(at, flags.lengths, flags.resets, weight)
    of_batch = quick(lambda at, flags: _outputs_and_gradients(cell, at, flags, "lax"))
    want, expected = of_batch(at, flags._replace(outputs_weight=weight))
    compare(outputs, want, subject.tolerance, "outputs", _CAUSE, _MOVE)
    gradients = gradients._replace(params=with_floats(gradients.params, [a.sum(0) for a in floats(gradients.params)]))
    got, expected = ([floats(each) for each in tree] for tree in (gradients, expected))
    compare(got, expected, subject.tolerance, "gradients", _CAUSE, _MOVE)


_mapped_over_sequences = quick(
    lambda cell, at, lengths, resets: jax.vmap(
        lambda at, lengths, resets: run(cell, Settings(), at, Flags(lengths, resets)).outputs,
        in_axes=(Arguments(None, 0, 1, 0), 0, 1),
        out_axes=1,
    )(at, lengths, resets),
    static=(0,),
)


def _outputs_and_gradients(cell: Any, at: Arguments, flags: Flags, mode: Any = "auto") -> Any:
    """Outputs, and gradients of a loss that is a sum over the sequences."""

    def loss(*at: Any) -> Any:
        outputs = run(cell, Settings(mode=mode), Arguments(*at), flags).outputs
        weight = jnp.expand_dims(flags.outputs_weight, range(-len(cell.output_shape), 0))
        return jnp.sum(weight * jnp.sin(outputs)), outputs

    _, outputs, gradients = gradient(loss, *at)
    return outputs, Arguments(*gradients)


def _checkpointed(*arguments: Any, **options: Any) -> Any:
    cell, *trees = arguments
    return jax.checkpoint(lambda trees: scan(cell, *trees, **options))(trees)


@law()
def vmap_over_parameters(subject: Subject) -> None:
    """``jax.vmap`` over several sets of parameters is one run for each."""
    case = "plain" if subject.full else "ragged-reverse"
    got, members, flags = _members(subject, case, scan if subject.full else _checkpointed)
    for index, member in enumerate(members):
        want = subject.evaluate(case, member, flags, mode="lax")
        ours = jax.tree.map(lambda a, index=index: a[index], got)
        compare(ours.values, want.values, subject.tolerance, f"member {index}: ", _CAUSE, _MOVE)
        compare_gradients(ours, want, subject.tolerance, f"member {index}: ", _CAUSE, _MOVE)


def _members(subject: Subject, case: str, scan: Any) -> tuple[Everything, list[Arguments], Flags]:
    members = [subject.arguments(seed=seed) for seed in (0, 1)]
    at = jax.tree.map(lambda *a: (np if isinstance(a[0], np.ndarray) else jnp).stack(a), *members)
    flags = subject.flags(case)
    return _mapped_over_members(subject.cell, CASES[case][0], at, flags, scan), members, flags


_mapped_over_members = quick(
    lambda cell, settings, at, flags, scan: jax.vmap(lambda at: run_with_gradients(cell, settings, at, flags, scan))(
        at
    ),
    static=(0, 1, 4),
)


@law()
def under_jax_checkpoint(subject: Subject) -> None:
    """A scan under ``jax.checkpoint`` has the same gradients."""
    if subject.full:
        got, want = subject.evaluate("plain", scan=_checkpointed), subject.evaluate("plain")
    else:
        # In one program with the mapping over parameters.
        several, members, flags = _members(subject, "ragged-reverse", _checkpointed)
        got = jax.tree.map(lambda a: a[0], several)
        want = subject.evaluate("ragged-reverse", members[0], flags)
    compare_gradients(got, want, subject.tolerance, "", _CAUSE, _MOVE)


@law()
def gradients_of_gradients(subject: Subject) -> None:
    """Gradients of gradients are those of the plain scan."""
    at, cell = subject.arguments(9 if subject.full else 4), subject.cell
    # To the parameters only the program is smaller.
    names = ("params", "carry", "inputs") if subject.full else ("params",)
    got, want = _second(cell, names, at, "auto"), _second(cell, names, at, "lax")
    compare(got, want, 3 * subject.tolerance, "gradient of half the gradient's square to ", _CAUSE, "")


def _gradient_of_square(cell: Any, names: tuple[str, ...], at: Arguments, mode: Any) -> Any:
    chosen = {name: getattr(at, name) for name in names}

    def loss(leaves: Any) -> jax.Array:
        moved = at._replace(**with_floats(chosen, leaves), fresh_carry=None)
        carry, outputs, _ = run(cell, Settings(mode=mode), moved)
        return jnp.sum(jnp.sin(3 * jnp.real(outputs))) + _squares(carry)

    leaves, slope = floats(chosen), jax.grad(loss)
    if mode == "lax":
        # The Hessian times the gradient, which takes less to compile.
        return with_floats(chosen, jax.jvp(slope, (leaves,), (slope(leaves),))[1])
    return with_floats(chosen, jax.grad(lambda leaves: _squares(slope(leaves)) / 2)(leaves))


def _squares(tree: Any) -> jax.Array:
    return sum((jnp.sum(jnp.abs(leaf) ** 2) for leaf in floats(tree)), jnp.zeros(()))


_second = quick(_gradient_of_square, static=(0, 1, 3))


def _sharded(cell: Any, params: Any, inputs: Any, carry: Any, **options: Any) -> Any:
    """The scan with its batch split over two devices."""
    rows, columns = PartitionSpec("batch"), PartitionSpec(None, "batch")
    lengths, resets, fresh = (options.pop(name) for name in ("lengths", "resets", "fresh_carry"))
    # jax.shard_map wants a specification for what is there, and for nothing else.
    named = {
        "params": (params, PartitionSpec()),
        "inputs": (inputs, columns),
        "carry": (carry, rows),
        "lengths": (lengths, rows),
        "resets": (resets, columns),
        "fresh": (fresh, rows),
    }
    given, specs = ({name: pair[i] for name, pair in named.items() if pair[0] is not None} for i in (0, 1))
    each = lambda a: scan(
        cell,
        a["params"],
        a["inputs"],
        a.get("carry"),
        lengths=a.get("lengths"),
        resets=a.get("resets"),
        fresh_carry=a.get("fresh"),
        **options,
    )
    mesh = jax.make_mesh((min(2, jax.device_count()),), ("batch",), axis_types=(AxisType.Auto,))
    out_specs = (rows, columns, columns) if options["return_carries"] else (rows, columns)
    return jax.shard_map(each, mesh=mesh, in_specs=(specs,), out_specs=out_specs)(given)


@law()
def shard_map_over_the_batch(subject: Subject) -> None:
    """The batch split over devices gives the same values and gradients."""
    if subject.full:
        got, want = subject.evaluate("ragged", scan=_sharded), subject.evaluate("ragged")
    else:
        got, want = _sharded_with_own_carry(subject)
    compare(got.values, want.values, subject.tolerance, "", _CAUSE, _MOVE)
    compare_gradients(got, want, subject.tolerance, "", _CAUSE, _MOVE)


@law()
def shard_map_with_the_cells_own_carry(subject: Subject) -> None:
    """On several devices a scan may begin with the cell's own initial carry."""
    got, want = _sharded_with_own_carry(subject)
    compare(got.values, want.values, subject.tolerance, "", _CAUSE, _MOVE)


def _sharded_with_own_carry(subject: Subject) -> tuple[Everything, Everything]:
    case, flags = subject.cases("ragged")[0], subject.ragged()
    # A learned initial carry has its gradient on both sides.
    bare = subject.arguments()._replace(carry=None, fresh_carry=None)
    return subject.evaluate(case, bare, flags, scan=_sharded), subject.evaluate(case, bare, flags, mode="lax")
