"""Whole runs: what they leave behind, what they refuse, and what they say."""

import itertools
import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest

import seqjax
from seqjax import train
from seqjax.config import load_config
from seqjax.errors import CheckpointError, ConfigError, DataError, TrainingError
from seqjax.train.learner import from_arrays
from seqjax.train.tasks import build
from tests.train.helpers import SENTENCE, changed, rows, saved_arrays


def test_a_run_leaves_everything_behind(finished, config):
    assert load_config(finished / "config.yaml") == config
    summary = json.loads((finished / "summary.json").read_text())
    assert {"metric", "value", "baselines", "steps", "characters_per_second", "seconds", "versions"} <= summary.keys()
    assert summary["metric"] == "heldout_bits_per_character"
    assert summary["baselines"].keys() == {"unigram", "5-gram", "zlib"}
    assert summary["steps"] == 24
    assert 0 < summary["characters_per_second"] < math.inf
    assert (finished / "sample.txt").read_text().startswith("the ")
    assert not list(finished.rglob("*.tmp"))
    assert sorted(int(path.name) for path in (finished / "checkpoints").iterdir()) == [18, 24]


def test_rows_hold_what_was_read_at_the_steps_that_were_asked_for(finished, config):
    written = rows(finished)
    assert [row["step"] for row in written] == [4, 8, 9, 12, 16, 18, 20, 24]
    assert [row["step"] for row in written if "heldout_bits_per_character" in row] == [9, 18, 24]
    assert all(row["tokens"] == row["step"] * 2 * 56 for row in written)
    assert all(row["bits_per_character"] == pytest.approx(row["loss"] / math.log(2)) for row in written)
    assert written[0]["bits_per_character"] == pytest.approx(math.log2(len(set(SENTENCE))), abs=1)
    timing = [json.loads(line) for line in (finished / "timing.jsonl").read_text().splitlines()]
    assert [row["step"] for row in timing] == [row["step"] for row in written]


