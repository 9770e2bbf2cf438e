"""What is known of a source before it is read."""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from seqjax.data.records import Dataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A data set that can be loaded by its name.

    Attributes:
        what: what a record is, in a sentence.
        licence: under which it may be used; empty for what is made here.
        split: how its parts came about.
        load: module and name of the function that loads it, with a colon between.
        preset: arguments of the function that belong to the name.
        download: name by which ``seqjax download`` fetches its files; None where nothing is needed.
        file: module and name of the function that makes an input of a file's content, with a colon between; None where
            inputs are not made of files. See :func:`~seqjax.data.sources.read_input`.
    """

    what: str
    licence: str
    split: str
    load: str
    preset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    download: str | None = None
    file: str | None = None

    def function(self) -> Callable[..., Dataset]:
        """What loads it."""
        return function_at(self.load)

    def options(self) -> dict[str, Any]:
        """What may be chosen, and its default."""
        return {
            name: parameter.default
            for name, parameter in inspect.signature(self.function()).parameters.items()
            if name not in (*self.preset, "root")
        }


def function_at(place: str) -> Callable[..., Any]:
    """The function of a module in this folder, with a colon between."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"seqjax.data.sources.{module}"), name)
