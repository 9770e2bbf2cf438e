"""The cells a second time, in NumPy float64, one gate and one example at a time, written from the papers.

Parameters come as in seqjax (gates side by side in the documented order) and are taken apart by name here. Nothing is
shared with ``seqjax.cells`` but that layout. Every module of this folder has ``REFERENCES``, a step for each of its
cells, and where options change the equations ``OPTIONS``, the variants that the tests run besides the defaults.
"""

import importlib
import pkgutil
from typing import Any

import numpy as np

from seqjax.cells import Cell
from tests.cells.references.tools import Array, Step

REFERENCES: dict[str, Step] = {}
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {}
for _module in pkgutil.iter_modules(__path__):
    _found = importlib.import_module(f"{__name__}.{_module.name}")
    for _ours, _theirs in ((REFERENCES, "REFERENCES"), (OPTIONS, "OPTIONS")):
        _new = getattr(_found, _theirs, {})
        assert not _ours.keys() & _new.keys(), f"{_module.name} repeats {_ours.keys() & _new.keys()}"
        _ours.update(_new)


def run(cell: Cell, params: Any, carry: Any, inputs: Any) -> tuple[list[Array], Array]:
    """``(last carry, outputs)`` of one example; inputs ``[time, ...]`` or a named tuple of such arrays."""
    step, state, outputs = REFERENCES[type(cell).__name__], tuple(carry), []
    steps = inputs if isinstance(inputs, np.ndarray) else [type(inputs)(*each) for each in zip(*inputs, strict=True)]
    for x in steps:
        state, output = step(cell, params, state, x)
        outputs.append(output)
    return list(state), np.stack(outputs)
