"""Every config runs: a few steps on a few records, from training to predictions."""

import json
import math

import pytest

from seqjax import train
from seqjax.config import load_config, named_configs
from seqjax.errors import DataError, MissingExtra

# Wide layers and many shapes would only compile for longer.
SMALL = [
    "data.batch_size=16",
    "data.limit=48",
    "data.shapes=1",
    "train.steps=2",
    "train.eval_every=2",
    "train.tensorboard=false",
    "optimizer.schedule=null",
]
TASKS = sorted(name for name in named_configs() if load_config(name).task != "language_model")


def small(name):
    config = load_config(name)
    settings = [*SMALL]
    # Where most tags do not count, those that do may stand at the end.
    if config.task != "ctc" and getattr(config, "ignored_tag", None) is None:
        settings += ["data.longer=truncate", "data.maximum_length=12"]
    if hasattr(config.model, "hidden_size"):
        settings.append("model.hidden_size=6")
    return load_config(name, settings)


@pytest.mark.parametrize("name", TASKS)
def test_a_few_steps(name, tmp_path, capsys):
    config = small(name)
    try:
        run_dir = train.run(config, tmp_path / "run")
    except MissingExtra as error:
        pytest.skip(str(error))
    except DataError as error:
        if "seqjax download" not in str(error):
            raise
        pytest.skip(f"the data is not there: {error}")
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["metric"].startswith("validation_")
    assert math.isfinite(summary["value"])
    assert all(math.isfinite(value) for value in summary["test"].values())
    assert 40 <= len((run_dir / "predictions.txt").read_text().splitlines()) <= 48
    assert "next: seqjax decode" in capsys.readouterr().out
