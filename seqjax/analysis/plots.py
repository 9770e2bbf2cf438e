"""Pictures of the measures in this package: one idea a picture, colours that everybody can tell apart.

Every function draws one figure and returns it; :func:`save` writes it as PNG and SVG, with the numbers beside it as
JSON for other tools. matplotlib comes with the extra ``plots`` and is imported when something is drawn.
"""

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqjax.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from seqjax.analysis.fixed_points import FixedPoints
    from seqjax.analysis.flow import GradientFlow
    from seqjax.analysis.surface import DescentPath, Plane
    from seqjax.analysis.truncation import Truncation

# Okabe and Ito's colours, told apart by everybody.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#555555"
_LARGEST_MAP = 14.0
"""Inches."""


def flow_matrix(flow: "GradientFlow", leaf: str, *, title: str | None = None) -> "Figure":
    """The matrix G[t, k] of one leaf as colours: where losses (rows) look back to (columns)."""
    figure, axes = new_figure(6.2, 5.0)
    norms = np.asarray(flow.norms[leaf], np.float64)
    norms = norms.reshape(*norms.shape[:2], -1).mean(-1)
    with np.errstate(divide="ignore"):
        logs = np.where(norms > 0, np.log10(norms), np.nan)
    low, high = np.nanmin(logs), np.nanmax(logs)
    # More than twelve decades would leave no colours for what matters.
    image = axes.pcolormesh(np.arange(flow.time_steps), flow.times, logs, cmap="cividis", vmin=max(low, high - 12))
    figure.colorbar(image, ax=axes, label=f"log10 of the norm of dL / d {leaf}")
    axes.invert_yaxis()
    axes.set_xlabel("state at step k")
    axes.set_ylabel("loss at step t")
    axes.set_title(title or f"Gradient of every loss to every {leaf} state", loc="left")
    return figure


def flow_by_lag(
    profiles: Mapping[str, Any], *, predicted: Mapping[str, Any] | None = None, title: str | None = None
) -> "Figure":
    """The typical norm against the lag on a logarithmic axis, a line for each of ``profiles`` (see ``by_lag``).

    ``predicted`` holds what theory says, drawn dashed in the colour of the line of the same name.
    """
    figure, axes = new_figure(7.2, 4.4)
    for (name, profile), color in zip(profiles.items(), _cycle(len(profiles)), strict=True):
        values = np.where(np.asarray(profile) > 0, profile, np.nan)
        axes.plot(np.arange(len(values)), values, color=color, linewidth=1.8, label=name)
        if predicted and name in predicted:
            line = np.asarray(predicted[name])
            axes.plot(np.arange(len(line)), line, color=color, linestyle="--", linewidth=1, label=f"{name}, predicted")
    axes.set_yscale("log")
    axes.set_xlabel("lag: steps between the state and the loss")
    axes.set_ylabel("norm of the gradient")
    axes.set_title(title or "How far back gradients reach", loc="left")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False)
    return figure


def spectrum(eigenvalues: Mapping[str, Any], *, title: str | None = None) -> "Figure":
    """Eigenvalues in the complex plane with the unit circle, a colour for each of ``eigenvalues``."""
    figure, axes = new_figure(5.2, 5.0)
    angle = np.linspace(0, 2 * math.pi, 400)
    axes.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=1, label="modulus 1")
    for (name, values), color in zip(eigenvalues.items(), _cycle(len(eigenvalues)), strict=True):
        flat = np.ravel(np.asarray(values))
        axes.scatter(flat.real, flat.imag, s=14, color=color, alpha=0.7, linewidths=0, label=name)
    axes.set_aspect("equal")
    axes.set_xlabel("real part")
    axes.set_ylabel("imaginary part")
    axes.set_title(title or "Eigenvalues of the recurrence", loc="left")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def surface(
    losses: np.ndarray,
    x: Any,
    y: Any,
    *,
    paths: Mapping[str, "DescentPath"] | None = None,
    plane: "Plane | None" = None,
    labels: tuple[str, str] = ("x", "y"),
    title: str | None = None,
) -> "Figure":
    """The loss on a plane as colours, with the paths of descent on it; what leaves the picture is cut at its edge."""
    figure, axes = new_figure(7.0, 5.0)
    with np.errstate(divide="ignore"):
        logs = np.log10(np.maximum(losses, np.nanmax(losses) * 1e-8))
    image = axes.pcolormesh(np.asarray(x), np.asarray(y), logs, cmap="Greys_r", shading="gouraud")
    figure.colorbar(image, ax=axes, label="log10 of the loss")
    for (name, path), color in zip((paths or {}).items(), _cycle(len(paths or {})), strict=True):
        if plane is None:
            raise ValueError("paths need the plane that they are drawn on; pass plane=")
        points = path.on(plane)
        axes.plot(points[:, 0], points[:, 1], color=color, linewidth=1.2, label=f"{name}: loss {path.losses[-1]:.2g}")
        axes.plot(*points[0], "o", color=color, markersize=6)
        axes.plot(*points[-1], "s", color=color, markersize=5)
    axes.set_xlim(np.min(x), np.max(x))
    axes.set_ylim(np.min(y), np.max(y))
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    axes.set_title(title or "The loss on a plane of parameters", loc="left")
    if paths:
        axes.legend(loc="upper right", title="circle: start, square: end", title_fontsize="small")
    return figure


