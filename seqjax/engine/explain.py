"""``seqjax.explain``: the plan of a step, in words and numbers."""

import collections
import dataclasses
from typing import Any

import jax
from jax.extend.core import JaxprEqn

from seqjax.cells import Cell
from seqjax.engine.checks import batch_shape, describe
from seqjax.engine.compilations import compilations
from seqjax.engine.equations import aval, bytes_of
from seqjax.engine.loop import Loop
from seqjax.engine.program import Program
from seqjax.engine.sequential import backward_loop, forward_loop
from seqjax.engine.structure import carry_structure, is_affine


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a pass.

    Attributes:
        name: of the stage.
        equations: how many equations it evaluates.
        products: the operands' shapes of its matrix products and convolutions, and how a loop computes them where it is
            not as they are written (:mod:`seqjax.engine.loop_products`).
    """

    name: str
    equations: int
    products: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """What the engine does with a step; ``print`` it.

    Attributes:
        step: the step's name.
        time_steps: number of time steps the numbers below are for.
        chunk: steps of time that the forward pass takes at once.
        forward: the stages of the forward pass.
        backward: the stages of the backward pass.
        contractions: the products whose parameters' gradients are contractions over time.
        saved: shapes of what is kept of each time step for the backward pass.
        saved_bytes: bytes kept for the backward pass, of all time steps.
        carry: names of the carry's leaves.
        structure: ``structure[i][j]`` of d carry[i] / d carry[j]: none, diagonal, block or full.
        affine: whether the new carry is affine in the carry, so that time could run in parallel.
        compilations: how often :func:`seqjax.scan` of the step was compiled in this process so far. Every new shape
            compiles again: where they are many, pad the inputs to few lengths.
        compiled_shapes: the inputs' shapes that were compiled, the latest last.
    """

    step: str
    time_steps: int
    chunk: int
    forward: tuple[Stage, ...]
    backward: tuple[Stage, ...]
    contractions: tuple[str, ...]
    saved: tuple[str, ...]
    saved_bytes: int
    carry: tuple[str, ...]
    structure: tuple[tuple[str, ...], ...]
    affine: bool
    compilations: int
    compiled_shapes: tuple[str, ...]

    @property
    def products_in_loop(self) -> int:
        """Products at every step of the forward loop."""
        return len(_loop(self.forward).products)

    @property
    def products_in_backward_loop(self) -> int:
        """Products at every step of the backward loop."""
        return len(_loop(self.backward).products)

    def __str__(self) -> str:
        lines = [self.step, f"{self.time_steps} time steps, {self.chunk} at once", ""]
        lines += ["forward                products"]
        lines += map(_stage_line, self.forward)
        lines += ["", "backward               products"]
        lines += map(_stage_line, self.backward)
        lines += [_stage_line(Stage(name="over all steps", equations=0, products=self.contractions))]
        kept = ", ".join(f"{count} x {kind}" for kind, count in collections.Counter(self.saved).items()) or "nothing"
        lines += ["", f"kept of each step for the backward pass: {kept}"]
        lines += [f"kept of {self.time_steps} steps: {_bytes(self.saved_bytes)}", ""]
        lines += ["d carry / d carry before"]
        width = max(map(len, (*self.carry, "diagonal"))) + 2
        lines += ["  " + "".join(name.ljust(width) for name in ("", *self.carry)).rstrip()]
        lines += [
            "  " + "".join(entry.ljust(width) for entry in (name, *row)).rstrip()
            for name, row in zip(self.carry, self.structure, strict=True)
        ]
        lines += ["", "affine in the carry: " + ("yes, time could run in parallel" if self.affine else "no")]
        lines += ["compiled in this process: " + _compiled(self.compilations, self.compiled_shapes)]
        return "\n".join(lines)


def explain(
    cell: Any, params: Any = None, inputs: Any = None, carry: Any = None, *, batch_size: int = 32, length: int = 128
) -> Explanation:
    """Say what the engine does with a step: what is in the loop, what is not, and what the backward pass keeps.

    Args:
        cell: a cell, or any function ``step(params, carry, inputs) -> (carry, output)``.
        params: the step's parameters, or their shapes; for a cell they are made up if not given.
        inputs: all time steps ``[time, ...]``, or their shapes; for a cell ``[length, batch_size, input_size]``.
        carry: the initial carry, or its shapes; a cell's own if not given.
        batch_size: of the made-up inputs of a cell.
        length: of the made-up inputs of a cell.

    Raises:
        ValueError: a function without its parameters, inputs and carry.

    Example:
        >>> import seqjax
        >>> plan = seqjax.explain(seqjax.cells.LSTM(input_size=3, hidden_size=5))
        >>> plan.products_in_loop, plan.products_in_backward_loop
        (1, 1)
    """
    if isinstance(cell, Cell):
        if params is None:
            params = jax.eval_shape(cell.init, jax.random.key(0))
        if inputs is None:
            inputs = jax.eval_shape(lambda: cell.example_inputs(jax.random.key(0), (length, batch_size)))
        if carry is None:
            batch = batch_shape(cell, inputs)
            carry = jax.eval_shape(lambda params: cell.initial_carry(batch, params=params), params)
    elif params is None or inputs is None or carry is None:
        raise ValueError(
            f"{describe(cell)} is a function; pass its params, inputs [time, ...] and carry, or their shapes"
        )
    program = Program(cell, params, carry, inputs, reverse=False)
    gradient, body = program.gradient, program.body
    time_steps, compiled = program.time_steps, compilations(cell)
    loops: list[Loop] = []

    def make_loops(params: Any) -> None:
        values = program.frontier_values(jax.tree.leaves(params))
        loops.extend([forward_loop(program, values), backward_loop(program, values)])

    jax.eval_shape(make_loops, params)
    forward, backward = loops
    return Explanation(
        step=describe(cell),
        time_steps=time_steps,
        chunk=forward.chunk_length,
        forward=_stages(program.once, forward),
        backward=_stages(gradient.once, backward),
        contractions=tuple(_operands(p.equation) for c in gradient.contractions for p in c.all_products),
        saved=tuple(f"{aval(v).dtype}{list(aval(v).shape)}" for v in gradient.saved),
        saved_bytes=time_steps * sum(bytes_of(v) for v in gradient.saved),
        carry=_names(carry),
        structure=tuple(map(tuple, carry_structure(body))),
        affine=is_affine(body),
        compilations=compiled.count,
        compiled_shapes=tuple(compiled.shapes),
    )


def _stages(once: list[JaxprEqn], loop: Loop) -> tuple[Stage, ...]:
    plan = loop.plan
    stages = (
        ("once", once),
        ("before the loop", plan.before),
        ("in the loop", plan.loop),
        ("after the loop", plan.after),
    )
    products = lambda equations: tuple(_product(e, loop) for e in equations if _is_product(e))
    return tuple(Stage(name=name, equations=len(e), products=products(e)) for name, e in stages)


def _loop(stages: tuple[Stage, ...]) -> Stage:
    return next(stage for stage in stages if stage.name == "in the loop")


def _is_product(equation: JaxprEqn) -> bool:
    return equation.primitive.name in ("dot_general", "conv_general_dilated")


def _product(equation: JaxprEqn, loop: Loop) -> str:
    layout = loop.layouts.get(equation.outvars[0])
    if layout is None:
        return _operands(equation)
    how = "from the other side" if isinstance(layout, jax.Array) else f"in {len(layout)} pieces"
    return f"{_operands(equation)} {how}"


def _operands(equation: JaxprEqn) -> str:
    return " x ".join(str(list(aval(v).shape)) for v in equation.invars)


def _stage_line(stage: Stage) -> str:
    return f"  {stage.name:<20} {len(stage.products)}   {', '.join(stage.products)}".rstrip()


def _names(carry: Any) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr(path).lstrip(".") or "carry" for path, _ in jax.tree.leaves_with_path(carry))


def _compiled(count: int, shapes: tuple[str, ...], shown: int = 4) -> str:
    if not count:
        return "not yet"
    before = "... " if len(shapes) > shown else ""
    times = "once" if count == 1 else f"{count} times"
    return f"{times}, for inputs {before}{' and '.join(shapes[-shown:])}"


def _bytes(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"
