"""Names and fields of the cells, read from their source: a misspelt name should not wait for JAX to be imported."""

import ast
import dataclasses
import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqjax.config.own_cells import is_path, only_cell
from seqjax.errors import ConfigError, nearest, shown

if TYPE_CHECKING:
    from seqjax.cells import Cell

_PACKAGE = "seqjax.cells"
# What the model itself sets.
_SET_BY_MODEL = ("input_size", "hidden_size")


def cell_names() -> list[str]:
    """The names of the exported cells; equal to the keys of ``seqjax.cells.registry()``, without importing it."""
    return sorted(name for name in exports(_PACKAGE) if name != "Cell" and _is_cell(_PACKAGE, name))


def cell_fields(name: str) -> list[str]:
    """The arguments of a cell's constructor, those of its base classes first."""
    return list(_fields(_PACKAGE, name))


def check_cell(
    name: str, options: Mapping[str, Any], at: str = "model.cell", options_at: str = "model.cell_options."
) -> list[str]:
    """What is wrong with a cell's name and its options' names, one message each; empty where nothing is.

    Args:
        name: the cell.
        options: further arguments of its constructor.
        at: what the messages call the place of the name.
        options_at: what stands before an option's name in the messages.

    What is wrong with a cell of a file, ``path.py:Name``, comes to light when it is built.
    """
    if is_path(name):
        return []
    names = cell_names()
    if name not in names:
        return [f"{at} - no cell of this name; {nearest(name, names)} (got {shown(name)})"]
    known = [field for field in cell_fields(name) if field not in _SET_BY_MODEL]
    messages = []
    for key, value in options.items():
        if key in _SET_BY_MODEL:
            mend = "it is set by model.hidden_size" if key == "hidden_size" else "it follows from the layer below"
            messages.append(f"{options_at}{key} - not an option; {mend} (got {shown(value)})")
        elif key not in known:
            messages.append(
                f"{options_at}{key} - {name} has no such option; {nearest(key, known)} (got {shown(value)})"
            )
    return messages


def build_cell(name: str, arguments: Mapping[str, Any]) -> "Cell":
    """A cell that is known to draw parameters and to take a step. Imports JAX.

    Args:
        name: one of :func:`cell_names`, or ``path.py:Name``.
        arguments: of its constructor.

    Raises:
        ConfigError: for a file without such a cell, and values that the cell refuses, at once or in its first step.
    """
    import jax

    kind = cell_class(name)
    name = kind.__name__
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    for key in arguments:
        if key not in known:
            options = [field for field in known if field not in _SET_BY_MODEL]
            raise ConfigError(f"{name} has no option {key}; {nearest(key, options)}")
    try:
        cell = kind(**arguments)
        key = jax.random.key(0)
        jax.eval_shape(lambda: cell(cell.init(key), cell.initial_carry(), cell.example_inputs(key, ())))
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error) if str(error).startswith(name) else f"{name} - {error}") from error
    return cell


def cell_class(name: str) -> type["Cell"]:
    """The class of a name, one of :func:`cell_names` or ``path.py:Name``. Imports JAX."""
    from seqjax.cells import registry

    return only_cell(name) if is_path(name) else registry()[name]


@functools.cache
def parsed(name: str) -> ast.Module:
    """The source of a module of seqjax, without importing it."""
    # The specification of a submodule would import its package, and with it JAX; that of the root does not.
    root, *rest = name.split(".")
    spec = importlib.util.find_spec(root)
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0], *rest)
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def exports(module: str) -> dict[str, str]:
    """The names that a module imports from cell modules, and the module that each comes from."""
    return {
        alias.asname or alias.name: statement.module
        for statement in parsed(module).body
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(_PACKAGE)
        for alias in statement.names
        if statement.module is not None
    }


def _find_class(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    for statement in parsed(module).body:
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return module, statement
    origin = exports(module).get(name)
    return _find_class(origin, name) if origin else None


def _bases(found: tuple[str, ast.ClassDef]) -> list[tuple[str, str]]:
    module, definition = found
    nodes = [base.value if isinstance(base, ast.Subscript) else base for base in definition.bases]
    return [(module, node.id) for node in nodes if isinstance(node, ast.Name)]


def _is_cell(module: str, name: str) -> bool:
    if name == "Cell":
        return True
    found = _find_class(module, name)
    return found is not None and any(_is_cell(*base) for base in _bases(found))


def _fields(module: str, name: str) -> dict[str, None]:
    found = _find_class(module, name)
    if found is None:
        return {}
    fields: dict[str, None] = {}
    for base in reversed(_bases(found)):
        fields |= _fields(*base)
    for statement in found[1].body:
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and "ClassVar" not in ast.unparse(statement.annotation)
        ):
            fields[statement.target.id] = None
    return fields
