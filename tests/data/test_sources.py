"""The registry, the splits, and the sources that are made; the real ones are in test_real_sources."""

import datetime
import operator
import re
import sys

import numpy as np
import pytest

from seqjax.data import SOURCES, Dataset, Records, load_dataset
from seqjax.data.draws import Draws
from seqjax.data.remote_files import datasets
from seqjax.data.sources.languages import belongs
from seqjax.data.sources.series import windows
from seqjax.data.sources.splits import divide, split
from seqjax.data.sources.strings import distinct
from seqjax.errors import DataError, MissingExtra

PARTS = ("train", "validation", "test")
SMALL = {"train": 40, "validation": 10, "test": 12}
SIZED = ["reversal", "string-copy", "dates", "arithmetic", "formal-language", "tone-strings"]
TASKS = ["adding", "copy", "recall", "temporal-order", "parity"]


def fingerprint(dataset: Dataset) -> list[bytes]:
    each = lambda value: value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
    return [
        each(value)
        for part in PARTS
        for field in (dataset.part(part).inputs, dataset.part(part).targets)
        for value in field
    ]


def test_records_check_and_take():
    records = Records(["a", "b", "c"], np.arange(3), names=["x", "y", "z"], references=[[1], [2], [3, 4]])
    taken = records.take([2, 0])
    assert (taken.inputs, taken.targets.tolist(), taken.names, taken.references) == (
        ["c", "a"],
        [2, 0],
        ["z", "x"],
        [[3, 4], [1]],
    )
    assert (taken.name(0), Records(["a"], ["b"]).name(0), len(taken)) == ("z", "record 0", 2)
    with pytest.raises(DataError, match="got 2 inputs, 2 targets, 1 labels"):
        Records(["a", "b"], ["c", "d"], labels=["e"])
    with pytest.raises(DataError, match="part must be one of train, validation, test, got 'dev'"):
        Dataset("name", taken, taken, taken).part("dev")


def test_draws_are_these_in_every_version_of_numpy():
    # Philox with the key and counter that this seed sequence gives: its stream is part of NumPy's promise.
    assert Draws(1, 2).order(6).tolist() == [1, 3, 0, 4, 2, 5]
    assert Draws(0).integers(0, 100, 5).tolist() == [1, 25, 47, 9, 97]
    np.testing.assert_allclose(Draws(0).normal(2), [-0.1656472506323414, 0.6482145914671419], rtol=1e-12)


def test_draws_have_their_distributions():
    uniform, normal = Draws(0).uniform(200, 100), Draws(1).normal(20_000)
    assert (uniform.min() >= 0) & (uniform.max() < 1)
    np.testing.assert_allclose([uniform.mean(), uniform.var()], [1 / 2, 1 / 12], atol=0.005)
    np.testing.assert_allclose([normal.mean(), normal.var(), (normal**4).mean()], [0, 1, 3], atol=0.1)
    counts = np.bincount(Draws(2).integers(3, 8, 10_000), minlength=8)
    assert counts[:3].sum() == 0
    assert counts[3:].min() > 1800
    assert sorted(Draws(3).order(50).tolist()) == list(range(50))


@pytest.mark.parametrize("seed", range(5))
def test_equal_keys_stay_together_and_shares_are_met(seed):
    keys = np.random.default_rng(seed).integers(0, 60, 200).tolist()
    parts = divide(keys, [0.2, 0.1], seed)
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    owners = [{keys[index] for index in part} for part in parts]
    assert not owners[0] & owners[1] | owners[0] & owners[2] | owners[1] & owners[2]
    assert 30 < len(parts[1]) <= 40
    assert 10 < len(parts[2]) <= 20
    # More for validation leaves the test as it is.
    np.testing.assert_array_equal(divide(keys, [0.2, 0.3], seed)[1], parts[1])


