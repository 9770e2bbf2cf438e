"""Handwritten words."""

import os
from typing import Literal

import numpy as np

from seqjax.data.archives import LETTER
from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records
from seqjax.errors import DataError

_FOLDS = 10


def handwritten_words(
    root: str | os.PathLike[str] | None = None, view: Literal["columns", "letters"] = "columns", test_fold: int = 0
) -> Dataset:
    """Words without their first letter, which was a capital, by 150 writers (Kassel 1995; Taskar et al. 2003).

    Each letter has 16 rows and 8 columns of pixels that are 0 or 1. ``columns`` shows a word column by column, ``[8
    times its letters, 16]``, with the word as target, for CTC; ``letters`` letter by letter, ``[letters, 128]``, with a
    tag for each. The data come in 10 folds: one is the test, the next one validation.

    Raises:
        DataError: there is no such fold.
    """
    if test_fold not in range(_FOLDS):
        raise DataError(f"test_fold must be a whole number from 0 to {_FOLDS - 1}, got {test_fold!r}")
    letters: np.ndarray = np.frombuffer(read_verified("ocr_letters/letters", root), LETTER)
    starts = np.flatnonzero(np.diff(letters["word"], prepend=np.uint16(65535)))
    pixels = np.unpackbits(letters["pixels"], axis=1).astype(np.float32)
    columns = pixels.reshape(-1, 16, 8).transpose(0, 2, 1).reshape(-1, 16)
    words = [
        "".join(map(chr, letter + ord("a"))) for letter in np.split(letters["letter"].astype(np.int64), starts[1:])
    ]
    if view == "columns":
        inputs, targets = np.split(columns, 8 * starts[1:]), words
    else:
        inputs, targets = np.split(pixels, starts[1:]), [list(word) for word in words]
    records = Records(inputs, targets, names=[f"word {number}" for number in range(len(words))])
    folds = letters["fold"][starts]
    is_test, is_validation = folds == test_fold, folds == (test_fold + 1) % _FOLDS
    parts = (np.flatnonzero(chosen) for chosen in (~is_test & ~is_validation, is_validation, is_test))
    return Dataset("handwritten-words", *(records.take(part) for part in parts))
