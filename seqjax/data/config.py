"""The schema of a text data set."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """A text, its symbols, and how it is cut into batches of contiguous streams.

    Attributes:
        source: ``python-reference`` (ships with Python), ``tiny-shakespeare`` (from the data root), or the path of a
            text file.
        vocabulary: one symbol a character, or one a byte of UTF-8.
        batch_size: number of streams read side by side.
        length: time steps between two truncations of back-propagation through time.
        heldout_fraction: share of a text file that is held out, from its end; the named sources bring their own split.
        root: the data root; the environment variable ``SEQJAX_DATA`` if not given.
    """

    source: str = "python-reference"
    vocabulary: Literal["character", "byte"] = "character"
    batch_size: Annotated[int, Field(gt=0)] = 32
    length: Annotated[int, Field(gt=0)] = 128
    heldout_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    root: str | None = None
