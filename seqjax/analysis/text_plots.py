"""What a unit does while it reads, as a picture: colours behind a text."""

from typing import TYPE_CHECKING, Any

import numpy as np

from seqjax.analysis.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_over_text(
    text: str, values: Any, *, columns: int = 80, label: str = "activity", title: str | None = None
) -> "Figure":
    """A number for each character of a text, such as what a unit did there, as the colour behind it.

    Args:
        text: what was read.
        values: ``[len(text)]``; 0 is the colour in the middle.
        columns: a longer line goes on in the next one.
        label: what the numbers are.
        title: above the picture.

    Raises:
        ValueError: not one number for each character, or no characters.

    Source: Karpathy, Johnson and Fei-Fei 2015, Visualizing and understanding recurrent networks.
    """
    numbers = np.asarray(values, np.float64)
    if not text or numbers.shape != (len(text),):
        raise ValueError(f"there are {len(text)} characters and values of shape {numbers.shape}; expected one for each")
    places, row, column = [], 0, 0
    for character in text:
        places.append((row, column))
        column += 1
        if character == "\n" or column == columns:
            row, column = row + 1, 0
    rows = places[-1][0] + 1
    figure, axes = new_figure(2.0 + 0.13 * columns, 1.0 + 0.24 * rows)
    grid = np.full((rows, columns), np.nan)
    for (row, column), character, number in zip(places, text, numbers, strict=True):
        grid[row, column] = number
        axes.text(
            column,
            row,
            "↵" if character == "\n" else character,
            ha="center",
            va="center",
            family="monospace",
            parse_math=False,
        )
    extent = np.nanmax(np.abs(grid))
    image = axes.imshow(grid, cmap="PuOr", vmin=-extent, vmax=extent, alpha=0.7, aspect="auto")
    figure.colorbar(image, ax=axes, label=label, pad=0.01)
    axes.axis("off")
    axes.set_title(title or f"{label} over a text", loc="left")
    return figure
