"""A person's own files: what is right in them is read, and what is wrong is named."""

import pytest

from seqjax.data import load_dataset
from seqjax.errors import DataError

LINES = "play jazz\tmusic\n\nwake me\talarm\r\n  \nstop\tmusic\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="train.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_lines_become_records_and_empty_ones_are_counted(write):
    dataset = load_dataset("tab-separated", train=write(LINES), test=write("x\ty", "test.tsv"), share=0.0)
    assert dataset.train.inputs == [["play", "jazz"], ["wake", "me"], ["stop"]]
    assert dataset.train.targets == ["music", "alarm", "music"]
    assert dataset.train.names[2].startswith("line 5 of ")
    assert (dataset.test.inputs, dataset.test.targets, len(dataset.validation)) == ([["x"]], ["y"], 0)
    assert dataset.details == {"empty_lines": 2}


def test_words_characters_and_tags(write):
    path = write("b a\tx y\n")
    read = lambda **options: load_dataset("tab-separated", train=path, share=0.0, **options).train
    assert read(inputs="characters", targets="characters").inputs == ["b a"]
    assert read(targets="words").targets == read(targets="tags").targets == [["x", "y"]]
    assert read(targets="class").targets == ["x y"]


@pytest.mark.parametrize("given", [(), ("validation",), ("test",), ("validation", "test")])
def test_what_has_no_file_is_held_out(write, given):
    paths = {"train": write("".join(f"{n % 70}\t{n}\n" for n in range(100)))}
    paths |= {part: write(f"own\t{part}\n", f"{part}.tsv") for part in given}
    dataset = load_dataset("tab-separated", **paths)
    parts = {part: dataset.part(part) for part in ("train", "validation", "test")}
    for part in given:
        assert parts[part].targets == [part]
    lines = [records.targets for part, records in parts.items() if part not in given]
    assert sorted(int(line) for each in lines for line in each) == list(range(100))
    assert all(8 <= len(each) <= 10 for each in lines[1:])
    seen = [{each[0] for each in records.inputs} for part, records in parts.items() if part not in given]
    assert sum(map(len, seen)) == 70


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a\tb\nno tab here\n", {}, r"line 2 of .*train.tsv: 'no tab here'; expected an input, one tab and a target"),
        ("a\tb\tc\n", {}, r"line 1 of .*expected an input, one tab"),
        ("\n\ttarget\n", {}, r"line 2 of .*expected an input"),
        ("input\t \n", {}, r"line 1 of .*and a target"),
        ("a b\tX\n", {"targets": "tags"}, r"line 1 of .*: 1 tags for 2 words"),
        ("\n\n", {}, r"has no records"),
        (b"caf\xe9\tx\n", {}, r"byte 0xe9 at position 3 is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named(write, content, options, message):
    with pytest.raises(DataError, match=message):
        load_dataset("tab-separated", train=write(content), **options)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match="needs the option train"):
        load_dataset("tab-separated")
    with pytest.raises(DataError, match=r"cannot read '.*nowhere.tsv': No such file"):
        load_dataset("tab-separated", train=str(tmp_path / "nowhere.tsv"))
