"""One schema a task; ``task`` in a config chooses among them."""

from seqjax.config.schema import ExperimentConfig
from seqjax.config.tasks.classification import ClassificationExperiment
from seqjax.config.tasks.language_model import LanguageModelExperiment

EXPERIMENTS: dict[str, type[ExperimentConfig]] = {
    "classification": ClassificationExperiment,
    "language_model": LanguageModelExperiment,
}
"""The schemas, by the name of their task."""

DEFAULT_TASK = "language_model"
