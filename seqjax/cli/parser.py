"""An argument parser whose errors are like all others: one line, with an example of what would be right."""

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from seqjax.errors import ConfigError, MissingExtra


class Arguments(argparse.Namespace):
    """What was typed, and the function that acts on it."""

    run: Callable[["Arguments"], None]


class Parser(argparse.ArgumentParser):
    """Raises :class:`ConfigError` where argparse would print its usage and leave."""

    def __init__(self, *, example: str = "", **options: Any) -> None:
        if example:
            options["epilog"] = "examples:\n" + "\n".join(f"  {line}" for line in example.splitlines())
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)
        self._example = example.splitlines()[0] if example else ""

    def error(self, message: str) -> NoReturn:
        """Raise the message, with the first example."""
        message = message.removeprefix("argument ").replace("the following arguments are required: ", "needs ")
        raise ConfigError(f"{self.prog}: {message}" + (f"\n  for example: {self._example}" if self._example else ""))


def whole_number(text: str) -> int:
    """An argument that is 0 or more."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be a whole number that is not negative (got '{text}')")
    return value


def size(text: str) -> int:
    """An argument that is 1 or more."""
    if (value := whole_number(text)) == 0:
        raise argparse.ArgumentTypeError("must be at least 1 (got '0')")
    return value


def nonnegative(text: str) -> float:
    """An argument that is a number, 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number that is not negative (got '{text}')")
    return value


def positive(text: str) -> float:
    """An argument that is a number above 0."""
    if (value := nonnegative(text)) == 0:
        raise argparse.ArgumentTypeError(f"must be above 0 (got '{text}')")
    return value


def columns(rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> str:
    """Rows in aligned columns; those whose numbers are in ``right`` are aligned to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def require_plots() -> None:
    """What draws pictures is there, without importing it yet: said before the work, not after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("--plot needs matplotlib, which is not installed; pip install 'seqjax[plots]'")
