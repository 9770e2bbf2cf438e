"""How fast recurrent cells run over time, ours beside those of other libraries, measured in one process.

Nothing is imported until a name is used; with the first one comes JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seqjax.bench.decoding import DecodingReport as DecodingReport
    from seqjax.bench.decoding import bench_decoding as bench_decoding
    from seqjax.bench.measure import bench as bench
    from seqjax.bench.results import Report as Report
    from seqjax.bench.settings import Settings as Settings
    from seqjax.bench.settings import Shape as Shape
    from seqjax.bench.streaming import StreamingReport as StreamingReport
    from seqjax.bench.streaming import bench_streaming as bench_streaming

__all__ = [
    "DecodingReport",
    "Report",
    "Settings",
    "Shape",
    "StreamingReport",
    "bench",
    "bench_decoding",
    "bench_streaming",
]

_MODULES = {
    "DecodingReport": "decoding",
    "bench": "measure",
    "Report": "results",
    "Settings": "settings",
    "Shape": "settings",
    "StreamingReport": "streaming",
    "bench_decoding": "decoding",
    "bench_streaming": "streaming",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"seqjax.bench.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'seqjax.bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
