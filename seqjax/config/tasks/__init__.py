"""One schema a task; ``task`` in a config chooses among them."""

from seqjax.config.schema import ExperimentConfig
from seqjax.config.tasks.classification import ClassificationExperiment
from seqjax.config.tasks.ctc import CTCExperiment
from seqjax.config.tasks.generation import GenerationExperiment
from seqjax.config.tasks.language_model import LanguageModelExperiment
from seqjax.config.tasks.multi_label import MultiLabelExperiment
from seqjax.config.tasks.regression import RegressionExperiment
from seqjax.config.tasks.sequence_to_sequence import SequenceToSequenceExperiment
from seqjax.config.tasks.tagging import TaggingExperiment

EXPERIMENTS: dict[str, type[ExperimentConfig]] = {
    "classification": ClassificationExperiment,
    "ctc": CTCExperiment,
    "generation": GenerationExperiment,
    "language_model": LanguageModelExperiment,
    "multi_label": MultiLabelExperiment,
    "regression": RegressionExperiment,
    "sequence_to_sequence": SequenceToSequenceExperiment,
    "tagging": TaggingExperiment,
}
"""The schemas, by the name of their task."""

DEFAULT_TASK = "language_model"
