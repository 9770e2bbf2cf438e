"""The cell on trial: random arguments for it, one compiled function that returns everything, and the Python loop.

A law runs in two breadths. The full one takes every case, in float32 as people do. The brief one is for many cells:
its laws share few compiled programs, for compilation is what checking takes time for, and run in float64, where
differences serve as derivatives and every comparison is sharp.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.cells import Cell
from seqjax.engine import scan
from seqjax.laws.trees import floats, gradient, on_host, weighted_sum, with_floats

BATCH = 4
FULL_TIME, BRIEF_TIME = 37, 13


class Settings(NamedTuple):
    """How to scan; part of what is compiled."""

    mode: Literal["auto", "lax"] = "auto"
    reverse: bool = False
    checkpoint: Literal["sqrt"] | int | None = None
    return_carries: bool = False


class Arguments(NamedTuple):
    """What gradients are taken to."""

    params: Any
    carry: Any
    inputs: Any
    fresh_carry: Any


class Flags(NamedTuple):
    """Lengths, resets, and where the loss looks: a weight for every output and one for the carries."""

    lengths: Any = None
    resets: Any = None
    outputs_weight: Any = None
    carry_weight: Any = 1.0


NO_FLAGS = Flags()


class Values(NamedTuple):
    """What a scan returns."""

    carry: Any
    outputs: Any
    carries: Any = None


class Everything(NamedTuple):
    """What one run gives."""

    loss: Any
    values: Values
    gradients: Arguments


CASES: dict[str, tuple[Settings, bool]] = {
    "plain": (Settings(), False),
    "checkpoint": (Settings(checkpoint="sqrt"), False),
    "ragged": (Settings(return_carries=True), True),
    "ragged-reverse": (Settings(return_carries=True, reverse=True), True),
    "ragged-reverse-checkpoint": (Settings(return_carries=True, reverse=True, checkpoint="sqrt"), True),
}
"""By name: how to scan, and whether there are lengths and resets."""


@functools.cache
def quick_options() -> dict[str, Any]:
    """What makes XLA compile fast rather than well: each program here runs a few times only."""
    known: dict[str, Any] = {}
    wanted: dict[str, Any] = {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    }
    for name, value in wanted.items():
        try:
            option: Any = {name: value}
            jax.jit(lambda: jnp.zeros(())).lower().compile(option)
        except jax.errors.JaxRuntimeError:
            # XLA's options come and go with its versions.
            continue
        known[name] = value
    return known


def quick(function: Callable[..., Any], static: tuple[int, ...] = ()) -> Callable[..., Any]:
    """``jax.jit`` that compiles fast; results come as NumPy arrays."""
    compiled: list[Any] = []

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        if not compiled:
            compiled.append(jax.jit(function, static_argnums=static, compiler_options=quick_options()))
        return on_host(compiled[0](*arguments))

    return call


def run(cell: Cell, settings: Settings, at: Arguments, flags: Flags = NO_FLAGS, scan: Any = scan) -> Values:
    """One scan."""
    return Values(
        *scan(
            cell,
            at.params,
            at.inputs,
            at.carry,
            lengths=flags.lengths,
            resets=flags.resets,
            fresh_carry=at.fresh_carry,
            **settings._asdict(),
        )
    )


def run_with_gradients(cell: Cell, settings: Settings, at: Arguments, flags: Flags, scan: Any = scan) -> Everything:
    """One scan, a loss of all that it returns, and the gradients of that loss."""

    def loss_and_values(*at: Any) -> tuple[jax.Array, Values]:
        values = run(cell, settings, Arguments(*at), flags, scan)
        outputs = jax.tree.map(lambda a: a * weight_of(flags, cell), values.outputs)
        rest = values.carry if values.carries is None else (values.carry, [values.carries])
        return weighted_sum(outputs) + flags.carry_weight * weighted_sum(rest, seed=1), values

    loss, values, gradients = gradient(loss_and_values, *at)
    return Everything(loss, values, Arguments(*gradients))


def weight_of(flags: Flags, cell: Cell) -> Any:
    """The weight of every output, with an axis for each of the output's own."""
    return jnp.expand_dims(flags.outputs_weight, range(-len(cell.output_shape), 0))


