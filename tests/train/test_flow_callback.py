"""Gradient flow in the metrics file leaves the training as it was, to the bit, in a resumed run too."""

import json
import signal

import pytest

from seqjax import train
from seqjax.config import load_config
from seqjax.errors import ConfigError
from tests.train.helpers import assert_same_end, changed, rows, saved_arrays
from tests.train.test_resume import raise_signal_at_batch

PREFIX = "gradient_flow/"


@pytest.fixture(scope="module")
def watched_config(config):
    # Every third step: rows of its own at 3, 6, 15 and 21, and shared ones at 9, 12, 18 and 24.
    return changed(config, "train", gradient_flow_every=3)


@pytest.fixture(scope="module")
def watched(watched_config, tmp_path_factory):
    return train.run(watched_config, tmp_path_factory.mktemp("runs") / "watched")


def test_the_training_is_the_same_to_the_bit(watched, finished):
    expected, arrays = saved_arrays(finished, 24), saved_arrays(watched, 24)
    assert arrays.keys() == expected.keys()
    assert all(arrays[name].tobytes() == array.tobytes() for name, array in expected.items())
    plain = [{key: value for key, value in row.items() if not key.startswith(PREFIX)} for row in rows(watched)]
    assert [row for row in plain if "loss" in row] == rows(finished)
    assert [row["step"] for row in plain] == [3, 4, 6, 8, 9, 12, 15, 16, 18, 20, 21, 24]
    assert (watched / "sample.txt").read_bytes() == (finished / "sample.txt").read_bytes()


def test_what_is_written(watched):
    measured = [row for row in rows(watched) if any(key.startswith(PREFIX) for key in row)]
    assert [row["step"] for row in measured] == [3, 6, 9, 12, 15, 18, 21, 24]
    for row in measured:
        assert row["tokens"] == row["step"] * 2 * 56
        for leaf in ("layers.0.hidden", "layers.1.hidden"):
            assert row[f"{PREFIX}{leaf}/verdict"] in ("vanishing", "healthy", "exploding")
            assert row[f"{PREFIX}{leaf}/half_life"] > 0
            assert row[f"{PREFIX}{leaf}/ratio"] > 0
    assert len({json.dumps(row) for row in measured}) == len(measured)


@pytest.mark.parametrize("stopped_at", [13, 16, 19])
def test_a_resumed_run_has_the_same_rows(watched, watched_config, tmp_path, monkeypatch, stopped_at):
    run_dir = tmp_path / "run"
    with monkeypatch.context() as patches:
        raise_signal_at_batch(patches, signal.SIGINT, stopped_at)
        with pytest.raises(KeyboardInterrupt):
            train.run(watched_config, run_dir)
    train.resume(run_dir)
    assert_same_end(run_dir, watched, 24)


def test_rows_of_before_a_kill_are_not_written_twice(watched, watched_config, tmp_path):
    """Killed after rows that no checkpoint knows of."""
    run_dir = train.run(changed(watched_config, "train", gradient_flow_every=3, steps=6), tmp_path / "run")
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 7, f"{PREFIX}layers.0.hidden/ratio": 0.5}) + "\n")
    train.resume(run_dir, ["train.steps=7"])
    assert [row["step"] for row in rows(run_dir)] == [3, 4, 6, 7]


def test_events_have_numbers_and_words(watched_config, tmp_path):
    pytest.importorskip("tensorboardX")
    train.run(changed(watched_config, "train", gradient_flow_every=1, steps=2, tensorboard=True), tmp_path / "run")
    content = b"".join(path.read_bytes() for path in (tmp_path / "run" / "tensorboard").iterdir())
    for name in ("half_life", "ratio", "verdict"):
        assert f"{PREFIX}layers.0.hidden/{name}".encode() in content
    assert b"vanishing" in content


def test_a_single_step_has_no_flow():
    with pytest.raises(ConfigError, match=r"train\.gradient_flow_every - .* data\.length of at least 2 \(got 1\)"):
        load_config("char_lm", ["data.length=1", "train.gradient_flow_every=5"])
