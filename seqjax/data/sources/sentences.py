"""Sentences and what they are: polarity, subjectivity, the kind of a question."""

import os
from typing import Literal

from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import split

Root = str | os.PathLike[str] | None

_FIVE = ("very negative", "negative", "neutral", "positive", "very positive")
_QUESTIONS = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "human",
    "LOC": "location",
    "NUM": "number",
}


def two_files(
    corpus: Literal["mr", "subj"], root: Root = None, validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Dataset:
    """Sentences of movie reviews in a file for each of two classes (Pang and Lee 2004, 2005)."""
    stem, classes = {
        "mr": ("rt-polarity", {"neg": "negative", "pos": "positive"}),
        "subj": ("subj", {"objective": "objective", "subjective": "subjective"}),
    }[corpus]
    inputs, targets = [], []
    for ending, name in classes.items():
        found = _lines(f"{stem}.{ending}", root, "latin-1")
        inputs += [line.split() for line in found]
        targets += [name] * len(found)
    return split(corpus, Records(inputs, targets), validation=validation, test=test, seed=seed)


def treebank(corpus: Literal["sst2", "sst5"], root: Root = None) -> Dataset:
    """Whole sentences of the Stanford Sentiment Treebank (Socher et al. 2013) in its own three parts."""
    stem, classes = {"sst2": ("stsa.binary", ("negative", "positive")), "sst5": ("stsa.fine", _FIVE)}[corpus]
    parts = []
    for part in ("train", "dev", "test"):
        rows = [line.split() for line in _lines(f"{stem}.{part}", root, "utf-8")]
        parts.append(Records([row[1:] for row in rows], [classes[int(row[0])] for row in rows]))
    return Dataset(corpus, *parts)


def questions(
    root: Root = None, fine: bool = False, lowercase: bool = True, validation: float = 0.1, seed: int = 0
) -> Dataset:
    """Questions and what they ask for (Li and Roth 2002): 6 kinds, or 50 with ``fine``."""

    def records(part: str) -> Records:
        # One sentence has the bytes of another encoding; nothing depends on which.
        rows = [line.split() for line in _lines(f"TREC.{part}", root, "latin-1")]
        kinds = [row[0] if fine else _QUESTIONS[row[0].partition(":")[0]] for row in rows]
        return Records([[word.lower() if lowercase else word for word in row[1:]] for row in rows], kinds)

    return split("trec", records("train"), validation=validation, test=records("test"), seed=seed)


def _lines(file: str, root: Root, encoding: str) -> list[str]:
    return read_verified(f"sentences/{file}", root).decode(encoding).removesuffix("\n").split("\n")
