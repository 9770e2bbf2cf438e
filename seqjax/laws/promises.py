"""What a cell promises before any time passes: how it is made, its parameters, its types, and that its step is pure.

The other laws rest on these.
"""

import contextlib
import dataclasses
import io
import pickle
import random
import sys
from typing import Any, get_origin

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import cells
from seqjax.cells import Cell, transforms
from seqjax.cells.transforms import field_names
from seqjax.laws.registry import LawBroken, law
from seqjax.laws.subject import BATCH, Subject, compiled_step, initialised, quick, quick_key
from seqjax.laws.trees import difference, floats, is_float, kind, name_of, type_difference, with_floats

TYPES = (jnp.bfloat16, jnp.float16, jnp.float32)
_EDIT_FIELDS = "write @dataclasses.dataclass(frozen=True, kw_only=True) above the class and declare its fields there"


@law(first=True)
def equal_hashable_picklable_and_printed_as_code(subject: Subject) -> None:
    """A cell is a frozen dataclass of plain values: equal cells are equal, hash equal, pickle, and print as code."""
    cell, name = subject.cell, type(subject.cell).__name__
    _check_declared(cell)
    for field in dataclasses.fields(cell):
        value = getattr(cell, field.name)
        if isinstance(value, jax.Array | np.ndarray):
            raise LawBroken(
                f"{name}.{field.name} is an array ({kind(value)}), expected a plain value",
                "arrays on a cell are compiled in as constants, and make it neither equal to its twin nor hashable",
                "draw it in init if it is learned, or compute it with NumPy in the step from plain fields",
            )
        try:
            hash(value)
        except TypeError as error:
            raise LawBroken(
                f"{name}.{field.name} is {value!r}, which has no hash ({error})",
                "a cell is an argument of jax.jit, so that every field must be hashable",
                "use a tuple for a list or a set, and a tuple of pairs for a dict",
            ) from error
    twin = dataclasses.replace(cell)
    if twin != cell or hash(twin) != hash(cell):
        raise LawBroken(
            f"a copy with the same fields, {twin!r}, is not equal to {cell!r} or has another hash",
            "__eq__ or __hash__ is written by hand, or a field holds a function that is made anew for every cell",
            "leave both to the dataclass, and name functions at the top of the module",
        )
    _check_pickles(cell)
    _check_prints(cell)
    if "hidden_size" in {field.name for field in dataclasses.fields(cell) if field.init}:
        with contextlib.suppress(ValueError):
            larger = dataclasses.replace(cell, hidden_size=2 * cell.hidden_size)
            if larger == cell or repr(larger) == repr(cell):
                raise LawBroken(f"{name} with hidden_size={larger.hidden_size} equals or prints as {cell!r}")
    try:
        cell.hidden_size = cell.hidden_size  # ty: ignore[invalid-assignment]
    except AttributeError:
        return
    raise LawBroken(f"{name}.hidden_size can be assigned to", "the dataclass is not frozen", _EDIT_FIELDS)


def _check_declared(cell: Cell) -> None:
    name, known = type(cell).__name__, {field.name for field in dataclasses.fields(cell)}
    of_base = {*Cell.__annotations__, *vars(Cell)}
    for field, hint in vars(type(cell)).get("__annotations__", {}).items():
        if field not in known | of_base and "ClassVar" not in str(hint) and get_origin(hint) is None:
            raise LawBroken(
                f"{name}.{field} is written as a field, but {name} is no dataclass of its own", "", _EDIT_FIELDS
            )


def _check_pickles(cell: Cell) -> None:
    try:
        again = pickle.loads(pickle.dumps(cell))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise LawBroken(
            f"{cell!r} cannot be pickled: {error}",
            "a field holds a lambda, or the class is defined inside a function",
            "define classes and functions at the top of a module",
        ) from error
    if again != cell:
        raise LawBroken(f"{cell!r} comes back from pickle as {again!r}")


def _check_prints(cell: Cell) -> None:
    names = {
        **vars(cells),
        **cells.registry(),
        **transforms.registry(),
        **vars(sys.modules[type(cell).__module__]),
        "jax": jax,
    }
    names[type(cell).__name__] = type(cell)
    try:
        same = eval(repr(cell), names) == cell
    except Exception as error:
        raise LawBroken(
            f"{cell!r} is not code that makes the cell: {type(error).__name__}: {error}",
            "__repr__ is written by hand, or a field's value does not print as code",
        ) from error
    if not same:
        raise LawBroken(f"{cell!r} is code of a cell that is not equal", "a field is left out of the representation")


