"""Cells of a person's own file, named ``path.py:Name`` wherever a cell's name is asked for."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from seqjax.errors import ConfigError, nearest

if TYPE_CHECKING:
    from seqjax.cells import Cell

_WHAT_A_CELL_IS = "a cell is a subclass of seqjax.Cell; `seqjax new-cell NAME` writes one to start from"
# What dataclasses say where the decorator is not the one that cells have.
_HINTS = {
    "non-frozen dataclass from a frozen one": "write @dataclasses.dataclass(frozen=True, kw_only=True) above the class",
    "non-default argument": "write @dataclasses.dataclass(frozen=True, kw_only=True) above the class",
    "mutable default": "fields of a cell are plain values: a tuple for a list; arrays belong in init or in the step",
}


def is_path(name: str) -> bool:
    """Whether a name stands for a file's cell, ``path.py`` or ``path.py:Name``."""
    return name.partition(":")[0].endswith(".py")


def split_path(name: str) -> tuple[Path, str]:
    """The file, which is there, and the class's name, which may be empty.

    Raises:
        ConfigError: no such file.
    """
    text, _, of_class = name.partition(":")
    path = Path(text)
    if not path.is_file():
        near = [str(other) for other in sorted(path.parent.glob("*.py"))] if path.parent.is_dir() else []
        hint = nearest(text, near) if near else "a path is relative to the current directory"
        raise ConfigError(f"there is no file {path}; {hint}")
    return path.resolve(), of_class


def cells_of(name: str) -> list[type["Cell"]]:
    """The cell classes that a file defines, or the one of that name. Runs the file.

    Raises:
        ConfigError: a file that cannot be imported or that defines no such cell.
    """
    from seqjax.cells import Cell

    path, of_class = split_path(name)
    module = _imported(path)
    classes = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not key.startswith("_")
    }
    cells = {key: value for key, value in classes.items() if issubclass(value, Cell)}
    if of_class and of_class not in cells:
        if of_class in classes:
            raise ConfigError(f"{of_class} of {path.name} is no cell; {_WHAT_A_CELL_IS}")
        raise ConfigError(f"{path.name} defines no cell {of_class}; {nearest(of_class, list(cells))}")
    if not cells:
        raise ConfigError(f"{path.name} defines no cell; {_WHAT_A_CELL_IS} (plain step functions are not checked)")
    return [cells[of_class]] if of_class else list(cells.values())


def only_cell(name: str) -> type["Cell"]:
    """The cell that a name stands for where only one can be meant.

    Raises:
        ConfigError: as :func:`cells_of`, and for a file of several cells without a name.
    """
    cells = cells_of(name)
    if len(cells) > 1:
        path, names = name.partition(":")[0], [cell.__name__ for cell in cells]
        raise ConfigError(f"{path} defines {', '.join(names)}; write which, as in {path}:{names[0]}")
    return cells[0]


def _imported(path: Path) -> ModuleType:
    # The name under which cells are pickled, and found again in this process.
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if known is not None or name in sys.stdlib_module_names:
        name = f"own_cells_{abs(hash(str(path)))}_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        hint = next((f"\n  {hint}" for words, hint in _HINTS.items() if words in str(error)), "")
        text = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(f"{path.name}{_line(error, path)}: {type(error).__name__}: {text}{hint}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _line(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f", line {lines[-1]}" if lines else ""
