"""The training loop: updates, rows of the metrics file, evaluations, checkpoints, and stopping with nothing lost."""

import collections
import dataclasses
import functools
import time
from pathlib import Path
from typing import Any

import jax

from seqjax.config import config_to_dict
from seqjax.errors import TrainingError
from seqjax.losses import bits_per_symbol
from seqjax.optim import learning_rate_at, skipped_updates
from seqjax.train.checkpoints import Checkpoints, Restored
from seqjax.train.experiment import Experiment, heldout_bits
from seqjax.train.gradients import FlowCallback
from seqjax.train.interrupts import Interrupted, Interrupts
from seqjax.train.learner import TrainState, from_arrays, to_arrays, without_totals
from seqjax.train.metrics import Events, Rows
from seqjax.train.progress import Progress, progress, row_text

# Enough to keep the device busy; few enough that a signal is answered after this many updates.
_UPDATES_IN_FLIGHT = 2


@dataclasses.dataclass
class Clock:
    """Time spent, over all sessions of a run.

    Attributes:
        seconds: all of it, compilation and evaluations included.
        training_seconds: that of updates alone, without the first one of each session, which compiles.
        training_tokens: symbols that those updates read.
    """

    seconds: float = 0.0
    training_seconds: float = 0.0
    training_tokens: int = 0

    @property
    def tokens_per_second(self) -> float | None:
        """Of updates alone; ``None`` if no session had more than one."""
        return self.training_tokens / self.training_seconds if self.training_seconds else None


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
        self.value: float | None = None
        self.state: TrainState = experiment.learner.initial_state()
        self._checkpoints = checkpoints
        self._run_directory = run_directory
        self._step = self._reported = self._measured = 0
        if restored is not None:
            self.state = experiment.learner.placed(from_arrays(self.state, restored.arrays))
            self.clock = Clock(**restored.record["clock"])
            self.value = restored.record["value"]
            self._step, self._reported = restored.record["position"], restored.record["reported"]
            self._measured = restored.record.get("measured", 0)
        tensorboard, last_row = experiment.config.train.tensorboard, max(self._reported, self._measured)
        self._rows = Rows(run_directory / "metrics.jsonl", last_step=last_row)
        self._timing = Rows(run_directory / "timing.jsonl", last_step=self._reported)
        self._events = Events(run_directory / "tensorboard", tensorboard, last_step=last_row)
        self._mark: float | None = None
        self._marked_step = self._step
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
            batch = self.experiment.streams[self._step]
            self.state, loss = self.experiment.learner.update(self.state, batch.inputs, batch.targets, batch.fresh)
            in_flight.append(loss)
            if len(in_flight) > _UPDATES_IN_FLIGHT:
                in_flight.popleft().block_until_ready()
            self._step += 1
            if self._mark is None:
                loss.block_until_ready()
                self._mark, self._marked_step = time.perf_counter(), self._step
            shown.advance(self._step)
            if self._due(train.log_every, train.eval_every):
                self._report(interrupts, shown)
            elif self._measures_flow():
                self._report_flow()
            if self._step % train.checkpoint_every == 0 or self._step == train.steps:
                self._save()

    def _due(self, *every: int) -> bool:
        """Whether the step has a row that is not yet written, given the periods at which rows are."""
        last = self._step == self.experiment.config.train.steps
        return self._reported < self._step and (last or any(self._step % period == 0 for period in every))

    def _report(self, interrupts: Interrupts, shown: Progress) -> None:
        """Write the row of this step, with an evaluation if there is one; a signal leaves both for another session."""
        self._check_finite()
        unit, config = self.experiment.unit, self.experiment.config
        totals = jax.device_get(self.state.totals)
        rate = self._tick()
        evaluated = self._due(config.train.eval_every)
        if evaluated:

            def at_batch(number: int, batches: int) -> None:
                interrupts.poll()
                shown.evaluating(number, batches)

            self.value = heldout_bits(self.experiment, self.state, at_batch)
        loss = float(totals.loss) / int(totals.tokens) if totals.tokens else None
        row: dict[str, Any] = {
            "step": self._step,
            "tokens": self._step * self.experiment.batch_tokens,
            "loss": loss,
            f"bits_per_{unit}": None if loss is None else bits_per_symbol(loss),
            "gradient_norm": float(totals.gradient_norm) / int(totals.updates) if totals.updates else None,
            "learning_rate": learning_rate_at(config.optimizer, config.train.steps, self._step - 1),
        }
        if config.optimizer.skip_nonfinite:
            row["skipped_updates"] = skipped_updates(self.state.optimizer)
        if evaluated:
            row[f"heldout_bits_per_{unit}"] = self.value
        if self._measures_flow():
            row |= self._flow(self.experiment.learner.model(self.state))
        self._rows.append(row)
        self._timing.append({"step": self._step, "seconds": self._count_seconds(), f"{unit}s_per_second": rate})
        self._events.append({name: value for name, value in row.items() if value is not None})
        self.state = self.experiment.learner.placed(without_totals(self.state))
        self._reported = self._step
        shown.row(row_text(row, unit), rate, important=evaluated)
        self._restart_mark()

    def _measures_flow(self) -> bool:
        every = self.experiment.config.train.gradient_flow_every
        return every > 0 and self._step % every == 0

    @functools.cached_property
    def _flow(self) -> FlowCallback:
        learner, batch = self.experiment.learner, self.experiment.streams[0]
        # Updates take the buffers of the state over, so the callback has a model of its own.
        return FlowCallback(learner.model(learner.initial_state()), batch.inputs, batch.targets)

    def _report_flow(self) -> None:
        """Write gradient flow into a row of its own: the sums since the last row go on."""
        self._check_finite()
        self._tick()
        measured = self._flow(self.experiment.learner.model(self.state))
        if measured:
            row = {"step": self._step, "tokens": self._step * self.experiment.batch_tokens, **measured}
            self._rows.append(row)
            self._events.append({name: value for name, value in row.items() if value is not None})
        self._measured = self._step
        self._restart_mark()

    def _tick(self) -> float | None:
        """Symbols per second since the last mark; every update before must be done."""
        if self._mark is None or self._step == self._marked_step:
            return None
        seconds = time.perf_counter() - self._mark
        tokens = (self._step - self._marked_step) * self.experiment.batch_tokens
        self.clock.training_seconds += seconds
        self.clock.training_tokens += tokens
        self._restart_mark()
        return tokens / seconds

    def _restart_mark(self) -> None:
        if self._mark is not None:
            self._mark, self._marked_step = time.perf_counter(), self._step

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
        self._checkpoints.save(
            self._step,
            to_arrays(self.state),
            {
                "config": config_to_dict(experiment.config),
                "vocabulary": experiment.vocabulary.to_json(),
                "text_crc32": experiment.text_checksum(),
                "position": self._step,
                "reported": self._reported,
                "measured": self._measured,
                "value": self.value,
                "clock": dataclasses.asdict(self.clock),
            },
        )

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