@law(first=True)
def built_from_input_size_and_hidden_size_alone(subject: Subject) -> None:
    """``Name(input_size=..., hidden_size=...)`` makes a cell, so every other field has a default."""
    kind_of_cell, fields = type(subject.cell), dataclasses.fields(subject.cell)
    sizes = {"input_size": 3, "hidden_size": 4}
    given = {field.name for field in fields if field.init}
    if not sizes.keys() <= given:
        # A transform is built from another cell.
        return
    missing = [
        field.name
        for field in fields
        if field.init
        and field.name not in sizes
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise LawBroken(
            f"{kind_of_cell.__name__}.{missing[0]} has no default, expected one",
            move=f"give {', '.join(missing)} the paper's value as a default",
        )
    kind_of_cell(**sizes)


@law(first=True)
def init_draws_any_floating_type(subject: Subject) -> None:
    """``init(key, dtype)`` draws every parameter in that type, with the same shapes."""
    cell = subject.cell
    want = jax.eval_shape(cell.init, jax.random.key(0))
    for dtype in TYPES:
        draw = jax.eval_shape if not subject.full else lambda function, key: function(key)
        params = draw(lambda key, dtype=dtype: cell.init(key, dtype), jax.random.key(0))
        for path, leaf in jax.tree.leaves_with_path(params):
            if not hasattr(leaf, "dtype") or leaf.dtype != dtype:
                raise LawBroken(
                    f"{name_of(path, 'params')} of init(key, {np.dtype(dtype)}) is "
                    f"{getattr(leaf, 'dtype', type(leaf).__name__)}, expected {np.dtype(dtype)}",
                    "init ignores its dtype for this parameter, or draws it in one type and adds another",
                    "pass dtype to every jnp.zeros, jnp.ones, initializer and jax.random function",
                )
        if jax.tree.map(jnp.shape, params) != jax.tree.map(jnp.shape, want):
            raise LawBroken(f"init(key, {np.dtype(dtype)}) gives shapes other than init(key)")


@law(first=True)
def init_uses_every_key_once_and_repeats(subject: Subject) -> None:
    """``init`` draws from its key alone: the same key gives the same, another key another, and no key is used twice."""
    cell = subject.cell
    try:
        first, again, other = (initialised(cell, seed, subject.dtype) for seed in (0, 0, 1))
    except jax.errors.KeyReuseError as error:
        raise LawBroken(
            f"init uses a random key twice: {str(error).splitlines()[0]}",
            "two parameters are drawn from one key, and are the same numbers where their shapes agree",
            "split the key: kernel_key, recurrent_key = jax.random.split(key)",
        ) from error
    # A function that was traced is not traced again.
    traces = [jax.make_jaxpr(lambda key: cell.init(key))(jax.random.key(0)) for _ in range(2)]
    words = difference(again, first, root="params")
    if words or _trace_difference(*traces):
        raise LawBroken(
            f"init called twice with the same key gives two results: {words or 'other numbers'}",
            "it draws from Python's or NumPy's random numbers, whose state changes between calls",
            "draw with jax.random from the key that init gets",
        )
    if all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (first, other)), strict=True)):
        raise LawBroken(
            "init gives the same parameters for two different keys",
            "it ignores its key, so that all seeds start alike and units that start equal stay equal",
            "draw at least the kernels with jax.random from the key",
        )
    for path, leaf in jax.tree.leaves_with_path(first):
        if not np.isfinite(leaf).all():
            raise LawBroken(f"init gives {name_of(path, 'params')} that is not finite")


def _types(cell: Cell, batch: tuple[int, ...], dtype: Any) -> tuple[Any, Any, Any, Any]:
    """Shapes and types of ``(carry, inputs, new carry, output)``."""

    def step(key: jax.Array) -> Any:
        params = cell.init(key, dtype)
        carry, inputs = cell.initial_carry(batch, dtype, params), cell.example_inputs(key, batch, dtype)
        return carry, inputs, *cell(params, carry, inputs)

    result = jax.eval_shape(step, jax.random.key(0))
    if len(result) != 4:
        raise LawBroken(f"the step returns {len(result) - 2} things, expected two: (carry, output)")
    return result


