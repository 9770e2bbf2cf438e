"""Cures as a picture: what is left of the gradient beside what the training reaches."""

import math
from typing import Any

from seqjax.comparison.cures import Cured, Cures, groups_of
from seqjax.errors import require

# Okabe and Ito's colours, told apart by everybody.
_BEFORE, _AFTER, _ERROR, _GREY = "#0072B2", "#D55E00", "#009E73", "#555555"
_SMALLEST, _LARGEST = 1e-12, 1e6


def cures_figure(found: Cures) -> Any:
    """For every cure, what is left of the gradient after the longest lag, before and after training; and the metric."""
    require("matplotlib", "plots", "draws the picture")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places, labels, lines, place = [], [], [], 0.0
    for group, rows in groups_of(found):
        if lines or places:
            lines.append(place - 0.5)
        for row in rows:
            places.append(place)
            labels.append(row.name if group == "baseline" else f"{group}: {row.name}")
            place += 1
    drawing = Figure(figsize=(11.5, 1.6 + 0.3 * len(places)), layout="constrained")
    FigureCanvasAgg(drawing)
    flow, metric = drawing.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    flow.axvspan(1e-3, 1e3, color=_GREY, alpha=0.1, linewidth=0, label="healthy")
    for kind, marker, color, name in (("before", "o", _BEFORE, "before training"), ("after", "s", _AFTER, "after")):
        known = [(_clipped(getattr(row, kind).ratio), at) for at, row in zip(places, found.rows) if getattr(row, kind)]
        style = {"markersize": 9, "fillstyle": "none"} if kind == "before" else {"markersize": 6}
        flow.plot(*zip(*known), marker, color=color, label=name, linestyle="", **style)
    for at, row in zip(places, found.rows):
        if row.before and row.after:
            flow.plot([_clipped(row.before.ratio), _clipped(row.after.ratio)], [at, at], color=_GREY, linewidth=0.8)
        _draw_metric(metric, at, row)
    flow.set_xscale("log")
    flow.set_xlim(_SMALLEST / 3, _LARGEST * 3)
    steps = found.time_steps - 1
    flow.set_xlabel(
        f"norm of the gradient {steps} steps back, over its first\n(what is below {_SMALLEST:g} or 0 stands there)"
    )
    flow.set_yticks(places, labels)
    flow.set_ylim(max(places) + 0.7, -0.7)
    flow.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    metric.axvline(found.trivial, color=_GREY, linestyle="--", linewidth=1, label="without memory")
    if found.higher_is_better:
        metric.set_xlim(0, 1.02)
    else:
        metric.set_xscale("log")
    metric.set_xlabel(f"{found.metric} ({'more' if found.higher_is_better else 'less'} is better)")
    metric.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for axes in (flow, metric):
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        for at in lines:
            axes.axhline(at, color=_GREY, linewidth=0.4, alpha=0.5)
    drawing.suptitle(f"Cures on one task: {found.asks} ({found.time_steps} steps)", fontsize=12)
    return drawing


def _draw_metric(axes: Any, place: float, row: Cured) -> None:
    if math.isnan(row.mean):
        axes.text(0.02, place, "diverged", va="center", color=_ERROR, transform=axes.get_yaxis_transform())
        return
    axes.plot(row.metrics, [place] * len(row.metrics), ".", color=_ERROR, alpha=0.4, markersize=7)
    axes.plot(row.mean, place, "D", color=_ERROR, markersize=5)


def _clipped(ratio: float) -> float:
    return min(max(ratio, _SMALLEST), _LARGEST)
