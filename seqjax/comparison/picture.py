"""A comparison as a picture: a panel a task, a row a model, every seed a dot."""

import math
from pathlib import Path
from typing import Any

from seqjax.comparison.models import BASELINE
from seqjax.comparison.results import Comparison
from seqjax.errors import require

_RECURRENT, _BASELINE, _TRIVIAL = "#0072B2", "#D55E00", "#555555"  # Okabe and Ito's colours, told apart by everybody


def figure(comparison: Comparison) -> Any:
    """Mean and standard error of every model on every task, its seeds, and what is reached without memory."""
    require("matplotlib", "plots", "draws the picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    tasks, models = comparison.tasks, comparison.models
    columns = min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    shape = (1.4 + 3.4 * columns, 0.3 + rows * (1.5 + 0.28 * len(models)))
    drawing = Figure(figsize=shape, layout="constrained")
    FigureCanvasAgg(drawing)
    panels = drawing.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in panels.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes, (name, task) in zip(panels.flat, tasks.items()):
        for place, model in enumerate(models):
            outcome = comparison.outcome(name, model)
            if outcome is None:
                continue
            plain = model.startswith(BASELINE)
            color, marker = (_BASELINE, "s") if plain else (_RECURRENT, "o")
            axes.plot(outcome.metrics, [place] * len(outcome.metrics), ".", color=color, alpha=0.35, markersize=7)
            error = None if math.isnan(outcome.standard_error) else outcome.standard_error
            axes.errorbar(outcome.mean, place, xerr=error, fmt=marker, color=color, capsize=4, markersize=6)
        axes.axvline(task["trivial"], color=_TRIVIAL, linestyle="--", linewidth=1)
        axes.annotate(
            "without memory",
            (task["trivial"], 1),
            xytext=(3 if task["higher_is_better"] else -3, -3),
            textcoords="offset points",
            xycoords=("data", "axes fraction"),
            ha="left" if task["higher_is_better"] else "right",
            va="top",
            fontsize=8,
            color=_TRIVIAL,
        )
        axes.set_title(name, loc="left", fontsize=11)
        axes.set_xlabel(f"{task['metric']} ({'more' if task['higher_is_better'] else 'less'} is better)", fontsize=9)
        axes.set_yticks(range(len(models)), models)
        # One free row at the top for what the dashed line is.
        axes.set_ylim(len(models) - 0.5, -1.3)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if task["higher_is_better"]:
            left, right = (0.0 if task["trivial"] < 0.2 else axes.get_xlim()[0]), 1.0
        else:
            left, right = 0.0, axes.get_xlim()[1]
        # Room for half a marker at the ends.
        axes.set_xlim(left - 0.03 * (right - left), right + 0.03 * (right - left))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return drawing


def draw(comparison: Comparison, path: Path) -> None:
    """Write :func:`figure` as PNG, SVG or PDF, by the file's name."""
    figure(comparison).savefig(path, dpi=150)
