"""Inputs from files of one's own, made as a source makes its own."""

import inspect
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqjax.data.sources.listing import SOURCES
from seqjax.data.sources.source import function_at
from seqjax.errors import DataError


def read_input(path: str | os.PathLike[str], source: str, options: Mapping[str, Any]) -> np.ndarray:
    """A file as features ``[time, size]``: an array in ``.npy``, or what the source is made of, such as ``.wav``.

    Args:
        path: of the file.
        source: a key of :data:`SOURCES`.
        options: of the source.

    Raises:
        DataError: a file that is not there or is not such a file, numbers that are not finite, audio at another rate.
    """
    file = Path(path).expanduser()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; give the path of a file") from None
    if file.suffix != ".npy":
        place = SOURCES[source].file
        if place is None:
            raise DataError(f"{file}: inputs like those of {source} are read from .npy files, arrays [time, features]")
        reader = function_at(place)
        known = inspect.signature(reader).parameters
        return reader(content, str(file), **{name: value for name, value in options.items() if name in known})
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{file}: not a NumPy file with an array ({error}); write it with numpy.save") from None
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise DataError(f"{file}: {array.dtype} values that are not all finite numbers; expected features [time, size]")
    return array
