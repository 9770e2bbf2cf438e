"""Predictions of a run for lines of text."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seqjax.config import ExperimentConfig, config_from_dict, config_to_dict
from seqjax.data import Records
from seqjax.data.lengths import limit
from seqjax.errors import ConfigError, DataError
from seqjax.train.runs import restored_run
from seqjax.train.tasks.supervised import Answer, SupervisedTask


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a run says of a line.

    Attributes:
        line: its number, counted from 1.
        text: the line.
        answers: the predictions, the best first; none for a line that was not read.
        unknown: its tokens that the vocabulary does not have; the model reads them as unknown.
        problem: why the line was not read, or was not read whole.
    """

    line: int
    text: str
    answers: list[Answer] = dataclasses.field(default_factory=list)
    unknown: list[str] = dataclasses.field(default_factory=list)
    problem: str | None = None


def decode(
    run_dir: str | Path,
    lines: Sequence[str],
    *,
    beam_size: int | None = None,
    n_best: int | None = None,
    step: int | None = None,
) -> list[Prediction]:
    """Predictions for lines of text, as many as lines and in their order.

    A line that is empty, or that cannot be read, has none and says why; all others have.

    Args:
        run_dir: the run directory.
        lines: an input each; what that is, the run's task says.
        beam_size: hypotheses of a beam search; as the run's configuration says if not given.
        n_best: predictions for each line; as the configuration says if not given.
        step: of the checkpoint; the parameters that count in the end if not given.

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged or of another model.
        ConfigError: if the run's task makes no predictions for lines, or has no beam.

    Example:
        >>> import seqjax
        >>> seqjax.train.decode("runs/dates", ["March 3, 1987"])[0].answers[0].text  # doctest: +SKIP
        '1987-03-03'
    """
    changes = {"beam_size": beam_size, "n_best": n_best}
    given = {name: value for name, value in changes.items() if value is not None}
    experiment, state, _ = restored_run(Path(run_dir), step, lambda config: _changed(config, given))
    if not isinstance(experiment, SupervisedTask):
        raise ConfigError(
            f"{run_dir} is a run of the task {experiment.config.task}, which goes on with a prompt: "
            f"`seqjax sample {run_dir}`"
        )
    pairs = [_read(experiment, Prediction(number, text)) for number, text in enumerate(lines, 1)]
    read = [records for _, records in pairs if records is not None]
    if not read:
        return [prediction for prediction, _ in pairs]
    answers = iter(experiment.predict(state, _joined(read)))
    return [
        prediction if its is None else dataclasses.replace(prediction, answers=next(answers))
        for prediction, its in pairs
    ]


def _read(task: SupervisedTask, prediction: Prediction) -> tuple[Prediction, Records | None]:
    """The line as a record; ``None`` where it cannot be read."""
    if not prediction.text.strip():
        return dataclasses.replace(prediction, problem="is empty"), None
    data = task.config.data
    try:
        records = task.read([prediction.text])
        inputs, cut = limit(records.inputs, data.maximum_length, "truncate")
        if cut:
            found = f"has {len(records.inputs[0]):,} tokens, over data.maximum_length={data.maximum_length}"
            if data.longer == "refuse":
                return dataclasses.replace(prediction, problem=f"{found}, and is refused (data.longer)"), None
            prediction = dataclasses.replace(prediction, problem=f"{found}, and was truncated")
            records = task.unlabelled(list(inputs))
        task.columns(records)
    except DataError as error:
        return dataclasses.replace(prediction, problem=f"cannot be read: {error}"), None
    tokens = getattr(task.inputs, "tokens", None)
    unknown = [] if tokens is None else tokens.unknown(records.inputs[0])
    return dataclasses.replace(prediction, unknown=unknown), records


def _joined(parts: Sequence[Records]) -> Records:
    names = [field.name for field in dataclasses.fields(Records) if getattr(parts[0], field.name) is not None]
    return Records(**{name: [entry for part in parts for entry in getattr(part, name)] for name in names})


def _changed(config: ExperimentConfig, given: dict[str, int]) -> ExperimentConfig:
    if not given:
        return config
    values: dict[str, Any] = config_to_dict(config)
    decoder = values.get("decode", {})
    missing = [name for name in given if name not in decoder]
    if missing:
        raise ConfigError(f"the task {config.task} has no decode.{missing[0]}; leave the option out")
    values["decode"] = decoder | given | {"method": "beam"}
    return config_from_dict(values)