def test_training_gets_below_the_unigram_baseline(config, tmp_path, capsys):
    config = changed(config, "train", steps=100, log_every=50, eval_every=100, checkpoint_every=100)
    config = changed(config, "model", num_layers=1, dropout=0.0, hidden_size=16)
    train.run(changed(config, "optimizer", learning_rate=0.03), tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["value"] < 0.6 * summary["baselines"]["unigram"]
    printed = capsys.readouterr().out
    assert "GRU, 1 layer of 16 units" in printed
    assert f"held out: {summary['value']:.3f} bits per character after 100 steps" in printed
    assert f"below unigram {summary['baselines']['unigram']:.2f}" in printed
    assert (tmp_path / "run" / "sample.txt").read_text().strip() in printed
    assert f"next: seqjax sample {tmp_path / 'run'}" in printed


def test_more_devices_than_there_are(config, tmp_path):
    config = changed(changed(config, "data", batch_size=3), "train", devices=3)
    with pytest.raises(ConfigError, match=r"train\.devices - got devices=3, but JAX has 2 .* before JAX is first used"):
        train.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_evaluation_repeats_the_summary(finished):
    summary = json.loads((finished / "summary.json").read_text())
    result = train.evaluate(finished)
    expected = {key: summary[key] for key in ("metric", "value", "baselines")}
    assert result == {"step": 24, "results": {summary["metric"]: summary["value"]}} | expected
    with pytest.raises(ConfigError, match="no part 'test'; known are heldout"):
        train.evaluate(finished, part="test")
    assert train.evaluate(finished, step=18)["value"] == rows(finished)[5]["heldout_bits_per_character"]
    with pytest.raises(CheckpointError, match=r"no checkpoint of step 7 .* those of steps 18, 24"):
        train.evaluate(finished, step=7)


def test_a_sample_depends_on_its_seed_alone(finished):
    first = train.sample(finished, prompt="the cat", length=40, temperature=1.0, seed=1)
    assert first.startswith("the cat")
    assert len(first) == len("the cat") + 40
    assert train.sample(finished, prompt="the cat", length=40, temperature=1.0, seed=1) == first
    assert train.sample(finished, prompt="the cat", length=40, temperature=1.0, seed=2) != first
    assert train.sample(finished, seed=0) == (finished / "sample.txt").read_text()[:-1]
    # With nothing but the most probable symbol left, the seed decides nothing.
    likely = train.sample(finished, prompt="the cat", length=20, temperature=0.0)
    for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        assert train.sample(finished, prompt="the cat", length=20, temperature=1.0, seed=3, **narrow) == likely


def test_a_prompt_needs_characters_of_the_vocabulary(finished, config, tmp_path):
    with pytest.raises(DataError, match=r"'Zoe' cannot be read by the model: character 'Z'"):
        train.sample(finished, prompt="Zoe")
    with pytest.raises(DataError, match="prompt is empty"):
        train.sample(finished, prompt="")
    for name, value in (("temperature", -1.0), ("top_k", 0), ("top_p", 1.5), ("min_p", 0.0)):
        with pytest.raises(ConfigError, match=rf"sample\.{name} - must be"):
            train.sample(finished, **{name: value})
    # Not after the training, but before it.
    with pytest.raises(DataError, match="cannot be read"):
        train.run(changed(config, "sample", prompt="Zoe"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_with_advice(config, tmp_path):
    config = changed(config, "optimizer", name="sgd", learning_rate=1e38)
    with pytest.raises(
        TrainingError, match=r"^step [123]: the loss or its gradient is not finite; no checkpoint"
    ) as error:
        train.run(config, tmp_path / "run")
    for advice in ("a smaller optimizer.learning_rate (it was 1e+38)", "optimizer.skip_nonfinite=10"):
        assert advice in str(error.value)
    assert not rows(tmp_path / "run")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_the_advice_names_the_last_good_checkpoint(config, finished, tmp_path):
    run_dir = shutil.copytree(finished, tmp_path / "run")
    with pytest.raises(TrainingError) as error:
        train.resume(run_dir, ["train.steps=40", "optimizer.learning_rate=1e38"])
    assert "step 26" in str(error.value)
    assert f"the last good checkpoint is {run_dir / 'checkpoints' / '24'}" in str(error.value)
    assert rows(run_dir) == rows(finished)


def test_a_directory_with_a_run_is_not_written_over(finished, config):
    with pytest.raises(ConfigError, match=r"holds a run already; go on with it by `seqjax train --resume"):
        train.run(config, finished)


def test_a_run_that_stopped_before_its_first_checkpoint_begins_again(finished, config, tmp_path):
    run_dir = tmp_path / "run"
    (run_dir / "checkpoints" / "6.orbax-checkpoint-tmp").mkdir(parents=True)
    for name in ("config.yaml", "vocabulary.json", "metrics.jsonl", "timing.jsonl"):
        shutil.copy(finished / name, run_dir)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .*; start the run again"):
        train.resume(run_dir)
    train.run(changed(config, "train", steps=4), run_dir)
    assert [row["step"] for row in rows(run_dir)] == [4]


def test_options_that_a_cell_refuses_are_found_before_anything_is_written(config, tmp_path):
    with pytest.raises(ConfigError, match="unknown activation 'tanhh'; did you mean 'tanh'"):
        train.run(changed(config, "model", cell_options={"activation": "tanhh"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_directory_without_a_run_is_refused(tmp_path):
    for function in (train.resume, train.evaluate, train.sample):
        with pytest.raises(CheckpointError, match=r"holds no run: there is no config\.yaml"):
            function(tmp_path)


def test_wanted_events_need_tensorboardx(config, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'seqjax\[tensorboard\]'"):
        train.run(changed(config, "train", tensorboard=True), tmp_path / "run")


def test_a_byte_vocabulary_is_measured_in_bytes(config, tmp_path):
    config = changed(changed(config, "data", vocabulary="byte"), "train", steps=2, eval_every=2)
    train.run(changed(config, "sample", prompt="né"), tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["metric"] == "heldout_bits_per_byte"
    assert summary["value"] == pytest.approx(8, abs=0.5)
    assert (tmp_path / "run" / "sample.txt").read_text().startswith("né")


def test_naming_the_package_imports_nothing_heavy():
    code = "import sys, seqjax; seqjax.train; print([name for name in ('jax', 'flax', 'orbax') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    names = {"Prediction", "decode", "evaluate", "measure_gradients", "resume", "run", "sample"}
    assert set(dir(seqjax.train)) == names


def test_the_value_is_that_of_every_stream_read_from_end_to_end(finished, config):
    """Batches, masks and the carry between them against one pass over each stream, in double precision."""
    experiment = build(config)
    learner = experiment.learner
    arrays = {name: np.asarray(array) for name, array in saved_arrays(finished, 24).items()}
    model = learner.model(from_arrays(learner.initial_state(), arrays))
    heldout = experiment.vocabulary.encode(experiment.corpus.heldout)
    bounds = [0, (len(heldout) - 1) // 2, len(heldout) - 1]
    nats = 0.0
    for start, end in itertools.pairwise(bounds):
        _, logits = model(heldout[None, start:end])
        logits = np.asarray(logits, np.float64)[0]
        chosen = logits[np.arange(end - start), heldout[start + 1 : end + 1]]
        nats += (np.log(np.exp(logits).sum(axis=-1)) - chosen).sum()
    value = json.loads((finished / "summary.json").read_text())["value"]
    assert value == pytest.approx(nats / (len(heldout) - 1) / math.log(2), rel=1e-6)