def test_splits_take_the_inputs_as_keys_and_may_be_empty():
    records = Records(["a", "b", "a", "c", "d", "e"], list("123456"))
    dataset = split("name", records, validation=0.0, test=0.5, seed=0)
    assert len(dataset.validation) == 0
    assert not set(dataset.train.inputs) & set(dataset.test.inputs)
    assert len(dataset.train) + len(dataset.test) == 6
    for shares in ([0.5, 0.5], [-0.1]):
        with pytest.raises(DataError, match="at least 0 and below 1 in all, got"):
            divide([1, 2, 3], shares, 0)


def test_every_source_says_what_it_is():
    for name, source in SOURCES.items():
        assert source.what, name
        assert source.split, name
        assert callable(source.function()), name
        assert source.function().__doc__, name
        assert source.download is None or source.download in datasets(), name
        assert (source.licence == "") <= (source.download is None), name
    needed = {source.download for source in SOURCES.values() if source.download}
    assert needed == set(datasets()) - {"tiny-shakespeare"}


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.download])
def test_missing_files_say_how_to_get_them(name, tmp_path):
    with pytest.raises(DataError, match=rf"no file .*fetch it with `seqjax download {SOURCES[name].download}`"):
        load_dataset(name, tmp_path)


@pytest.mark.parametrize("name", SIZED + TASKS)
def test_made_data_have_their_size_and_depend_on_the_seed_alone(name):
    dataset = load_dataset(name, **SMALL)
    assert [len(dataset.part(part)) for part in PARTS] == [40, 10, 12]
    assert dataset.name == name
    assert fingerprint(dataset) == fingerprint(load_dataset(name, **SMALL))
    assert fingerprint(dataset) != fingerprint(load_dataset(name, **SMALL, seed=1))


@pytest.mark.parametrize("name", ["reversal", "string-copy", "dates", "arithmetic"])
def test_no_made_string_is_in_two_parts(name):
    dataset = load_dataset(name, train=3000)
    seen = [set(dataset.part(part).targets if name == "dates" else dataset.part(part).inputs) for part in PARTS]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
    assert sum(map(len, seen)) == sum(len(dataset.part(part)) for part in PARTS)


def test_reversal_and_copy():
    for name, step in (("reversal", -1), ("string-copy", 1)):
        records = load_dataset(name, letters=3, shortest=2, longest=5, **SMALL).train
        assert all(target == text[::step] for text, target in zip(records.inputs, records.targets))
        assert all(re.fullmatch("[abc]{2,5}", text) for text in records.inputs)


def test_dates_are_what_they_say():
    forms = ["%d %B %Y", "%B %d, %Y", "%d %b %Y", "%m/%d/%Y", "%A, %B %d, %Y", "%a %d.%m.%Y"]
    used = set()
    for text, target in zip(*(getattr(load_dataset("dates", **SMALL).train, field) for field in ("inputs", "targets"))):
        found = []
        for form in forms:
            try:
                found.append(datetime.datetime.strptime(text, form).date().isoformat())
            except ValueError:
                continue
            used.add(form)
        assert set(found) == {target}
    assert used == set(forms)


def test_sums_are_right():
    records = load_dataset("arithmetic", operators="+-*", **SMALL).train
    for text, target in zip(records.inputs, records.targets):
        a, sign, b = re.fullmatch(r"(\d+)([-+*])(\d+)", text).groups()
        assert int(target) == {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign](int(a), int(b))


GRAMMAR = {
    "anbn": lambda text: any(text == "a" * n + "b" * n for n in range(99)),
    "anbncn": lambda text: any(text == "a" * n + "b" * n + "c" * n for n in range(99)),
    "tomita4": lambda text: re.fullmatch("(1|01|001)*0{0,2}", text) is not None,
}


def matched(text):
    depth = []
    for bracket in text:
        if bracket in "([":
            depth.append(")]"["([".index(bracket)])
        elif not depth or depth.pop() != bracket:
            return False
    return not depth