compiled_run = quick(run, static=(0, 1, 4))
compiled_run_with_gradients = quick(run_with_gradients, static=(0, 1, 4))
compiled_step = quick(lambda cell, params, carry, inputs: cell(params, carry, inputs), static=(0,))


def quick_key(seed: Any) -> jax.Array:
    """A random key whose numbers take little to compile."""
    return jax.random.key(seed, impl="unsafe_rbg")


def initialised(cell: Cell, seed: int, dtype: Any) -> Any:
    """The parameters that ``init`` draws; raises a ``KeyReuseError`` where a random key is used twice."""
    with jax.debug_key_reuse(True):
        return _initialised(cell, np.dtype(dtype), np.int32(seed))


def arguments_of(
    cell: Cell,
    time: int = FULL_TIME,
    batch_shape: tuple[int, ...] = (BATCH,),
    seed: int = 0,
    dtype: Any = jnp.float32,
) -> Arguments:
    """Random parameters, carries and inputs: no bias is zero, and the carries are ones that the cell can reach."""
    try:
        params = initialised(cell, seed, dtype)
    except jax.errors.KeyReuseError:
        # One law says so; the others go on.
        params = quick(lambda: cell.init(quick_key(seed), dtype))()
    params = randomised(params, seed)
    return Arguments(params, *_started(cell, time, batch_shape, np.dtype(dtype), params, np.int32(seed)))


def randomised(tree: Any, seed: int, scale: float = 0.5) -> Any:
    """The tree on the host with noise on every floating leaf."""
    rng = np.random.default_rng(seed)
    noisy = [leaf + (scale * rng.standard_normal(leaf.shape)).astype(leaf.dtype) for leaf in floats(on_host(tree))]
    return with_floats(tree, noisy)


def _start(cell: Cell, time: int, batch_shape: tuple[int, ...], dtype: Any, params: Any, seed: jax.Array) -> Any:
    """``(carry, inputs, fresh carry)``; each carry has seen three steps."""
    inputs_key, *carry_keys = jax.random.split(quick_key(seed), 3)
    inputs = cell.example_inputs(inputs_key, (time + 6, *batch_shape), dtype)
    carries = []
    for key, steps in zip(carry_keys, (slice(3), slice(3, 6))):
        carry = cell.initial_carry(batch_shape, dtype, params, key)
        some = jax.tree.map(lambda a, steps=steps: a[steps], inputs)
        carries.append(jax.lax.scan(lambda carry, x: (cell(params, carry, x)[0], None), carry, some)[0])
    return carries[0], jax.tree.map(lambda a: a[6:], inputs), carries[1]


_initialised = quick(lambda cell, dtype, seed: cell.init(quick_key(seed), dtype), static=(0, 1))
_started = quick(_start, static=(0, 1, 2, 3))


def python_loop(cell: Cell, at: Arguments, flags: Flags = NO_FLAGS, reverse: bool = False) -> Values:
    """What a scan means, by definition: one sequence after the other, one step after the other."""
    params, carry, inputs, fresh = on_host(at)
    time, batch = jax.tree.leaves(inputs)[0].shape[:2]
    columns = []
    for b in range(batch):
        of_b = functools.partial(jax.tree.map, lambda a, b=b: a[b])
        length = time if flags.lengths is None else int(flags.lengths[b])
        state, outputs, states = of_b(carry), [None] * time, [None] * time
        for t in reversed(range(time)) if reverse else range(time):
            if t < length:
                if flags.resets is not None and flags.resets[t, b]:
                    state = of_b(fresh)
                state, outputs[t] = compiled_step(
                    cell, params, state, jax.tree.map(lambda a, t=t, b=b: a[t, b], inputs)
                )
            states[t] = state
        zero = np.zeros(cell.output_shape, next((o.dtype for o in outputs if o is not None), floats(at)[0].dtype))
        outputs = [zero if output is None else output for output in outputs]
        columns.append((state, np.stack(outputs), jax.tree.map(lambda *a: _stack(a), *states)))
    last = jax.tree.map(lambda *a: _stack(a), *[column[0] for column in columns])
    outputs = np.stack([column[1] for column in columns], axis=1)
    return Values(last, outputs, jax.tree.map(lambda *a: _stack(a, axis=1), *[column[2] for column in columns]))