def truncation(result: "Truncation", *, title: str | None = None) -> "Figure":
    """Cosine and norm ratio of truncated gradients against the truncation length."""
    figure, axes = new_figure(7.2, 4.4)
    axes.plot(result.lengths, result.cosine, "o-", color=COLORS[0], label="cosine with the full gradient")
    axes.plot(result.lengths, result.norm_ratio, "s-", color=COLORS[1], label="norm over that of the full gradient")
    axes.axhline(1, color=GREY, linewidth=1)
    if result.recommended is not None:
        axes.axvline(result.recommended, color=GREY, linestyle="--", linewidth=1)
        axes.annotate(
            f"recommended: {result.recommended}",
            (result.recommended, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            color=GREY,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(result.lengths, [str(length) for length in result.lengths])
    axes.set_xlabel("truncation length in steps")
    axes.set_title(title or "What truncation leaves of the gradient", loc="left")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False)
    return figure


def distribution(
    values: Mapping[str, Any], *, label: str, logarithmic: bool = False, title: str | None = None
) -> "Figure":
    """How values are spread, a histogram line for each of ``values``: gates, time scales, activations."""
    figure, axes = new_figure(7.2, 4.4)
    flats = {name: np.ravel(np.asarray(v, np.float64)) for name, v in values.items()}
    every = np.concatenate(list(flats.values()))
    every = every[np.isfinite(every) & ((every > 0) | (not logarithmic))]
    edges = np.geomspace(every.min(), every.max(), 41) if logarithmic else np.linspace(every.min(), every.max(), 41)
    for (name, flat), color in zip(flats.items(), _cycle(len(flats)), strict=True):
        share = np.histogram(flat, edges)[0] / max(len(flat), 1)
        axes.stairs(share, edges, color=color, linewidth=1.8, label=name)
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.set_ylabel("share")
    axes.set_title(title or f"Distribution of {label}", loc="left")
    axes.legend(frameon=False)
    return figure


def phase_plane(found: "FixedPoints", states: Any = None, *, title: str | None = None) -> "Figure":
    """Fixed points on the two main axes of the states that were visited: filled ones attract."""
    figure, axes = new_figure(6.0, 5.0)
    cloud = found.states if states is None else np.asarray(states).reshape(-1, found.states.shape[1])
    middle = cloud.mean(0)
    _, _, directions = np.linalg.svd(cloud - middle, full_matrices=False)
    onto = lambda points: (points - middle) @ directions[:2].T
    if directions.shape[0] < 2:
        raise ValueError("a phase plane needs states of at least two numbers, and at least two of them")
    if states is not None:
        axes.plot(*onto(cloud).T, ".", color="#bbbbbb", markersize=2, label="states visited")
    kinds = {"attracting": found.fixed & found.stable, "not attracting": found.fixed & ~found.stable}
    kinds["slow, not fixed"] = ~found.fixed
    for (name, chosen), color in zip(kinds.items(), COLORS, strict=False):
        if chosen.any():
            fill = color if name == "attracting" else "none"
            axes.scatter(*onto(found.states[chosen]).T, s=50, edgecolors=color, facecolors=fill, label=name, zorder=3)
    axes.set_xlabel("first principal axis of the states")
    axes.set_ylabel("second principal axis")
    axes.set_title(title or "Fixed points of the recurrence", loc="left")
    axes.legend(frameon=False)
    return figure


def attention_map(
    weights: Any, inputs: Sequence[str] | None, outputs: Sequence[str], *, title: str | None = None
) -> "Figure":
    """Where each output of a decoder looked: a row for each output, from the top, and a column for each input.

    Args:
        weights: ``[outputs, positions]`` of one sequence; what is beyond the tokens is padding, and is cut.
        inputs: a text for each position; ``None`` for numbers, where positions are frames.
        outputs: a text for each output.
        title: of the picture.

    Raises:
        ValueError: more tokens than there are weights.

    Source: Bahdanau, Cho and Bengio 2015, Neural machine translation by jointly learning to align and translate.
    """
    values = np.asarray(weights, np.float64)
    wanted = (len(outputs), values.shape[-1] if inputs is None else len(inputs))
    if values.ndim != 2 or wanted[0] > values.shape[0] or wanted[1] > values.shape[1]:
        raise ValueError(
            f"the weights have shape {values.shape}, expected [outputs, positions] of at least {list(wanted)} for "
            f"{wanted[0]} outputs and {wanted[1]} inputs; take those of one sequence"
        )
    values = values[: wanted[0], : wanted[1]]
    longest = max((len(token) for token in inputs or ()), default=1)
    figure, axes = new_figure(
        min(2.4 + 0.3 * wanted[1] * (1 if inputs is not None else 0.1), _LARGEST_MAP),
        min(1.5 + 0.28 * wanted[0] + (0.09 * longest if longest > 2 else 0), _LARGEST_MAP),
    )
    edges = [np.arange(size + 1) - 0.5 for size in reversed(wanted)]
    image = axes.pcolormesh(*edges, values, cmap="Blues", vmin=0, vmax=max(values.max(initial=0), 1e-6))
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(wanted[0]), outputs, parse_math=False)
    if inputs is None:
        axes.set_xlabel("position of the input")
    else:
        turned = 90 if longest > 2 else 0
        axes.set_xticks(np.arange(wanted[1]), inputs, rotation=turned, parse_math=False)
        axes.set_xlabel("input")
    axes.set_ylabel("output")
    axes.set_title(title or "Where each output looked", loc="left")
    return figure


