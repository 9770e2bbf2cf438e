"""Training from a configuration: runs that can be killed and resumed, evaluated and sampled.

Nothing is imported until a name is used; with the first one come JAX, Flax and Optax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqjax.train.predictions import Prediction as Prediction
    from seqjax.train.predictions import decode as decode
    from seqjax.train.runs import evaluate as evaluate
    from seqjax.train.runs import measure_gradients as measure_gradients
    from seqjax.train.runs import resume as resume
    from seqjax.train.runs import run as run
    from seqjax.train.runs import sample as sample

__all__ = ["Prediction", "decode", "evaluate", "measure_gradients", "resume", "run", "sample"]

_MODULES = {"Prediction": "predictions", "decode": "predictions"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"seqjax.train.{_MODULES.get(name, 'runs')}"), name)
    raise AttributeError(f"module 'seqjax.train' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