@pytest.mark.parametrize("language", [*GRAMMAR, "dyck"])
def test_words_of_formal_languages(language):
    belongs_here = GRAMMAR.get(language, matched)
    dataset = load_dataset("formal-language", language=language, **SMALL)
    for part, lengths in zip(PARTS, (range(21), range(21), range(21, 41))):
        records = dataset.part(part)
        assert [target == "yes" for target in records.targets] == [belongs_here(text) for text in records.inputs]
        assert records.targets.count("yes") == (len(records) + 1) // 2
        assert all(len(text) in lengths for text in records.inputs)
    rng = np.random.default_rng(0)
    letters = {"anbn": "ab", "anbncn": "abc", "dyck": "()[]", "tomita4": "01"}[language]
    for _ in range(500):
        text = "".join(rng.choice(list(letters), rng.integers(0, 8)))
        assert belongs(language, text) == belongs_here(text), text


def test_tones_are_telephone_tones():
    from seqjax.data.sources.speech import _TONES

    assert _TONES["1"] == (697, 1209)
    assert _TONES["6"] == (770, 1477)
    assert _TONES["0"] == (941, 1336)
    records = load_dataset("tone-strings", noise=0.0, bands=30, **SMALL).train
    for features, digits in zip(records.inputs, records.targets):
        assert features.shape[1] == 30
        assert features.dtype == np.float32
        assert re.fullmatch(r"\d{3,7}", digits)
        assert len(features) >= 2 * len(digits)


def test_tasks_as_records():
    adding = load_dataset("adding", length=9, **SMALL).train
    for inputs, target in zip(adding.inputs, adding.targets):
        assert inputs.shape == (9, 2)
        np.testing.assert_allclose(target, [inputs[inputs[:, 1] == 1, 0].sum()], rtol=1e-6)
    parity = load_dataset("parity", length=7, **SMALL).train
    assert all(
        target == [str(sum(map(int, inputs[: t + 1])) % 2) for t in range(7)]
        for inputs, target in zip(parity.inputs, parity.targets)
    )
    recall = load_dataset("recall", length=7, lag=3, **SMALL).train
    assert all(target == [*"___", *inputs[:4]] for inputs, target in zip(recall.inputs, recall.targets))
    order = load_dataset("temporal-order", length=20, **SMALL).train
    assert all(
        target == str(["44", "45", "54", "55"].index("".join(symbol for symbol in inputs if symbol in "45")))
        for inputs, target in zip(order.inputs, order.targets)
    )


def test_windows_of_a_series():
    values = np.stack([np.arange(100.0), np.arange(100.0) ** 2], axis=1)
    dataset = windows(
        "count", values, [f"step {i}" for i in range(100)], ["a", "b"],
        context=5, horizon=3, stride=2, validation=0.2, test=0.3,
    )  # fmt: skip
    mean, scale = values[:50].mean(axis=0), values[:50].std(axis=0)
    assert (dataset.details["mean"], dataset.details["scale"]) == pytest.approx((mean[0], scale[0]))
    for part, first, end in (("train", 5, 50), ("validation", 50, 70), ("test", 70, 100)):
        records = dataset.part(part)
        assert records.names == [f"step {start}" for start in range(first, end - 2, 2)]
        for name, inputs, target in zip(records.names, records.inputs, records.targets):
            start = int(name.split()[1])
            np.testing.assert_allclose(inputs * scale + mean, values[start - 5 : start], atol=1e-3)
            np.testing.assert_allclose(target * scale[0] + mean[0], values[start : start + 3, :1], atol=1e-4)


def test_windows_with_missing_values():
    values = np.arange(40.0)[:, None]
    values[[12, 13, 30]] = np.nan
    dataset = windows(
        "count", values, [str(i) for i in range(40)], ["a"], context=3, horizon=2, stride=1, validation=0.0, test=0.5
    )
    # Futures 11-12, 12-13 and 13-14 lack a value, and 29-30 and 30-31.
    assert dataset.details["left_out"] == 5
    assert dataset.train.names == [str(i) for i in range(3, 19) if i not in (11, 12, 13)]
    assert dataset.test.names == [str(i) for i in range(20, 39) if i not in (29, 30)]
    known = values[:20][~np.isnan(values[:20])]
    inputs = dict(zip(dataset.train.names, dataset.train.inputs))["15"] * known.std() + known.mean()
    np.testing.assert_allclose(inputs[:, 0], [11, 11, 14], atol=1e-4)


