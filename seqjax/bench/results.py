"""What was measured, and the arithmetic on it: medians, quartiles, ratios, geometric means."""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from seqjax.bench.machine import Machine
from seqjax.bench.peers import PEERS
from seqjax.bench.programs import Pass, Program
from seqjax.bench.settings import Shape

OURS = "seqjax"
SPLIT = "seqjax split"
FASTEST = "fastest JAX peer"


class Spread(NamedTuple):
    """Median, smallest, and the quartiles."""

    median: float
    minimum: float
    lower_quartile: float
    upper_quartile: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least two values."""
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median=median, minimum=min(values), lower_quartile=lower, upper_quartile=upper)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One competitor in one measurement.

    Attributes:
        name: of the competitor.
        times: in seconds, one a round.
        seconds: their spread.
        ratio: its median over that of :attr:`Measurement.compared_with`: more than 1 where ours is faster; ``None``
            where ours failed.
        ratio_of_rounds: the spread of the same ratio taken within each round.
        ratio_to_one_device: its median over that of ours on one device.
        flops_per_second: counted product operations over the median time.
        fraction_of_matrix_rate: the same over what the machine reaches on large matrices.
        same_results: whether its results were compared with ours (those that differ are failures).
        temporary_bytes: memory the compiled program needs besides arguments and results, on all its devices; JAX only.
        trace_seconds: Python's share of getting the program ready; JAX only.
        compile_seconds: the compiler's share, the median of several compilations; JAX only.
    """

    name: str
    times: tuple[float, ...]
    seconds: Spread
    ratio: float | None
    ratio_of_rounds: Spread | None
    ratio_to_one_device: float | None
    flops_per_second: float
    fraction_of_matrix_rate: float
    same_results: bool
    temporary_bytes: int | None
    trace_seconds: float | None
    compile_seconds: float | None

    @property
    def steady(self) -> bool:
        """Whether half of the rounds lie within a factor of 2; otherwise the median means little."""
        return self.seconds.upper_quartile <= 2 * self.seconds.lower_quartile


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """One cell at one shape in one pass.

    Attributes:
        cell: its name.
        shape: the sizes.
        pass_name: ``"forward"`` or ``"training"``.
        product_flops: operations in the matrix products.
        matrix_rate: operations a second on large matrices, just before and after.
        compared_with: which row the ratios are to: ``"seqjax split"`` wherever the batch is split over CPU devices, and
            ``"seqjax"`` elsewhere, whatever came out.
        rows: the competitors that ran, ours first.
        failures: what went wrong with the others, in one line each.
        without_cell: the peers that do not have the cell.
        not_split: why the batch is not split; ``None`` where it is.
    """

    cell: str
    shape: Shape
    pass_name: Pass
    product_flops: int
    matrix_rate: float
    compared_with: str
    rows: tuple[Row, ...]
    failures: dict[str, str]
    without_cell: tuple[str, ...]
    not_split: str | None

    def row(self, name: str) -> Row | None:
        """The row of a competitor, if it ran; :data:`FASTEST` is one of those that others have too."""
        if name == FASTEST:
            libraries = [row for row in self.rows if row.name in PEERS and PEERS[row.name].jax_library]
            return min(libraries, key=lambda row: row.seconds.median, default=None)
        return next((row for row in self.rows if row.name == name), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Everything.

    Attributes:
        machine: what it was measured on.
        rounds: how often each competitor was timed.
        warmup: rounds that were dropped.
        peers: the version of each peer that was asked for.
        not_installed: the peers that were asked for and are not there, with what installs them.
        measurements: in the order in which they were made.
    """

    machine: Machine
    rounds: int
    warmup: int
    peers: dict[str, str | None]
    not_installed: dict[str, str]
    measurements: list[Measurement] = dataclasses.field(default_factory=list)

    def competitors(self) -> list[str]:
        """All that ran but ours without a schedule, and where JAX libraries are among them :data:`FASTEST`."""
        names = list(dict.fromkeys(row.name for m in self.measurements for row in m.rows))
        fastest = [FASTEST] if any(m.row(FASTEST) for m in self.measurements) else []
        return [name for name in names if name not in (OURS, SPLIT)] + fastest

    def geometric_means(self, pass_name: Pass, cell: str | None = None) -> dict[str, tuple[float, int]]:
        """For each competitor the geometric mean of its ratios in a pass, and over how many it is taken."""
        ratios: dict[str, list[float]] = {}
        for measurement in self.measurements:
            if measurement.pass_name == pass_name and cell in (None, measurement.cell):
                for name in self.competitors():
                    row = measurement.row(name)
                    if row is not None and row.ratio is not None:
                        ratios.setdefault(name, []).append(row.ratio)
        return {name: (statistics.geometric_mean(values), len(values)) for name, values in ratios.items()}

    def to_dict(self) -> dict[str, Any]:
        """Everything as what JSON can hold."""
        values = plain(self)
        values["geometric_means"] = {
            pass_name: {
                name: {"ratio": mean, "measurements": count}
                for name, (mean, count) in self.geometric_means(pass_name).items()
            }
            for pass_name in dict.fromkeys(measurement.pass_name for measurement in self.measurements)
        }
        return values


def rows(
    programs: dict[str, Program],
    compile_times: dict[str, list[float]],
    times: dict[str, list[float]],
    flops: int,
    matrix_rate: float,
    compared_with: str,
) -> list[Row]:
    """Times as rows, each beside ours."""
    ours, one_device = times.get(compared_with), times.get(OURS)
    result = []
    for name, seconds in times.items():
        spread, program = Spread.of(seconds), programs[name]
        result.append(
            Row(
                name=name,
                times=tuple(seconds),
                seconds=spread,
                ratio=spread.median / statistics.median(ours) if ours else None,
                ratio_of_rounds=Spread.of([t / o for t, o in zip(seconds, ours, strict=True)]) if ours else None,
                ratio_to_one_device=spread.median / statistics.median(one_device) if one_device else None,
                flops_per_second=flops / spread.median,
                fraction_of_matrix_rate=flops / spread.median / matrix_rate,
                same_results=program.comparable and one_device is not None and name != OURS,
                temporary_bytes=program.temporary_bytes,
                trace_seconds=program.trace_seconds,
                compile_seconds=statistics.median(compile_times[name]) if name in compile_times else None,
            )
        )
    return result


def plain(value: Any) -> Any:
    """Dataclasses, tuples and what is in them, as what JSON can hold."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Shape | Spread):
        return value._asdict()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
