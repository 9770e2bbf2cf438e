"""What the person at the terminal sees: a progress bar there, plain lines in a log."""

import sys
import time
from collections.abc import Mapping
from typing import Protocol

_SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """Shows a run while it lasts."""

    def advance(self, step: int) -> None:
        """An update is done."""
        ...

    def row(self, shown: str, rate: float | None, *, important: bool) -> None:
        """A row of the metrics file was written: its text, units per second, and whether nobody should miss it."""
        ...

    def evaluating(self, batch: int, batches: int) -> None:
        """An evaluation has come so far; all batches done ends it."""
        ...

    def close(self) -> None:
        """Give the terminal back."""
        ...


def progress(first_step: int, steps: int, unit: str) -> Progress:
    """A bar on a terminal, lines elsewhere.

    Args:
        first_step: updates already done.
        steps: updates in all.
        unit: what is counted, such as ``character``.
    """
    return (_Bar if sys.stdout.isatty() else _Lines)(first_step, steps, unit)


def clock_text(seconds: float) -> str:
    """Seconds as ``1:02`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Lines:
    def __init__(self, first_step: int, steps: int, unit: str) -> None:
        self._steps, self._unit = steps, unit
        self._first, self._step = first_step, first_step
        self._started: float | None = None
        self._written = time.monotonic()

    def advance(self, step: int) -> None:
        # The first update compiles, so it says nothing about the time left.
        if self._started is None:
            self._first, self._started = step, time.monotonic()
        self._step = step

    def row(self, shown: str, rate: float | None, *, important: bool) -> None:
        now = time.monotonic()
        if not important and now - self._written < _SECONDS_BETWEEN_LINES:
            return
        self._written = now
        parts = [f"step {self._step:>{len(str(self._steps))}}/{self._steps}", shown]
        if rate is not None:
            parts.append(f"{rate:,.0f} {self._unit}s/s")
        if self._started is not None and self._step > self._first:
            left = (now - self._started) / (self._step - self._first) * (self._steps - self._step)
            parts.append(f"{clock_text(left)} left")
        print("  ".join(parts), flush=True)

    def evaluating(self, batch: int, batches: int) -> None:
        pass

    def close(self) -> None:
        pass


class _Bar:
    def __init__(self, first_step: int, steps: int, unit: str) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        self._unit = unit
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            expand=True,
        )
        self._task = self._bar.add_task("compiling", total=steps, completed=first_step, shown="")
        self._bar.start()

    def advance(self, step: int) -> None:
        self._bar.update(self._task, completed=step, description="training")

    def row(self, shown: str, rate: float | None, *, important: bool) -> None:
        parts = [shown] + ([] if rate is None else [f"{rate:,.0f} {self._unit}s/s"])
        self._bar.update(self._task, shown="  ".join(parts))

    def evaluating(self, batch: int, batches: int) -> None:
        description = "training" if batch == batches else f"evaluating {batch}/{batches}"
        self._bar.update(self._task, description=description)

    def close(self) -> None:
        self._bar.stop()


def comparison(value: float, baselines: Mapping[str, float], higher_is_better: bool = False) -> str:
    """How a value compares with the baselines, in words."""
    better = {
        name: other for name, other in baselines.items() if (value > other if higher_is_better else value < other)
    }
    word = "above" if higher_is_better else "below"
    parts = []
    for relation, chosen in (
        (word, better),
        (f"not {word}", {name: other for name, other in baselines.items() if name not in better}),
    ):
        if chosen:
            parts.append(f"{relation} " + ", ".join(f"{name} {other:.2f}" for name, other in chosen.items()))
    return "; ".join(parts)
