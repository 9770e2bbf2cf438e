"""Pictures of connectionist temporal classification: the lattice, what a model says of each frame, the alignment.

They are saved as those of :mod:`seqjax.analysis.plots`, with :func:`~seqjax.analysis.plots.save`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqjax.analysis.plots import COLORS, GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLANK = "–"


def ctc_lattice(occupation: Any, labels: Sequence[str], positions: Any = None, *, title: str | None = None) -> "Figure":
    """The states of the lattice, frame by frame, as large as they are probable, and the moves between them.

    Args:
        occupation: ``[time, 2 label_length + 1]``, as :func:`seqjax.losses.ctc_occupation` gives it for one row.
        labels: the target, a text for each label.
        positions: ``[time]``, the best path to be drawn, as in :class:`seqjax.losses.Alignment`.
        title: of the picture.

    Raises:
        ValueError: an occupation that is not of so many labels.
    """
    shares = np.asarray(occupation, np.float64)
    if shares.ndim != 2 or shares.shape[1] != 2 * len(labels) + 1:
        raise ValueError(
            f"the occupation has shape {shares.shape}, expected [time, {2 * len(labels) + 1}] for {len(labels)} labels"
        )
    frames, states = shares.shape
    figure, axes = new_figure(2.6 + 0.32 * frames, 1.2 + 0.34 * states)
    time, state = (grid.ravel() for grid in np.meshgrid(np.arange(frames), np.arange(states), indexing="ij"))
    for frame in range(frames - 1):
        for start, end in _moves(labels):
            if shares[frame, start] > 0 and shares[frame + 1, end] > 0:
                axes.plot([frame, frame + 1], [start, end], color="#CCCCCC", linewidth=0.8, zorder=1)
    colors = [COLORS[0] if number % 2 else GREY for number in state]
    axes.scatter(time, state, s=8, facecolors="white", edgecolors=colors, linewidths=0.6, zorder=2)
    axes.scatter(time, state, s=220 * shares.ravel(), c=colors, linewidths=0, zorder=3)
    if positions is not None:
        axes.plot(_states_of(np.asarray(positions)), color=COLORS[1], linewidth=1.8, zorder=4, label="best path")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    names = [_BLANK, *(name for label in labels for name in (label, _BLANK))]
    axes.set_yticks(np.arange(states), names)
    axes.invert_yaxis()
    axes.set_xlabel("frame")
    axes.set_ylabel("state (– is the blank)")
    axes.set_title(title or "Where the frames may be, given the labels", loc="left")
    return figure


def ctc_probabilities(
    probabilities: Any, names: Sequence[str], *, blank: int = 0, title: str | None = None
) -> "Figure":
    """The probability of each class at each frame: spikes of labels, and the blank (dashed) between them.

    Args:
        probabilities: ``[time, classes]``.
        names: a text for each class.
        blank: which class is the blank.
        title: of the picture.
    """
    values = np.asarray(probabilities, np.float64)
    figure, axes = new_figure(8.4, 3.0)
    axes.plot(values[:, blank], color=GREY, linestyle="--", linewidth=1)
    for label in np.flatnonzero(values.max(axis=0) > 0.1):
        if label != blank:
            axes.plot(values[:, label], color=_color(label), linewidth=1.8)
    spikes = values.argmax(axis=1)
    for frame in np.flatnonzero((spikes != blank) & (spikes != np.r_[blank, spikes[:-1]])):
        run = np.flatnonzero(np.cumsum(spikes[frame:] != spikes[frame]) == 0) + frame
        top = run[values[run, spikes[frame]].argmax()]
        axes.text(top, 1.03, names[spikes[top]], color=_color(spikes[top]), ha="center", weight="bold")
    axes.set_ylim(0, 1.15)
    axes.set_xlim(0, len(values) - 1)
    axes.set_xlabel("frame")
    axes.set_ylabel("probability")
    axes.set_title(title or "Labels are spikes between blanks (dashed)", loc="left")
    return figure


def ctc_alignment(
    features: Any, positions: Any, labels: Sequence[str], *, frames_per_step: int = 1, title: str | None = None
) -> "Figure":
    """Features as colours, and over them which frames stand for which label.

    Args:
        features: ``[frames, size]``.
        positions: ``[steps]``, as in :class:`seqjax.losses.Alignment`.
        labels: the target, a text for each label.
        frames_per_step: frames that the model makes a step of.
        title: of the picture.
    """
    values, places = np.asarray(features), np.asarray(positions)
    figure, axes = new_figure(8.4, 3.4)
    axes.pcolormesh(np.arange(len(values) + 1), np.arange(values.shape[1] + 1), values.T, cmap="Greys", rasterized=True)
    top = values.shape[1]
    for position, label in enumerate(labels):
        steps = np.flatnonzero(places == position)
        if not steps.size:
            continue
        start, end = steps[0] * frames_per_step, min((steps[-1] + 1) * frames_per_step, len(values))
        axes.axvspan(start, end, color=_color(position), alpha=0.35, linewidth=0)
        axes.text((start + end) / 2, 1.03 * top, label, color=_color(position), ha="center", weight="bold")
    axes.set_ylim(0, 1.12 * top)
    axes.set_xlabel("frame")
    axes.set_ylabel("feature")
    axes.set_title(title or "The most probable alignment", loc="left")
    return figure


def _moves(labels: Sequence[str]) -> list[tuple[int, int]]:
    """From state to state in one frame; blanks between labels that differ may be left out."""
    states = range(2 * len(labels) + 1)
    moves = [(state, state) for state in states] + [(state, state + 1) for state in states[:-1]]
    skips = (number for number in range(len(labels) - 1) if labels[number] != labels[number + 1])
    return moves + [(2 * number + 1, 2 * number + 3) for number in skips]


def _states_of(positions: np.ndarray) -> np.ndarray:
    """States of the lattice; a blank is the one after the label before."""
    return np.where(positions >= 0, 2 * positions + 1, 2 * (np.maximum.accumulate(positions) + 1))


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]
