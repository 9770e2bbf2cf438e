"""What is learnt: one file a task, chosen by ``task`` in a config."""

from collections.abc import Mapping
from typing import Any

from seqjax.config import ExperimentConfig
from seqjax.train.experiment import Experiment
from seqjax.train.tasks.classification import ClassificationTask
from seqjax.train.tasks.ctc import CTCTask
from seqjax.train.tasks.generation import GenerationTask
from seqjax.train.tasks.language_model import LanguageModelTask
from seqjax.train.tasks.multi_label import MultiLabelTask
from seqjax.train.tasks.regression import RegressionTask
from seqjax.train.tasks.sequence_to_sequence import SequenceToSequenceTask
from seqjax.train.tasks.tagging import TaggingTask

TASKS: dict[str, type[Experiment]] = {
    "classification": ClassificationTask,
    "ctc": CTCTask,
    "generation": GenerationTask,
    "language_model": LanguageModelTask,
    "multi_label": MultiLabelTask,
    "regression": RegressionTask,
    "sequence_to_sequence": SequenceToSequenceTask,
    "tagging": TaggingTask,
}
"""The experiments, by the name of their task."""


def build(config: ExperimentConfig, symbols: Mapping[str, Any] | None = None) -> Experiment:
    """Load the data and build the model.

    Args:
        config: the configuration.
        symbols: those of a run which has begun, as its ``vocabulary.json`` has them; the data's own if not given.

    Raises:
        ConfigError: if the configuration has values that are refused.
        DataError: if the data is missing, damaged, or not of these symbols.
    """
    kind: Any = TASKS[config.task]
    return kind(config, symbols)
