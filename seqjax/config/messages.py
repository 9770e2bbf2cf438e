"""Turns validation errors into one line each: where, what is wrong, what to do, what was got."""

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from seqjax.errors import closest, nearest, shown

_PLAIN = {
    "missing": "missing; it has to be given",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "dataclass_type": "must be a mapping of keys to values",
    "finite_number": "must be a finite number",
    "string_pattern_mismatch": "must be letters, digits, '_', '.' and '-', as it becomes a directory's name",
}


def validation_messages(error: ValidationError, schema: Any) -> list[str]:
    """One line for each key of ``schema`` that pydantic refused."""
    grouped: dict[tuple[str, ...], list[Any]] = {}
    for details in error.errors():
        grouped.setdefault(_path(details["loc"], schema), []).append(details)
    messages = []
    for path, group in grouped.items():
        where = ".".join(path) or "the configuration"
        if group[0]["type"] == "unexpected_keyword_argument":
            messages.append(f"{where} - unknown key; {_meant(path, schema)} (got {shown(group[0]['input'])})")
            continue
        # Several errors at one key are the branches of a union.
        text = " or ".join(dict.fromkeys(_plain(details) for details in group)).replace(" or must be ", " or ")
        if _allows_none(_hint(path, schema)) and text.startswith("must be "):
            text += " or null"
        got = "" if group[0]["type"] in ("missing", "value_error") else f" (got {shown(group[0]['input'])})"
        messages.append(f"{where} - {text}{_meant_value(group)}{got}")
    return messages


def key_descriptions(schema: Any) -> dict[str, str]:
    """What the docstrings of a schema and its bases say about each key, from their ``Attributes:`` sections."""
    names = "|".join(field.name for field in dataclasses.fields(schema))
    described: dict[str, str] = {}
    for kind in reversed(schema.__mro__):
        section = (kind.__doc__ or "").partition("Attributes:\n")[2].replace("``", "`")
        parts = re.split(rf"^\s*({names}): ", section, flags=re.MULTILINE)[1:]
        described |= {name: " ".join(text.split()) for name, text in zip(parts[::2], parts[1::2])}
    return described


def nested_schema(hint: Any) -> Any:
    """The dataclass that a field holds, if it holds one."""
    candidates = typing.get_args(hint) if isinstance(hint, types.UnionType) or typing.get_origin(hint) else (hint,)
    return next((c for c in candidates if isinstance(c, type) and dataclasses.is_dataclass(c)), None)


def _plain(details: Any) -> str:
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind == "string_type" and isinstance(details["input"], int | float):
        return "must be text; quotes make text of what looks like a number"
    return _PLAIN.get(kind) or details["msg"].replace("Input should be", "must be")


def _meant_value(group: Sequence[Any]) -> str:
    options = [
        option for details in group for option in re.findall("'([^']*)'", details.get("ctx", {}).get("expected", ""))
    ]
    close = closest(str(group[0]["input"]), options)
    return f"; did you mean '{close}'?" if close else ""


def _path(location: Sequence[int | str], schema: Any) -> tuple[str, ...]:
    """The location without what pydantic appends to it for the branches of a union."""
    path: list[str] = []
    inside: Any = schema
    for part in location:
        if inside is None:
            break
        path.append(str(part))
        inside = nested_schema(typing.get_type_hints(inside).get(str(part)))
    return tuple(path)


def _hint(path: Sequence[str], schema: Any) -> Any:
    hint: Any = schema
    for part in path:
        inside = nested_schema(hint)
        hint = typing.get_type_hints(inside).get(part) if inside else None
    return hint


def _allows_none(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _meant(path: tuple[str, ...], schema: Any) -> str:
    inside = nested_schema(_hint(path[:-1], schema))
    here = [field.name for field in dataclasses.fields(inside)]
    if closest(path[-1], here) is None:
        elsewhere = {key[-1]: ".".join(key) for key in _all_keys(schema)}
        close = closest(path[-1], list(elsewhere))
        if close is not None:
            return f"did you mean '{elsewhere[close]}'?"
    return nearest(path[-1], here)


def _all_keys(schema: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        inside = nested_schema(hints[field.name])
        yield (*prefix, field.name)
        if inside is not None:
            yield from _all_keys(inside, (*prefix, field.name))
