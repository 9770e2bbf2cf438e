"""``seqjax decode``: as many lines out as in, and every line that is not read is told."""

import io
import json
import sys

import numpy as np
import pytest

import seqjax.train
from seqjax.config import load_config
from seqjax.data import Dataset, Records
from seqjax.errors import ConfigError
from seqjax.train.tasks import supervised

TINY = [
    "data.options.train=32",
    "data.options.validation=4",
    "data.options.test=4",
    "data.batch_size=4",
    "data.maximum_length=30",
    "model.hidden_size=4",
    "model.embedding_size=3",
    "optimizer.schedule=null",
    "decode.maximum_length=6",
    "train.steps=2",
    "train.eval_every=2",
    "train.tensorboard=false",
]
DAY, LONG = "3 March 1987", "Wednesday, September 10, 2042 or so"


@pytest.fixture(scope="module")
def dates(tmp_path_factory):
    return seqjax.train.run(load_config("dates", TINY), tmp_path_factory.mktemp("runs") / "dates")


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "lines.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_as_many_lines_as_there_are(run, dates, file):
    lines = [DAY, "", f"{DAY}é#", LONG, "1 May 2001"]
    code, out, error = run("decode", dates, "--input", file("\ufeff" + "\r\n".join(lines) + "\n"), "--json")
    assert code == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["input"] for each in found] == lines
    assert [each["line"] for each in found] == [1, 2, 3, 4, 5]
    assert [len(each["predictions"]) for each in found] == [1, 0, 1, 0, 1]
    assert found[2]["unknown"] == ["é", "#"]
    refused = "has 35 tokens, over data.maximum_length=30, and is refused (data.longer)"
    assert [each.get("problem") for each in found] == [None, "is empty", None, refused, None]
    assert error.splitlines() == [
        "line 2: empty, and so is the output",
        f"line 4 {refused}",
        "2 tokens are unknown to the model ('é', '#'), in line 3",
        "2 of 5 lines have no prediction; their lines of output are empty",
    ]
    # The library gives what the command prints, whatever the other lines are.
    alone = seqjax.train.decode(dates, [lines[4]])
    assert alone[0].answers[0].text == found[4]["predictions"][0]["text"]
    assert alone[0].answers[0].score == pytest.approx(found[4]["predictions"][0]["score"], abs=1e-4)


def test_several_predictions_stand_on_a_line(run, dates, file, tmp_path):
    output = tmp_path / "out.txt"
    path = file(f"{DAY}\n\n{DAY}")
    assert run("decode", dates, "--input", path, "--output", output, "--beam", 4, "--n-best", 3)[:2] == (0, "")
    first, empty, second = output.read_text().split("\n")[:-1]
    assert first == second
    assert first.count("\t") == 2
    assert len(set(first.split("\t"))) == 3
    assert empty == ""


def test_standard_input_and_truncation(run, dates, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{LONG}\n{LONG[:30]}\n".encode())))
    read = seqjax.config.load_config
    monkeypatch.setattr("seqjax.train.runs.load_config", lambda path: read(path, ["data.longer=truncate"]))
    code, out, error = run("decode", dates, "--input", "-")
    first, second = out.splitlines()
    assert (code, first) == (0, second)
    assert error == "line 1 has 35 tokens, over data.maximum_length=30, and was truncated\n"


def test_nothing_to_read(run, dates, file):
    assert run("decode", dates, "--input", file("")) == (0, "", "there is no line in the input\n")
    code, out, error = run("decode", dates, "--input", file("\n \n"))
    assert (code, out) == (0, "\n\n")
    assert error.startswith("lines 1, 2: empty")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--input", "nowhere.txt"], "cannot read nowhere.txt: No such file or directory"),
        (["--input", "-", "--output", "nowhere/x.txt"], "--output: there is no directory nowhere; make it first"),
        ([], "seqjax decode: needs --input"),
        (["--input", "-", "--beam", "0"], "--beam: must be at least 1 (got '0')"),
    ],
)
def test_one_message(run, dates, options, message):
    code, out, error = run("decode", dates, *options)
    assert code in (1, 2)
    assert out == ""
    assert error.startswith(f"error: {message}") or message in error


def test_what_is_not_text(run, dates, file):
    code, _, error = run("decode", dates, "--input", file(b"1 May 2001\n\xff\n"))
    assert code == 1
    assert "line 2 of " in error
    assert "is not UTF-8 (byte 11 of the file)" in error


