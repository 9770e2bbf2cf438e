from pathlib import Path

import pytest

import seqjax.train
from seqjax.config import LanguageModelConfig, LanguageModelExperiment, SampleConfig, TrainConfig
from seqjax.data import TextConfig
from seqjax.optim import ClipConfig, OptimizerConfig
from tests.train.helpers import SENTENCE


@pytest.fixture(scope="session")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "cats.txt"
    path.write_text(SENTENCE * 40)
    return path


@pytest.fixture(scope="session")
def config(text) -> LanguageModelExperiment:
    """Dropout has random state, adam has moments, and an epoch of 17 batches ends between two checkpoints."""
    return LanguageModelExperiment(
        name="cats",
        data=TextConfig(source=str(text), batch_size=2, length=56),
        model=LanguageModelConfig(cell="GRU", hidden_size=8, num_layers=2, dropout=0.1),
        optimizer=OptimizerConfig(learning_rate=0.01, clip=ClipConfig(global_norm=1.0)),
        train=TrainConfig(steps=24, eval_every=9, checkpoint_every=6, log_every=4, tensorboard=False),
        sample=SampleConfig(prompt="the ", length=20),
    )


@pytest.fixture(scope="session")
def finished(config, tmp_path_factory) -> Path:
    """An uninterrupted run."""
    return seqjax.train.run(config, tmp_path_factory.mktemp("runs") / "unbroken")
