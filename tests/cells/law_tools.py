"""One compiled function that returns everything the laws look at, and the Python loop that they are judged by."""

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import seqjax
from seqjax.cells import Cell
from seqjax.engine.checks import batch_shape
from tests.cells.variants import random_carry, random_params
from tests.trees import gradient, weighted_sum

TIME, BATCH = 37, 4
# The laws run each compiled function a few times only.
QUICK = {"xla_backend_optimization_level": 0}


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


class Everything(NamedTuple):
    """What one run gives."""

    loss: jax.Array
    values: Any
    gradients: Arguments


def evaluate(cell: Cell, settings: Settings, arguments: Arguments, flags: Flags = NO_FLAGS) -> Everything:
    """The run, its loss and all gradients; compiled once for each cell, settings and shapes."""
    if flags.outputs_weight is None:
        time = jax.tree.leaves(arguments.inputs)[0].shape[0]
        flags = flags._replace(outputs_weight=jnp.ones((time, *batch_shape(cell, arguments.inputs))))
    return compiled(cell, settings, arguments, flags)


def uncompiled(cell: Cell, settings: Settings, arguments: Arguments, flags: Flags) -> Everything:
    def loss_and_values(params: Any, carry: Any, inputs: Any, fresh_carry: Any) -> tuple[jax.Array, Any]:
        values = seqjax.scan(
            cell,
            params,
            inputs,
            carry,
            lengths=flags.lengths,
            resets=flags.resets,
            fresh_carry=fresh_carry,
            **settings._asdict(),
        )
        last, outputs, *carries = values
        outputs = jax.tree.map(lambda a: a * weight_of(flags, cell), outputs)
        return weighted_sum(outputs) + flags.carry_weight * weighted_sum((last, carries), seed=1), values

    loss, values, gradients = gradient(loss_and_values, *arguments)
    return Everything(loss, values, Arguments(*gradients))


def weight_of(flags: Flags, cell: Cell) -> jax.Array:
    """The weight of every output, with an axis for each of the output's own."""
    return jnp.expand_dims(flags.outputs_weight, range(-len(cell.output_shape), 0))


compiled = jax.jit(uncompiled, static_argnums=(0, 1), compiler_options=QUICK)


def arguments_of(
    cell: Cell, time: int = TIME, batch_shape: tuple[int, ...] = (BATCH,), seed: int = 0, dtype: Any = jnp.float32
) -> Arguments:
    params = random_params(cell, seed, dtype)
    inputs = cell.example_inputs(jax.random.key(seed + 100), (time, *batch_shape), dtype)
    return Arguments(
        params,
        random_carry(cell, batch_shape, params, seed + 200, dtype),
        inputs,
        random_carry(cell, batch_shape, params, seed + 300, dtype),
    )


def ragged_flags(time: int = TIME, seed: int = 0) -> Flags:
    """Lengths with the whole, none and two between; resets at the first step, in the middle, and twice in a row."""
    lengths = np.array([time, 0, time // 5 + 1, time * 2 // 3])
    resets = np.random.default_rng(seed).random((time, BATCH)) < 0.15
    resets[:1, 0] = resets[time // 2 : time // 2 + 2, 3] = True
    resets &= np.arange(time)[:, None] < lengths
    return Flags(jnp.asarray(lengths), jnp.asarray(resets))


@functools.cache
def compiled_step(cell: Cell) -> Any:
    return jax.jit(cell)


def python_loop(
    cell: Cell, arguments: Arguments, flags: Flags = NO_FLAGS, reverse: bool = False
) -> tuple[Any, Any, Any]:
    """``(carry, outputs, carries)`` by the definition: one sequence after the other, one step after the other."""
    step, (params, carry, inputs, fresh) = compiled_step(cell), arguments
    inputs = jax.tree.map(np.asarray, inputs)
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
                state, outputs[t] = step(params, state, jax.tree.map(lambda a, t=t, b=b: a[t, b], inputs))
            states[t] = state
        zero = np.zeros(cell.output_shape, jax.tree.leaves(inputs)[0].dtype)
        outputs = [zero if output is None else output for output in outputs]
        columns.append((state, np.stack(outputs), jax.tree.map(lambda *a: np.stack(a), *states)))
    last = jax.tree.map(lambda *a: np.stack(a), *[column[0] for column in columns])
    outputs = np.stack([column[1] for column in columns], axis=1)
    return last, outputs, jax.tree.map(lambda *a: np.stack(a, axis=1), *[column[2] for column in columns])
