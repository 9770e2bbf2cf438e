"""A card as text for a terminal and as Markdown for a notebook."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from seqjax.cards.documentation import inline, inline_markdown, markdown, readable
from seqjax.cards.values import short_code
from seqjax.cells import Cell
from seqjax.cells.transforms import Transform

if TYPE_CHECKING:
    from seqjax.cards.card import Card

WIDTH = 88
_NO_EVIDENCE = "none in the ledger, which has the cells of seqjax; `seqjax check-cell FILE` runs the laws on your own"


def terminal(card: "Card") -> str:
    """The card for a terminal."""
    parts = [f"{card.name}\n{'=' * len(card.name)}", *(readable(text, WIDTH) for text in card.documentation)]
    inner = _inner(card.cell)
    if inner is not None:
        parts.insert(1, _filled(f"Around {short_code(inner)}"))
    for heading, rows in _sections(card):
        parts.append(heading + "\n" + _columns([tuple(map(inline, row)) for row in rows]))
    return "\n\n".join(part for part in parts if part)


def notebook(card: "Card") -> str:
    """The card for a notebook, in Markdown with LaTeX."""
    parts = [f"### {card.name}", *map(markdown, card.documentation)]
    inner = _inner(card.cell)
    if inner is not None:
        parts.insert(1, f"Around `{short_code(inner)}`")
    for heading, rows in _sections(card):
        parts.append(f"**{heading}**")
        if max(map(len, rows)) == 1:
            parts.append("\n".join(f"- {inline_markdown(text)}" for (text,) in rows))
        else:
            parts.append(_table([tuple(map(inline_markdown, row)) for row in rows]))
    return "\n\n".join(parts)


def _sections(card: "Card") -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Headings with rows of one to three columns."""
    if card.paper:
        yield "Paper", [(text,) for text in card.paper]
    if card.conventions:
        yield "Conventions", [(text,) for text in card.conventions]
    if card.elsewhere:
        yield "Elsewhere", list(card.elsewhere.items())
    if card.options:
        yield "Options", [(option.name, str(option)) for option in card.options]
    sizes = f"{card.cell.input_size} inputs, {card.cell.hidden_size} hidden units"
    rows = [(name, str(list(shape)), f"{math.prod(shape):,}") for name, shape in card.parameter_shapes.items()]
    yield f"Parameters with {sizes}", [*rows, ("total", "", f"{card.parameters:,}")]
    yield "One step", list(_step(card))
    yield "Evidence", list(_evidence(card))


def _step(card: "Card") -> Iterator[tuple[str, str]]:
    yield "carry", ", ".join(f"{name} {list(shape)}" for name, (_, shape) in card.carry.items())
    yield "bytes of carry", f"{card.carry_bytes:,}"
    yield "FLOPs", f"{card.flops_per_step:,} in products"
    loops = (card.products_in_loop, card.products_in_backward_loop)
    yield "products in the loop", "{} forward, {} backward".format(*loops)
    names = list(card.carry)
    for name, row in zip(names, card.structure, strict=True):
        depends = [f"{kind} in {other}" for other, kind in zip(names, row, strict=True) if kind != "none"]
        yield f"d {name} / d carry", ", ".join(depends) or "none"
    yield "time in parallel", "possible: affine in the carry" if card.parallel else "no: not affine in the carry"


def _evidence(card: "Card") -> Iterator[tuple[str, str]]:
    evidence = card.evidence
    exceptions = ", ".join(f"{law.replace('_', ' ')} ({reason})" for law, reason in card.law_exceptions.items())
    laws = f"all but: {exceptions}" if exceptions else "all"
    if isinstance(card.cell, Transform):
        yield "the cell inside", "see its own card"
        yield "laws", laws
        return
    if not evidence.reference:
        yield "none", _NO_EVIDENCE
        return
    options = f"; also {', '.join(evidence.options)}" if evidence.options else ""
    yield "reference", f"NumPy float64, from the paper, values and gradients{options}"
    yield "laws", laws
    for library, what in evidence.libraries.items():
        yield library, "; ".join(what)
    if not evidence.libraries:
        yield "other libraries", "none is compared yet"


def _inner(cell: Cell) -> Cell | None:
    return getattr(cell, "cell", None)


def _filled(text: str, indent: str = "", hanging: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=hanging, break_long_words=False)


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows in aligned columns under a heading: names to the left, numbers to the right, the last column wrapped."""
    count = max(map(len, rows))
    if count == 1:
        return "\n".join(_filled(text, "  ", "    ") for (text,) in rows)
    width = max(len(row[0]) for row in rows)
    if count == 3:
        shape, number = (max(len(row[column]) for row in rows) for column in (1, 2))
        return "\n".join(f"  {name:<{width}}  {kind:<{shape}}  {total:>{number}}" for name, kind, total in rows)
    width = min(width, 30)
    lines = []
    for name, text in rows:
        # A long name has a line to itself.
        start = f"  {name:<{width}}  " if len(name) <= width else f"  {name}\n  {'':<{width}}  "
        head, _, last = start.rpartition("\n")
        lines.append((head + "\n" if head else "") + _filled(text, last, " " * (width + 4)))
    return "\n".join(lines)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    columns = max(map(len, rows))
    lines = ["|" + " |" * columns, "|:--|" + "--:|" * (columns - 1) if columns == 3 else "|:--|:--|"]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in escaped)])
