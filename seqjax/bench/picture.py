"""The ratios as a picture."""

from pathlib import Path

from seqjax.bench.results import FASTEST, Report
from seqjax.bench.settings import SHAPES

# Okabe and Ito's colours, told apart by everybody; the markers say the same once more.
_LOOKS = (
    ("#000000", "o"),
    ("#0072B2", "s"),
    ("#56B4E9", "D"),
    ("#009E73", "^"),
    ("#E69F00", "v"),
    ("#CC79A7", "P"),
    ("#D55E00", "X"),
    ("#7F7F7F", "*"),
)


def draw(report: Report, path: Path) -> None:
    """Draw each competitor's time over ours as a dot: a panel a cell and pass, a row a shape."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    cells = list(dict.fromkeys(m.cell for m in report.measurements))
    passes = list(dict.fromkeys(m.pass_name for m in report.measurements))
    shapes = list(dict.fromkeys(m.shape for m in report.measurements))
    names = [name for name in report.competitors() if name != FASTEST]
    looks = {name: _LOOKS[index % len(_LOOKS)] for index, name in enumerate(names)}
    ratios = [row.ratio for m in report.measurements for row in m.rows if row.name in names and row.ratio is not None]
    smallest, largest = min([0.8, *ratios]) / 1.15, max([1.25, *ratios]) * 1.15

    height = 1.4 + len(cells) * (0.75 + 0.42 * len(shapes))
    figure = Figure(figsize=(1.6 + 4.6 * len(passes), height), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(cells), len(passes), squeeze=False, sharex=True, sharey=True)
    for cell, line in zip(cells, panels):
        for pass_name, axes in zip(passes, line):
            axes.axvspan(smallest, 1, color="#EEEEEE", zorder=0)
            axes.axvline(1, color="#000000", linewidth=1, zorder=1)
            axes.set_title(f"{cell} {pass_name}", loc="left", fontsize=10)
            axes.set_xscale("log")
            axes.set_xlim(smallest, largest)
            axes.xaxis.set_major_locator(FixedLocator(_ticks(smallest, largest)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
            axes.set_yticks(range(len(shapes)), [_label(shape) for shape in shapes])
            axes.set_ylim(len(shapes) - 0.5, -0.5)
            axes.grid(axis="x", alpha=0.3)
            for row in range(1, len(shapes)):
                axes.axhline(row - 0.5, color="#BBBBBB", linewidth=0.6, linestyle=":")
            axes.tick_params(axis="y", length=0)
            axes.spines[["top", "right", "left"]].set_visible(False)
            for m in report.measurements:
                if (m.cell, m.pass_name) == (cell, pass_name):
                    for row in m.rows:
                        if row.name in looks and row.ratio is not None:
                            # Side by side in the row's height, or dots of equal ratio would hide each other.
                            place = 0.8 * ((names.index(row.name) + 0.5) / len(names) - 0.5)
                            color, marker = looks[row.name]
                            axes.plot(row.ratio, shapes.index(m.shape) + place, marker, color=color, markersize=6)
    for axes in panels[-1]:
        axes.set_xlabel("time of the competitor / time of seqjax")
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="none", label=name)
        for name, (color, marker) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside right upper", frameon=False)
    figure.suptitle("right of 1: seqjax is faster; grey: it is slower", x=0.01, ha="left", fontsize=11)
    figure.savefig(path, dpi=150)


def _ticks(smallest: float, largest: float) -> list[float]:
    factors = (1, 1.5, 2, 3, 5, 7) if largest / smallest < 10 else (1, 2, 5) if largest / smallest < 200 else (1,)
    ticks = [factor * 10.0**power for power in range(-4, 6) for factor in factors]
    return [tick for tick in ticks if smallest <= tick <= largest]


def _label(shape: tuple) -> str:
    name, time, batch, inputs, hidden = shape
    sizes = f"T {time}, B {batch}, {inputs}→{hidden}"
    return f"{name}: {sizes}" if name in SHAPES else sizes
