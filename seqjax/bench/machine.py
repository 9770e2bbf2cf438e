"""What the measurements were made on."""

import dataclasses
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("jax", "jaxlib", "flax", "dm-haiku", "equinox", "keras", "torch", "numpy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine, its settings, and the versions of what ran on it.

    Attributes:
        processor: its name.
        system: operating system and architecture.
        cores: how many this process may use.
        threads: how many every competitor uses.
        platform: JAX's: ``cpu``, ``gpu`` or ``tpu``.
        devices: JAX's devices by kind.
        versions: of what is installed.
        huge_pages: the kernel's setting of transparent huge pages, where it has one.
        settings: environment variables and configuration that change what is measured.
        load: processes that wanted to run in the last minute, when this was looked up; above 0 others were busy.
    """

    processor: str
    system: str
    cores: int
    threads: int
    platform: str
    devices: dict[str, int]
    versions: dict[str, str]
    huge_pages: str | None
    settings: dict[str, str]
    load: float | None


def machine() -> Machine:
    """Look up this machine."""
    import jax

    from seqjax import __version__

    versions = {"python": platform.python_version(), "seqjax": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    devices: dict[str, int] = {}
    for device in jax.devices():
        devices[device.device_kind] = devices.get(device.device_kind, 0) + 1
    settings = {
        name: os.environ[name]
        for name in ("GLIBC_TUNABLES", "XLA_FLAGS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
        if name in os.environ
    }
    settings |= {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")}
    if cache := jax.config.values.get("jax_compilation_cache_dir"):
        settings["jax_compilation_cache_dir"] = cache
    return Machine(
        processor=_processor(),
        system=f"{platform.system()} {platform.machine()}",
        cores=available_cores(),
        threads=available_cores(),
        platform=jax.default_backend(),
        devices=devices,
        versions=versions,
        huge_pages=_huge_pages(),
        settings=settings,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def available_cores() -> int:
    """How many cores this process may use; XLA starts as many threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def matrix_rate(size: int, calls: int = 3) -> float:
    """Operations a second of JAX's product of two square float32 matrices, the best of some calls."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((size, size))
    product = jax.jit(lambda a, b: a @ b).lower(matrix, matrix).compile()
    jax.block_until_ready(product(matrix, matrix))
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        jax.block_until_ready(product(matrix, matrix))
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def _processor() -> str:
    text = _read("/proc/cpuinfo") or ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _huge_pages() -> str | None:
    # The choices stand in one line, the one in force in brackets.
    text: Any = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    return text.partition("[")[2].partition("]")[0] if text else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8")
    except OSError:
        return None
