"""``seqjax.card``: everything that a person should know about a cell, on one page."""

import dataclasses
import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cards import screens
from seqjax.cards.documentation import equations, inline
from seqjax.cards.evidence import Evidence, evidence_of
from seqjax.cards.families import family_of, own_documentation, summary_of
from seqjax.cards.values import Option, options_of, plain
from seqjax.cells import Cell, registry, transforms
from seqjax.engine import explain
from seqjax.engine.flops import product_flops

INPUT_SIZE, HIDDEN_SIZE = 64, 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What there is to know about a cell; ``print`` it, or let a notebook show it with its mathematics typeset.

    Attributes:
        cell: the cell.
        name: of its class; of a transformed cell, that of the transform.
        family: the module that its equations stand in.
        documentation: of its class; of a cell around another one, of both.
        paper: where the equations come from.
        conventions: what was chosen where there is a choice.
        elsewhere: what other libraries do differently, by the library's name.
        options: what can be set besides the sizes.
        parameter_shapes: of each parameter.
        carry: type and shape of each leaf of one sequence's carry.
        flops_per_step: additions and multiplications in the products of one step of one sequence.
        products_in_loop: products that are left at every step of the forward loop.
        products_in_backward_loop: products that are left at every step of the backward loop.
        structure: ``structure[i][j]`` of d carry[i] / d carry[j]: none, diagonal, block or full.
        parallel: whether the carry is affine in the carry, so that time could run in parallel.
        evidence: what the cell was compared with.
        law_exceptions: laws that it does not obey, each with its reason.
    """

    cell: Cell
    name: str
    family: str
    documentation: tuple[str, ...]
    paper: tuple[str, ...]
    conventions: tuple[str, ...]
    elsewhere: Mapping[str, str]
    options: tuple[Option, ...]
    parameter_shapes: Mapping[str, tuple[int, ...]]
    carry: Mapping[str, tuple[str, tuple[int, ...]]]
    flops_per_step: int
    products_in_loop: int
    products_in_backward_loop: int
    structure: tuple[tuple[str, ...], ...]
    parallel: bool
    evidence: Evidence
    law_exceptions: Mapping[str, str]

    @property
    def summary(self) -> str:
        """What the cell is, on one line."""
        return summary_of(type(self.cell))

    @property
    def parameters(self) -> int:
        """How many numbers the parameters are."""
        return sum(map(math.prod, self.parameter_shapes.values()))

    @property
    def carry_bytes(self) -> int:
        """Bytes of one sequence's carry in float32."""
        return sum(jnp.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in self.carry.values())

    def __str__(self) -> str:
        return screens.terminal(self)

    def _repr_markdown_(self) -> str:
        return screens.notebook(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything on the card as JSON has it."""
        return {
            "name": self.name,
            "family": self.family,
            "summary": self.summary,
            "paper": list(self.paper),
            "equations": [line for text in self.documentation for line in equations(text)],
            "conventions": list(map(inline, self.conventions)),
            "elsewhere": {library: inline(text) for library, text in self.elsewhere.items()},
            "options": {option.name: plain(option.value) for option in self.options},
            "input_size": self.cell.input_size,
            "hidden_size": self.cell.hidden_size,
            "parameters": self.parameters,
            "parameter_shapes": {name: list(shape) for name, shape in self.parameter_shapes.items()},
            "flops_per_step": self.flops_per_step,
            "carry_shapes": {name: list(shape) for name, (_, shape) in self.carry.items()},
            "carry_bytes": self.carry_bytes,
            "structure": [list(row) for row in self.structure],
            "products_in_loop": self.products_in_loop,
            "products_in_backward_loop": self.products_in_backward_loop,
            "parallel": self.parallel,
            "evidence": {
                "reference": self.evidence.reference,
                "options": list(self.evidence.options),
                "libraries": {library: list(what) for library, what in self.evidence.libraries.items()},
            },
            "law_exceptions": dict(self.law_exceptions),
        }


def card(cell: Cell | type[Cell], *, input_size: int = INPUT_SIZE, hidden_size: int = HIDDEN_SIZE) -> Card:
    """The card of a cell: equations, paper, conventions, options, sizes, what is in the time loop, evidence.

    Args:
        cell: a cell, or its class.
        input_size: with which a class is built; a cell has its own.
        hidden_size: the same.

    Raises:
        TypeError: for what is neither.

    Example:
        >>> import seqjax
        >>> lstm = seqjax.card(seqjax.cells.LSTM, input_size=3, hidden_size=5)
        >>> lstm.parameters, lstm.flops_per_step, lstm.carry_bytes
        (180, 320, 40)
        >>> lstm.structure[1]  # d cell / d hidden, d cell / d cell
        ('full', 'diagonal')
    """
    if isinstance(cell, type) and issubclass(cell, Cell):
        cell = cell(input_size=input_size, hidden_size=hidden_size)
    if not isinstance(cell, Cell):
        raise TypeError(f"seqjax.card takes a cell or its class, such as seqjax.cells.LSTM; got {cell!r}")
    params = jax.eval_shape(cell.init, jax.random.key(0))
    carry = jax.eval_shape(lambda params: cell.initial_carry((), params=params), params)
    explanation = explain(cell)
    return Card(
        cell=cell,
        name=cell.function if isinstance(cell, transforms.Transform) else type(cell).__name__,
        family=family_of(type(cell)),
        documentation=_documentation(cell),
        paper=tuple(part for part in cell.paper.split("; ") if part),
        conventions=tuple(cell.conventions),
        elsewhere=dict(cell.elsewhere),
        options=options_of(cell),
        parameter_shapes={name: leaf.shape for name, leaf in _named_leaves(params)},
        carry={name: (str(leaf.dtype), leaf.shape) for name, leaf in _named_leaves(carry)},
        flops_per_step=_flops_per_step(cell, params),
        products_in_loop=explanation.products_in_loop,
        products_in_backward_loop=explanation.products_in_backward_loop,
        structure=explanation.structure,
        parallel=explanation.affine,
        evidence=evidence_of(type(cell).__name__) if registry().get(type(cell).__name__) is type(cell) else Evidence(),
        law_exceptions=dict(cell.law_exceptions),
    )


def _flops_per_step(cell: Cell, params: Any) -> int:
    # Some cells need a batch: of one sequence.
    carry = jax.eval_shape(lambda params: cell.initial_carry((1,), params=params), params)
    inputs = jax.eval_shape(lambda: cell.example_inputs(jax.random.key(0), (1,)))
    return product_flops(cell, params, carry, inputs)


def _documentation(cell: Cell) -> tuple[str, ...]:
    inner = [getattr(cell, field.name) for field in dataclasses.fields(cell)]
    text = own_documentation(type(cell))
    if isinstance(cell, transforms.Transform) and cell.function in transforms.registry():
        # Sections of arguments repeat the options.
        text = re.split(r"\n\n(?:Args|Raises|Returns|Example)s?:", _function_documentation(cell.function))[0]
    texts = (
        text,
        *(text for value in inner if isinstance(value, Cell) for text in _documentation(value)),
    )
    return tuple(text for text in texts if text)


def _function_documentation(transform: str) -> str:
    return inspect.getdoc(transforms.registry()[transform]) or ""


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in jax.tree.leaves_with_path(tree)]
    # What transforms put around the carry and the parameters of the cell inside.
    names = [re.sub(r"^(?:(?:carry|params)\.)+", "", name) or "value" for name in names]
    return list(zip(names, jax.tree.leaves(tree), strict=True))
