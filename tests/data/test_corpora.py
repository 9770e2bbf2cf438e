"""The three sources, their splits, and each way in which a text can be unusable."""

import hashlib
import re
import subprocess
import sys

import pytest

from seqjax.data import REMOTE_FILES, TextConfig, load_corpus
from seqjax.data import download as download_function
from seqjax.errors import DataError

SMALL = {"batch_size": 2, "length": 4}


@pytest.fixture
def tiny_root(tmp_path, monkeypatch):
    """A data root with a stand-in for tiny Shakespeare."""
    content = b"To be, or not to be, that is the question:\n" * 10
    remote = REMOTE_FILES["tiny-shakespeare"]
    stand_in = type(remote)(
        path=remote.path, urls=remote.urls, sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    )
    monkeypatch.setitem(REMOTE_FILES, "tiny-shakespeare", stand_in)
    monkeypatch.delenv("SEQJAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "root" / remote.path
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return tmp_path / "root"


def test_python_reference_is_large_english_and_split_without_overlap():
    corpus = load_corpus(TextConfig())
    assert corpus == load_corpus(TextConfig())
    assert 250_000 < len(corpus.train) < 600_000
    assert 0.08 < len(corpus.heldout) / (len(corpus.train) + len(corpus.heldout)) < 0.12
    assert "The simple form" in corpus.train
    paragraphs = [[" ".join(p.split()) for p in part.split("\n\n")] for part in (corpus.train, corpus.heldout)]
    assert all(paragraphs[0] + paragraphs[1])
    assert not set(paragraphs[0]) & set(paragraphs[1])
    assert len(set(paragraphs[0])) == len(paragraphs[0])
    assert len(set(paragraphs[1])) == len(paragraphs[1])


def test_python_reference_has_every_paragraph_of_the_topics_once():
    from pydoc_data.topics import topics

    corpus = load_corpus(TextConfig())
    ours = {" ".join(p.split()) for p in (corpus.train + "\n\n" + corpus.heldout).split("\n\n")}
    theirs = {" ".join(p.split()) for text in topics.values() for p in re.split(r"\n\s*\n", text)} - {""}
    assert ours == theirs


def test_loading_imports_no_jax():
    program = "import sys, seqjax.data as d; d.load_corpus(d.TextConfig()); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_text_file_is_held_out_from_its_end(tmp_path):
    text = "".join(chr(ord("a") + i % 26) for i in range(50)) + "漢é\r\n" * 10
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode())
    corpus = load_corpus(TextConfig(source=str(path), heldout_fraction=0.25, **SMALL))
    assert corpus.train + corpus.heldout == text
    assert len(corpus.train) == int(len(text) * 0.75)


@pytest.mark.parametrize(
    ("content", "heldout_fraction", "message"),
    [
        (b"", 0.1, "the text is empty"),
        (b" \n\t\n", 0.1, "the text is empty"),
        (b"caf\xe9 au lait " * 10, 0.1, r"byte 0xe9 at position 3 is not UTF-8.*iconv"),
        (b"abcdefghijk", 0.1, r"9 symbols to train on.*data.batch_size=2 .* data.length=4 .* at least 12"),
        (b"abcdefghijklm", 0.01, "1 symbols are held out, expected at least 2"),
    ],
)
def test_texts_that_cannot_be_used(tmp_path, content, heldout_fraction, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_corpus(TextConfig(source=str(path), heldout_fraction=heldout_fraction, **SMALL))


def test_a_text_of_bytes_is_measured_in_bytes(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("漢" * 10, encoding="utf-8")
    with pytest.raises(DataError, match="8 symbols to train on"):
        load_corpus(TextConfig(source=str(path), heldout_fraction=0.2, **SMALL))
    corpus = load_corpus(TextConfig(source=str(path), heldout_fraction=0.2, vocabulary="byte", **SMALL))
    assert len(corpus.train) == 8


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/file.txt", "no text file 'no/such/file.txt' in .*check the path"),
        ("tiny-shakespear", "did you mean 'tiny-shakespeare'"),
        (".", "cannot read '.'.*must be a text file"),
    ],
)
def test_files_that_are_not_there(source, message):
    with pytest.raises(DataError, match=message):
        load_corpus(TextConfig(source=source))


def test_tiny_shakespeare_is_found_by_config_by_environment_and_in_the_cache(tiny_root, tmp_path, monkeypatch):
    config = TextConfig(source="tiny-shakespeare", **SMALL)
    corpus = load_corpus(TextConfig(source="tiny-shakespeare", root=str(tiny_root), **SMALL))
    assert (len(corpus.train), len(corpus.heldout)) == (387, 43)
    with pytest.raises(DataError, match="`seqjax download tiny-shakespeare`, or set SEQJAX_DATA"):
        load_corpus(config)
    monkeypatch.setenv("SEQJAX_DATA", str(tiny_root))
    assert load_corpus(config) == corpus
    monkeypatch.delenv("SEQJAX_DATA")
    (tmp_path / "cache" / "seqjax").mkdir(parents=True)
    tiny_root.rename(tmp_path / "cache" / "seqjax" / "data")
    assert load_corpus(config) == corpus


def test_a_damaged_tiny_shakespeare(tiny_root):
    path = tiny_root / REMOTE_FILES["tiny-shakespeare"].path
    expected = REMOTE_FILES["tiny-shakespeare"].sha256
    path.write_bytes(path.read_bytes()[:-1])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"sha256 {found}, expected {expected}; .* run `seqjax download"):
        load_corpus(TextConfig(source="tiny-shakespeare", root=str(tiny_root), **SMALL))
    with pytest.raises(DataError, match=f"sha256 {found}, expected {expected}"):
        download_function("tiny-shakespeare", tiny_root)


def test_the_real_tiny_shakespeare_where_it_is_present():
    try:
        corpus = load_corpus(TextConfig(source="tiny-shakespeare"))
    except DataError:
        pytest.skip("tiny Shakespeare is not in the data root")
    assert (len(corpus.train), len(corpus.heldout)) == (1_003_854, 111_540)
