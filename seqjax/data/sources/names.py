"""Family names and their languages."""

import os
import unicodedata

from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records
from seqjax.data.remote_files import datasets
from seqjax.data.sources.splits import split


def names(
    root: str | os.PathLike[str] | None = None,
    ascii: bool = False,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """Names from 18 languages; a name that several languages have is in one part with all of them.

    With ``ascii`` accents are left out, and letters that are not ASCII without them.
    """
    inputs, targets = [], []
    for file in datasets()["names"]:
        found = [line.strip() for line in read_verified(file, root).decode().splitlines()]
        inputs += [_without_accents(name) for name in found] if ascii else found
        targets += [file.rpartition("/")[2].removesuffix(".txt")] * len(found)
    return split("names", Records(inputs, targets), validation=validation, test=test, seed=seed)


def _without_accents(name: str) -> str:
    return unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode()
