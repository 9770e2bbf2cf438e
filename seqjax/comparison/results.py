"""What a comparison found, as numbers, JSON and a table."""

import dataclasses
import math
import statistics
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """One model on one task.

    Attributes:
        task: its name.
        model: the cell's name, with its options, or ``convolution``.
        width: hidden units or channels.
        parameters: how many it has, read-out included.
        learning_rate: the one of those tried that was best on the validation part.
        metrics: on the test part, one for each seed; NaN where training diverged.
        curve: ``(update, mean loss in nats or squared error)`` while it trained, over seeds.
        seconds: for all seeds and learning rates, compilation included.
    """

    task: str
    model: str
    width: int
    parameters: int
    learning_rate: float
    metrics: tuple[float, ...]
    curve: tuple[tuple[int, float], ...]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return statistics.fmean(self.metrics)

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; NaN from a single seed, and where one diverged."""
        if len(self.metrics) < 2 or math.isnan(self.mean):
            return math.nan
        return statistics.stdev(self.metrics) / math.sqrt(len(self.metrics))

    def text(self, digits: int = 3) -> str:
        """``mean ± standard error``."""
        spread = f" ± {self.standard_error:.{digits}f}" if len(self.metrics) > 1 else ""
        return "diverged" if math.isnan(self.mean) else f"{self.mean:.{digits}f}{spread}"


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """All outcomes of a comparison.

    Attributes:
        settings: those it ran with.
        tasks: for each task what it asks, its options, its metric, and what is reached without memory.
        outcomes: one for each task and model.
    """

    settings: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]
    outcomes: tuple[Outcome, ...]

    @property
    def models(self) -> list[str]:
        """The models, in the order in which they ran."""
        return list(dict.fromkeys(outcome.model for outcome in self.outcomes))

    def outcome(self, task: str, model: str) -> Outcome | None:
        """One of them."""
        return next((o for o in self.outcomes if (o.task, o.model) == (task, model)), None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.models)} on {', '.join(self.tasks)}>"

    def _repr_markdown_(self) -> str:
        head, *rows = ("| " + " | ".join(row) + " |" for row in table(self))
        return "\n".join([head, "|---" + "|---:" * len(self.tasks) + "|", *rows])

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> "Comparison":
        """From what :meth:`to_dict` gave, through JSON."""
        outcomes = []
        for record in saved["outcomes"]:
            fields: dict[str, Any] = dict(record)
            fields["metrics"] = tuple(fields["metrics"])
            fields["curve"] = tuple((step, loss) for step, loss in fields["curve"])
            outcomes.append(Outcome(**fields))
        return cls(settings=saved["settings"], tasks=saved["tasks"], outcomes=tuple(outcomes))


def table(comparison: Comparison) -> list[tuple[str, ...]]:
    """Rows of text: a heading, a model each with a column for each task, and what is reached without memory."""
    tasks = comparison.tasks
    arrow = {True: "more is better", False: "less is better"}
    rows = [
        ("", *tasks),
        ("", *(f"{task['metric']}, {arrow[task['higher_is_better']]}" for task in tasks.values())),
    ]
    for model in comparison.models:
        found = [comparison.outcome(task, model) for task in tasks]
        rows.append((model, *(outcome.text() if outcome else "-" for outcome in found)))
    rows.append(("without memory", *(f"{task['trivial']:.3f}" for task in tasks.values())))
    return rows
