"""The competitors by name: what has to be installed, and which function builds the program that is timed."""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from importlib import metadata
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peer:
    """A competitor.

    Attributes:
        package: what is imported.
        pip: what installs it.
        build: makes its program for a :class:`~seqjax.bench.programs.Problem`.
        cells: the cells that it has; ``None`` for every cell.
        jax_library: whether it is what a JAX library offers as it is, and so may be the fastest JAX peer.
        split: whether it splits the batch over the CPU's devices, so that it is there only where this can be done.
    """

    package: str
    pip: str
    build: Callable[[Any], Any]
    cells: tuple[str, ...] | None = None
    jax_library: bool = True
    split: bool = False

    @property
    def installed(self) -> bool:
        """Whether the package is there; it is not imported."""
        return importlib.util.find_spec(self.package) is not None

    @property
    def version(self) -> str | None:
        """The installed version."""
        try:
            return metadata.version(self.pip)
        except metadata.PackageNotFoundError:
            return None

    def has(self, cell: str) -> bool:
        """Whether it has this cell."""
        return self.cells is None or cell in self.cells


def _late(module: str, function: str) -> Callable[[Any], Any]:
    """A builder whose framework is imported when it is called."""
    return lambda problem: getattr(importlib.import_module(f"seqjax.bench.{module}"), function)(problem)


_THREE = ("LSTM", "GRU", "Elman")

PEERS = {
    "lax": Peer(package="jax", pip="jax", build=_late("jax_models", "lax_scan")),
    "lax-split": Peer(package="jax", pip="jax", build=_late("jax_models", "lax_split"), jax_library=False, split=True),
    "nnx": Peer(package="flax", pip="flax", build=_late("jax_models", "flax_nnx"), cells=_THREE),
    "nnx-optimized": Peer(package="flax", pip="flax", build=_late("jax_models", "flax_nnx_optimized"), cells=("LSTM",)),
    "haiku": Peer(package="haiku", pip="dm-haiku", build=_late("jax_models", "haiku"), cells=_THREE),
    "equinox": Peer(package="equinox", pip="equinox", build=_late("jax_models", "equinox"), cells=("LSTM", "GRU")),
    "keras": Peer(package="keras", pip="keras", build=_late("jax_models", "keras"), cells=_THREE),
    "torch": Peer(package="torch", pip="torch", build=_late("torch_program", "torch"), cells=_THREE, jax_library=False),
}
