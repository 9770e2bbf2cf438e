"""Series to forecast: windows of what is known and of what comes next, in chronological parts."""

import csv
import io
import itertools
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from seqjax.data.download import read_verified
from seqjax.data.draws import Draws
from seqjax.data.records import Dataset, Records
from seqjax.errors import DataError

_FILES = {
    "airline": "airline-passengers",
    "sunspots": "monthly-sunspots",
    "minimum-temperatures": "daily-min-temperatures",
    "maximum-temperatures": "daily-max-temperatures",
}
_WINDS = ("NE", "NW", "SE", "cv")


def univariate(
    series: Literal["airline", "sunspots", "minimum-temperatures", "maximum-temperatures"],
    root: str | os.PathLike[str] | None = None,
    context: int = 24,
    horizon: int = 12,
    stride: int = 1,
    validation: float = 0.15,
    test: float = 0.2,
) -> Dataset:
    """A column of numbers by month or day; see :func:`windows`."""
    rows = _rows(f"ts_small/{_FILES[series]}.csv", root)
    values = np.array([[float(row[1])] for row in rows[1:]])
    return windows(
        series, values, [row[0] for row in rows[1:]], ["value"],
        context=context, horizon=horizon, stride=stride, validation=validation, test=test,
    )  # fmt: skip


def beijing(
    root: str | os.PathLike[str] | None = None,
    context: int = 48,
    horizon: int = 6,
    stride: int = 6,
    validation: float = 0.15,
    test: float = 0.2,
) -> Dataset:
    """Fine dust in Beijing hour by hour from 2010 to 2014, with the weather (Liang et al. 2015); dust is forecast.

    Where the dust was not measured, the inputs have the last value that was, and the 24 hours before the first
    measurement are left out; a window whose target was not measured is left out and counted.
    """
    rows = _rows("ts_small/pollution.csv", root)
    columns = ["pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir"]
    places = [rows[0].index(column) for column in columns]
    wind = rows[0].index("cbwd")
    values = np.array(
        [
            [float("nan" if row[i] == "NA" else row[i]) for i in places] + [row[wind] == name for name in _WINDS]
            for row in rows[1:]
        ]
    )
    names = ["{1}-{2:0>2}-{3:0>2} {4:0>2}:00".format(*row) for row in rows[1:]]
    first = int(np.flatnonzero(~np.isnan(values[:, 0]))[0])
    return windows(
        "beijing-pm25", values[first:], names[first:], [*columns, *(f"wind {name}" for name in _WINDS)],
        context=context, horizon=horizon, stride=stride, validation=validation, test=test,
    )  # fmt: skip


def sines(
    length: int = 2000,
    noise: float = 0.1,
    context: int = 48,
    horizon: int = 12,
    stride: int = 1,
    validation: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """The sum of three sines of random period, phase and height, with noise: forecasting without a download."""
    draws = Draws(seed)
    time = np.arange(length)[:, None]
    periods, phases, heights = 8 + 40 * draws.uniform(3), 2 * np.pi * draws.uniform(3), 0.5 + draws.uniform(3)
    values = (heights * np.sin(2 * np.pi * time / periods + phases)).sum(axis=1) + noise * draws.normal(length)
    return windows(
        "sines", values[:, None], [f"step {step}" for step in range(length)], ["value"],
        context=context, horizon=horizon, stride=stride, validation=validation, test=test,
    )  # fmt: skip


def windows(
    name: str,
    values: np.ndarray,
    times: Sequence[str],
    columns: Sequence[str],
    *,
    context: int,
    horizon: int,
    stride: int,
    validation: float,
    test: float,
) -> Dataset:
    """A series as pairs of a past ``[context, features]`` and the future of its first column ``[horizon, 1]``.

    The last ``test`` of all steps is the test, and ``validation`` of them before that; a window belongs to a part if
    all its future is inside, while its past may reach into the part before. All columns are brought to mean 0 and
    variance 1 by what they are in the training part; ``details`` has the ``mean`` and ``scale`` of the first one, to go
    back, and ``left_out``, the number of windows whose future has a missing value (nan).

    Raises:
        DataError: lengths below 1, or a part too short for a window.
    """
    if min(context, horizon, stride) < 1 or min(validation, test) < 0 or validation + test >= 1:
        raise DataError(
            f"{name}: context, horizon and stride must be at least 1, and validation + test below 1; got {context}, "
            f"{horizon}, {stride}, {validation} and {test}"
        )
    steps = len(values)
    bounds = [0, round(steps * (1 - validation - test)), round(steps * (1 - test)), steps]
    known = values[: bounds[1]]
    mean, deviation = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    scaled = ((values - mean) / deviation).astype(np.float32)
    missing = np.isnan(scaled)
    # The last step at which each value is known.
    latest = np.maximum.accumulate(np.where(missing, 0, np.arange(steps)[:, None]), axis=0)
    filled = np.take_along_axis(scaled, latest, axis=0)
    parts, left_out = [], 0
    for begin, end in itertools.pairwise(bounds):
        starts = np.arange(max(begin, context), end - horizon + 1, stride)
        if not starts.size and end > begin:
            raise DataError(
                f"{name}: a part of {end - begin} steps has no window of {context} + {horizon}; make data.options "
                "context or horizon smaller, or the part larger"
            )
        lacking = np.array([missing[start : start + horizon, 0].any() for start in starts], bool)
        left_out += int(lacking.sum())
        kept = starts[~lacking] if starts.size else starts
        parts.append(
            Records(
                [filled[start - context : start] for start in kept],
                [scaled[start : start + horizon, :1] for start in kept],
                names=[times[start] for start in kept],
            )
        )
    details: dict[str, Any] = {
        "mean": float(mean[0]),
        "scale": float(deviation[0]),
        "columns": list(columns),
        "left_out": left_out,
    }
    return Dataset(name, *parts, details=details)


def _rows(file: str, root: str | os.PathLike[str] | None) -> list[list[str]]:
    return list(csv.reader(io.StringIO(read_verified(file, root).decode("ascii"))))
