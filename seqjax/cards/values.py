"""Options of a cell as one would write them."""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import jax

from seqjax.cells import Cell, transforms

_SIZES = ("input_size", "hidden_size")
_NO_DEFAULT = (dataclasses.MISSING, inspect.Parameter.empty)
_PUBLIC = {"jax.numpy": jax.numpy, "jax.nn": jax.nn, "jax.lax": jax.lax, "jax.nn.initializers": jax.nn.initializers}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """One option of a cell.

    Attributes:
        name: of the field.
        value: what the cell has.
        default: what it has if nothing is said; ``dataclasses.MISSING`` if something must be.
        choices: the values that are possible, where they are few; ``float`` stands for any number beside them.
    """

    name: str
    value: Any
    default: Any
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        text = as_code(self.value)
        others = [
            "a number" if choice is float else as_code(choice)
            for choice in self.choices
            if choice != self.value and not (choice is float and isinstance(self.value, float))
        ]
        if others:
            text += f", or {', '.join(others)}"
        if self.default not in _NO_DEFAULT and self.default != self.value:
            text += f" (default: {as_code(self.default)})"
        return text


def options_of(cell: Cell) -> tuple[Option, ...]:
    """The options of a cell, without its sizes and the cell that it may be wrapped around."""
    choices = _choices(type(cell))
    if isinstance(cell, transforms.Transform):
        # The function that makes it knows the defaults.
        parameters = inspect.signature(transforms.registry()[cell.function]).parameters
        return tuple(
            Option(
                name=name,
                value=value,
                default=dataclasses.MISSING if name not in parameters else parameters[name].default,
                choices=choices.get(name, ()),
            )
            for name, value in cell.options().items()
        )
    return tuple(
        Option(
            name=field.name,
            value=getattr(cell, field.name),
            default=field.default if field.default_factory is dataclasses.MISSING else field.default_factory(),
            choices=choices.get(field.name, ()),
        )
        for field in dataclasses.fields(cell)
        if field.init and field.name not in _SIZES and not isinstance(getattr(cell, field.name), Cell)
    )


def as_code(value: Any) -> str:
    """A value as a person would write it; a function by the name that others know it by."""
    if isinstance(value, functools.partial):
        arguments = [*map(as_code, value.args), *(f"{name}={as_code(given)}" for name, given in value.keywords.items())]
        return f"{as_code(value.func)}({', '.join(arguments)})"
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, float):
        return min(repr(value), f"{value:.6g}", key=len) if value % 1 else repr(value)
    if not isinstance(value, Callable) or dataclasses.is_dataclass(value):
        return repr(value).replace("'", '"')
    name = getattr(value, "__qualname__", type(value).__name__)
    # An initialiser such as jax.nn.initializers.orthogonal() is a function inside the one that made it.
    outer, inside, _ = name.partition(".<locals>")
    for module, contents in _PUBLIC.items():
        found = getattr(contents, outer, None)
        if found is value or (inside and callable(found) and value.__module__.startswith("jax.")):
            return f"{module}.{outer}{'(...)' if inside else ''}"
    if "<lambda>" in name:
        return "a function without a name"
    return f"{outer}(...)" if inside else name


def short_code(cell: Cell) -> str:
    """A cell as one would write it: without the options that are as they would be anyway."""
    given = [f"{option.name}={as_code(option.value)}" for option in options_of(cell) if option.value != option.default]
    if isinstance(cell, transforms.Transform):
        return f"{cell.function}({', '.join([short_code(cell.cell), *given])})"
    sizes = [f"{name}={getattr(cell, name)}" for name in _SIZES]
    return f"{type(cell).__name__}({', '.join([*sizes, *given])})"


def plain(value: Any) -> Any:
    """A value for JSON: itself where JSON has it, else as code."""
    return value if isinstance(value, bool | int | float | str | None) else as_code(value)


def _choices(cell_type: type[Cell]) -> Mapping[str, tuple[Any, ...]]:
    try:
        hints = typing.get_type_hints(cell_type)
    except (NameError, TypeError):
        # A user's annotations may name what exists for type checkers only.
        return {}
    return {name: tuple(_literals(hint)) for name, hint in hints.items()}


def _literals(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) is Literal:
        yield from typing.get_args(hint)
    elif typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = typing.get_args(hint)
        literals = [value for part in parts for value in _literals(part)]
        yield from literals
        if literals and float in parts:
            yield float
