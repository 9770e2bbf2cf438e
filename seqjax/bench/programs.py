"""From a model to a program that can be timed, the same way for every JAX library."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.bench.settings import Shape
from seqjax.cells import Cell
from seqjax.laws.trees import floats, is_float, with_floats
from seqjax.parallel import batch_mesh, replicate, split_batch

Pass = Literal["forward", "training"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """What every competitor has to compute.

    Attributes:
        cell: ours.
        shape: the sizes.
        pass_name: ``"forward"`` or ``"training"``.
        params: the parameters that a competitor with the same mathematics starts from.
        inputs: ``[time, batch, inputs]``, or what else the cell reads.
    """

    cell: Cell
    shape: Shape
    pass_name: Pass
    params: Any
    inputs: Any

    @classmethod
    def make(cls, cell: Cell, shape: Shape, pass_name: Pass) -> "Problem":
        """Draw parameters and inputs, always the same."""
        leading, draw = (shape.time, shape.batch), np.random.default_rng(0).standard_normal
        if jax.tree.map(jnp.shape, cell.input_shapes()) == (shape.inputs,):
            inputs = draw((*leading, shape.inputs), dtype=np.float32)
        else:
            # Elapsed times, masks and images are what they can be.
            inputs = jax.tree.map(np.asarray, cell.example_inputs(jax.random.key(1), leading))
        return cls(
            cell=cell,
            shape=shape,
            pass_name=pass_name,
            params=jax.tree.map(np.asarray, cell.init(jax.random.key(0))),
            inputs=inputs,
        )

    @property
    def name(self) -> str:
        """The cell's name."""
        return type(self.cell).__name__


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """A JAX competitor.

    Attributes:
        forward: ``outputs = forward(params, inputs)``, all outputs.
        params: a tree of arrays.
        inputs: in the layout that the library takes without copying.
        batch_major: whether that layout is ``[batch, time, ...]``, of the outputs too.
        comparable: whether it has our mathematics and our parameters, so that its results must be ours.
        split: whether parameters and inputs are placed on all devices, the inputs' batch split over them.
    """

    forward: Callable[[Any, Any], Any]
    params: Any
    inputs: Any
    batch_major: bool = False
    comparable: bool = True
    split: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """What is timed.

    Attributes:
        run: computes everything, waits for it, and returns it.
        results: what :attr:`run` returned as named arrays with time first, for the comparison.
        comparable: whether these must be equal to ours.
        temporary_bytes: memory that the compiled program needs besides its arguments and results, on all its devices.
        trace_seconds: time until the program was ready for the compiler.
        compile_again: compiles it once more and gives the seconds in the compiler.
    """

    run: Callable[[], Any]
    results: Callable[[Any], dict[str, np.ndarray]]
    comparable: bool
    temporary_bytes: int | None = None
    trace_seconds: float | None = None
    compile_again: Callable[[], float] | None = None


def prepare(problem: Problem, built: Model | Program) -> Program:
    """Compile a JAX model's pass; what is a program already stays as it is."""
    if isinstance(built, Program):
        return built
    model = built

    def gradients(params: Any, inputs: Any) -> Any:
        loss = lambda params, leaves: jnp.sum(model.forward(params, with_floats(inputs, leaves)) ** 2)
        value, (of_params, of_inputs) = jax.value_and_grad(loss, argnums=(0, 1))(params, floats(inputs))
        return value, (of_params, with_floats(inputs, of_inputs))

    function = model.forward if problem.pass_name == "forward" else gradients
    arguments = jax.tree.map(jnp.asarray, (model.params, model.inputs))
    if model.split:
        mesh = batch_mesh()
        arguments = replicate(arguments[0], mesh), split_batch(arguments[1], mesh, axis=1)
    jax.block_until_ready(arguments)
    trace_seconds, lowered = timed(lambda: jax.jit(function).lower(*arguments))
    compiled = lowered.compile()
    # The compiler speaks of one of the devices that run the program.
    memory, devices = compiled.memory_analysis(), jax.device_count() if model.split else 1
    time_first = (lambda a: np.asarray(a).swapaxes(0, 1)) if model.batch_major else np.asarray

    def compile_again() -> float:
        # What has been compiled before is kept for a call with no options (not even none), and in JAX's caches.
        jax.clear_caches()
        return timed(lambda: lowered.compile({}))[0]

    def results(returned: Any) -> dict[str, np.ndarray]:
        if problem.pass_name == "forward":
            return {"outputs": time_first(returned)}
        value, (_, of_inputs) = returned
        return {"loss": np.asarray(value)} | dict(zip(_gradient_names(problem), map(time_first, floats(of_inputs))))

    return Program(
        run=lambda: jax.block_until_ready(compiled(*arguments)),
        results=results,
        comparable=model.comparable,
        temporary_bytes=None if memory is None else devices * memory.temp_size_in_bytes,
        trace_seconds=trace_seconds,
        compile_again=compile_again,
    )


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that the call takes, and what it returns."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def _gradient_names(problem: Problem) -> list[str]:
    leaves = jax.tree.leaves_with_path(problem.inputs)
    return [f"gradient to the inputs{jax.tree_util.keystr(path)}" for path, leaf in leaves if is_float(leaf)]


def check_results(problem: Problem, got: dict[str, np.ndarray], ours: dict[str, np.ndarray] | None) -> None:
    """Shapes must be right, and where ``ours`` is given the numbers must be ours.

    Raises:
        ValueError: they are not.
    """
    shape = problem.shape
    expected = (
        {"outputs": (shape.time, shape.batch, *problem.cell.output_shape)}
        if problem.pass_name == "forward"
        else {"loss": ()} | dict(zip(_gradient_names(problem), [leaf.shape for leaf in floats(problem.inputs)]))
    )
    if (shapes := {name: value.shape for name, value in got.items()}) != expected:
        raise ValueError(f"computed {shapes}, expected {expected}")
    for name, value in got.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: not all numbers are finite")
        if ours is not None:
            # Libraries round differently, and accelerators to three digits; a gate in the wrong place is far off.
            difference = np.abs(value - ours[name]).max() / max(np.abs(ours[name]).max(), 1e-30)
            if difference > 0.01:
                raise ValueError(f"{name}: differs from ours by {difference:.2g} of the largest value")
