"""The loss curve as a picture."""

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqjax.train.files import write_atomically

_TRAIN, _HELDOUT, _BASELINE = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's colours, told apart by everybody
_DASHES = ("--", "-.", ":")


def draw_loss_curve(
    directory: Path, rows: Sequence[Mapping[str, Any]], baselines: Mapping[str, float], *, name: str, unit: str
) -> list[Path]:
    """Draw bits per symbol over the symbols read, with the baselines, as ``loss_curve.png`` and ``.svg``.

    Nothing is drawn where matplotlib is not installed, or where there is nothing to see yet.

    Args:
        directory: where the pictures go.
        rows: those of the metrics file.
        baselines: their names and bits per symbol.
        name: of the run.
        unit: of a symbol: ``character`` or ``byte``.
    """
    if not rows:
        return []
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter
    except ImportError:
        return []
    bits, heldout_bits = f"bits_per_{unit}", f"heldout_bits_per_{unit}"
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    trained = [(row["tokens"], row[bits]) for row in rows if row.get(bits) is not None]
    evaluated = [(row["tokens"], row[heldout_bits]) for row in rows if heldout_bits in row]
    axes.plot(*zip(*trained), color=_TRAIN, linewidth=1.2, label="training text")
    axes.plot(*zip(*evaluated), color=_HELDOUT, linewidth=2, marker="o", markersize=5, label="held-out text")
    values = [value for _, value in trained + evaluated] + list(baselines.values())
    # The first updates fall from so high that they would leave no room for the rest.
    top = min(max(values), 1.35 * max(baselines.values()))
    bottom = max(0.0, min(values) - 0.06 * (top - min(values)))
    axes.set_ylim(bottom, top)
    for (label, value), height, dashes in zip(
        baselines.items(), _apart(list(baselines.values()), 0.05 * (top - bottom)), _DASHES * len(baselines)
    ):
        axes.axhline(value, color=_BASELINE, linestyle=dashes, linewidth=1)
        axes.annotate(
            f"{label} {value:.2f}",
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            color=_BASELINE,
            annotation_clip=False,
        )
    if evaluated:
        axes.set_title(f"{name}: {evaluated[-1][1]:.3f} bits per {unit} on held-out text", loc="left")
    axes.set_xlabel(f"{unit}s read")
    axes.set_ylabel(f"bits per {unit}")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="upper right")
    paths = [directory / "loss_curve.png", directory / "loss_curve.svg"]
    # The same curve gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "seqjax"}):
        for path, metadata in zip(paths, ({"Software": None}, {"Date": None})):
            content = io.BytesIO()
            figure.savefig(content, format=path.suffix[1:], dpi=150, metadata=metadata)
            write_atomically(path, content.getvalue())
    return paths


def _apart(values: list[float], gap: float) -> list[float]:
    """The values, moved up where they would be closer than ``gap``: heights at which labels can be read."""
    heights = list(values)
    order = sorted(range(len(values)), key=values.__getitem__)
    for below, above in itertools.pairwise(order):
        heights[above] = max(heights[above], heights[below] + gap)
    return heights
