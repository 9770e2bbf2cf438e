"""Digits as sequences: pixels or rows of pictures, and a series made to be read by sequence models."""

import os
import pickle
from typing import Literal

import numpy as np

from seqjax.data.download import read_verified
from seqjax.data.draws import Draws
from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import split
from seqjax.errors import require

View = Literal["pixels", "rows", "permuted"]

_PERMUTATION = 0x5EED


def mnist(
    root: str | os.PathLike[str] | None = None, view: View = "rows", validation: float = 1 / 12, seed: int = 0
) -> Dataset:
    """Handwritten digits of 28 x 28 pixels from 0 to 1: 784 pixels one by one, in rows, or one by one but mixed.

    ``permuted`` pixels come in a random order that is the same for all pictures (Le, Jaitly and Hinton 2015).
    """

    def records(part: str) -> Records:
        images = np.frombuffer(read_verified(f"mnist/{part}-images-idx3-ubyte.gz", root), np.uint8, offset=16)
        labels = np.frombuffer(read_verified(f"mnist/{part}-labels-idx1-ubyte.gz", root), np.uint8, offset=8)
        return Records(_viewed(images.reshape(-1, 28, 28) / np.float32(255), view), [str(label) for label in labels])

    train = records("train")
    # Every picture is a key of its own: a checksum of each would cost more than it tells.
    return split("mnist", train, validation=validation, test=records("t10k"), seed=seed, keys=range(len(train)))


def digits(view: View = "rows", validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Dataset:
    """1,797 handwritten digits of 8 x 8 pixels from 0 to 1, which come with scikit-learn."""
    data = require("sklearn.datasets", "digits", "has the pictures of digits").load_digits()
    images = _viewed(data.images.astype(np.float32) / 16, view)
    records = Records(images, [str(label) for label in data.target])
    return split("digits", records, validation=validation, test=test, seed=seed)


def mnist1d(root: str | os.PathLike[str] | None = None, validation: float = 0.1, seed: int = 0) -> Dataset:
    """40 steps of a curve like a digit, shifted, scaled and with noise (Greydanus and Kobak 2024)."""
    # The file is the one of a known checksum, so it is safe to unpickle.
    data = pickle.loads(read_verified("mnist1d/mnist1d_data.pkl", root))
    train, test = (
        Records(data["x" + part][..., None].astype(np.float32), [str(label) for label in data["y" + part]])
        for part in ("", "_test")
    )
    return split("mnist1d", train, validation=validation, test=test, seed=seed)


def _viewed(images: np.ndarray, view: View) -> np.ndarray:
    if view == "rows":
        return images
    pixels = images.reshape(len(images), -1, 1)
    return pixels if view == "pixels" else pixels[:, Draws(_PERMUTATION).order(pixels.shape[1])]
