"""Runs that were killed, interrupted or damaged end as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seqjax import train
from seqjax.data import ContiguousStreams
from seqjax.errors import CheckpointError, ConfigError, DataError
from seqjax.train.tasks.language_model import LanguageModelTask
from tests.train.helpers import assert_same_end, changed, damage, rows, saved_arrays

KILLED = """
import os, signal, sys
from seqjax import train
from seqjax.config import load_config
from seqjax.data import ContiguousStreams

read = ContiguousStreams.__getitem__
def read_or_die(streams, index):
    if index == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return read(streams, index)
ContiguousStreams.__getitem__ = read_or_die
train.run(load_config(sys.argv[1]), sys.argv[2])
"""


def test_a_killed_run_ends_as_an_unbroken_one(finished, tmp_path):
    """Killed in the middle of an epoch, between two checkpoints, after rows that the resumed run writes again."""
    run_dir = tmp_path / "run"
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(finished / "config.yaml"), str(run_dir), "21"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2",
        },
        capture_output=True,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert [row["step"] for row in rows(run_dir)] == [4, 8, 9, 12, 16, 18, 20]
    assert not (run_dir / "summary.json").exists()
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 21, "lo')
    train.resume(run_dir)
    assert [row["step"] for row in rows(run_dir)] == [4, 8, 9, 12, 16, 18, 20, 24]
    assert_same_end(run_dir, finished, 24)


@pytest.fixture(scope="module")
def finished_on_two_devices(config, tmp_path_factory) -> Path:
    return train.run(changed(config, "train", devices=2), tmp_path_factory.mktemp("runs") / "two-devices")


def test_a_run_killed_on_two_devices_ends_as_an_unbroken_one(finished_on_two_devices, tmp_path):
    """Nothing but the config tells the process that is killed how many devices to make of the CPU."""
    run_dir = tmp_path / "run"
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(finished_on_two_devices / "config.yaml"), str(run_dir), "21"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert "parameters, on 2 devices (cpu)\n" in process.stdout
    train.resume(run_dir)
    assert_same_end(run_dir, finished_on_two_devices, 24)


def test_two_devices_end_as_one_does_but_for_rounding(finished, finished_on_two_devices):
    expected, arrays = saved_arrays(finished, 24), saved_arrays(finished_on_two_devices, 24)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-3, atol=1e-4, err_msg=name)
    for row, expected_row in zip(rows(finished_on_two_devices), rows(finished), strict=True):
        assert row == pytest.approx(expected_row, rel=1e-3)
    assert train.evaluate(finished_on_two_devices)["value"] == pytest.approx(
        train.evaluate(finished)["value"], rel=1e-3
    )


def test_a_run_goes_on_with_another_number_of_devices(finished_on_two_devices, tmp_path):
    run_dir = shutil.copytree(finished_on_two_devices, tmp_path / "run")
    train.resume(run_dir, ["train.devices=1", "train.steps=26"])
    assert rows(run_dir)[-1]["step"] == 26


def raise_signal_at_batch(monkeypatch, number: signal.Signals, index: int) -> None:
    read = ContiguousStreams.__getitem__

    def read_and_signal(streams, wanted):
        if wanted == index:
            signal.raise_signal(number)
        return read(streams, wanted)

    monkeypatch.setattr(ContiguousStreams, "__getitem__", read_and_signal)


def test_ctrl_c_saves_and_says_how_to_go_on(finished, config, tmp_path, monkeypatch, capsys):
    run_dir, handler = tmp_path / "run", signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patches:
        raise_signal_at_batch(patches, signal.SIGINT, 13)
        with pytest.raises(KeyboardInterrupt):
            train.run(config, run_dir)
    assert signal.getsignal(signal.SIGINT) is handler
    # The step that was begun is finished; its sums, which belong to the row of step 16, are in the checkpoint.
    assert int(saved_arrays(run_dir, 14)["step"]) == 14
    assert (
        f"SIGINT at step 14 of 24: checkpoint saved; go on with `seqjax train --resume {run_dir}`"
        in capsys.readouterr().out
    )
    train.resume(run_dir)
    assert_same_end(run_dir, finished, 24)


def test_termination_in_an_evaluation_loses_no_row(finished, config, tmp_path, monkeypatch):
    run_dir, evaluations = tmp_path / "run", []
    measure = LanguageModelTask.evaluate

    def signal_in_the_second(experiment, state, at_batch):
        evaluations.append(state)
        if len(evaluations) == 2:
            signal.raise_signal(signal.SIGTERM)
        return measure(experiment, state, at_batch)

    with monkeypatch.context() as patches:
        patches.setattr(LanguageModelTask, "evaluate", signal_in_the_second)
        with pytest.raises(SystemExit) as leaving:
            train.run(config, run_dir)
    assert leaving.value.code == 143
    assert rows(run_dir)[-1]["step"] == 16
    train.resume(run_dir)
    assert_same_end(run_dir, finished, 24)


def test_a_second_ctrl_c_acts_at_once():
    from seqjax.train.interrupts import Interrupted, Interrupts

    with Interrupts() as interrupts:
        interrupts.poll()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            interrupts.poll()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_damaged_checkpoint_is_set_aside_and_trained_again(finished, tmp_path, capfd):
    run_dir = shutil.copytree(finished, tmp_path / "run")
    damage(run_dir / "checkpoints" / "24")
    train.resume(run_dir)
    warnings = capfd.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert "24 is damaged" in warnings[0]
    assert warnings[0].endswith("using the one before, of step 18")
    assert (run_dir / "damaged-checkpoints" / "24-0").is_dir()
    assert_same_end(run_dir, finished, 24)


def test_more_steps_go_on_from_the_end(finished, tmp_path):
    run_dir = shutil.copytree(finished, tmp_path / "run")
    train.resume(run_dir, ["train.steps=30"])
    assert [row["step"] for row in rows(run_dir)] == [4, 8, 9, 12, 16, 18, 20, 24, 27, 28, 30]
    assert json.loads((run_dir / "summary.json").read_text())["steps"] == 30
    assert "steps: 30" in (run_dir / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"train\.steps=10, but the run is at step 30"):
        train.resume(run_dir, ["train.steps=10"])


def test_what_was_trained_cannot_be_changed(finished):
    with pytest.raises(ConfigError) as error:
        train.resume(finished, ["model.hidden_size=9", "seed=1"])
    assert str(error.value).splitlines() == [
        "seed - cannot change in a resumed run (got 1, the run has 0); begin a new run",
        "model.hidden_size - cannot change in a resumed run (got 9, the run has 8); begin a new run",
    ]


def test_a_checkpoint_of_another_model_names_the_leaf(finished, tmp_path):
    run_dir = shutil.copytree(finished, tmp_path / "run")
    written = (run_dir / "config.yaml").read_text()
    (run_dir / "config.yaml").write_text(written.replace("hidden_size: 8", "hidden_size: 9"))
    for function in (train.resume, train.evaluate):
        with pytest.raises(
            CheckpointError, match=r"carry\.0\.hidden: saved float32\[2, 8\], the model has float32\[2, 9\]"
        ):
            function(run_dir)
    assert (run_dir / "checkpoints" / "24").is_dir()


def test_a_run_goes_on_with_its_own_text_only(config, text, tmp_path):
    own_text: Path = shutil.copy(text, tmp_path / "text.txt")
    run_dir = tmp_path / "run"
    short = changed(changed(config, "data", source=str(own_text)), "train", steps=2)
    train.run(short, run_dir)
    own_text.write_text(text.read_text().replace("cat", "dog"))
    with pytest.raises(DataError, match=r"text\.txt has changed since the run began"):
        train.resume(run_dir, ["train.steps=4"])
    own_text.write_text(text.read_text().replace("cat", "Cat"))
    for function in (train.resume, train.evaluate):
        with pytest.raises(DataError, match=r"not the one that the run was trained on: character 'C'"):
            function(run_dir)
    assert train.sample(run_dir, length=5).startswith("the ")
