"""The measurement: all competitors in one process, in turn, so that a busy neighbour slows them all."""

import gc
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

import jax

from seqjax.bench import jax_models, split
from seqjax.bench.flops import product_flops
from seqjax.bench.machine import machine, matrix_rate
from seqjax.bench.peers import PEERS
from seqjax.bench.programs import Pass, Problem, Program, check_results, prepare, timed
from seqjax.bench.results import OURS, SPLIT, Measurement, Report, rows
from seqjax.bench.settings import SETTLE_SECONDS, Settings, Shape, parse_shape
from seqjax.config import cell_class

Progress = Callable[[str], None]

# So often is each program compiled, in turn with the others.
COMPILATIONS = 5

# OpenMP's threads go on spinning after a call, for 9 ms with the GNU library of torch's own builds, and would slow down
# whoever comes next. After this pause everybody finds the machine at rest.
PAUSE_SECONDS = 0.015


def bench(
    settings: Settings,
    report: Callable[[Report], None] = lambda report: None,
    progress: Progress = lambda text: None,
) -> Report:
    """Measure what the settings ask for.

    Args:
        settings: cells, shapes, passes, peers and rounds.
        report: called with the report before the first measurement and after each.
        progress: called with what is going on.

    Example:
        >>> from seqjax.bench import Settings, bench
        >>> settings = Settings(cells=["GRU"], shapes=["5,1,3,4"], passes=["forward"], peers=["lax"], rounds=2)
        >>> [row.name for row in bench(settings).measurements[0].rows]
        ['seqjax', 'lax']
    """
    missing = {name: PEERS[name].pip for name in settings.peers if not PEERS[name].installed}
    result = Report(
        machine=machine(),
        rounds=settings.rounds,
        warmup=settings.warmup,
        peers={name: PEERS[name].version for name in settings.peers if name not in missing},
        not_installed=missing,
    )
    report(result)
    for cell in settings.cells:
        for pass_name in settings.passes:
            for shape in map(parse_shape, settings.shapes):
                said = lambda text, start=f"{cell} {pass_name} {shape}: ": progress(start + text)
                measurement = _measure(settings, cell, shape, cast(Pass, pass_name), list(result.peers), said)
                result.measurements.append(measurement)
                report(result)
    return result


def _measure(
    settings: Settings, cell_name: str, shape: Shape, pass_name: Pass, peers: list[str], progress: Progress
) -> Measurement:
    cell = cell_class(cell_name)(input_size=shape.inputs, hidden_size=shape.hidden)
    problem = Problem.make(cell, shape, pass_name)
    not_split = split.why_not(shape.batch)
    builders: dict[str, Callable[[Problem], Any]] = {}
    for schedule in (None, *settings.checkpoints):
        for name in (OURS,) if not_split else (OURS, SPLIT):
            builders[name if schedule is None else f"{name} {schedule}"] = partial(
                jax_models.ours, checkpoint=schedule, split=name == SPLIT
            )
    present = [name for name in peers if not (not_split and PEERS[name].split)]
    builders |= {name: PEERS[name].build for name in present if PEERS[name].has(cell_name)}
    compared_with = OURS if not_split else SPLIT
    rate = matrix_rate(settings.matrix_size)
    programs, failures = _programs(problem, builders, progress)
    runs = {name: partial(_settled, program.run) for name, program in programs.items()}
    compile_again = {name: program.compile_again for name, program in programs.items() if program.compile_again}
    compiling = lambda text: progress(f"compiling, {text}")
    compile_times = times_in_turn(compile_again, 0, COMPILATIONS, failures, compiling)
    times = times_in_turn(runs, settings.warmup, settings.rounds, failures, progress)
    rate = max(rate, matrix_rate(settings.matrix_size))
    flops = product_flops(cell, shape, pass_name)
    return Measurement(
        cell=cell_name,
        shape=shape,
        pass_name=pass_name,
        product_flops=flops,
        matrix_rate=rate,
        compared_with=compared_with,
        rows=tuple(rows(programs, compile_times, times, flops, rate, compared_with)),
        failures=failures,
        without_cell=tuple(name for name in peers if not PEERS[name].has(cell_name)),
        not_split=not_split,
    )


def _programs(
    problem: Problem, builders: dict[str, Callable[[Problem], Any]], progress: Progress
) -> tuple[dict[str, Program], dict[str, str]]:
    """The competitors that run and, where they compute what ours does, get what ours gets; and the failures."""
    programs: dict[str, Program] = {}
    failures: dict[str, str] = {}
    ours = None
    for name, build in builders.items():
        progress(f"compiling {name}")
        # Functions of JAX that one competitor has traced would otherwise be ready for the next.
        jax.clear_caches()
        try:
            program = prepare(problem, build(problem))
            results = program.results(program.run())
            check_results(problem, results, ours if program.comparable else None)
        except Exception as error:
            failures[name] = in_one_line(error)
            continue
        programs[name] = program
        if name == OURS:
            ours = results
    return programs, failures


def times_in_turn(
    runs: Mapping[str, Callable[[], float]],
    warmup: int,
    rounds: int,
    failures: dict[str, str],
    progress: Progress = lambda text: None,
) -> dict[str, list[float]]:
    """Seconds of every competitor that got through all rounds; each of ``runs`` gives its own of one round."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(warmup + rounds):
            progress(f"round {number + 1} of {warmup + rounds}")
            names = list(times)
            for index in order(len(names), number):
                time.sleep(PAUSE_SECONDS)
                try:
                    seconds = runs[names[index]]()
                except Exception as error:
                    failures[names[index]] = in_one_line(error)
                    del times[names[index]]
                    continue
                if number >= warmup:
                    times[names[index]].append(seconds)
    finally:
        if collecting:
            gc.enable()
    return times


def duration(run: Callable[[], Any]) -> float:
    """Seconds of one call."""
    return timed(run)[0]


def _settled(run: Callable[[], Any]) -> float:
    """Seconds of a call that comes right after others of its kind, as in a training loop."""
    spent = 0.0
    while True:
        seconds = duration(run)
        spent += seconds
        if spent >= SETTLE_SECONDS:
            return seconds


def order(count: int, number: int) -> list[int]:
    """The order of a round, such that over the rounds each competitor comes equally often after each other one.

    What ran before leaves caches and threads in its own state, so that a mere rotation would always favour the same
    one. The zigzag 0, n - 1, 1, n - 2, ... has every difference once (Williams 1949); for an odd count every other
    cycle goes backwards.
    """
    zigzag = [index // 2 if index % 2 == 0 else count - 1 - index // 2 for index in range(count)]
    rotated = [(index + number) % count for index in zigzag]
    return rotated[::-1] if count % 2 and number // count % 2 else rotated


def in_one_line(error: Exception) -> str:
    """Type and message of an error, shortened."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
