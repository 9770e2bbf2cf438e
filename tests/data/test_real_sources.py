"""Real data against the counts that are known of them; each test needs its files in the data root."""

import collections
import os
import re

import numpy as np
import pytest

from seqjax.data import SOURCES, Dataset, load_dataset
from seqjax.data.download import find
from seqjax.data.remote_files import datasets

PARTS = ("train", "validation", "test")


def load(name: str, **options) -> Dataset:
    if "SEQJAX_DATA" not in os.environ:
        pytest.skip("SEQJAX_DATA is not set")
    missing = [file for file in datasets()[SOURCES[name].download] if find(file) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not in the data root")
    return load_dataset(name, **options)


def sizes(dataset: Dataset) -> list[int]:
    return [len(dataset.part(part)) for part in PARTS]


def whole(dataset: Dataset, field: str = "inputs") -> list:
    return [value for part in PARTS for value in getattr(dataset.part(part), field)]


def assert_disjoint(dataset: Dataset, field: str = "inputs") -> None:
    key = lambda value: value.tobytes() if isinstance(value, np.ndarray) else tuple(value)
    seen = [{key(value) for value in getattr(dataset.part(part), field)} for part in PARTS]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert not seen[i] & seen[j]


@pytest.mark.parametrize(
    ("name", "classes"),
    [("mr", {"positive": 5331, "negative": 5331}), ("subj", {"objective": 5000, "subjective": 5000})],
)
def test_sentences_of_two_classes(name, classes):
    dataset = load(name)
    assert collections.Counter(whole(dataset, "targets")) == classes
    assert sizes(dataset)[1:] == [pytest.approx(sum(classes.values()) / 10, abs=3)] * 2
    assert_disjoint(dataset)
    assert all(whole(dataset))


@pytest.mark.parametrize(
    ("name", "expected", "classes"), [("sst2", [6920, 872, 1821], 2), ("sst5", [8544, 1101, 2210], 5)]
)
def test_treebank(name, expected, classes):
    dataset = load(name)
    assert sizes(dataset) == expected
    assert len(set(dataset.train.targets)) == classes
    found = dict(zip(map(" ".join, dataset.test.inputs), dataset.test.targets))
    assert "negative" in found["no movement , no yuks , not much of anything ."]


def test_questions():
    dataset = load("trec")
    assert len(dataset.train) + len(dataset.validation) == 5452
    assert len(dataset.test) == 500
    assert len(set(dataset.train.targets)) == 6
    assert (dataset.test.inputs[0][:2], dataset.test.targets[0]) == (["how", "far"], "number")
    assert len(set(whole(load("trec", fine=True), "targets"))) == 50
    assert load("trec", lowercase=False).test.inputs[0][0] == "How"


def test_splice():
    dataset = load("splice")
    genes = whole(dataset)
    assert collections.Counter(whole(dataset, "targets")) == {"exon-intron": 767, "intron-exon": 768, "neither": 1655}
    assert {len(gene) for gene in genes} == {60}
    letters = collections.Counter("".join(genes))
    assert sum(count for letter, count in letters.items() if letter not in "ACGT") == 60
    assert set(letters) == set("ACGTNDSR")
    assert len(dataset.test) == pytest.approx(3190 / 5, abs=5)
    assert_disjoint(dataset)
    assert "ATRINS-DONOR-521" in whole(dataset, "names")


def test_promoters():
    dataset = load("promoters")
    assert collections.Counter(whole(dataset, "targets")) == {"promoter": 53, "none": 53}
    assert {len(gene) for gene in whole(dataset)} == {57}
    assert set("".join(whole(dataset))) == set("ACGT")
    assert_disjoint(dataset)


def test_names():
    dataset = load("names")
    languages = collections.Counter(whole(dataset, "targets"))
    assert (sum(languages.values()), len(languages)) == (20_050, 18)
    assert (languages["Russian"], languages["Vietnamese"]) == (9384, 73)
    assert_disjoint(dataset)
    assert "Béringer" in whole(dataset)
    plain = whole(load("names", ascii=True))
    assert "Beringer" in plain
    assert all(name.isascii() and name for name in plain)


def test_mnist():
    dataset = load("mnist")
    assert sizes(dataset) == [55_000, 5000, 10_000]
    assert dataset.train.inputs.shape == (55_000, 28, 28)
    assert (dataset.train.inputs.min(), dataset.train.inputs.max(), dataset.train.inputs.dtype) == (0, 1, np.float32)
    counts = collections.Counter(whole(dataset, "targets"))
    assert (counts["0"], counts["1"], len(counts)) == (5923 + 980, 6742 + 1135, 10)
    assert dataset.test.targets[:5] == ["7", "2", "1", "0", "4"]


def test_mnist1d():
    dataset = load("mnist1d")
    assert sizes(dataset) == [3600, 400, 1000]
    assert dataset.test.inputs.shape == (1000, 40, 1)
    assert min(collections.Counter(whole(dataset, "targets")).values()) > 450
    assert_disjoint(dataset)


def test_snips():
    dataset = load("snips")
    assert sizes(dataset) == [13_084, 700, 700]
    words = [sum(map(len, dataset.part(part).inputs)) for part in PARTS]
    assert words == [117_700, 6384, 6354]
    assert all(len(a) == len(b) for a, b in zip(whole(dataset), whole(dataset, "targets")))
    assert len({tag for tags in dataset.train.targets for tag in tags}) == 72
    assert len(set(dataset.train.labels)) == 7
    assert len({word for words in dataset.train.inputs for word in words}) in range(11_100, 11_500)


def test_ud_ewt():
    dataset = load("ud-ewt")
    assert sizes(dataset) == [12_544, 2001, 2077]
    assert [sum(map(len, dataset.part(part).inputs)) for part in PARTS] == [204_577, 25_147, 25_094]
    assert all(len(a) == len(b) for a, b in zip(whole(dataset), whole(dataset, "targets")))
    assert len({tag for tags in whole(dataset, "targets") for tag in tags}) == 17
    assert dataset.validation.inputs[0] == ["From", "the", "AP", "comes", "this", "story", ":"]
    assert dataset.validation.targets[0] == ["ADP", "DET", "PROPN", "VERB", "DET", "NOUN", "PUNCT"]
    assert dataset.validation.name(0).startswith("weblog-blogspot")
    penn = load("ud-ewt", tags="xpos")
    assert len({tag for tags in penn.train.targets for tag in tags}) in (49, 50)
    assert penn.validation.targets[0] == ["IN", "DT", "NNP", "VBZ", "DT", "NN", ":"]


@pytest.mark.parametrize(
    ("split", "trained", "tested"),
    [
        ("simple", 16_728, 4182),
        ("length", 16_990, 3920),
        ("addprim_jump", 14_670, 7706),
        ("addprim_turn_left", 21_890, 1208),
    ],
)
def test_scan(split, trained, tested):
    dataset = load("scan", split=split)
    assert len(dataset.train) + len(dataset.validation) == trained
    assert len(dataset.test) == tested
    assert len(dataset.validation) == pytest.approx(trained / 20, abs=1)
    assert_disjoint(dataset)
    assert len({word for command in whole(dataset) for word in command}) == 13
    assert len({action for actions in whole(dataset, "targets") for action in actions}) == 6
    assert max(map(len, whole(dataset))) == 9
    lengths = [[len(actions) for actions in dataset.part(part).targets] for part in PARTS]
    if split == "length":
        assert (max(lengths[0] + lengths[1]), min(lengths[2]), max(lengths[2])) == (22, 24, 48)
    if split.startswith("addprim"):
        alone = split.removeprefix("addprim_").split("_")
        assert alone in dataset.train.inputs


def test_cmudict():
    dataset = load("cmudict")
    words = whole(dataset)
    assert len(set(words)) == 126_052
    assert len(dataset.validation) == len(dataset.test) == 6303
    assert_disjoint(dataset)
    phones = {phone for part in PARTS for sound in dataset.part(part).targets for phone in sound}
    assert len(phones) == 39
    assert dataset.train.references is None
    for part in (dataset.validation, dataset.test):
        assert all(sound == known[0] for sound, known in zip(part.targets, part.references))
        assert all(len(set(map(tuple, known))) == len(known) for known in part.references)
    with_stress = load("cmudict", stress=True, validation=0.0, test=0.01)
    heard = collections.defaultdict(list)
    for word, sound in zip(with_stress.train.inputs, with_stress.train.targets):
        heard[word].append(sound)
    for word, known in zip(with_stress.test.inputs, with_stress.test.references):
        heard[word] = known
    # The dictionary has 135,166 entries, two of which are there twice.
    assert sum(map(len, heard.values())) == 135_164
    assert heard["read"] == [["R", "EH1", "D"], ["R", "IY1", "D"]]
    assert heard["aalborg"] == [["AO1", "L", "B", "AO0", "R", "G"], ["AA1", "L", "B", "AO0", "R", "G"]]


def test_french_english():
    dataset = load("french-english", maximum_length=10_000)
    assert dataset.details["left_out"] == 0
    pairs = len(dataset.train) + sum(len(r) for part in PARTS[1:] for r in dataset.part(part).references)
    assert 141_000 < pairs <= 142_787
    assert_disjoint(dataset)
    english = [{tuple(sentence) for sentence in dataset.train.targets}]
    english += [{tuple(s) for known in dataset.part(part).references for s in known} for part in PARTS[1:]]
    assert not english[0] & english[1] | english[0] & english[2] | english[1] & english[2]
    text = " ".join(word for sentence in whole(dataset) for word in sentence)
    assert not set(text) & set("\xa0\u2009\u200b\xad’QWERTY")
    short = load("french-english", source="english", maximum_length=4)
    assert max(map(len, whole(short) + whole(short, "targets"))) == 4
    assert short.details["left_out"] > 100_000
    assert ["run", "!"] in whole(short)
    assert "l'" in {word for sentence in whole(short, "targets") for word in sentence}
    assert "run !" in {
        " ".join(re.findall(r"\w+|!", s))
        for s in whole(load("french-english", source="english", maximum_length=4, level="text"))
    }


def test_spoken_digits():
    dataset = load("spoken-digits")
    assert sizes(dataset) == [2430, 270, 300]
    assert collections.Counter(whole(dataset, "targets")) == {str(digit): 300 for digit in range(10)}
    frames = [len(features) for features in whole(dataset)]
    # 1,312.3 seconds, each recording short of them by the last frame.
    assert (sum(frames) + 3000 * 2.2) / 100 == pytest.approx(1312.3, rel=0.02)
    assert all(int(name.rpartition("_")[2]) < 5 for name in dataset.test.names)
    assert len({name.split("_")[1] for name in dataset.test.names}) == 6
    first = dataset.train.inputs[0]
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(first.std(axis=0), 1, atol=1e-3)


def test_spoken_digit_strings():
    options = {"train": 30, "validation": 5, "test": 20}
    dataset, again = (load("spoken-digit-strings", **options) for _ in range(2))
    assert sizes(dataset) == [30, 5, 20]
    for part in PARTS:
        assert dataset.part(part).targets == again.part(part).targets
        for features, same, digits in zip(
            dataset.part(part).inputs, again.part(part).inputs, dataset.part(part).targets
        ):
            np.testing.assert_array_equal(features, same)
            assert re.fullmatch(r"\d{3,7}", digits)
            assert len(features) > 2 * len(digits)
    more = load("spoken-digit-strings", train=31, validation=5, test=20)
    assert more.train.targets[:30] == dataset.train.targets


def test_strings_are_made_of_the_recordings_of_their_part(monkeypatch):
    from seqjax.data.sources import speech

    load("spoken-digits", validation=0.0)
    recordings = speech._recordings(None, 0.1, 0)
    owners = [{samples.tobytes(): name for name, samples in part.items()} for part in recordings]
    heard: list[np.ndarray] = []
    monkeypatch.setattr(speech, "_features", lambda samples, bands: samples)
    monkeypatch.setattr(speech, "_recordings", lambda *arguments: recordings)
    dataset = load("spoken-digit-strings", train=20, validation=5, test=20)
    for part, owner in zip(PARTS, owners):
        for samples, digits in zip(dataset.part(part).inputs, dataset.part(part).targets):
            heard = [name for content, name in owner.items() if content in samples.astype(np.float32).tobytes()]
            assert sorted({name[0] for name in heard}) == sorted(set(digits))
            assert len({name.split("_")[1] for name in heard}) == 1


def test_handwritten_words():
    dataset = load("handwritten-words")
    folds = (626, 704, 684, 698, 693, 651, 739, 717, 690, 675)
    assert sizes(dataset) == [sum(folds[2:]), folds[1], folds[0]]
    words = whole(dataset, "targets")
    assert sum(map(len, words)) == 52_152
    assert set("".join(words)) == set("abcdefghijklmnopqrstuvwxyz")
    assert all(image.shape == (8 * len(word), 16) for image, word in zip(whole(dataset), words))
    letters = load("handwritten-words", view="letters", test_fold=9)
    assert sizes(letters)[1:] == [folds[0], folds[9]]
    by_column, by_letter = dataset.test, letters.validation
    assert by_column.names == by_letter.names
    for columns, pixels in zip(by_column.inputs[:50], by_letter.inputs):
        np.testing.assert_array_equal(columns.reshape(-1, 8, 16).transpose(0, 2, 1).reshape(-1, 128), pixels)
    assert by_letter.targets[0] == list(by_column.targets[0])
    assert set(np.unique(by_letter.inputs[0])) == {0, 1}


@pytest.mark.parametrize(
    ("name", "pieces", "steps", "notes"),
    [
        ("jsb", [229, 76, 77], [13_807, 4602, 4725], 3.90),
        ("nottingham", [694, 173, 170], [176_561, 45_513, 44_463], None),
        ("musedata", [524, 135, 124], [245_202, 82_755, 64_339], None),
        ("piano-midi", [87, 12, 25], [75_911, 8540, 19_036], None),
    ],
)
def test_piano_rolls(name, pieces, steps, notes):
    dataset = load(name)
    assert sizes(dataset) == pieces
    # The first step of each piece is input only, and the last one target only.
    assert [sum(len(roll) + 1 for roll in dataset.part(part).inputs) for part in PARTS] == steps
    for part in PARTS:
        for inputs, targets in zip(dataset.part(part).inputs, dataset.part(part).targets):
            assert inputs.shape == targets.shape == (len(inputs), 88)
            np.testing.assert_array_equal(inputs[1:], targets[:-1])
    assert set(np.unique(np.concatenate(dataset.test.inputs))) == {0, 1}
    if notes is not None:
        assert np.concatenate(dataset.train.targets).sum(axis=1).mean() == pytest.approx(notes, abs=0.02)


@pytest.mark.parametrize(
    ("name", "steps"),
    [("airline", 144), ("sunspots", 2820), ("minimum-temperatures", 3650), ("maximum-temperatures", 3650)],
)
def test_series(name, steps):
    dataset = load(name, context=1, horizon=1)
    # Every step but the first is the future of one window.
    assert sizes(dataset) == [
        round(0.65 * steps) - 1,
        round(0.8 * steps) - round(0.65 * steps),
        steps - round(0.8 * steps),
    ]
    values = np.array([target[0, 0] for target in whole(dataset, "targets")])
    back = values * dataset.details["scale"] + dataset.details["mean"]
    if name == "airline":
        assert back[[0, -1]].tolist() == pytest.approx([118, 432], abs=1e-3)
        assert (dataset.train.name(0), dataset.test.names[-1]) == ("1949-02", "1960-12")
    np.testing.assert_allclose(values[: len(dataset.train)].mean(), 0, atol=0.05)


def test_beijing():
    dataset = load("beijing-pm25", context=1, horizon=1, stride=1)
    # 43,824 hours, 24 of them before the first measurement; 2,043 others without one.
    assert sum(sizes(dataset)) + dataset.details["left_out"] == 43_824 - 24 - 1
    assert dataset.details["left_out"] == 2067 - 24
    assert dataset.train.inputs[0].shape == (1, 11)
    assert (dataset.train.name(0), dataset.test.names[-1]) == ("2010-01-02 01:00", "2014-12-31 23:00")
    first = dataset.train.targets[0][0, 0] * dataset.details["scale"] + dataset.details["mean"]
    assert first == pytest.approx(148, abs=1e-3)
    assert all(np.isfinite(values).all() for values in whole(dataset) + whole(dataset, "targets"))
