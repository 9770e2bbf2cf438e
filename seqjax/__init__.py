"""seqjax: functional sequence modelling in JAX.

Three nouns carry the library:

* a **cell** is the equations of one time step, ``carry, output = cell(params, carry, inputs)``;
* a **carry** is what the step hands to the next one, a named tuple of arrays;
* :func:`seqjax.scan` runs a cell, or any such function, over time, and finds the speed.

The package imports nothing until a name is used, so that command-line help and configuration errors do not wait for
JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

from seqjax._version import __version__ as __version__

if TYPE_CHECKING:
    from seqjax import analysis as analysis
    from seqjax import cells as cells
    from seqjax import data as data
    from seqjax import decoding as decoding
    from seqjax import laws as laws
    from seqjax import losses as losses
    from seqjax import metrics as metrics
    from seqjax import nn as nn
    from seqjax import optim as optim
    from seqjax import parallel as parallel
    from seqjax import train as train
    from seqjax.cards import card as card
    from seqjax.cells import Cell as Cell
    from seqjax.engine import explain as explain
    from seqjax.engine import scan as scan

_MODULES = ("analysis", "cells", "data", "decoding", "laws", "losses", "metrics", "nn", "optim", "parallel", "train")
_NAMES = {
    "Cell": "seqjax.cells",
    "card": "seqjax.cards",
    "explain": "seqjax.engine",
    "scan": "seqjax.engine",
}

__all__ = [
    "Cell",
    "__version__",
    "analysis",
    "card",
    "cells",
    "data",
    "decoding",
    "explain",
    "laws",
    "losses",
    "metrics",
    "nn",
    "optim",
    "parallel",
    "scan",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"seqjax.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'seqjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
