"""Data sets by name."""

import os
import typing
from typing import Any, Literal

from seqjax.data.records import Dataset
from seqjax.data.sources.listing import SOURCES
from seqjax.errors import DataError, nearest


def load_dataset(name: str, root: str | os.PathLike[str] | None = None, **options: Any) -> Dataset:
    """The data set of a name.

    Args:
        name: a key of :data:`SOURCES`.
        root: the data root; see :func:`~seqjax.data.data_root`.
        options: of the source; see :meth:`Source.options`.

    Raises:
        DataError: an unknown name or option, an option of another type than expected, or files that are missing or
            damaged.

    Example:
        >>> dataset = load_dataset("reversal", train=3, longest=4)
        >>> dataset.train.inputs, dataset.train.targets
        (['cea', 'cjba', 'hej'], ['aec', 'abjc', 'jeh'])
    """
    if name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; {nearest(name, list(SOURCES))}")
    source = SOURCES[name]
    function = source.function()
    known = source.options()
    for option, value in options.items():
        if option not in known:
            raise DataError(f"{name} has no option {option!r}; {nearest(option, list(known))}")
        _check(f"{name}: option {option}", value, typing.get_type_hints(function).get(option, Any))
    if source.download is not None:
        options["root"] = root
    return function(**source.preset, **options)


def _check(what: str, value: Any, expected: Any) -> None:
    if typing.get_origin(expected) is Literal:
        allowed = typing.get_args(expected)
        if value not in allowed:
            raise DataError(f"{what} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    elif expected in (bool, int, float, str):
        fits = isinstance(value, (int, float) if expected is float else expected)
        if not fits or (isinstance(value, bool) and expected is not bool):
            raise DataError(f"{what} must be of type {expected.__name__}, got {value!r}")