@law(first=True)
def parameters_carry_and_outputs_have_the_promised_shapes(subject: Subject) -> None:
    """Carry and output begin with the batch axes, whatever they are, and the output has ``output_shape``."""
    cell = subject.cell
    shapes: dict[int, Any] = {}
    for batch in ((), (5,), (2, 3)):
        carry, _, _, output = _types(cell, batch, jnp.float32)
        for path, leaf in jax.tree.leaves_with_path(carry):
            if leaf.shape[: len(batch)] != batch:
                raise LawBroken(
                    f"{name_of(path, 'carry')} of initial_carry({batch}) is {kind(leaf)}, expected "
                    f"[{', '.join(map(str, batch))}, ...]",
                    "initial_carry does not put the batch axes first",
                )
        own = [leaf.shape[len(batch) :] for leaf in jax.tree.leaves(carry)]
        if shapes.setdefault(0, own) != own:
            raise LawBroken(
                f"a batch of shape {batch} has a carry of {own} for each sequence, one sequence {shapes[0]}"
            )
        expected = (*batch, *cell.output_shape)
        if not hasattr(output, "shape") or output.shape != expected:
            got = f"of shape {list(output.shape)}" if hasattr(output, "shape") else f"a {type(output).__name__}"
            raise LawBroken(
                f"for a batch of shape {list(batch)} the output is {got}, expected {list(expected)}",
                "output_size (or output_shape) is not what the step returns, or the step takes its features from "
                "an axis counted from the left",
                "return the size that the step gives from the property output_size, and count axes from the right (-1)",
            )
    if cell.output_size != cell.output_shape[-1]:
        raise LawBroken(f"output_size is {cell.output_size}, but output_shape {cell.output_shape}")


@law(first=True)
def the_carry_comes_out_as_it_went_in(subject: Subject) -> None:
    """A step returns the carry as it came, the same structure, shapes and types, in every floating type."""
    for dtype in (*TYPES, np.dtype(subject.dtype)):
        # Constants are of the type that they have where people run this.
        with jax.enable_x64(dtype == np.float64):
            carry, _, new, output = _types(subject.cell, (5,), dtype)
        words = type_difference(new, carry, "carry")
        if words:
            other_type = "is" if jax.tree.structure(new) != jax.tree.structure(carry) else "is (after the step)"
            raise LawBroken(
                f"in {np.dtype(dtype)}: {words.replace(' is ', f' {other_type} ', 1)} as before the step",
                "a constant array of float32 promotes smaller types (Python's numbers do not), or a leaf is reshaped, "
                "left out, or returned in another order",
                "write constants as plain numbers or with dtype=..., and return a named tuple like initial_carry's",
            )
        for what, tree in (("carry", carry), ("output", output)):
            for path, leaf in jax.tree.leaves_with_path(tree):
                if is_float(leaf) and leaf.dtype != dtype:
                    raise LawBroken(
                        f"{name_of(path, what)} is {leaf.dtype} where parameters and inputs are {np.dtype(dtype)}",
                        "a constant array of another type, or a dtype written into the cell",
                        "write constants as plain numbers or with dtype=...",
                    )


@law(first=True)
def tracing_twice_gives_the_same_step(subject: Subject) -> None:
    """The step is a pure function: traced again it is the same equations, and nothing outside it has changed."""
    cell = subject.cell

    def step(key: jax.Array) -> Any:
        params, carry = cell.init(key), cell.initial_carry((BATCH,))
        return cell(params, carry, cell.example_inputs(key, (BATCH,)))

    before, printed, traces = _outside(cell), io.StringIO(), []
    try:
        with contextlib.redirect_stdout(printed), jax.checking_leaks():
            for _ in range(2):
                traces.append(jax.make_jaxpr(lambda key: step(key))(jax.random.key(0)))
    except Exception as error:
        if "leaked trace" not in str(error).lower():
            raise
        raise LawBroken(
            "the step keeps a value of one call where the next call finds it, in a list or an attribute",
            "such a value has no number in it: it stands for one while the step is compiled",
            "what the next step needs belongs in the carry; to look at values, return them as outputs",
        ) from error
    changed = [name for name, value in _outside(cell).items() if before.get(name) != value]
    move = "what changes from step to step belongs in the carry, and random numbers come from a key in the carry"
    if changed:
        raise LawBroken(
            f"running the step changed {' and '.join(changed)}",
            "a step is traced once and then runs compiled: what it draws or counts in Python is frozen at that time",
            move,
        )
    words = _trace_difference(*traces)
    if words:
        raise LawBroken(f"two traces of the same step differ:{words}", "the step reads something that changes", move)
    if printed.getvalue():
        raise LawBroken(
            f"the step prints {printed.getvalue().splitlines()[0]!r}",
            "a compiled step prints when it is traced and never again",
            "remove it, or use jax.debug.print while you look for an error",
        )


def _trace_difference(first: Any, second: Any) -> str:
    ours, theirs = (str(trace).splitlines() for trace in (first, second))
    if ours != theirs:
        pairs = zip(ours, theirs)
        return next((f"\n  {a.strip()}\n  {b.strip()}" for a, b in pairs if a != b), " one is longer")
    constants = zip(*(map(np.asarray, trace.consts) for trace in (first, second)))
    return "" if all(np.array_equal(a, b) for a, b in constants) else " by their constants"


