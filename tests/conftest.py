"""What all tests share: two CPU devices, a compilation cache, seeds, and a counter of compilations.

``jax_numpy_rank_promotion="raise"`` is not set: adding a bias vector to a batch, as every equation here does, is a rank
promotion. Key reuse is checked where keys are the matter (the fixture ``checked_keys``), because a test may well run
the same draw twice on purpose.
"""

import ctypes
import gc
import importlib.metadata
import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Most programs run once: compile them fast rather than well. XLA_FLAGS= in the environment compiles as users do.
# The second part is an option that later versions do not have.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
    + " --xla_cpu_use_fusion_emitters=false" * importlib.metadata.version("jaxlib").startswith("0.10."),
)

import hypothesis
import jax
import numpy as np
import pytest

from seqjax.engine.platform import Choices, force

jax.config.update("jax_num_cpu_devices", 2)

# Chunks that do not divide the number of steps, and all that could be recomputed is.
EVERY_CHOICE_ON = Choices(
    chunk_bytes=1,
    shortest=5,
    whole_bytes=1,
    whole_below_products=1,
    hiding_operations=1.0,
    in_rows=True,
    fetch_apart=True,
    shift_apart=True,
    write_over=True,
    pack_below=100,
    transpose_apart=True,
    batch_blocks=2,
    few_rows=range(1, 2**30),
    turn_above=150,
    turn_steps=1,
    piece_bytes=1,
    piece_columns=3,
    activations_from=0,
    keep_below=0,
    recompute_below=2.0**40,
)

EXAMPLES = int(os.environ.get("SEQJAX_TEST_EXAMPLES", "25"))
hypothesis.settings.register_profile(
    "seqjax",
    deadline=None,
    derandomize=EXAMPLES <= 25,
    database=None,
    max_examples=EXAMPLES,
    suppress_health_check=list(hypothesis.HealthCheck),
    # Shrinking compiles hundreds of programs; ask for many examples to have it.
    phases=[phase for phase in hypothesis.Phase if EXAMPLES > 25 or phase is not hypothesis.Phase.shrink],
    print_blob=True,
)
hypothesis.settings.load_profile("seqjax")

# Every compiled program, be it read from the cache, holds pieces of the address space: Linux gives a process 65,530.
MAPS, MAPS_AT_ONCE = Path("/proc/self/maps"), 20_000

_COMPILATION_EVENTS: list[str] = []
_tests = itertools.count()


def _record(event: str, duration_secs: float, **kwargs: Any) -> None:
    del duration_secs, kwargs
    if event.startswith("/jax/core/compile/"):
        _COMPILATION_EVENTS.append(event)


def pytest_runtest_setup() -> None:
    """Leave what earlier tests keep (gigabytes of traced and compiled programs) out of the collections of garbage."""
    gc.freeze()


def pytest_runtest_teardown() -> None:
    """Forget compiled programs when there are many; a test that still needs one compiles it again."""
    if next(_tests) % 20 == 0 and MAPS.exists() and MAPS.read_bytes().count(b"\n") > MAPS_AT_ONCE:
        jax.clear_caches()
        gc.unfreeze()
        gc.collect()
        # glibc keeps what is freed; a long run would grow to several gigabytes a process.
        getattr(ctypes.CDLL(None), "malloc_trim", bool)(0)


jax.monitoring.register_event_duration_secs_listener(_record)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--choices",
        choices=("platform", "on", "off"),
        default="platform",
        help="run with the engine's choices for this platform, or with every one of them forced on or off",
    )
    parser.addoption(
        "--breadth",
        choices=("all", "representative"),
        default="all",
        help="try laws and references on all cells, or on a few of different structure",
    )


def pytest_configure(config: pytest.Config) -> None:
    forced = {"on": EVERY_CHOICE_ON, "off": Choices()}
    if config.getoption("--choices") in forced:
        force(forced[config.getoption("--choices")]).__enter__()
    # Compilation dominates the tests; what one run compiled, the next one reads.
    cache = getattr(config, "cache", None)
    if cache is not None and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache.mkdir(f"jax-{jax.__version__}")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.02)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("-m"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with -m slow"))


def group_of(nodeid: str) -> str:
    """The tests that one worker runs: those of a file, of one cell's laws, or a notebook alone."""
    file, _, test = nodeid.partition("::")
    if file.endswith("cells/test_laws.py"):
        return f"{file}::{test.rpartition('-')[0]}"
    return nodeid if file.endswith("test_notebooks.py") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadgroup`` tests that share compiled programs stay with one worker, as another would compile anew.

    The marker ``xdist_group`` would say the same, but pytest-xdist 3.8 leaves it out with pytest 9.2, and says nothing.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Grouped(config, log)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture
def checked_keys() -> Iterator[None]:
    with jax.debug_key_reuse(True):
        yield


@pytest.fixture
def compilations() -> Callable[[], int]:
    """A function that says how many traces, lowerings and compilations there were since it was last called."""
    _COMPILATION_EVENTS.clear()

    def since_last_call() -> int:
        count = len(_COMPILATION_EVENTS)
        _COMPILATION_EVENTS.clear()
        return count

    return since_last_call


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line as a function: its exit code, what it printed, and its errors."""
    from seqjax.cli import main

    def call(*argv: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in argv])
        out, error = capsys.readouterr()
        return code, out, error

    return call