def _stack(leaves: Any, axis: int = 0) -> Any:
    return (np if isinstance(leaves[0], np.ndarray) else jnp).stack(leaves, axis=axis)


class Subject:
    """A cell, and how broadly it is tried.

    Attributes:
        cell: the cell.
        full: whether every law takes every case.
        time: number of time steps.
        dtype: of the floating leaves.
        tolerance: how far two ways of computing the same may differ, relative to the largest number of an array.
    """

    def __init__(self, cell: Cell, *, full: bool = False) -> None:
        self.cell, self.full = cell, full
        self.time = FULL_TIME if full else BRIEF_TIME
        self.dtype: Any = np.dtype(np.float32 if full else np.float64)
        self.tolerance = 1e-5 if full else 1e-9

    def cases(self, *names: str) -> tuple[str, ...]:
        """Those cases; in the brief breadth always the same one."""
        return names if self.full else ("ragged-reverse",)

    def arguments(self, time: int | None = None, seed: int = 0) -> Arguments:
        """Random arguments for so many steps."""
        time = self.time if time is None else time
        if time > self.time:
            return arguments_of(self.cell, time, seed=seed, dtype=self.dtype)
        at = arguments_of(self.cell, self.time, seed=seed, dtype=self.dtype)
        return at._replace(inputs=jax.tree.map(lambda a: a[:time], at.inputs))

    def whole(self, time: int | None = None) -> Flags:
        """Sequences of full length without resets."""
        time = self.time if time is None else time
        return Flags(np.full(BATCH, time), np.zeros((time, BATCH), bool), np.ones((time, BATCH)), 1.0)

    def ragged(self, time: int | None = None, seed: int = 0) -> Flags:
        """Lengths with the whole, none and two between; resets at the first step, in the middle, and twice in a row."""
        time = self.time if time is None else time
        lengths = np.array([time, 0, min(time // 5 + 1, time), time * 2 // 3])
        resets = np.random.default_rng(seed).random((time, BATCH)) < 0.15
        resets[:1, 0] = resets[time // 2 : time // 2 + 2, 3] = True
        resets &= np.arange(time)[:, None] < lengths
        return Flags(lengths, resets, np.ones((time, BATCH)), 1.0)

    def flags(self, case: str, time: int | None = None) -> Flags:
        """The flags of a case."""
        return self.ragged(time) if CASES[case][1] else self.whole(time)._replace(lengths=None, resets=None)

    def evaluate(
        self, case: str, at: Arguments | None = None, flags: Flags | None = None, scan: Any = scan, **changes: Any
    ) -> Everything:
        """Everything about one run, compiled once for each case, way of scanning and shapes."""
        at = self.arguments() if at is None else at
        flags = self.flags(case, jax.tree.leaves(at.inputs)[0].shape[0]) if flags is None else flags
        return compiled_run_with_gradients(self.cell, CASES[case][0]._replace(**changes), at, flags, scan)

    def values(self, settings: Settings, at: Arguments, flags: Flags = NO_FLAGS, scan: Any = scan) -> Values:
        """What one scan returns, without gradients."""
        return compiled_run(self.cell, settings, at, flags._replace(outputs_weight=None, carry_weight=None), scan)

    def loop(self, at: Arguments, flags: Flags = NO_FLAGS, reverse: bool = False) -> Values:
        """The Python loop."""
        return python_loop(self.cell, at, flags, reverse)

    def own_carry(self, at: Arguments) -> Any:
        """The cell's initial carry."""
        return _own_carry(self.cell, self.dtype, at.params)

    def code(self) -> Iterator[CodeType]:
        """The code of the cell's own methods."""
        for each in type(self.cell).__mro__:
            if each.__module__ not in ("builtins", "abc") and each is not Cell:
                yield from (value.__code__ for value in vars(each).values() if inspect.isfunction(value))


_own_carry = quick(lambda cell, dtype, params: cell.initial_carry((BATCH,), dtype, params), static=(0, 1))
