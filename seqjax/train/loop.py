"""The training loop: updates, rows of the metrics file, evaluations, checkpoints, and stopping with nothing lost."""

import collections
import dataclasses
import functools
import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqjax.config import config_to_dict
from seqjax.errors import TrainingError
from seqjax.optim import learning_rate_at, skipped_updates
from seqjax.train.best import Best, selected, with_prefix, with_selected, without_prefix
from seqjax.train.checkpoints import Checkpoints, Restored
from seqjax.train.experiment import Batch, Experiment
from seqjax.train.gradients import FlowCallback
from seqjax.train.interrupts import Interrupted, Interrupts
from seqjax.train.learner import TrainState, from_arrays, to_arrays, without_totals
from seqjax.train.metrics import Events, Rows
from seqjax.train.progress import Progress, progress

# Enough to keep the device busy; few enough that a signal is answered after this many updates.
_UPDATES_IN_FLIGHT = 2


@dataclasses.dataclass
class Clock:
    """Time spent, over all sessions of a run.

    Attributes:
        seconds: all of it, compilation and evaluations included.
        training_seconds: that of updates alone, without the first one of each session, which compiles.
        training_units: what those updates read.
    """

    seconds: float = 0.0
    training_seconds: float = 0.0
    training_units: int = 0

    @property
    def units_per_second(self) -> float | None:
        """Of updates alone; ``None`` if no session had more than one."""
        return self.training_units / self.training_seconds if self.training_seconds else None


