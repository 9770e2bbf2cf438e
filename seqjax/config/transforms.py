"""Names and options of the transforms of cells, read from their source as those of the cells are."""

import ast
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seqjax.config.cells import exports, parsed
from seqjax.errors import ConfigError, nearest, shown

if TYPE_CHECKING:
    from seqjax.cells import Cell

_PACKAGE = "seqjax.cells.transforms"


def transform_names() -> list[str]:
    """The keys of ``seqjax.cells.transforms.registry()``, without importing it."""
    return sorted(name for name in exports(_PACKAGE) if _signature(name) is not None)


def transform_options(name: str) -> dict[str, str | None]:
    """The options of a transform with their defaults as code, ``None`` for what has to be given."""
    signature = _signature(name)
    assert signature is not None
    options = [argument.arg for argument in signature.args[1:]]
    defaults = [ast.unparse(default) for default in signature.defaults]
    return dict(zip(options, [None] * (len(options) - len(defaults)) + defaults, strict=True))


def check_transforms(transforms: Any, at: str = "model.cell_transforms") -> list[str]:
    """What is wrong with the names and options of transforms, one message each; empty where nothing is.

    Args:
        transforms: a list of mappings, each with a ``name`` and options.
        at: what the messages call the place of the list.
    """
    if not isinstance(transforms, list):
        return []
    return [message for index, each in enumerate(transforms) for message in _check(each, f"{at}[{index}]")]


def _check(transform: Any, at: str) -> list[str]:
    if not isinstance(transform, Mapping):
        return []
    names = transform_names()
    if "name" not in transform:
        return [f"{at}.name - missing; known are {', '.join(names)}"]
    name, options = transform["name"], [key for key in transform if key != "name"]
    if name not in names:
        return [f"{at}.name - no transform of this name; {nearest(str(name), names)} (got {shown(name)})"]
    known = transform_options(name)
    messages = [
        f"{at}.{key} - {name} has no such option; {nearest(str(key), list(known))} (got {shown(transform[key])})"
        for key in options
        if key not in known and not _takes_any(name)
    ]
    missing = [option for option, default in known.items() if default is None and option not in options]
    return messages + [f"{at}.{option} - missing; {name} needs it" for option in missing]


def apply_transforms(cell: "Cell", transforms: list[dict[str, Any]], at: str = "model.cell_transforms") -> "Cell":
    """The cell with transforms around it, the first innermost. Imports JAX.

    Args:
        cell: the cell.
        transforms: mappings that :func:`check_transforms` finds nothing wrong with.
        at: what the errors call the place of the list.

    Raises:
        ConfigError: for values that a transform refuses, and for a cell that it cannot take.
    """
    from seqjax.cells.transforms import registry

    for index, transform in enumerate(transforms):
        options = {key: _frozen(value) for key, value in transform.items() if key != "name"}
        try:
            cell = registry()[transform["name"]](cell, **options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{at}[{index}] - {error}") from error
    return cell


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


@functools.cache
def _signature(name: str) -> ast.arguments | None:
    """A transform takes a cell and returns an object of a class; other functions there do not."""
    for statement in parsed(exports(_PACKAGE)[name]).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            arguments = statement.args
            takes_a_cell = bool(arguments.args) and arguments.args[0].arg == "cell"
            return arguments if takes_a_cell and isinstance(statement.returns, ast.Name) else None
    return None


def _takes_any(name: str) -> bool:
    signature = _signature(name)
    return signature is not None and signature.kwarg is not None