def test_sines_are_the_series_of_their_windows():
    dataset = load_dataset("sines", length=300, noise=0.0, context=10, horizon=4)
    # A sum of three sines obeys a linear recurrence of order six, whatever the periods are.
    series = np.concatenate([dataset.test.inputs[0], dataset.test.targets[0]])[:, 0].astype(np.float64)
    inputs = np.stack([record[:, 0] for record in dataset.train.inputs]).astype(np.float64)
    design = np.concatenate([inputs[:, :6], np.ones((len(inputs), 1))], axis=1)
    weights = np.linalg.lstsq(design, inputs[:, 6], rcond=None)[0]
    predicted = [series[t : t + 6] @ weights[:6] + weights[6] for t in range(8)]
    np.testing.assert_allclose(predicted, series[6:], atol=1e-3)


def test_digits():
    sklearn = pytest.importorskip("sklearn.datasets").load_digits()
    rows, pixels, mixed = (load_dataset("digits", view=view) for view in ("rows", "pixels", "permuted"))
    assert [len(rows.part(part)) for part in PARTS] == [1258, 180, 359]
    assert rows.train.inputs.shape[1:] == (8, 8)
    assert pixels.train.inputs.shape[1:] == mixed.train.inputs.shape[1:] == (64, 1)
    everything = {image.tobytes() for image in (sklearn.images / 16).astype(np.float32)}
    assert {image.tobytes() for part in PARTS for image in rows.part(part).inputs} == everything
    np.testing.assert_array_equal(np.sort(mixed.test.inputs, axis=1), np.sort(pixels.test.inputs, axis=1))
    places = [np.flatnonzero((mixed.test.inputs == pixels.test.inputs[:, [p]]).all(axis=0)) for p in range(64)]
    assert sum(p in place for p, place in enumerate(places)) < 40


def test_digits_without_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'seqjax\[digits\]'"):
        load_dataset("digits")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("revrsal", {}, "there is no data set 'revrsal'; did you mean 'reversal'"),
        ("reversal", {"longst": 4}, "reversal has no option 'longst'; did you mean 'longest'"),
        ("reversal", {"longest": 4.0}, "option longest must be of type int, got 4.0"),
        ("reversal", {"longest": True}, "option longest must be of type int, got True"),
        ("reversal", {"longest": 2}, "shortest <= longest, got 10, 3 and 2"),
        (
            "reversal",
            {"letters": 1, "longest": 5},
            "6000 different records are asked for, and there are hardly more than 3",
        ),
        ("digits", {"view": "columns"}, "must be one of 'pixels', 'rows', 'permuted', got 'columns'"),
        ("arithmetic", {"operators": "/"}, r"some of '\+-\*', got '/'"),
        ("formal-language", {"longest": 50}, "longest < longest_tested, got 50 and 40"),
        ("formal-language", {"language": "dutch"}, "must be one of 'anbn', .* got 'dutch'"),
        ("sines", {"length": 60}, r"a part of 39 steps has no window of 48 \+ 12"),
        ("sines", {"horizon": 0}, "must be at least 1"),
        ("parity", {"lenth": 3}, "parity has no option 'lenth'; did you mean 'length'"),
        ("parity", {"length": 0}, "Parity.length must be a positive whole number, got 0"),
        ("string-copy", {"validation": 0.5}, "option validation must be of type int, got 0.5"),
    ],
)
def test_options_that_cannot_be(name, options, message):
    with pytest.raises(DataError, match=message):
        load_dataset(name, **options)


def test_distinct_draws():
    found = distinct(lambda draws: draws.integer(0, 50), 50, Draws(0))
    assert sorted(found) == list(range(50))
