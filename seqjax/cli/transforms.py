"""``seqjax transforms``."""

import json
from typing import Any

from seqjax.cli.parser import Arguments, Parser, columns
from seqjax.config import transform_names, transform_options
from seqjax.errors import ConfigError, nearest, shown


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    transforms: Parser = commands.add_parser(
        "transforms",
        help="list what can be put around a cell: dropout, zoneout, normalisation, ...",
        description="List the functions that take a cell and return a cell. With a name, show its equations, options\n"
        "and what it needs of a cell.",
        example="seqjax transforms\nseqjax transforms zoneout\n"
        "seqjax train char_lm_small model.cell_transforms='[{name: zoneout, hidden: 0.05}]'",
    )
    transforms.add_argument("name", metavar="NAME", nargs="?", help="a transform")
    transforms.add_argument("--json", action="store_true", help="print JSON")
    transforms.set_defaults(run=_transforms)


def _transforms(arguments: Arguments) -> None:
    names = transform_names()
    if arguments.name is not None and arguments.name not in names:
        raise ConfigError(f"there is no transform {shown(arguments.name)}; {nearest(arguments.name, names)}")
    records = [_record(name) for name in ([arguments.name] if arguments.name else names)]
    if arguments.json:
        print(json.dumps(records[0] if arguments.name else records, indent=2, ensure_ascii=False))
    elif arguments.name:
        print(_page(arguments.name, records[0]))
    else:
        print(columns([("transform", "what it needs of a cell"), *((r["name"], _short(r["needs"])) for r in records)]))
        print("\nMore: seqjax transforms NAME. In a config: model.cell_transforms=[{name: zoneout, hidden: 0.05}]")


def _record(name: str) -> dict[str, Any]:
    from seqjax.cells.transforms import registry

    made = registry()[name].__annotations__["return"]
    return {
        "name": name,
        "needs": made.needs,
        "options": transform_options(name),
        "paper": made.paper,
        "conventions": list(made.conventions),
        "elsewhere": dict(made.elsewhere),
    }


def _page(name: str, record: dict[str, Any]) -> str:
    import inspect

    from seqjax.cards.documentation import readable
    from seqjax.cells.transforms import registry

    signature = ", ".join(
        [
            "cell",
            *(option if default is None else f"{option}={default}" for option, default in record["options"].items()),
        ]
    )
    documentation = (inspect.getdoc(registry()[name]) or "").partition("Example:")[0]
    parts = [
        f"{name}({signature})\n{'=' * (len(name) + len(signature) + 2)}",
        readable(documentation),
        f"Needs of a cell\n  {record['needs']}",
    ]
    for heading, lines in (
        ("Conventions", record["conventions"]),
        ("Elsewhere", [f"{library}: {text}" for library, text in record["elsewhere"].items()]),
        ("Paper", record["paper"].split("; ")),
    ):
        if any(lines):
            parts.append("\n".join([heading, *(f"  {line}" for line in lines)]))
    return "\n\n".join(parts)


def _short(text: str, width: int = 90) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
