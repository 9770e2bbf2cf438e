"""How often :func:`seqjax.scan` of a step was compiled in this process, and for which shapes."""

import collections
import dataclasses
from typing import Any

import jax

MOST_STEPS, MOST_SHAPES = 256, 64


@dataclasses.dataclass
class Compilations:
    """How often a step was compiled.

    Attributes:
        count: since the process began.
        shapes: the inputs' shapes of the latest, each with how often they were compiled.
    """

    count: int = 0
    shapes: collections.OrderedDict[str, int] = dataclasses.field(default_factory=collections.OrderedDict)


_compilations: collections.OrderedDict[Any, Compilations] = collections.OrderedDict()


def count_compilation(step: Any, inputs: Any) -> None:
    """Count one; of steps and shapes only the latest are kept, and steps without a hash are not counted."""
    try:
        entry = _compilations.setdefault(step, Compilations())
    except TypeError:
        return
    shapes = ", ".join(str(list(leaf.shape)) for leaf in jax.tree.leaves(inputs))
    entry.count += 1
    entry.shapes[shapes] = entry.shapes.get(shapes, 0) + 1
    _keep_latest(_compilations, step, MOST_STEPS)
    _keep_latest(entry.shapes, shapes, MOST_SHAPES)


def compilations(step: Any) -> Compilations:
    """What was counted for a step; equal cells share it."""
    try:
        return _compilations.get(step, Compilations())
    except TypeError:
        return Compilations()


def _keep_latest(entries: collections.OrderedDict, latest: Any, most: int) -> None:
    entries.move_to_end(latest)
    while len(entries) > most:
        entries.popitem(last=False)
