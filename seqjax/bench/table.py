"""Measurements as text for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seqjax.bench.machine import Machine
from seqjax.bench.peers import PEERS
from seqjax.bench.results import FASTEST, OURS, SPLIT, Measurement, Report, Row
from seqjax.bench.settings import SETTLE_SECONDS, SHAPES

if TYPE_CHECKING:
    from seqjax.bench.decoding import DecodingReport
    from seqjax.bench.streaming import StreamingReport

_NOTES = {
    (
        "haiku",
        "GRU",
    ): "haiku's GRU resets before its product, which makes two products in turn; its results are not ours",
    ("haiku", "Elman"): "haiku's VanillaRNN has relu for tanh; its results are not ours",
}


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows in columns; all but the first ``left`` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    justified = (
        [cell.ljust(w) if number < left else cell.rjust(w) for number, (cell, w) in enumerate(zip(row, widths))]
        for row in rows
    )
    return "\n".join("  ".join(row).rstrip() for row in justified)


def heading(report: Report) -> str:
    """What is measured on what."""
    lines = [
        *who_and_where(report),
        "ratio: a competitor's median time over ours, more than 1 where seqjax is faster; ours is "
        f"{SPLIT!r}, the batch split over CPU devices, wherever there are several and the batch can be divided over "
        f"them, and {OURS!r} elsewhere",
        "* seqjax is slower; ? times were unsteady, so that the ratio means little",
    ]
    return "\n".join(lines)


def who_and_where(report: "DecodingReport | Report | StreamingReport") -> list[str]:
    """The machine, the peers and the rounds."""
    peers = [f"{name} {version or ''}".strip() for name, version in report.peers.items()]
    return [
        *_machine(report.machine, "torch" in report.peers),
        f"peers: {', '.join(peers) or 'none'}",
        *(f"not installed: {name} (pip install {pip})" for name, pip in report.not_installed.items()),
        f"{report.rounds} rounds after {report.warmup} that are dropped; in each every competitor, in changing order, "
        f"is called until it has run for {SETTLE_SECONDS * 1e3:.0f} ms, and its last call counts",
    ]


def _machine(machine: Machine, with_torch: bool) -> list[str]:
    devices = ", ".join(f"{count} x {kind}" for kind, count in machine.devices.items())
    settings = " ".join(f"{name}={value}" for name, value in machine.settings.items())
    lines = [
        f"{machine.processor}, {machine.system}, {machine.cores} cores; threads of every competitor: "
        f"{machine.threads}; JAX devices, for those that split the batch: {sum(machine.devices.values())}",
        f"platform {machine.platform} ({devices}), "
        + ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
        f"transparent huge pages: {machine.huge_pages or 'unknown'}; "
        f"GLIBC_TUNABLES {'as below' if 'GLIBC_TUNABLES' in machine.settings else 'not set'}",
    ]
    if settings:
        lines.append(settings)
    if "jax_compilation_cache_dir" in machine.settings:
        lines.append("compile times may be those of reading the persistent compilation cache")
    if machine.load is not None and machine.load > 0.5:
        lines.append(f"load {machine.load:.1f} at the start: others use this machine, so trust ratios more than times")
        if with_torch and "OMP_WAIT_POLICY" not in machine.settings:
            lines.append(
                "torch's threads spin while they wait, which on a busy machine can take 100 times as long; "
                "run with OMP_WAIT_POLICY=passive, or on a quiet machine"
            )
    return lines


def measurement(result: Measurement) -> str:
    """One measurement: a row a competitor, and what went wrong."""
    title = (
        f"{result.cell} {result.pass_name}, {result.shape}: {result.product_flops / 1e9:.3g} GFLOP of products, "
        f"large matrices at {result.matrix_rate / 1e9:.0f} GFLOP/s"
    )
    # Where ours is split there is a second ratio, to ours on one device.
    one_device = ("of one device",) if result.compared_with == SPLIT else ()
    rates = ("GFLOP/s", "of large", "temp MiB", "compile s")
    header = ("", "ms", "min", "quartiles", "ratio", "quartiles", *one_device, *rates)
    rows = [header, *(_row(row, result) for row in result.rows)]
    lines = [title, aligned(rows) if result.rows else "nothing ran"]
    lines += [f"{name} failed: {message}" for name, message in result.failures.items()]
    lines += [
        f"{row.name} was unsteady: a quarter of its times lie below {_ms(row.seconds.lower_quartile)} ms and a quarter "
        f"above {_ms(row.seconds.upper_quartile)} ms"
        for row in result.rows
        if not row.steady
    ]
    if result.without_cell:
        lines.append(f"without this cell: {', '.join(result.without_cell)}")
    if result.not_split:
        lines.append(f"not split: {result.not_split}")
    lines += [note for (peer, cell), note in _NOTES.items() if cell == result.cell and result.row(peer)]
    return "\n".join(lines)


def _row(row: Row, result: Measurement) -> tuple[str, ...]:
    spread, of_rounds = row.seconds, row.ratio_of_rounds
    compared = row.name != result.compared_with and row.ratio is not None and of_rounds is not None
    one_device = "" if row.name == OURS or row.ratio_to_one_device is None else f"{row.ratio_to_one_device:.2f}"
    return (
        row.name,
        _ms(spread.median),
        _ms(spread.minimum),
        f"{_ms(spread.lower_quartile)}-{_ms(spread.upper_quartile)}",
        f"{row.ratio:.2f}{_marks(row, result)}" if compared else "",
        f"{of_rounds.lower_quartile:.2f}-{of_rounds.upper_quartile:.2f}" if compared else "",
        *((one_device,) if result.compared_with == SPLIT else ()),
        f"{row.flops_per_second / 1e9:.3g}",
        f"{row.fraction_of_matrix_rate:.0%}",
        "" if row.temporary_bytes is None else f"{row.temporary_bytes / 2**20:.1f}",
        "" if row.compile_seconds is None else f"{row.compile_seconds + (row.trace_seconds or 0):.2f}",
    )


def summary(report: Report) -> str:
    """Ratios of all shapes side by side, a block a cell and pass, the geometric means, and where ours is slower."""
    names = report.competitors()
    blocks = []
    groups = dict.fromkeys((m.cell, m.pass_name) for m in report.measurements)
    for cell, pass_name in groups:
        chosen = [m for m in report.measurements if (m.cell, m.pass_name) == (cell, pass_name)]
        rows: list[tuple[str, ...]] = [(f"{cell} {pass_name}", *names)]
        rows += [(_short(m), *(_ratio(m, name) for name in names)) for m in chosen]
        if len(chosen) > 1:
            rows.append(_means(report, pass_name, names, cell))
        blocks.append(aligned(rows))
    if len({cell for cell, _ in groups}) > 1:
        for pass_name in dict.fromkeys(pass_name for _, pass_name in groups):
            rows = [(f"all cells, {pass_name}", *names), _means(report, pass_name, names, None)]
            blocks.append(aligned(rows))
    return "\n\n".join(["ratios of medians, competitor over seqjax", *blocks, _slower(report)])


def _slower(report: Report) -> str:
    """Every ratio to a peer below 1, the smallest first."""
    found = [(row, m) for m in report.measurements for row in m.rows if row.name in PEERS and (row.ratio or 1) < 1]
    found.sort(key=lambda pair: pair[0].ratio or 1)
    rows = [(f"{m.cell} {m.pass_name}", _short(m), row.name, _ratio(m, row.name)) for row, m in found]
    return f"below 1, the smallest first\n{aligned(rows, left=3)}" if rows else "seqjax is nowhere slower"


def memory(report: Report) -> str:
    """Temporary memory and time of each training step, beside the leanest JAX library and ours on as many devices."""
    blocks = []
    for result in report.measurements:
        libraries = [row for row in result.rows if row.name in PEERS and PEERS[row.name].jax_library]
        leanest = min((row.temporary_bytes for row in libraries if row.temporary_bytes is not None), default=None)
        rows = [("", "temp MiB", "of leanest peer", "ms", "time of seqjax on as many devices")]
        for row in result.rows:
            size = row.temporary_bytes
            split = row.name.startswith(SPLIT) or (row.name in PEERS and PEERS[row.name].split)
            time = row.ratio if split else row.ratio_to_one_device
            rows.append(
                (
                    row.name,
                    "" if size is None else f"{size / 2**20:.1f}",
                    "" if size is None or not leanest else f"{size / leanest:.2f}",
                    _ms(row.seconds.median),
                    "" if time is None else f"{time:.2f}",
                )
            )
        title = f"memory of {result.cell} {result.pass_name}, {result.shape}"
        failures = [f"{name} failed: {message}" for name, message in result.failures.items()]
        blocks.append("\n".join([title, aligned(rows), *failures]))
    return "\n\n".join(blocks)


def _means(report: Report, pass_name: str, names: list[str], cell: str | None) -> tuple[str, ...]:
    means = report.geometric_means("training" if pass_name == "training" else "forward", cell)
    unsteady = {
        name
        for m in report.measurements
        for name in names
        if m.pass_name == pass_name and cell in (None, m.cell) and "?" in _ratio(m, name)
    }
    return (
        "geometric mean",
        *(
            f"{means[name][0]:.2f}{_mark(means[name][0] < 1, name in unsteady)}" if name in means else "-"
            for name in names
        ),
    )


def _short(result: Measurement) -> str:
    return result.shape.name if result.shape.name in SHAPES else str(result.shape)


def _ratio(result: Measurement, name: str) -> str:
    row = result.row(name)
    if row is None or row.ratio is None:
        return "-"
    return f"{row.name + ' ' if name == FASTEST else ''}{row.ratio:.2f}{_marks(row, result)}"


def _marks(row: Row, result: Measurement) -> str:
    ours = result.row(result.compared_with)
    return _mark(row.ratio is not None and row.ratio < 1, not row.steady or (ours is not None and not ours.steady))


def _mark(slower: bool, unsteady: bool) -> str:
    return ("*" if slower else "") + ("?" if unsteady else "") or " "


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
