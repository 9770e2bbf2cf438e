"""``seqjax cells`` and ``explain``."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from seqjax.cli.parser import Arguments, Parser, size
from seqjax.config import build_cell, cell_names, check_cell, is_path, parse_overrides
from seqjax.errors import ConfigError, nearest, shown

if TYPE_CHECKING:
    from seqjax.cells import Cell

_WIDTH = 100


def add_commands(commands: Any) -> None:
    """Add the parsers of this file's commands."""
    cells: Parser = commands.add_parser(
        "cells",
        help="list the recurrent cells, or show everything about one",
        description="List the recurrent cells. With a name, show the cell's card: equations, paper, conventions,\n"
        "options, sizes, what is in the time loop, and what it was compared with. With a part of a name,\n"
        "an author or a year, list the cells that fit.",
        example="seqjax cells\nseqjax cells LSTM --hidden-size 512\nseqjax cells GRU reset=before\n"
        "seqjax cells peephole\nseqjax cells --json",
    )
    cells.add_argument("name", metavar="NAME", nargs="?", help="a cell, a word to look for, or path.py:Name")
    cells.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="options of the cell")
    for option, default, text in (("--input-size", 64, "input features"), ("--hidden-size", 128, "hidden units")):
        cells.add_argument(option, metavar="N", type=size, default=default, help=f"{text} (default: {default})")
    cells.add_argument("--json", action="store_true", help="print JSON, with everything about each")
    cells.set_defaults(run=_cells)

    explain: Parser = commands.add_parser(
        "explain",
        help="show how a cell runs over time: what is left inside the loop",
        description="Show what the time engine makes of a cell: the products inside and outside the time loop,\n"
        "forward and backward, and the memory that is kept.",
        example="seqjax explain LSTM\nseqjax explain GRU reset=before --hidden-size 512",
    )
    explain.add_argument("name", metavar="CELL", help="a name that `seqjax cells` lists, or path.py:Name")
    explain.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="options of the cell")
    for option, default, text in (
        ("--input-size", 128, "input features"),
        ("--hidden-size", 128, "hidden units"),
        ("--batch-size", 32, "sequences side by side"),
        ("--length", 128, "time steps"),
    ):
        explain.add_argument(option, metavar="N", type=size, default=default, help=f"{text} (default: {default})")
    explain.set_defaults(run=_explain)


def _cells(arguments: Arguments) -> None:
    names = cell_names()
    if arguments.name is not None and (arguments.name in names or is_path(arguments.name)):
        card = _card(arguments.name, arguments)
        print(json.dumps(card.to_dict(), indent=2, ensure_ascii=False) if arguments.json else card)
        return
    if arguments.name is not None:
        names = _matching(arguments.name)
    if arguments.settings:
        raise ConfigError(f"options are for one cell; {shown(arguments.name)} stands for {', '.join(names)}")
    if arguments.json:
        cards = [_card(name, arguments).to_dict() for name in names]
        print(json.dumps(cards, indent=2, ensure_ascii=False))
    elif len(names) == 1:
        print(_card(names[0], arguments))
    else:
        print(_list(names))


def _card(name: str, arguments: Arguments) -> Any:
    from seqjax.cards import card

    return card(_build(name, arguments))


def _build(name: str, arguments: Arguments) -> "Cell":
    options = parse_overrides(arguments.settings)
    sizes = {"input_size": arguments.input_size, "hidden_size": arguments.hidden_size}
    _require(name, {key: value for key, value in options.items() if key not in sizes})
    return build_cell(name, sizes | options)


def _matching(word: str) -> list[str]:
    """The cells in whose name a word occurs, or in whose first sentence, paper or family a word starts with it."""
    named = [name for name in cell_names() if word.lower() in name.lower()]
    lower_case = [name.lower() for name in cell_names()]
    if not named and difflib.get_close_matches(word.lower(), lower_case, cutoff=0.7):
        # A misspelt name should not wait for JAX.
        _require(word)
    from seqjax.cards.families import family_of, summary_of
    from seqjax.cells import registry

    starts = re.compile(r"\b" + re.escape(word), re.IGNORECASE)
    text = lambda cell: f"{summary_of(cell)}\n{cell.paper}\n{family_of(cell)}"
    found = [name for name, cell in registry().items() if name in named or starts.search(text(cell))]
    if not found:
        raise ConfigError(f"there is no cell {shown(word)}, nor one about it; `seqjax cells` lists them all")
    return found


def _list(names: Iterable[str]) -> str:
    from seqjax.cards.families import families, summary_of, year_of
    from seqjax.cells import registry

    names = list(names)
    width = max(map(len, names))
    lines = []
    for family, cells in families(registry()[name] for name in names).items():
        lines.append(family)
        lines += [
            _cut(f"  {cell.__name__:<{width}}  {year_of(cell) or '':<4}  {summary_of(cell)}".rstrip()) for cell in cells
        ]
        lines.append("")
    lines.append(
        f"{len(names)} cells. More: seqjax cells NAME, seqjax cells WORD, seqjax explain NAME, seqjax transforms"
    )
    return "\n".join(lines)


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 2].rpartition(" ")[0] + " …"


def _explain(arguments: Arguments) -> None:
    cell = _build(arguments.name, arguments)
    from seqjax.engine import explain

    print(explain(cell, batch_size=arguments.batch_size, length=arguments.length))


def _require(name: str, options: Mapping[str, Any] | None = None) -> None:
    names = cell_names()
    if name not in names and not is_path(name):
        raise ConfigError(f"there is no cell {shown(name)}; {nearest(name, names)}")
    messages = check_cell(name, options or {}, options_at="")
    if messages:
        raise ConfigError("\n".join(messages))
