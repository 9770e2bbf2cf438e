"""One step at a time: the latency of a cell online, and the speed of a language model that writes."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from seqjax.bench import generation, steps
from seqjax.bench.generation import Text
from seqjax.bench.machine import Machine, machine
from seqjax.bench.measure import Progress, duration, in_one_line, times_in_turn
from seqjax.bench.peers import PEERS
from seqjax.bench.programs import Problem
from seqjax.bench.results import OURS, Spread, plain
from seqjax.bench.settings import Settings, Shape, parse_shape
from seqjax.bench.steps import STEPS, Step, as_numpy
from seqjax.config import cell_class

TEXTS = (Text(batch=1), Text(batch=32))

# A round's figure is the median of this many steps in a row, each timed by itself: after the pause the first ones find
# cold caches, which a stream of inputs would not.
STEPS_PER_ROUND = 100


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timing:
    """One competitor: seconds a round, their spread, and the ratio of its median to ours."""

    name: str
    times: tuple[float, ...]
    seconds: Spread
    ratio: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepLatency:
    """Seconds that one compiled step takes."""

    cell: str
    shape: Shape
    rows: tuple[Timing, ...]
    failures: dict[str, str]
    without_cell: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Generation:
    """Seconds that a whole text takes, and how many programs ours compiled in all rounds together."""

    text: Text
    rows: tuple[Timing, ...]
    failures: dict[str, str]
    compilations: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamingReport:
    """Everything."""

    machine: Machine
    rounds: int
    warmup: int
    peers: dict[str, str | None]
    not_installed: dict[str, str]
    steps: list[StepLatency] = dataclasses.field(default_factory=list)
    generation: list[Generation] = dataclasses.field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything as what JSON can hold."""
        return plain(self)


def bench_streaming(
    settings: Settings,
    report: Callable[[StreamingReport], None] = lambda report: None,
    progress: Progress = lambda text: None,
    texts: Sequence[Text] | None = None,
) -> StreamingReport:
    """Measure steps of the settings' cells and shapes, whose number of time steps is not used, and then the texts.

    Args:
        settings: cells, shapes, peers and rounds; peers that have no step of their own are left out.
        report: called with the report before the first measurement and after each.
        progress: called with what is going on.
        texts: what the language model writes; :data:`TEXTS` if not given.
    """
    missing = {name: PEERS[name].pip for name in settings.peers if name in STEPS and not PEERS[name].installed}
    peers = [name for name in settings.peers if name in STEPS and name not in missing]
    result = StreamingReport(
        machine=machine(),
        rounds=settings.rounds,
        warmup=settings.warmup,
        peers={name: PEERS[name].version for name in peers},
        not_installed=missing,
    )
    report(result)
    for cell_name in settings.cells:
        for shape in map(parse_shape, settings.shapes):
            progress(f"one step of {cell_name}, {shape}")
            cell = cell_class(cell_name)(input_size=shape.inputs, hidden_size=shape.hidden)
            problem = Problem.make(cell, shape, "forward")
            present = [name for name in peers if PEERS[name].has(cell_name)]
            programs, failures = _steps(problem, {OURS: steps.ours} | {name: STEPS[name] for name in present})
            rows = timings({name: _latency(step) for name, step in programs.items()}, settings, failures)
            without_cell = tuple(name for name in peers if name not in present)
            result.steps.append(
                StepLatency(cell=cell_name, shape=shape, rows=rows, failures=failures, without_cell=without_cell)
            )
            report(result)
    for text in TEXTS if texts is None else texts:
        progress(f"writing {text}")
        compilations: list[float] = []
        runs = {OURS: generation.counting_compilations(generation.ours(text), compilations)}
        failures = {}
        if "torch" in peers:
            try:
                runs["torch"] = generation.torch(text)
            except Exception as error:
                failures["torch"] = in_one_line(error)
        for run in runs.values():
            run()
        rows = timings({name: partial(duration, run) for name, run in runs.items()}, settings, failures)
        result.generation.append(Generation(text=text, rows=rows, failures=failures, compilations=len(compilations)))
        report(result)
    return result


def _steps(problem: Problem, builders: dict[str, Callable[[Problem], Step]]) -> tuple[dict[str, Step], dict[str, str]]:
    """The steps that run and, where they compute what ours does, give what ours gives; and the failures."""
    programs: dict[str, Step] = {}
    failures: dict[str, str] = {}
    expected = None
    for name, build in builders.items():
        jax.clear_caches()
        try:
            step = build(problem)
            carry, output = step.run(step.carry)
            for _ in range(2):
                carry, output = step.run(carry)
            got = as_numpy(output)
            if step.comparable and expected is not None:
                np.testing.assert_allclose(got, expected, rtol=0.01, atol=0.01)
        except Exception as error:
            failures[name] = in_one_line(error)
            continue
        programs[name] = step
        if name == OURS:
            expected = got
    return programs, failures


def _latency(step: Step) -> Callable[[], float]:
    """The median of some steps in a row, each from the carry of the one before."""

    def measured() -> float:
        carry, seconds = step.carry, []
        for _ in range(STEPS_PER_ROUND):
            start = time.perf_counter()
            carry, _ = step.run(carry)
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    return measured


def timings(
    measured: dict[str, Callable[[], float]], settings: Settings, failures: dict[str, str]
) -> tuple[Timing, ...]:
    """What each competitor took in all rounds; each of ``measured`` gives its seconds of one."""
    times = times_in_turn(measured, settings.warmup, settings.rounds, failures)
    ours = statistics.median(times[OURS]) if OURS in times else None
    return tuple(
        Timing(
            name=name,
            times=tuple(seconds),
            seconds=Spread.of(seconds),
            ratio=None if ours is None else statistics.median(seconds) / ours,
        )
        for name, seconds in times.items()
    )