class Trainer:
    """One session of a run.

    Args:
        experiment: what is trained.
        run_directory: where everything goes.
        checkpoints: where the session's state is saved.
        restored: the checkpoint to go on from.
    """

    def __init__(
        self, experiment: Experiment, run_directory: Path, checkpoints: Checkpoints, restored: Restored | None = None
    ) -> None:
        self.experiment = experiment
        self.clock = Clock()
        self.results: dict[str, float] = {}
        self.best: Best | None = None
        self.state: TrainState = experiment.learner.initial_state()
        self._checkpoints = checkpoints
        self._run_directory = run_directory
        self._checksum = experiment.checksum()
        self._step = self._units = self._reported = self._measured = 0
        if experiment.config.train.select == "best":
            self.best = Best(0, {}, selected(self.state))
        if restored is not None:
            self.state = experiment.learner.placed(from_arrays(self.state, restored.arrays))
            self.clock = Clock(**restored.record["clock"])
            self.results = restored.record["results"]
            self._step, self._units = restored.record["position"], restored.record["units"]
            self._reported, self._measured = restored.record["reported"], restored.record["measured"]
            if self.best is not None:
                self.best = Best(**restored.record["best"], arrays=without_prefix(restored.arrays))
        tensorboard, last_row = experiment.config.train.tensorboard, max(self._reported, self._measured)
        self._rows = Rows(run_directory / "metrics.jsonl", last_step=last_row)
        self._timing = Rows(run_directory / "timing.jsonl", last_step=self._reported)
        self._events = Events(run_directory / "tensorboard", tensorboard, last_step=last_row)
        self._compiled: set[tuple[tuple[int, ...], ...]] = set()
        self._mark: float | None = None
        self._marked_units = self._units
        self._row_seconds, self._row_units = 0.0, 0
        self._session_started = time.perf_counter()

    def train(self) -> None:
        """Train to the last step.

        Raises:
            KeyboardInterrupt: after SIGINT, when a checkpoint is complete; ``SystemExit`` after SIGTERM.
            TrainingError: if too many losses or gradients in a row are not finite.
        """
        train = self.experiment.config.train
        shown = progress(self._step, train.steps, self.experiment.unit)
        with Interrupts() as interrupts:
            try:
                if self._due(train.log_every, train.eval_every):
                    self._report(interrupts, shown)
                self._updates(interrupts, shown)
                interrupts.poll()
            except Interrupted as interrupted:
                shown.close()
                self._leave(interrupted)
            finally:
                shown.close()
                self._count_seconds()
                for file in (self._rows, self._timing, self._events):
                    file.close()

    def _updates(self, interrupts: Interrupts, shown: Progress) -> None:
        train = self.experiment.config.train
        in_flight: collections.deque[jax.Array] = collections.deque()
        while self._step < train.steps:
            interrupts.poll()
            batch = self.experiment.batch(self._step)
            compiles = self._compiles(batch, in_flight)
            self.state, loss = self.experiment.learner.update(self.state, batch.arrays, batch.fresh)
            in_flight.append(loss)
            if len(in_flight) > _UPDATES_IN_FLIGHT:
                in_flight.popleft().block_until_ready()
            self._step += 1
            self._units += batch.units
            if compiles:
                loss.block_until_ready()
                self._restart_mark()
            shown.advance(self._step)
            if self._due(train.log_every, train.eval_every):
                self._report(interrupts, shown)
            elif self._measures_flow():
                self._report_flow()
            if self._step % train.checkpoint_every == 0 or self._step == train.steps:
                self._save()

    def _compiles(self, batch: Batch, in_flight: collections.deque[jax.Array]) -> bool:
        """Whether batches of these shapes are new to this session: the update compiles, so its time is no speed."""
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(batch.arrays))
        if shapes in self._compiled:
            return False
        self._compiled.add(shapes)
        if in_flight:
            in_flight[-1].block_until_ready()
        self._tick()
        return True

    def _due(self, *every: int) -> bool:
        """Whether the step has a row that is not yet written, given the periods at which rows are."""
        last = self._step == self.experiment.config.train.steps
        return self._reported < self._step and (last or any(self._step % period == 0 for period in every))

    def _report(self, interrupts: Interrupts, shown: Progress) -> None:
        """Write the row of this step, with an evaluation if there is one; a signal leaves both for another session."""
        self._check_finite()
        experiment, config = self.experiment, self.experiment.config
        totals = jax.device_get(self.state.totals)
        self._tick()
        rate = self._row_units / self._row_seconds if self._row_seconds else None
        self._row_seconds, self._row_units = 0.0, 0
        evaluated = self._due(config.train.eval_every)
        if evaluated:

            def at_batch(number: int, batches: int) -> None:
                interrupts.poll()
                shown.evaluating(number, batches)

            self.results = experiment.evaluate(self.state, at_batch)
            self._note_best()
        row: dict[str, Any] = {
            "step": self._step,
            "tokens": self._units,
            **experiment.training_columns(float(totals.loss) / int(totals.weight) if totals.weight else None),
            "gradient_norm": float(totals.gradient_norm) / int(totals.updates) if totals.updates else None,
            "learning_rate": learning_rate_at(config.optimizer, config.train.steps, self._step - 1),
        }
        if config.optimizer.skip_nonfinite:
            row["skipped_updates"] = skipped_updates(self.state.optimizer)
        if evaluated:
            row |= self.results
        if self._measures_flow():
            row |= self._flow(experiment.learner.model(self.state))
        self._rows.append(row)
        self._timing.append(
            {"step": self._step, "seconds": self._count_seconds(), f"{experiment.unit}s_per_second": rate}
        )
        self._events.append({name: value for name, value in row.items() if value is not None})
        self.state = experiment.learner.placed(without_totals(self.state))
        self._reported = self._step
        text = experiment.row_text(row)
        if row.get("skipped_updates"):
            text += f"  {row['skipped_updates']} updates skipped"
        shown.row(text, rate, important=evaluated)
        self._restart_mark()

    def _note_best(self) -> None:
        """Keep what counts in the end, where that is the best and not the last."""
        if self.best is None:
            return
        metric, sign = self.experiment.metric, 1 if self.experiment.higher_is_better else -1
        before = sign * self.best.results.get(metric, math.nan)
        # What is not a number is worse than every number.
        if math.isnan(before) or sign * self.results[metric] > before:
            self.best = Best(self._step, self.results, selected(self.state))

    def final_state(self) -> TrainState:
        """The state whose parameters count in the end."""
        return self.state if self.best is None else with_selected(self.state, self.best.arrays)

    def final_results(self) -> dict[str, float]:
        """What was measured of the parameters that count in the end."""
        return self.results if self.best is None else self.best.results

    def _measures_flow(self) -> bool:
        every = self.experiment.config.train.gradient_flow_every
        return every > 0 and self._step % every == 0

    @functools.cached_property
    def _flow(self) -> FlowCallback:
        learner, (inputs, targets) = self.experiment.learner, self.experiment.batch(0).arrays
        # Updates take the buffers of the state over, so the callback has a model of its own.
        return FlowCallback(learner.model(learner.initial_state()), inputs, targets)

    def _report_flow(self) -> None:
        """Write gradient flow into a row of its own: the sums since the last row go on."""
        self._check_finite()
        self._tick()
        measured = self._flow(self.experiment.learner.model(self.state))
        if measured:
            row = {"step": self._step, "tokens": self._units, **measured}
            self._rows.append(row)
            self._events.append({name: value for name, value in row.items() if value is not None})
        self._measured = self._step
        self._restart_mark()

    def _tick(self) -> None:
        """Count the time since the last mark; every update before must be done."""
        if self._mark is not None and self._units > self._marked_units:
            seconds, units = time.perf_counter() - self._mark, self._units - self._marked_units
            self.clock.training_seconds += seconds
            self.clock.training_units += units
            self._row_seconds += seconds
            self._row_units += units
        self._restart_mark()

    def _restart_mark(self) -> None:
        self._mark, self._marked_units = time.perf_counter(), self._units

    def _count_seconds(self) -> float:
        now = time.perf_counter()
        self.clock.seconds += now - self._session_started
        self._session_started = now
        return self.clock.seconds

    def _save(self) -> None:
        self._check_finite()
        self._rows.synchronize()
        self._count_seconds()
        experiment = self.experiment
        record: dict[str, Any] = {
            "config": config_to_dict(experiment.config),
            "symbols": experiment.symbols(),
            "data_crc32": self._checksum,
            "position": self._step,
            "units": self._units,
            "reported": self._reported,
            "measured": self._measured,
            "results": self.results,
            "clock": dataclasses.asdict(self.clock),
        }
        arrays = to_arrays(self.state)
        if self.best is not None:
            arrays |= with_prefix(self.best.arrays)
            record["best"] = {"step": self.best.step, "results": self.best.results}
        self._checkpoints.save(self._step, arrays, record)

    def _leave(self, interrupted: Interrupted) -> None:
        self._save()
        self._checkpoints.wait()
        steps = self.experiment.config.train.steps
        print(
            f"\n{interrupted.signal.name} at step {self._step} of {steps}: checkpoint saved; "
            f"go on with `seqjax train --resume {self._run_directory}`",
            flush=True,
        )
        raise interrupted.leave() from None

    def _check_finite(self) -> None:
        step = int(self.state.failed_at)
        if not step:
            return
        config = self.experiment.config
        rate = learning_rate_at(config.optimizer, config.train.steps, step - 1)
        allowed = config.optimizer.skip_nonfinite
        what = f"{allowed + 1} losses or gradients in a row were" if allowed else "the loss or its gradient is"
        saved = self._checkpoints.steps()
        last = (
            f"the last good checkpoint is {self._checkpoints.path(saved[-1])}"
            if saved
            else "no checkpoint was saved before"
        )
        tries = [f"a smaller optimizer.learning_rate (it was {rate:.2g})"]
        clip = config.optimizer.clip
        if clip.global_norm is None and clip.value is None and clip.adaptive is None:
            tries.append("optimizer.clip.global_norm=1.0")
        if not allowed:
            tries.append("optimizer.skip_nonfinite=10")
        raise TrainingError(f"step {step}: {what} not finite; {last}; try {', or '.join(tries)}")
