"""What tasks measure and write, against values computed by hand."""

import dataclasses

import jax
import numpy as np
import pytest

from seqjax.config import config_from_dict
from seqjax.data import Dataset, Records
from seqjax.errors import ConfigError, DataError
from seqjax.train.tasks import build, supervised

RNG = np.random.default_rng(0)
MODEL = {"hidden_size": 3, "cell": "GRU"}


@pytest.fixture
def made(monkeypatch):
    """Build a task on records in place of a source."""

    def make(records: Records, *, held_out: Records | None = None, **config):
        held_out = records if held_out is None else held_out
        details = config.pop("details", {})
        dataset = Dataset("made", records, held_out, held_out, details=details)
        monkeypatch.setattr(supervised, "load_dataset", lambda name, root=None, **options: dataset)
        data = {"batch_size": 4, "shapes": 1, **config.pop("data", {})}
        return build(config_from_dict({"model": MODEL, **config, "data": data}))

    return make


def outputs(task, records):
    return task.outputs(task.learner.initial_state(), records)


def module(task):
    return task.learner.model(task.learner.initial_state())


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def test_classification(made):
    records = Records(["ab", "b", "abab", "bba", "aa"], ["x", "y", "x", "y", "x"])
    task = made(records, task="classification")
    found = outputs(task, records)
    model = module(task)
    nats, right = [], []
    for sequence, target in zip(records.inputs, records.targets, strict=True):
        scores = log_softmax(model(task.inputs.encode([sequence])[0][None]))[0]
        number = task.classes.index(target)
        nats.append(-scores[number])
        right.append(scores.argmax() == number)
    measured = task.measures(records, found, "test")
    assert measured["test_loss"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert measured["test_accuracy"] == np.mean(right)
    assert task.baselines == {"majority": 0.6}
    assert [line.split("\t")[0] for line in task.texts(records, found)] == list(records.inputs)
    with pytest.raises(DataError, match=r"record 0: class 'z' is not among those of the training part"):
        task.columns(Records(["ab"], ["z"]))


@pytest.fixture
def tagged():
    words = [["a", "b"], ["b"], ["c", "a", "b"]]
    tags = [["B-x", "I-x"], ["O"], ["_", "B-x", "O"]]
    return Records(words, tags, labels=["one", "two", "one"])


def test_tagging(made, tagged):
    model = {**MODEL, "embedding_size": 4, "characters": {"hidden_size": 2, "embedding_size": 2}}
    task = made(tagged, task="tagging", ignored_tag="_", label_weight=0.5, model=model)
    found = outputs(task, tagged)
    columns = task.columns(tagged)
    total = 0.0
    for index, words in enumerate(tagged.inputs):
        logits, label_logits = module(task)(
            columns["inputs"][index][None],
            characters=columns["characters"][index][None],
            character_lengths=columns["spelling"][index][None],
        )
        counted = [(step, tag) for step, tag in enumerate(tagged.targets[index]) if tag != "_"]
        scores = log_softmax(logits)[0]
        total -= sum(scores[step, task.tags.number(tag)] for step, tag in counted)
        total -= 0.5 * log_softmax(label_logits)[0, task.labels.number(tagged.labels[index])]
        assert len(task.texts(tagged, found)[index].split("\t")[1].split()) == len(words) + 1
    assert task.measures(tagged, found, "test")["test_loss"] == pytest.approx(total / 5, rel=1e-5)


def test_tags_are_scored_as_they_stand(made, tagged):
    task = made(tagged, task="tagging", ignored_tag="_")
    numbers = lambda tags: np.array([task.tags.number(tag) for tag in tags])
    said = [["B-x", "I-x"], ["B-x"], ["O", "B-x", "O"]]
    found = [
        {"tags": numbers(tags), "label": np.array(task.labels.number(label))}
        for tags, label in zip(said, ["one", "two", "two"], strict=True)
    ]
    assert task.score(tagged, found) == {"accuracy": 4 / 5, "label_accuracy": 2 / 3, "exact_match": 1 / 3}
    task.config = dataclasses.replace(task.config, metric="span_f1", ignored_tag=None)
    tagged.targets[2][0] = "O"
    assert task.score(tagged, found)["span_f1"] == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    # The word a is B-x twice, b is I-x, O and O.
    assert task.baselines == {"most frequent tag of the word": task._tag_measures(
        [["B-x", "O"], ["O"], ["O", "B-x", "O"]], tagged
    )["span_f1"]}  # fmt: skip


def test_a_tag_that_only_a_held_out_part_has_counts_as_wrong(made):
    train = Records([["a", "b"]] * 4, [["X", "Y"]] * 4)
    other = Records([["a", "b"]], [["X", "Z"]])
    task = made(train, held_out=other, task="tagging")
    found = outputs(task, other)
    assert np.isfinite(found[0]["loss"])
    assert found[0]["weight"] == 1
    assert task.score(other, found)["accuracy"] <= 0.5


def test_multi_label(made):
    rolls = [(RNG.random((length, 3)) < 0.4).astype(np.float32) for length in (5, 3, 6)]
    records = Records([roll[:-1] for roll in rolls], [roll[1:] for roll in rolls])
    task = made(records, task="multi_label")
    found = outputs(task, records)
    nats, both, either = 0.0, 0, 0
    for inputs, targets in zip(records.inputs, records.targets, strict=True):
        _, logits = module(task)(inputs[None])
        chances = 1 / (1 + np.exp(-np.asarray(logits, np.float64)[0]))
        nats -= (targets * np.log(chances) + (1 - targets) * np.log(1 - chances)).sum()
        both += int(((chances > 0.5) & (targets > 0)).sum())
        either += int(((chances > 0.5) | (targets > 0)).sum())
    measured = task.measures(records, found, "test")
    assert measured["test_nats_per_step"] == pytest.approx(nats / 11, rel=1e-5)
    assert measured["test_nats_per_step"] == pytest.approx(measured["test_loss"])
    assert measured["test_frame_accuracy"] == both / either
    with pytest.raises(DataError, match=r"labels have shape \(2, 3\), expected \[3, 3\], a row a step"):
        task.columns(Records([np.zeros((3, 3))], [np.zeros((2, 3))]))
    with pytest.raises(DataError, match="labels must be 0 or 1"):
        task.columns(Records([np.zeros((2, 3))], [np.full((2, 3), 0.5)]))


def test_regression_in_the_units_of_the_data(made):
    records = Records(
        [RNG.normal(size=(5, 1)).astype(np.float32) for _ in range(6)],
        [RNG.normal(size=(2, 1)).astype(np.float32) for _ in range(6)],
    )
    task = made(records, task="regression", loss="quantile", quantiles=[0.2, 0.5], details={"mean": 7.0, "scale": 3.0})
    found = outputs(task, records)
    targets = np.stack([target[:, 0] for target in records.targets])
    rows = np.stack([np.asarray(module(task)(inputs[None])).reshape(2, 2) for inputs in records.inputs])
    errors = targets - rows[..., 1]
    measured = task.measures(records, found, "test")
    assert measured["test_mean_squared_error"] == pytest.approx((errors**2).mean(), rel=1e-5)
    assert measured["test_mean_absolute_error"] == pytest.approx(3 * abs(errors).mean(), rel=1e-5)
    assert measured["test_share_below_quantile_0.2"] == (targets <= rows[..., 0]).mean()
    pinball = sum(np.maximum(q * e, (q - 1) * e) for q, e in ((0.2, targets - rows[..., 0]), (0.5, errors)))
    assert measured["test_loss"] == pytest.approx(pinball.mean(), rel=1e-5)
    last = np.stack([np.repeat(inputs[-1], 2) for inputs in records.inputs])
    assert task.baselines["last value"] == pytest.approx(((last - targets) ** 2).mean(), rel=1e-6)
    assert task.texts(records, found)[0] == "record 0\t" + " ".join(
        "/".join(f"{value * 3 + 7:.4g}" for value in row) for row in found[0]["predictions"]
    )


def test_generation(made):
    records = Records(["ab", "b", "aab", ""], ["x", "y", "x", "y"])
    task = made(records, task="generation")
    found = outputs(task, records)
    bits, tokens = 0.0, 0
    for sequence, name in zip(records.inputs, records.targets, strict=True):
        encoded = task._numbers([sequence])[0]
        scores = log_softmax(module(task)(np.array([task.classes.index(name)]), encoded[None]))[0]
        bits -= scores[np.arange(len(encoded)), encoded].sum() / np.log(2)
        tokens += len(encoded)
    assert tokens == 6 + 4
    assert task.score(records, found)["bits_per_token"] == pytest.approx(bits / tokens, rel=1e-5)
    drawn = task.draw(task.learner.initial_state(), ["x", "y"], jax.random.key(0))
    assert len(drawn) == 2
    assert all(task.tokens.end not in row for row in drawn)


def test_numbers_are_written_as_levels(made):
    records = Records([np.array([[0.0], [0.34], [1.0]], np.float32)] * 4, ["x", "y", "x", "y"])
    with pytest.raises(ConfigError, match="give to how many levels they are rounded"):
        made(records, task="generation")
    task = made(records, task="generation", levels=4)
    assert task._numbers(records.inputs)[0].tolist() == [0, 1, 3, 4]
    with pytest.raises(DataError, match="not from 0 to 1"):
        task._numbers([np.array([[2.0]])])


FRAMES = [RNG.normal(size=(length, 2)).astype(np.float32) for length in (5, 2, 3)]
OVER_THE_MAXIMUM = {
    "classification": (Records(["abaab", "b", "ab"], ["x", "y", "x"]), "inputs", None, [3, 1, 2]),
    "regression": (Records(FRAMES, [np.ones(4), np.zeros(4), np.ones(4)]), "inputs", None, [3, 2, 3]),
    "generation": (Records(["abaab", "b", "ab"], ["x", "y", "x"]), "tokens", None, [4, 2, 3]),
    "tagging": (Records(["abaab", "b", "ab"], ["xyxxy", "y", "xy"]), "inputs", "tags", [3, 1, 2]),
    "multi_label": (Records(FRAMES, [np.eye(5)[: len(each)] for each in FRAMES]), "inputs", "labels", [3, 2, 3]),
    "sequence_to_sequence": (Records(["abaab", "b", "ab"], ["xyxxy", "y", "xy"]), "inputs", None, [3, 1, 2]),
}


@pytest.mark.parametrize("task", OVER_THE_MAXIMUM)
class TestMaximumLength:
    def test_longer_ones_are_refused_by_name(self, made, task):
        records = dataclasses.replace(OVER_THE_MAXIMUM[task][0], names=["first", "second", "third"])
        with pytest.raises(DataError, match=r"first: train input of 5 steps, over the maximum of 3; raise"):
            made(records, task=task, data={"maximum_length": 3})

    def test_held_out_ones_are_refused_before_training(self, made, task):
        records = OVER_THE_MAXIMUM[task][0]
        with pytest.raises(DataError, match=r"record 0: validation input of 5 steps, over the maximum of 3"):
            made(records.take([1, 2]), held_out=records, task=task, data={"maximum_length": 3})

    def test_longer_ones_are_cut_with_what_goes_with_each_step_and_counted(self, made, task):
        records, column, along, lengths = OVER_THE_MAXIMUM[task]
        cut = made(records, task=task, data={"maximum_length": 3, "longer": "truncate"})
        arrays = cut.training_arrays
        assert [len(each) for each in arrays[column]] == lengths
        if along is not None:
            assert [len(each) for each in arrays[along]] == lengths
        whole = made(records, task=task)
        np.testing.assert_array_equal(arrays[column][0][:3], whole.training_arrays[column][0][:3])
        (line,) = [each for each in cut.description() if each.startswith("truncated to data.maximum_length=3: ")]
        assert "1 of 3 train inputs" in line
        assert "1 of 3 test inputs" in line
        assert all(
            np.isfinite(value)
            for value in cut.measures(cut.dataset.test, outputs(cut, cut.dataset.test), "test").values()
        )
        assert not [each for each in whole.description() if each.startswith("truncated")]


def test_dropped_tokens_are_unknown_in_training_only(made):
    records = Records(["abcabcabca"] * 400, ["x", "y"] * 200)
    task = made(records, task="classification", data={"token_dropout": 0.3, "batch_size": 100})
    whole = made(records, task="classification", data={"batch_size": 100})
    read, wanted = task.batch(3).arrays["inputs"], whole.batch(3).arrays["inputs"]
    dropped = read == task.inputs.tokens.vocabulary.number("<unknown>")
    assert 0.25 < dropped.mean() < 0.35
    np.testing.assert_array_equal(read[~dropped], wanted[~dropped])
    np.testing.assert_array_equal(read, task.batch(3).arrays["inputs"])
    assert (read != task.batch(7).arrays["inputs"]).any()
    assert all(0 not in row for row in task.columns(records)["inputs"])
    with pytest.raises(ConfigError, match=r"data.token_dropout - the inputs are no tokens that could be unknown"):
        made(OVER_THE_MAXIMUM["regression"][0], task="regression", data={"token_dropout": 0.3})


def test_tags_of_which_none_counts(made):
    records = Records(["abab", "ba"], [["_", "_", "x", "_"], ["_", "y"]])
    assert made(records, task="tagging", ignored_tag="_").tags.size == 3
    cut = Records(["abab", "b"], [["_", "_", "x", "_"], ["_"]])
    with pytest.raises(DataError, match=r"no tag of the training part counts, all are ignored_tag='_'; 1 of 2 train"):
        made(cut, task="tagging", ignored_tag="_", data={"maximum_length": 2, "longer": "truncate"})


def test_targets_with_steps_of_their_own_are_measured_whole(made):
    records = OVER_THE_MAXIMUM["sequence_to_sequence"][0]
    task = made(records, task="sequence_to_sequence", data={"maximum_length": 3, "longer": "truncate"})
    assert task.dataset.train.targets == ["xyx", "y", "xy"]
    assert task.dataset.test.targets == ["xyxxy", "y", "xy"]
    assert "1 of 3 train targets" in "".join(task.description())
    assert "test targets" not in "".join(task.description())


def test_an_autoencoder_is_measured_on_what_it_reads(made):
    records = OVER_THE_MAXIMUM["sequence_to_sequence"][0]
    model = {**MODEL, "attention": None}
    task = made(
        records,
        task="sequence_to_sequence",
        autoencode=True,
        model=model,
        data={"maximum_length": 3, "longer": "truncate"},
    )
    assert task.dataset.test.targets == task.dataset.test.inputs == ["aba", "b", "ab"]
