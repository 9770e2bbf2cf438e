"""Images that a model wrote pixel by pixel."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqjax.analysis.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_grid(images: Any, names: Sequence[str], *, title: str | None = None) -> "Figure":
    """Grey images in rows that have names: the higher a number, the darker.

    Args:
        images: ``[rows, columns, height, width]``.
        names: of each row.
        title: above the picture.

    Raises:
        ValueError: not one name for each row, or images of another shape.
    """
    grid = np.asarray(images, np.float64)
    if grid.ndim != 4 or len(names) != len(grid):
        raise ValueError(
            f"images have shape {grid.shape} and {len(names)} rows have names; expected [rows, columns, height, width] "
            "and a name for each row"
        )
    framed = np.pad(grid, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=np.nan)
    rows, columns, height, width = framed.shape
    figure, axes = new_figure(1.0 + 0.6 * columns, 0.8 + 0.6 * rows * height / width)
    axes.imshow(framed.transpose(0, 2, 1, 3).reshape(rows * height, columns * width), cmap="gray_r")
    axes.set_yticks((np.arange(rows) + 0.5) * height - 0.5, names, parse_math=False)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title or "Written pixel by pixel", loc="left")
    return figure
