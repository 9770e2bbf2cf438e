"""The conformance ledger: what each cell of the library was compared with."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path

LEDGER = Path(__file__).parent.parent / "cells" / "evidence.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a cell was compared with, beside the laws that all cells obey.

    Attributes:
        reference: the file of the independent reference in NumPy, written from the paper in float64, that values and
            gradients are compared with; empty where there is none.
        options: options that change the equations and that the reference covers besides the defaults.
        libraries: what of the cell agrees with which other library.
    """

    reference: str = ""
    options: tuple[str, ...] = ()
    libraries: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def evidence_of(name: str) -> Evidence:
    """The evidence for a cell of the library; none for any other."""
    return _ledger().get(name, Evidence())


@functools.cache
def _ledger() -> dict[str, Evidence]:
    return {
        name: Evidence(
            reference=entry["reference"],
            options=tuple(entry["options"]),
            libraries={library: tuple(what) for library, what in entry["libraries"].items()},
        )
        for name, entry in json.loads(LEDGER.read_text("utf-8")).items()
    }
