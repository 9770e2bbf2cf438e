"""What an encoder makes of sequences, as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqjax.analysis.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMED = 40


def principal_components(points: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Points in the directions of their greatest variance.

    Args:
        points: ``[points, features]``.
        count: of directions.

    Returns:
        Coordinates ``[points, count]``, and the share of the variance that each direction has, ``[count]``.

    Example:
        >>> import numpy as np
        >>> coordinates, shares = principal_components(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), 1)
        >>> np.abs(coordinates[:, 0]).round(3).tolist(), shares.round(3).tolist()
        ([5.0, 0.0, 5.0], [1.0])
    """
    centred = points - points.mean(axis=0)
    _, deviations, directions = np.linalg.svd(centred, full_matrices=False)
    variances = deviations**2
    return centred @ directions[:count].T, variances[:count] / max(variances.sum(), np.finfo(points.dtype).tiny)


def codes_map(codes: np.ndarray, labels: Sequence[str], *, title: str | None = None) -> "Figure":
    """The codes' two principal components, coloured by the length of the sequences, some of which are written there.

    Args:
        codes: ``[records, size]``.
        labels: each record's sequence.
        title: above the picture.
    """
    places, shares = principal_components(codes)
    figure, axes = new_figure(9.0, 7.0)
    dots = axes.scatter(*places.T, c=[len(label) for label in labels], s=8, cmap="viridis", linewidths=0)
    figure.colorbar(dots, ax=axes, label="characters of the sequence")
    for index in np.linspace(0, len(labels) - 1, min(_NAMED, len(labels))).astype(int):
        axes.annotate(
            labels[index], places[index], parse_math=False, fontsize=7, xytext=(3, 3), textcoords="offset points"
        )
    axes.set_xlabel(f"first principal component ({100 * shares[0]:.0f} % of the variance)")
    axes.set_ylabel(f"second ({100 * shares[1]:.0f} %)")
    axes.set_title(title or f"Codes of {len(labels):,} sequences", loc="left")
    return figure
