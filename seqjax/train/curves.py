"""The curves of a run as a picture."""

import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqjax.train.files import write_atomically

_TRAIN, _HELDOUT, _BASELINE = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's colours, told apart by everybody
_DASHES = ("--", "-.", ":")


class Curves(NamedTuple):
    """What is drawn of a run.

    Attributes:
        unit: what is counted, such as ``character``.
        training: the column of the training loss.
        heldout: the column of the same loss on held-out data.
        metric: the column of what counts; where it is not ``heldout`` it has a panel of its own.
        loss_label: of the axis of losses.
        metric_label: of the axis of what counts.
        baselines: of what counts.
    """

    unit: str
    training: str
    heldout: str
    metric: str
    loss_label: str
    metric_label: str
    baselines: Mapping[str, float]


def draw_curves(directory: Path, rows: Sequence[Mapping[str, Any]], curves: Curves, *, name: str) -> list[Path]:
    """Draw a run over what it read, as ``loss_curve.png`` and ``.svg``.

    Nothing is drawn where matplotlib is not installed, or where there is nothing to see yet.

    Args:
        directory: where the pictures go.
        rows: those of the metrics file.
        curves: what is drawn.
        name: of the run.
    """
    if not rows:
        return []
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return []
    together = curves.heldout == curves.metric
    figure = Figure(figsize=(8 if together else 10, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 1 if together else 2, squeeze=False)[0]
    trained, heldout, evaluated = (
        [(row["tokens"], row[column]) for row in rows if row.get(column) is not None]
        for column in (curves.training, curves.heldout, curves.metric)
    )
    _plot(panels[0], trained, color=_TRAIN, linewidth=1.2, label="training")
    _plot(panels[0], heldout, color=_HELDOUT, linewidth=2, marker="o", markersize=5, label="held out")
    panels[0].set_ylabel(curves.loss_label)
    panels[0].legend(frameon=False, loc="upper right")
    if not together:
        _plot(panels[1], evaluated, color=_HELDOUT, linewidth=2, marker="o", markersize=5)
        panels[1].set_ylabel(curves.metric_label)
    baselines = curves.baselines
    values = [value for _, value in (trained + evaluated if together else evaluated)] + list(baselines.values())
    if together and baselines:
        # The first updates fall from so high that they would leave no room for the rest.
        top = min(max(values), 1.35 * max(baselines.values()))
        panels[-1].set_ylim(max(0.0, min(values) - 0.06 * (top - min(values))), top)
    elif not together:
        _leave_room(panels[0], [value for _, value in trained + heldout])
    bottom, top = panels[-1].get_ylim()
    for (label, value), height, dashes in zip(
        baselines.items(), _apart(list(baselines.values()), 0.05 * (top - bottom)), _DASHES * len(baselines)
    ):
        panels[-1].axhline(value, color=_BASELINE, linestyle=dashes, linewidth=1)
        panels[-1].annotate(
            f"{label} {value:.2f}",
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            color=_BASELINE,
            annotation_clip=False,
        )
    if evaluated:
        panels[0].set_title(f"{name}: {evaluated[-1][1]:.3f} {curves.metric_label} on held-out data", loc="left")
    for panel in panels:
        _dress(panel, f"{curves.unit}s read")
    paths = [directory / "loss_curve.png", directory / "loss_curve.svg"]
    # The same curve gives the same file.
    with matplotlib.rc_context({"svg.hashsalt": "seqjax"}):
        for path, metadata in zip(paths, ({"Software": None}, {"Date": None})):
            content = io.BytesIO()
            figure.savefig(content, format=path.suffix[1:], dpi=150, metadata=metadata)
            write_atomically(path, content.getvalue())
    return paths


def _plot(axes: Any, points: Sequence[tuple[float, float]], **style: Any) -> None:
    if points:
        axes.plot(*zip(*points), **style)


def _leave_room(axes: Any, values: Sequence[float]) -> None:
    """A scale on which the end can be read where the beginning is far above it."""
    finite = [value for value in values if value > 0]
    if finite and max(finite) > 20 * min(finite):
        axes.set_yscale("log")


def _dress(axes: Any, label: str) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def _apart(values: list[float], gap: float) -> list[float]:
    """The values, moved up where they would be closer than ``gap``: heights at which labels can be read."""
    heights = list(values)
    order = sorted(range(len(values)), key=values.__getitem__)
    for below, above in itertools.pairwise(order):
        heights[above] = max(heights[above], heights[below] + gap)
    return heights
