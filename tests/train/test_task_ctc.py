import dataclasses
import io
import json
import wave

import jax
import numpy as np
import pytest
from flax import nnx

import seqjax.train
import seqjax.train.tasks.supervised as supervised
from seqjax.config import load_config
from seqjax.config.tasks.ctc import CTCDecodeConfig
from seqjax.data import Dataset, Records
from seqjax.data.features import log_mel
from seqjax.data.sources import load_dataset
from seqjax.errors import ConfigError
from seqjax.train.tasks import build
from seqjax.train.tasks.ctc import LabelsOfFrames
from tests.losses.ctc_paths import all_labels, loss_and_gradient

TINY = [
    "data.batch_size=4",
    "data.shapes=1",
    "model.hidden_size=5",
    "model.num_layers=1",
    "optimizer.schedule=null",
    "train.steps=2",
    "train.eval_every=2",
    "train.checkpoint_every=2",
    "train.tensorboard=false",
]
SLICE = ["data.options.train=8", "data.options.validation=4", "data.options.test=4"]


class Frames(nnx.Module):
    """The scores are the inputs."""

    def __call__(self, inputs, lengths):
        return inputs, lengths


@pytest.fixture(scope="module")
def config():
    return load_config("tones", [*TINY, *SLICE, "decode.method=beam", "decode.beam_size=4", "decode.n_best=2"])


@pytest.fixture(scope="module")
def tones(config):
    return load_dataset("tone-strings", **config.data.options)


@pytest.fixture(scope="module")
def run_directory(config, tmp_path_factory):
    return seqjax.train.run(config, tmp_path_factory.mktemp("runs") / "tones")


def wav(samples, rate=8000, channels=1) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples * 32767, "<i2").tobytes())
    return content.getvalue()


def with_data(monkeypatch, dataset):
    monkeypatch.setattr(supervised, "load_dataset", lambda name, root=None, **options: dataset)


def dataset_of(inputs, targets):
    records = Records([np.asarray(each, np.float32) for each in inputs], targets)
    return Dataset("made", records, records, records)


@pytest.fixture(scope="module")
def batch():
    """Rows: usual; a pair of equal labels; too few frames for it; no labels; a label of no class; filled up."""
    rng = np.random.default_rng(3)
    return {
        "inputs": rng.normal(size=(6, 4, 3)).astype(np.float32),
        "inputs_lengths": np.array([4, 3, 2, 3, 4, 0], np.int32),
        "labels": np.array([[1, 2], [2, 2], [1, 1], [0, 0], [1, -1], [0, 0]], np.int32),
        "labels_lengths": np.array([2, 2, 2, 0, 2, 0], np.int32),
        "valid": np.array([True, True, True, True, True, False]),
    }


@pytest.fixture(scope="module")
def expected(batch):
    """By enumeration of all paths."""
    rows = zip(batch["inputs"], batch["inputs_lengths"], batch["labels"], batch["labels_lengths"], strict=True)
    return [loss_and_gradient(row[:n], labels[:m].tolist(), 0) for row, n, labels, m in rows]


class TestObjective:
    def test_loss_is_that_of_all_paths_over_the_labels_that_can_be_aligned(self, batch, expected):
        objective = LabelsOfFrames(CTCDecodeConfig())
        _, total, weight = objective.loss(Frames(), (), batch, 0)
        losses = [loss for loss, _ in expected]
        assert np.isinf([losses[2], losses[4]]).all()
        assert float(total) == pytest.approx(losses[0] + losses[1] + losses[3], rel=1e-5)
        assert int(weight) == 4

    def test_gradient_does_not_reach_padding_or_rows_that_cannot_be_aligned(self, batch, expected):
        objective = LabelsOfFrames(CTCDecodeConfig())

        def total(inputs):
            return objective.loss(Frames(), (), batch | {"inputs": inputs}, 0)[1]

        spoilt = batch["inputs"].copy()
        spoilt[1, 3:] = np.nan
        gradient = np.asarray(jax.grad(total)(spoilt))
        for row, (_, right) in enumerate(expected):
            length = batch["inputs_lengths"][row]
            np.testing.assert_allclose(gradient[row, :length], right, atol=1e-5)
            assert not gradient[row, length:].any()

    @pytest.mark.parametrize("method", ["greedy", "beam"])
    def test_evaluation_decodes_each_row(self, batch, expected, method):
        objective = LabelsOfFrames(CTCDecodeConfig(method=method, beam_size=16))
        _, measured = objective.evaluate(Frames(), (), batch)
        assert measured["alignable"].tolist() == [True, True, False, True, False, True]
        assert measured["weight"].tolist() == [2, 2, 0, 0, 0, 0]
        for row, length in enumerate(batch["inputs_lengths"]):
            frames = batch["inputs"][row, :length]
            tokens = np.asarray(measured["tokens"][row, 0])
            said, score = tuple(tokens[tokens >= 0].tolist()), float(measured["scores"][row, 0])
            if method == "beam":
                best = all_labels(frames, 0)
                assert said == max(best, key=best.get)
                assert score == pytest.approx(best[said], abs=1e-5)
            else:
                path = frames.argmax(axis=1)
                symbols = path[np.diff(path, prepend=-1) != 0]
                assert said == tuple(symbols[symbols != 0].tolist())


