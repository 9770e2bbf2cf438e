"""Which class is taken for which."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was taken for each; print it. Those of several batches are added.

    Attributes:
        counts: ``[classes, classes]``: the right class is the row, the predicted one the column.
        names: of the classes.
    """

    counts: np.ndarray
    names: tuple[str, ...]

    @property
    def error(self) -> float:
        """The share of positions whose class is wrong; NaN of nothing."""
        with np.errstate(invalid="ignore"):
            return float(1 - np.trace(self.counts) / np.float64(self.counts.sum()))

    @property
    def error_by_class(self) -> np.ndarray:
        """Of the positions of each class, the share that was taken for another; NaN where there are none."""
        with np.errstate(invalid="ignore"):
            return 1 - np.diagonal(self.counts) / self.counts.sum(1)

    def __add__(self, other: "Confusion") -> "Confusion":
        if self.names != other.names:
            raise ValueError(f"confusions of other classes cannot be added: {self.names} and {other.names}")
        return Confusion(self.counts + other.counts, self.names)

    def __str__(self) -> str:
        rows = [("", *self.names, "error")]
        for name, counts, error in zip(self.names, self.counts, self.error_by_class, strict=True):
            rows.append((name, *map(str, counts), "-" if np.isnan(error) else f"{error:.1%}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([*lines, f"rows: the right class; columns: the predicted one; error of all: {self.error:.1%}"])


def confusion(predictions: Any, labels: Any, mask: Any = None, *, classes: int | Sequence[str]) -> Confusion:
    """Count which class is taken for which.

    Args:
        predictions: classes as whole numbers, ``[*positions]``.
        labels: classes as whole numbers, ``[*positions]``.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given.
        classes: how many there are, or their names.

    Raises:
        ValueError: shapes that differ, or a class that does not exist at a position that counts.

    Example:
        >>> import seqjax
        >>> found = seqjax.metrics.confusion([0, 1, 1, 2], [0, 1, 2, 2], classes=["EI", "IE", "N"])
        >>> found.error, found.error_by_class.tolist()
        (0.25, [0.0, 0.0, 0.5])
    """
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    kept = np.ones(labels.shape, bool) if mask is None else np.asarray(mask)
    if not predictions.shape == labels.shape == kept.shape or kept.dtype != np.bool_:
        raise ValueError(
            f"predictions have shape {predictions.shape}, labels {labels.shape} and the mask {kept.shape} of "
            f"{kept.dtype}; expected one shape and booleans"
        )
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
    size = len(names)
    for name, values in (("predictions", predictions), ("labels", labels)):
        if values.dtype.kind not in "iub":
            raise ValueError(f"{name} must be classes as whole numbers, got {values.dtype}")
        wrong = values[kept & ((values < 0) | (values >= size))]
        if wrong.size:
            raise ValueError(f"{name} hold class {wrong[0]}, expected 0 to {size - 1}")
    pairs = labels[kept].astype(np.int64) * size + predictions[kept]
    return Confusion(np.bincount(pairs, minlength=size * size).reshape(size, size), names)
