"""The cells a second time, in NumPy float64, one gate and one example at a time, written from the papers.

Parameters come as in seqjax (gates side by side in the documented order) and are taken apart by name here. Nothing is
shared with ``seqjax.cells`` but that layout. Every module of this folder has ``REFERENCES``, a step for each of its
cells, and where options change the equations ``OPTIONS``, the variants that the tests run besides the defaults.

``STOPPED`` names the cells through which no gradient flows, and where it stops: at the ``"carry"`` that a step reads
(a copied context) or at the ``"params"`` (a fixed reservoir). Differences of such a cell are taken with these held as
they were in an undisturbed run.
"""

import importlib
import pkgutil
from typing import Any, Literal, NamedTuple

import numpy as np

from seqjax.cells import Cell
from tests.cells.references.tools import Array, Step

REFERENCES: dict[str, Step] = {}
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {}
STOPPED: dict[str, Literal["carry", "params"]] = {}
for _module in pkgutil.iter_modules(__path__):
    _found = importlib.import_module(f"{__name__}.{_module.name}")
    for _ours, _theirs in ((REFERENCES, "REFERENCES"), (OPTIONS, "OPTIONS"), (STOPPED, "STOPPED")):
        _new = getattr(_found, _theirs, {})
        assert not _ours.keys() & _new.keys(), f"{_module.name} repeats {_ours.keys() & _new.keys()}"
        _ours.update(_new)


class Held(NamedTuple):
    """What an undisturbed run read."""

    params: Any
    carries: list[tuple[Array, ...]]


def run(cell: Cell, params: Any, carry: Any, inputs: Any, held: Held | None = None) -> tuple[list[Array], Array]:
    """``(last carry, outputs)`` of one example; inputs ``[time, ...]`` or a named tuple of such arrays.

    With ``held``, what the cell stops gradients at comes from there.
    """
    carries, outputs = _carries_and_outputs(cell, params, carry, inputs, held)
    return list(carries[-1]), outputs


def undisturbed(cell: Cell, params: Any, carry: Any, inputs: Any) -> Held:
    """What to hold while differences are taken."""
    return Held(params, _carries_and_outputs(cell, params, carry, inputs, None)[0])


def _carries_and_outputs(
    cell: Cell, params: Any, carry: Any, inputs: Any, held: Held | None
) -> tuple[list[tuple[Array, ...]], Array]:
    name = type(cell).__name__
    stopped = STOPPED.get(name) if held else None
    if held and stopped == "params":
        params = held.params
    carries, outputs = [tuple(carry)], []
    steps = inputs if isinstance(inputs, np.ndarray) else [type(inputs)(*each) for each in zip(*inputs, strict=True)]
    for t, x in enumerate(steps):
        read = held.carries[t] if held and stopped == "carry" else carries[-1]
        state, output = REFERENCES[name](cell, params, read, x)
        carries.append(state)
        outputs.append(output)
    return carries, np.stack(outputs)