def _outside(cell: Cell) -> dict[str, str]:
    """What an impure step might change: random states, the module's plain values, the cell itself."""
    module = sys.modules[type(cell).__module__]
    plain = {
        f"{module.__name__}.{name}": repr(value)
        for name, value in vars(module).items()
        if isinstance(value, int | float | str | list | dict | set | np.ndarray) and not name.startswith("__")
    }
    attributes = {f"{type(cell).__name__}.{name}": repr(value) for name, value in vars(cell).items()}
    of_class = {
        f"{type(cell).__name__}.{name}": repr(value)
        for name, value in vars(type(cell)).items()
        if isinstance(value, int | float | list | dict | set) and not name.startswith("_")
    }
    states = {
        "the state of Python's random numbers": repr(random.getstate()),
        "the state of NumPy's random numbers": repr(np.random.get_state(legacy=False)),
    }
    return states | plain | of_class | attributes


@law(first=True)
def output_field_is_the_output(subject: Subject) -> None:
    """``output_field`` names the carry field that is also the output; ``None`` promises nothing."""
    cell, at = subject.cell, subject.arguments()
    carry, outputs = _one_step(subject, at)
    fields = field_names(carry)
    equal = [name for name in fields if difference(getattr(carry, name), outputs) is None]
    field, name = cell.output_field, type(cell).__name__
    if field is not None and field not in fields:
        raise LawBroken(
            f"{name}.output_field is {field!r}, but the carry has {', '.join(fields) or 'no named fields'}",
            move=f"write output_field = {equal[0]!r}" if equal else "write output_field = None in the class",
        )
    if field is not None and field not in equal:
        words = difference(outputs, getattr(carry, field), root="the output")
        raise LawBroken(
            f"{name}.output_field is {field!r}, but {words}",
            move=f"write output_field = {equal[0]!r}" if equal else "write output_field = None in the class",
        )


def _one_step(subject: Subject, at: Any) -> tuple[Any, Any]:
    # The Python loop has compiled the step for one sequence.
    of_one = lambda tree, index: jax.tree.map(lambda a: a[index], tree)
    return compiled_step(subject.cell, at.params, of_one(at.carry, 0), of_one(at.inputs, (0, 0)))


@law(first=True)
def sizes_of_one_work(subject: Subject) -> None:
    """One input feature and one hidden unit work, values and gradients, unless the cell refuses them clearly."""
    given = {field.name for field in dataclasses.fields(subject.cell) if field.init}
    for size in {"input_size", "hidden_size"} & given:
        try:
            cell = dataclasses.replace(subject.cell, **{size: 1})
        except ValueError as error:
            if size not in str(error):
                raise LawBroken(f"{size}=1 is refused, but the message does not name {size}: {error}") from error
            continue

        for leaf in jax.tree.leaves(_first_gradients(cell)):
            if not np.isfinite(leaf).all():
                raise LawBroken(
                    f"with {size}=1 the first step or its gradient is not finite",
                    "a variance or a norm over one feature is zero, and its root or its inverse has no derivative",
                    f"add a small number under the root, or refuse {size}=1 with a ValueError in __post_init__",
                )


def _first_gradients(cell: Cell) -> Any:
    def loss_and_gradients(leaves: Any, key: jax.Array) -> Any:
        params = with_floats(shapes, leaves)
        carry, inputs = cell.initial_carry(params=params), cell.example_inputs(key, ())
        return jax.value_and_grad(lambda leaves: _sum(cell(with_floats(shapes, leaves), carry, inputs)))(leaves)

    shapes, rng = jax.eval_shape(cell.init, jax.random.key(0)), np.random.default_rng(0)
    leaves = [rng.standard_normal(leaf.shape).astype(leaf.dtype) for leaf in floats(shapes)]
    return quick(loss_and_gradients)(leaves, quick_key(0))


def _sum(tree: Any) -> jax.Array:
    return sum((jnp.sum(jnp.real(leaf)) for leaf in floats(tree)), jnp.zeros(()))


@law(first=True)
def the_step_works_alone_and_in_the_plain_scan(subject: Subject) -> None:
    """The step of a batch is the step of each sequence alone, and ``jax.lax.scan`` of it is the loop."""
    cell, at = subject.cell, subject.arguments(5)
    want = subject.loop(at)
    got = _plain_scan(cell, at)
    root = "the plain scan of a batch: "
    for what, ours, theirs in (("carry", got[0], want.carry), ("outputs", got[1], want.outputs)):
        words = difference(ours, theirs, subject.tolerance, root + what)
        if words:
            raise LawBroken(
                words,
                "the step mixes the sequences of a batch: a mean, softmax or product over the first axis",
                "let axes of the step count from the right (axis=-1): a step sees [*batch, features]",
            )


_plain_scan = quick(
    lambda cell, at: jax.lax.scan(lambda carry, x: cell(at.params, carry, x), at.carry, at.inputs), static=(0,)
)
