"""``seqjax cells`` and ``explain``."""

import dataclasses
import inspect
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seqjax.cli.parser import Arguments, Parser, columns, size
from seqjax.config import build_cell, cell_names, check_cell, parse_overrides
from seqjax.errors import ConfigError, nearest, shown

if TYPE_CHECKING:
    from seqjax.cells import Cell

_SIZES = {"input_size": 64, "hidden_size": 128}
_SYMBOLS = {
    "odot": "⊙",
    "cdot": "·",
    "sum": "∑",
    "prod": "∏",
    "in": "∈",
    "leq": "≤",
    "geq": "≥",
    "times": "×",
    "top": "ᵀ",
}


def add_commands(commands: Any) -> None:
    """Add the parsers of this file's commands."""
    cells: Parser = commands.add_parser(
        "cells",
        help="list the recurrent cells, or show the equations of one",
        description="List the recurrent cells; with a name, show the cell's equations, options, parameters and paper.",
        example="seqjax cells\nseqjax cells LSTM",
    )
    cells.add_argument("name", metavar="NAME", nargs="?", help="a cell")
    cells.add_argument("--json", action="store_true", help="print JSON")
    cells.set_defaults(run=_cells)

    explain: Parser = commands.add_parser(
        "explain",
        help="show how a cell runs over time: what is left inside the loop",
        description="Show what the time engine makes of a cell: the products inside and outside the time loop,\n"
        "forward and backward, and the memory that is kept.",
        example="seqjax explain LSTM\nseqjax explain GRU reset=before --hidden-size 512",
    )
    explain.add_argument("name", metavar="CELL", help="a name that `seqjax cells` lists")
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
    if arguments.name is not None:
        _require(arguments.name)
        cell = build_cell(arguments.name, _SIZES)
        print(json.dumps(_record(cell), indent=2) if arguments.json else _page(cell))
        return
    from seqjax.cells import registry

    built = [build_cell(name, _SIZES) for name in registry()]
    if arguments.json:
        print(json.dumps([_record(cell) for cell in built], indent=2))
        return
    rows = [("cell", "parameters", "products", "backward", "paper")]
    for cell in built:
        record = _record(cell)
        products = (str(record[f"products_in_{loop}"]) for loop in ("loop", "backward_loop"))
        rows.append((record["name"], f"{record['parameters']:,}", *products, _first_reference(cell.paper)))
    print(columns(rows, right=(1, 2, 3)))
    sizes = f"{_SIZES['input_size']} inputs and {_SIZES['hidden_size']} hidden units"
    print(f"\nParameters with {sizes}; products left inside the time loop, forward and backward.")
    print("More: seqjax cells NAME, seqjax explain NAME")


def _explain(arguments: Arguments) -> None:
    options = parse_overrides(arguments.settings)
    sizes = {"input_size": arguments.input_size, "hidden_size": arguments.hidden_size}
    _require(arguments.name, {key: value for key, value in options.items() if key not in sizes})
    cell = build_cell(arguments.name, sizes | options)
    from seqjax.engine import explain

    print(explain(cell, batch_size=arguments.batch_size, length=arguments.length))


def _require(name: str, options: Mapping[str, Any] | None = None) -> None:
    names = cell_names()
    if name not in names:
        raise ConfigError(f"there is no cell {shown(name)}; {nearest(name, names)}")
    messages = check_cell(name, options or {}, options_at="")
    if messages:
        raise ConfigError("\n".join(messages))


def _record(cell: "Cell") -> dict[str, Any]:
    import jax

    from seqjax.engine import explain

    explanation = explain(cell)
    shapes = _shapes(jax.eval_shape(lambda: cell.init(jax.random.key(0))))
    return {
        "name": type(cell).__name__,
        "paper": cell.paper,
        "options": {field.name: _plain(field) for field in dataclasses.fields(cell) if field.name not in _SIZES},
        "input_size": cell.input_size,
        "hidden_size": cell.hidden_size,
        "parameters": sum(_product(shape) for shape in shapes.values()),
        "parameter_shapes": shapes,
        "products_in_loop": explanation.products_in_loop,
        "products_in_backward_loop": explanation.products_in_backward_loop,
        "carry_shapes": _shapes(jax.eval_shape(cell.initial_carry)),
    }


def _page(cell: "Cell") -> str:
    record = _record(cell)
    heading = f"{record['name']}: parameters with {cell.input_size} inputs and {cell.hidden_size} hidden units"
    parameters = [
        (name, str(list(shape)), f"{_product(shape):,}") for name, shape in record["parameter_shapes"].items()
    ]
    parts = [
        f"{record['name']}\n{'=' * len(record['name'])}",
        readable(inspect.getdoc(type(cell)) or ""),
        "Options\n" + _indented(columns([(name, json.dumps(value)) for name, value in record["options"].items()])),
        f"{heading}\n" + _indented(columns([*parameters, ("total", "", f"{record['parameters']:,}")], right=(2,))),
        "Carry\n" + _indented(columns([(name, str(list(shape))) for name, shape in record["carry_shapes"].items()])),
        "Paper\n" + _indented(cell.paper.replace("; ", "\n")),
    ]
    return "\n\n".join(parts)


def readable(documentation: str) -> str:
    """Documentation with its mathematics in Unicode instead of LaTeX, for a terminal."""
    text = re.sub(r":(?:math|class|func|meth|data):`~?([^`]*)`", r"\1", documentation).replace("``", "")
    text = re.sub(r"^\.\. math::[ ]*\n?[ ]*(?=\S)", "    ", text, flags=re.MULTILINE)
    text = re.sub(r"^\.\. \w+::.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\(?:text|mathrm|mathbf|operatorname)\{([^}]*)\}", r"\1", text)
    text = re.sub(r"[ ]*&&[ ]*", "    ", text).replace("&", "").replace("\\\\", "")
    text = re.sub(r"\\([A-Za-z]+)", lambda match: _symbol(match[1]), text)
    text = re.sub(r"\{(\w)\}", r"\1", text)
    return re.sub(r"[ ]+$", "", text, flags=re.MULTILINE)


def _symbol(word: str) -> str:
    if word in _SYMBOLS:
        return _SYMBOLS[word]
    size = "CAPITAL" if word[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {word}")
    except KeyError:
        return word


def _first_reference(paper: str) -> str:
    match = re.match(r".*?\b\d{4}\b", paper)
    return match[0] if match else paper


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf.shape for path, leaf in leaves}


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product


def _plain(field: dataclasses.Field[Any]) -> Any:
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return value if isinstance(value, bool | int | float | str | None) else repr(value)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
