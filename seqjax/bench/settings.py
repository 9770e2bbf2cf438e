"""What is measured: cells, shapes, passes, peers and rounds. Names are checked here, before JAX is imported."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from seqjax.bench.peers import PEERS
from seqjax.config import cell_names, is_path
from seqjax.errors import ConfigError, nearest, shown


class Shape(NamedTuple):
    """Sizes of one measurement."""

    name: str
    time: int
    batch: int
    inputs: int
    hidden: int

    def __str__(self) -> str:
        sizes = f"T={self.time} B={self.batch} {self.inputs} -> {self.hidden}"
        return f"{self.name} ({sizes})" if self.name in SHAPES else sizes


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("A", 128, 32, 256, 256),
        Shape("B", 512, 8, 64, 128),
        Shape("C", 256, 64, 64, 512),
        Shape("D", 35, 20, 200, 200),
        Shape("E", 784, 64, 1, 128),
        Shape("F", 1024, 1, 32, 256),
    )
}
CELLS = ("LSTM", "GRU", "Elman")
PASSES = ("forward", "training")

# Between competitors is a pause, in which threads go to sleep and caches cool. A competitor is called until it has run
# for this long, and the last call counts; one that takes longer is hardly slower for its start.
SETTLE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure; every cell at every shape in every pass.

    Attributes:
        cells: names that ``seqjax cells`` lists, or ``path.py:Name``.
        shapes: names of :data:`SHAPES`, or ``"time,batch,inputs,hidden"``.
        passes: ``"forward"``, and ``"training"``: the gradients of the sum of squares of the outputs to the parameters
            and the inputs.
        peers: names of :data:`~seqjax.bench.peers.PEERS`.
        checkpoints: schedules, ``"sqrt"`` or numbers of time steps, with which ours runs again beside itself.
        rounds: how often each competitor is timed.
        warmup: rounds before that, which are dropped.
        matrix_size: the machine's rate is that of the product of two square matrices of this size.
    """

    cells: Sequence[str] = CELLS
    shapes: Sequence[str] = tuple(SHAPES)
    passes: Sequence[str] = PASSES
    peers: Sequence[str] = tuple(PEERS)
    checkpoints: Sequence[str | int] = ()
    rounds: int = 20
    warmup: int = 3
    matrix_size: int = 2048

    def __post_init__(self) -> None:
        for kind, chosen, known in (
            ("cell", self.cells, cell_names()),
            ("pass", self.passes, PASSES),
            ("peer", self.peers, tuple(PEERS)),
        ):
            for name in chosen:
                if name not in known and not (kind == "cell" and is_path(name)):
                    raise ConfigError(f"there is no {kind} {shown(name)}; {nearest(name, known)}")
        for text in self.shapes:
            parse_shape(text)
        for schedule in self.checkpoints:
            if schedule != "sqrt" and (not isinstance(schedule, int) or schedule < 1):
                raise ConfigError(f"a checkpoint schedule is sqrt or a number of time steps, got {shown(schedule)}")
        if self.rounds < 2:
            raise ConfigError(f"rounds must be at least 2, or there is no spread to see, got {self.rounds}")
        if self.warmup < 0:
            raise ConfigError(f"warmup must not be negative, got {self.warmup}")


def parse_shape(text: str) -> Shape:
    """A shape from its name or from ``"time,batch,inputs,hidden"``.

    Raises:
        ConfigError: neither of them.
    """
    if text in SHAPES:
        return SHAPES[text]
    if "," not in text:
        raise ConfigError(
            f"there is no shape {shown(text)}; {nearest(text, tuple(SHAPES))}; "
            "sizes of your own are written time,batch,inputs,hidden, as in 35,20,200,200"
        )
    sizes = [int(part) if part.isascii() and part.isdecimal() else 0 for part in text.split(",")]
    if len(sizes) != 4 or min(sizes) < 1:
        raise ConfigError(
            f"a shape is four positive whole numbers, time,batch,inputs,hidden, as in 35,20,200,200; got {shown(text)}"
        )
    return Shape(text, *sizes)
