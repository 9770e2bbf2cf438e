"""``seqjax check-cell``."""

import inspect
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqjax.cli.parser import Arguments, Parser, size
from seqjax.config import cell_class, cell_names, cells_of, is_path, parse_overrides
from seqjax.errors import ConfigError, SeqjaxError, nearest, shown

if TYPE_CHECKING:
    from seqjax.cells import Cell
    from seqjax.laws import Verdict

_SHOWN = {"exception": "declared", "open": "not tried"}


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    check: Parser = commands.add_parser(
        "check-cell",
        help="check a cell of your own against every law",
        description="Check the cells of a file: are shapes right, is the step pure, do all ways of running it agree,\n"
        "are gradients those of small differences, does padding touch nothing? What is broken is told in words.\n"
        "The file is run. Cells are subclasses of seqjax.Cell; plain step functions are not checked.",
        example="seqjax check-cell my_cell.py\nseqjax check-cell my_cells.py:MyCell units=2 --full\n"
        "seqjax check-cell LSTM",
    )
    check.add_argument("name", metavar="PATH[:NAME]", help="a file and, where it has several, a cell of it")
    check.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="options of the cell")
    for option, default, text in (("--input-size", 3, "input features"), ("--hidden-size", 4, "hidden units")):
        check.add_argument(option, metavar="N", type=size, default=default, help=f"{text} (default: {default})")
    check.add_argument("--full", action="store_true", help="every law in every case, which takes a minute")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(run=_check_cell)


def _check_cell(arguments: Arguments) -> None:
    options = parse_overrides(arguments.settings)
    if not is_path(arguments.name) and arguments.name not in cell_names():
        hint = f"{nearest(arguments.name, cell_names())} a file of your own is written path.py:Name"
        raise ConfigError(f"there is no cell {shown(arguments.name)}; {hint}")
    # Several devices for the laws about them, and nothing that an accelerator would make faster.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    _two_devices()
    classes = cells_of(arguments.name) if is_path(arguments.name) else [cell_class(arguments.name)]
    # All are built before one is tried: what is typed wrong should come to light at once.
    cells = [_built(kind, arguments, options) for kind in classes]
    records, broken, wrong = [], [], []
    for cell in cells:
        verdicts = _judged(cell, arguments)
        records.append(_record(cell, verdicts))
        broken_here = [verdict for verdict in verdicts if verdict.status == "broken"]
        broken += broken_here
        wrong += [type(cell).__name__] if broken_here else []
    if arguments.json:
        print(json.dumps(records, indent=2, ensure_ascii=False))
    if broken:
        laws = "1 law" if len(broken) == 1 else f"{len(broken)} laws"
        names = " and ".join(wrong)
        verb = "breaks" if len(wrong) == 1 else "break"
        raise SeqjaxError(f"{names} {verb} {laws}" + ("" if arguments.json else "; see above"))


def _two_devices() -> None:
    import jax

    if jax.config.values.get("jax_num_cpu_devices", -1) == -1:
        try:
            jax.config.update("jax_num_cpu_devices", 2)
        except RuntimeError:
            # JAX is running already, with the devices that it has.
            return


def _built(kind: type["Cell"], arguments: Arguments, options: dict[str, Any]) -> "Cell":
    sizes = {"input_size": arguments.input_size, "hidden_size": arguments.hidden_size}
    try:
        return kind(**(sizes | options))
    except Exception as error:
        name, hint = kind.__name__, ""
        if inspect.isabstract(kind):
            missing = ", ".join(sorted(kind.__abstractmethods__))
            raise ConfigError(f"{name} is not finished: it has no {missing}") from error
        if "unexpected keyword argument" in str(error):
            wrong = next((key for key in options if f"'{key}'" in str(error)), None)
            if wrong is not None:
                known = [key for key in inspect.signature(kind).parameters if key not in sizes]
                raise ConfigError(f"{name} has no option {wrong}; {nearest(wrong, known)}") from error
            hint = "\n  a cell is built from input_size and hidden_size; leave __init__ to the dataclass"
        elif "frozen" in type(error).__name__.lower() or "cannot assign to field" in str(error):
            hint = (
                "\n  a cell is a frozen dataclass: write @dataclasses.dataclass(frozen=True, kw_only=True) above the "
                "class, declare its fields there, and leave __init__ to it"
            )
        text = str(error) if str(error).startswith(name) else f"{name} cannot be built: {error}"
        raise ConfigError(text + hint) from error


def _judged(cell: "Cell", arguments: Arguments) -> list["Verdict"]:
    from seqjax.laws import LAWS, judge

    verdicts, loud = [], not arguments.json
    if loud:
        print(f"{cell!r}, {'every case' if arguments.full else 'in brief'}")
    width = max(map(len, LAWS))
    progress = _Progress(len(LAWS))
    for verdict in judge(cell, full=arguments.full):
        verdicts.append(verdict)
        progress.clear()
        if loud:
            reason = f"  {verdict.reason}" if verdict.status == "exception" else ""
            status = _SHOWN.get(verdict.status, verdict.status)
            print(f"  {status:<9}  {verdict.law.name:<{width if reason else 0}}{reason}", flush=True)
        progress.show(len(verdicts))
    progress.clear()
    if loud:
        for verdict in verdicts:
            if verdict.status == "broken":
                print(f"\n{verdict.reason}")
        print(f"\n{_summary(cell, verdicts)}")
    return verdicts


def _summary(cell: "Cell", verdicts: list["Verdict"]) -> str:
    counts = {status: sum(v.status == status for v in verdicts) for status in ("ok", "broken", "exception", "open")}
    parts = [f"{counts['ok']} of {len(verdicts)} laws hold"]
    parts += [f"{counts['exception']} declared as exceptions"] if counts["exception"] else []
    parts += [f"{counts['broken']} broken"] if counts["broken"] else []
    parts += [f"{counts['open']} not tried, as they rest on what is broken"] if counts["open"] else []
    text = f"{type(cell).__name__}: {', '.join(parts)}"
    if not counts["broken"]:
        text += (
            "\nThe laws prove that it runs right, not that its equations are the paper's; a second implementation does."
        )
    return text


def _record(cell: "Cell", verdicts: list["Verdict"]) -> dict[str, Any]:
    return {
        "cell": repr(cell),
        "file": inspect.getsourcefile(type(cell)) and Path(inspect.getsourcefile(type(cell)) or "").name,
        "laws": [
            {"law": v.law.name, "says": v.law.says, "status": _SHOWN.get(v.status, v.status), "reason": v.reason}
            for v in verdicts
        ],
    }


class _Progress:
    """On a terminal, how many laws have been tried."""

    def __init__(self, total: int) -> None:
        self._total, self._shown = total, sys.stderr.isatty()
        self.show(0)

    def show(self, done: int) -> None:
        if self._shown and done < self._total:
            filled = 30 * done // self._total
            bar = "#" * filled + "." * (30 - filled)
            print(f"\r  [{bar}] law {done + 1} of {self._total}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._shown:
            print(f"\r{' ' * 60}\r", end="", file=sys.stderr, flush=True)
