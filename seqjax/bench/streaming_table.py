"""Latencies and writing speeds as text for a terminal."""

from collections.abc import Iterable

from seqjax.bench.decoding import Decoding, DecodingReport
from seqjax.bench.results import OURS
from seqjax.bench.streaming import STEPS_PER_ROUND, Generation, StepLatency, StreamingReport, Timing
from seqjax.bench.table import aligned, who_and_where


def heading(report: StreamingReport) -> str:
    """What is measured on what."""
    lines = [
        *who_and_where(report),
        f"a step: one compiled call from the carry of the one before, waited for; a round is the median of "
        f"{STEPS_PER_ROUND}",
        "ratio: a competitor's median time over ours, more than 1 where seqjax is faster; * seqjax is slower",
    ]
    return "\n".join(lines)


def latency(result: StepLatency) -> str:
    """One step: a row a competitor."""
    shape = result.shape
    title = f"one step of {result.cell}, batch {shape.batch}, {shape.inputs} -> {shape.hidden}"
    header = ("", "microseconds", "min", "quartiles", "ratio")
    rows = [
        (
            row.name,
            _micro(row.seconds.median),
            _micro(row.seconds.minimum),
            f"{_micro(row.seconds.lower_quartile)}-{_micro(row.seconds.upper_quartile)}",
            _ratio(row),
        )
        for row in result.rows
    ]
    without = [f"without this cell: {', '.join(result.without_cell)}"] if result.without_cell else []
    return "\n".join([title, aligned([header, *rows]), *_failures(result.failures), *without])


def generation(result: Generation) -> str:
    """One text: a row a competitor."""
    text = result.text
    return _writing(f"writing {text}", text.batch * text.length, result)


def decoding_heading(report: DecodingReport) -> str:
    """What is measured on what."""
    lines = [
        *who_and_where(report),
        "a round decodes one batch, the encoder's work included; tokens: of the best hypothesis of every row",
        "ratio: a competitor's median time over ours, more than 1 where seqjax is faster; * seqjax is slower",
    ]
    return "\n".join(lines)


def decoding(result: Decoding) -> str:
    """One batch decoded: a row a competitor."""
    translation = result.translation
    return _writing(f"decoding {translation}", translation.batch * translation.length, result)


def _writing(title: str, tokens: int, result: Generation | Decoding) -> str:
    header = ("", "tokens/s", "best", "ms", "ratio")
    rows = [
        (
            row.name,
            f"{tokens / row.seconds.median:,.0f}",
            f"{tokens / row.seconds.minimum:,.0f}",
            f"{row.seconds.median * 1e3:.3g}",
            _ratio(row),
        )
        for row in result.rows
    ]
    compiled = f"seqjax compiled {result.compilations} program{'s' if result.compilations != 1 else ''} in all rounds"
    return "\n".join([title, aligned([header, *rows]), compiled, *_failures(result.failures)])


def _failures(failures: dict[str, str]) -> Iterable[str]:
    return (f"{name} failed: {message}" for name, message in failures.items())


def _ratio(row: Timing) -> str:
    return "" if row.name == OURS or row.ratio is None else f"{row.ratio:.2f}{'*' if row.ratio < 1 else ' '}"


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:.1f}"