def new_figure(width: float, height: float) -> "tuple[Figure, Axes]":
    """An empty picture of this size in inches, and its axes.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    require("matplotlib", "plots", "draws pictures")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A figure that notebooks show, whatever their backend is."""

        def _repr_png_(self) -> bytes:
            content = io.BytesIO()
            self.savefig(content, format="png", dpi=90)
            return content.getvalue()

    figure = Picture(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: "Figure", path: str | Path, numbers: Any = None) -> list[Path]:
    """Write a figure as PNG and SVG beside each other, and ``numbers`` as JSON; returns what was written.

    Args:
        figure: from a function of this module.
        path: where to; its suffix does not matter.
        numbers: a tree of arrays, numbers and text.
    """
    matplotlib = require("matplotlib", "plots", "draws pictures")
    base = Path(path).with_suffix("")
    base.parent.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context({"svg.hashsalt": "seqjax"}):
        for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
            content = io.BytesIO()
            figure.savefig(content, format=suffix[1:], dpi=150, metadata=metadata)
            written.append(base.with_suffix(suffix))
            written[-1].write_bytes(content.getvalue())
    if numbers is not None:
        written.append(base.with_suffix(".json"))
        written[-1].write_text(json.dumps(plain(numbers), indent=1) + "\n", encoding="utf-8")
    return written


def plain(value: Any) -> Any:
    """A tree of arrays as lists and numbers that JSON knows; what is not finite becomes ``None``, complex a pair."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    array = np.asarray(value)
    if array.ndim:
        return [plain(item) for item in array]
    if np.iscomplexobj(array):
        return [plain(array.real[()]), plain(array.imag[()])]
    number = array.item()
    return number if not isinstance(number, float) or math.isfinite(number) else None


def _cycle(count: int) -> list[str]:
    return [COLORS[index % len(COLORS)] for index in range(count)]