def test_more_predictions_than_hypotheses(dates):
    with pytest.raises(ConfigError, match=r"decode\.n_best=3, but a beam decoder gives at most 2"):
        seqjax.train.decode(dates, [DAY], beam_size=2, n_best=3)


def test_tasks_without_a_beam_and_without_lines(finished, tmp_path):
    with pytest.raises(ConfigError, match="goes on with a prompt"):
        seqjax.train.decode(finished, ["the cat"])
    names = {"source": "formal-language", "options": {"train": 8, "validation": 4, "test": 4}, "batch_size": 4}
    values = {"task": "classification", "data": names, "model": {"hidden_size": 3}}
    values["train"] = {"steps": 1, "tensorboard": False}
    run_dir = seqjax.train.run(seqjax.config.config_from_dict(values), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"the task classification has no decode\.beam_size; leave the option out"):
        seqjax.train.decode(run_dir, ["()"], beam_size=2)
    said = [prediction.answers[0].text.split()[0] for prediction in seqjax.train.decode(run_dir, ["()", "(]"])]
    assert set(said) <= {"yes", "no"}


def test_features_come_from_files(run, tmp_path, monkeypatch, capsys):
    records = Records([np.ones((3, 2), np.float32), np.zeros((2, 2), np.float32)] * 4, ["up", "down"] * 4)
    monkeypatch.setattr(supervised, "load_dataset", lambda name, root=None: Dataset("made", records, records, records))
    values = {"task": "classification", "data": {"batch_size": 4, "shapes": 1}, "model": {"hidden_size": 3}}
    values["train"] = {"steps": 1, "tensorboard": False}
    run_dir = seqjax.train.run(seqjax.config.config_from_dict(values), tmp_path / "run")
    capsys.readouterr()
    np.save(tmp_path / "good.npy", np.ones((5, 2)))
    np.save(tmp_path / "wide.npy", np.ones((5, 3)))
    names = ["good.npy", "nowhere.npy", "", "wide.npy", "good.npy"]
    (tmp_path / "list.txt").write_text("".join(f"{name and tmp_path / name}\n" for name in names))
    code, out, error = run("decode", run_dir, "--input", tmp_path / "list.txt")
    first, *nothing, last = out.splitlines()
    assert (code, first, nothing) == (0, last, ["", "", ""])
    assert first.split()[0] in ("up", "down")
    assert error.splitlines() == [
        "line 3: empty, and so is the output",
        f"line 2 cannot be read: {tmp_path}/nowhere.npy: No such file or directory; give the path of a file",
        "line 4 cannot be read: input 0 has shape (5, 3), expected [time, 2]",
        "3 of 5 lines have no prediction; their lines of output are empty",
    ]


def test_classes_become_sequences_and_long_lines_keep_their_tags(monkeypatch, tmp_path):
    records = Records([["a", "b"], ["b"]] * 4, [["X", "Y"], ["Y"]] * 4)
    names = Records(["abc", "ba"] * 4, ["one", "two"] * 4)
    values = {"data": {"batch_size": 4, "shapes": 1, "maximum_length": 3, "longer": "truncate"}}
    values |= {"model": {"hidden_size": 3}, "train": {"steps": 1, "tensorboard": False}}
    parts = {"tagging": records, "generation": names}
    monkeypatch.setattr(supervised, "load_dataset", lambda name, root=None: Dataset(name, *[parts[name]] * 3))
    for task in parts:
        config = values | {"task": task, "data": values["data"] | {"source": task}}
        seqjax.train.run(seqjax.config.config_from_dict(config), tmp_path / task)
    (tagged,) = seqjax.train.decode(tmp_path / "tagging", ["b a b a b"])
    assert tagged.problem == "has 5 tokens, over data.maximum_length=3, and was truncated"
    assert [pair.partition("/")[0] for pair in tagged.answers[0].text.split()] == ["b", "a", "b"]
    one, three, two = seqjax.train.decode(tmp_path / "generation", ["one", "three", " two"])
    assert set(one.answers[0].text + two.answers[0].text) <= {"a", "b", "c"}
    assert three.answers == []
    assert three.problem.startswith("cannot be read: token 'three' at position 0 is not among the 2")