class TestTask:
    def test_a_run_measures_and_writes_predictions(self, run_directory, tones):
        measured = json.loads((run_directory / "test.json").read_text())
        assert set(measured) == {"test_loss", "test_digit_error_rate", "test_exact_match", "test_not_alignable"}
        assert measured["test_not_alignable"] == 0
        lines = (run_directory / "predictions.txt").read_text().splitlines()
        assert len(lines) == 4
        for line, target in zip(lines, tones.test.targets, strict=True):
            name, said, *right = line.split("\t")
            assert name.startswith("test string ")
            assert right == ([] if said == target else [target])

    def test_evaluation_of_the_test_part_is_that_of_the_end(self, run_directory):
        result = seqjax.train.evaluate(run_directory, part="test")
        assert result["metric"] == "test_digit_error_rate"
        assert result["results"] == json.loads((run_directory / "test.json").read_text())

    def test_scores_are_edits_and_exact_matches(self, config):
        task = build(config)
        records = Records([None] * 3, ["123", "44", "7"])
        tokens = [[1, 2, 3, -1], [4, -1, -1, -1], [7, 7, -1, -1]]
        number = task.labels.number
        outputs = [
            {
                "tokens": np.array([[number(str(token)) if token >= 0 else -1 for token in row]]),
                "scores": np.array([-0.5]),
                "alignable": alignable,
            }
            for row, alignable in zip(tokens, [True, False, True], strict=True)
        ]
        assert task.score(records, outputs) == {
            "digit_error_rate": pytest.approx(2 / 6),
            "exact_match": pytest.approx(1 / 3),
            "not_alignable": 1,
        }
        assert task.texts(records, outputs) == ["record 0\t123", "record 1\t4\t44", "record 2\t77\t7"]

    def test_features_are_scaled_by_the_training_part_and_by_what_a_run_stored(self, config, tones):
        task = build(config)
        frames = np.concatenate(tones.train.inputs).astype(np.float64)
        scaled = np.concatenate(task.columns(tones.train)["inputs"])
        np.testing.assert_allclose(scaled, (frames - frames.mean(axis=0)) / frames.std(axis=0), atol=1e-4)
        again = build(config, json.loads(json.dumps(task.symbols())))
        for one, other in zip(task.columns(tones.test)["inputs"], again.columns(tones.test)["inputs"], strict=True):
            np.testing.assert_array_equal(one, other)
        plain = build(dataclasses.replace(config, standardize=False))
        np.testing.assert_array_equal(plain.columns(tones.test)["inputs"][0], tones.test.inputs[0])

    def test_labels_that_are_words_stand_apart(self, config, monkeypatch):
        with_data(monkeypatch, dataset_of(np.zeros([2, 9, 3]), [["good", "day"], ["day"]]))
        task = build(config)
        outputs = [
            {"tokens": np.array([[task.labels.number(word) for word in target]])} for target in (["day"], ["day"])
        ]
        assert task.texts(task.dataset.test, outputs) == ["record 0\tday\tgood day", "record 1\tday"]

    def test_what_cannot_be_aligned_is_counted_before_training(self, config, monkeypatch):
        with_data(monkeypatch, dataset_of([np.zeros([9, 3]), np.zeros([8, 3]), np.zeros([2, 3])], ["abc", "aab", "a"]))
        model = dataclasses.replace(config.model, stack_frames=3)
        task = build(dataclasses.replace(config, model=model))
        assert any("1 of 3 sequences" in line and "record 1 is the first" in line for line in task.description())
        task.check_ending()

    def test_labels_that_training_does_not_have_are_errors_that_are_counted(self, config, monkeypatch):
        known, new = (
            dataset_of(np.zeros([2, 9, 3]), ["ab", "b"]).train,
            dataset_of(np.zeros([2, 9, 3]), ["ac", "a"]).train,
        )
        with_data(monkeypatch, Dataset("made", known, new, new))
        task = build(config)
        measured = task.evaluate(task.learner.initial_state(), lambda number, batches: None)
        assert measured["validation_not_alignable"] == 1
        assert np.isfinite(measured["validation_loss"])
        assert measured["validation_digit_error_rate"] > 0

    def test_steps_are_those_of_the_model(self, config, monkeypatch):
        """At each number of frames, the most labels that still can be aligned are as many as the model has steps."""
        counts = range(1, 12)
        with_data(
            monkeypatch, dataset_of([np.zeros([count, 3]) for count in counts], ["ababab"[: c // 2] for c in counts])
        )
        model = dataclasses.replace(config.model, convolution_size=2, convolution_stride=2, stack_frames=3)
        task = build(dataclasses.replace(config, model=model))
        frames = np.zeros([11, 11, 3], np.float32)
        _, lengths = task.learner.model(task.learner.initial_state())(frames, np.array(counts))
        assert task._alignable.tolist() == [
            length >= c // 2 for length, c in zip(lengths.tolist(), counts, strict=True)
        ]

    def test_nothing_that_can_be_aligned_is_refused_before_training(self, config, monkeypatch, tmp_path):
        with_data(monkeypatch, dataset_of(np.zeros([2, 4, 3]), ["abcde", "edcba"]))
        with pytest.raises(ConfigError, match="fewer steps than labels of every sequence"):
            seqjax.train.run(config, tmp_path / "run")

    def test_tokens_as_inputs_are_refused(self, config):
        data = dataclasses.replace(config.data, source="reversal", options={})
        with pytest.raises(ConfigError, match=r"reads features.*tone-strings"):
            build(dataclasses.replace(config, data=data))

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("data.longer=truncate", "keep their labels"),
            ("decode.n_best=3", "a greedy decoder gives at most 1"),
            ("target_unit=Two words", "target_unit"),
        ],
    )
    def test_settings_that_are_refused(self, setting, message):
        with pytest.raises(ConfigError, match=message):
            load_config("tones", [setting])


class TestDecode:
    def test_files_are_read_and_problems_are_told(self, run_directory, tones, tmp_path):
        samples = 0.5 * np.sin(np.arange(6000) / 3)
        (tmp_path / "sound.wav").write_bytes(wav(samples))
        (tmp_path / "other.wav").write_bytes(wav(samples, rate=16000))
        np.save(tmp_path / "test.npy", tones.test.inputs[2])
        np.save(tmp_path / "flat.npy", np.zeros(7))
        names = ["sound.wav", "test.npy", "other.wav", "flat.npy", "missing.wav"]
        found = seqjax.train.decode(run_directory, [*(str(tmp_path / name) for name in names), ""])
        assert [each.line for each in found if each.answers] == [1, 2]
        for each, message in zip(
            found[2:], ["16000 samples a second, expected 8000", "shape", "missing.wav: No such file", "empty"]
        ):
            assert message in each.problem
        said = (run_directory / "predictions.txt").read_text().splitlines()[2].split("\t")[1]
        assert found[1].answers[0].text == said
        scores = [answer.score for answer in found[1].answers]
        assert len(scores) == 2
        assert scores == sorted(scores, reverse=True)

    def test_a_recording_has_the_features_of_the_source(self, config, tmp_path):
        task = build(config)
        samples = np.random.default_rng(0).normal(scale=0.1, size=4000)
        (tmp_path / "noise.wav").write_bytes(wav(samples))
        (read,) = task.read([str(tmp_path / "noise.wav")]).inputs
        features = log_mel(np.asarray(samples * 32767, "<i2") / 32768, 8000, bands=40, window=0.032, floor=1e-8)
        np.testing.assert_allclose(read, (features - features.mean(axis=0)) / features.std(axis=0), atol=1e-3)
