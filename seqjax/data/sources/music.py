"""Piano rolls of polyphonic music."""

import io
import os
from typing import Literal

import numpy as np
import scipy.io

from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records

_FILES = {
    "jsb": "JSB_Chorales",
    "nottingham": "Nottingham",
    "musedata": "MuseData",
    "piano-midi": "Piano_midi",
}


def piano_rolls(
    collection: Literal["jsb", "nottingham", "musedata", "piano-midi"], root: str | os.PathLike[str] | None = None
) -> Dataset:
    """Which of 88 keys sound at each step, and at the next (Boulanger-Lewandowski, Bengio and Vincent 2012).

    A piece of ``T`` steps is an input ``[T - 1, 88]`` and the target ``[T - 1, 88]`` one step later, so the first step
    is not predicted.
    """
    file = _FILES[collection]
    arrays = scipy.io.loadmat(io.BytesIO(read_verified(f"poly_music/{file}.mat", root)))
    parts = []
    for part in ("train", "valid", "test"):
        rolls = [roll.astype(np.float32) for roll in arrays[f"{part}data"][0]]
        names = [f"{part} piece {number}" for number in range(len(rolls))]
        parts.append(Records([roll[:-1] for roll in rolls], [roll[1:] for roll in rolls], names=names))
    return Dataset(collection, *parts)
