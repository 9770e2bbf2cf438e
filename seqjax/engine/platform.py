"""What depends on the machine, in one place: choices that win on a CPU and might lose on an accelerator.

Each was measured on its own (``seqjax bench``), and no choice changes a result beyond rounding: the tests run with
every one of them forced on and off.
"""

import contextlib
import dataclasses
import math
from collections.abc import Generator

import jax

from seqjax.engine.chunks import dividing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choices:
    """How a plan is run.

    Attributes:
        chunk_bytes: how much the steps of one chunk of time may hand from stage to stage, so that it stays in the
            cache; ``None`` takes all steps at once, for the largest products.
        shortest: the least number of steps in a chunk: less makes small products of large ones.
        whole_bytes: a sequence is taken at once where its steps hand on no more than this, all together, in each block
            of the batch; what is kept to the end anyway does not count.
        whole_below_products: the same for a backward loop whose own products take many operations for each of those
            bytes, and so hide that they come from beyond the cache: a loop without chunks compiles in up to a quarter
            less time. What the forward pass has kept may take up the rest of :attr:`keep_below`, for each block.
        hiding_operations: how many operations for each byte those are.
        in_rows: chunks take and give what is stacked over time with one axis beside time. The CPU compiler makes a
            kernel of every fetch, store and shift, with as many nested loops as axes, and unrolls the inner ones where
            they are short: kernels over one long axis compile in up to a third of the time.
        fetch_apart: loops fetch those inputs of a step that they read in parts on their own; see
            :mod:`seqjax.engine.loop`.
        shift_apart: the carry before a step is the new carry of the step before it; where the backward pass needs it in
            an array of its own, it is shifted in a call of its own. XLA would shift it for every reader, in a kernel
            each.
        write_over: loops write what they can over what they have read; see there too.
        pack_below: values of at most this many bytes are laid side by side before a loop that reads them, as each read
            then costs more for being a read than for what it reads.
        transpose_apart: transpose operands before a contraction over time, not in it.
        batch_blocks: sums over time and batch are kept apart for so many blocks of the batch until the end.
        few_rows: a loop's products with large matrices are computed in another way (see
            :mod:`seqjax.engine.loop_products`) where they have so many rows in each block of the batch:
        turn_above: with matrices of this many bytes or more from the other side,
        turn_steps: in loops of so many steps or more, which pay for the transposition;
        piece_bytes: with smaller ones of three or more pieces of this many bytes in such pieces, where no gradients are
            needed,
        piece_columns: and in multiples of so many columns.
        activations_from: the backward pass is given an activation in the place of what goes into it alone, where that
            has so many bytes in each block of the batch. An activation that is kept is computed by a kernel of its own,
            and not in the one that reads it; with few numbers, the kernel costs more than computing them again.
        keep_below: up to this many bytes of a whole sequence the backward pass is given all that it would otherwise
            compute again.
        recompute_below: beyond that, products of at most so many operations for each byte of their result are computed
            again rather than kept; of twice as many where twice as much would be kept, since memory gets dearer.
    """

    chunk_bytes: int | None = None
    shortest: int = 8
    whole_bytes: int = 0
    whole_below_products: int = 0
    hiding_operations: float = 0.0
    in_rows: bool = False
    fetch_apart: bool = False
    shift_apart: bool = False
    write_over: bool = False
    pack_below: int = 0
    transpose_apart: bool = False
    batch_blocks: int = 1
    few_rows: range = range(0)
    turn_above: float = math.inf
    turn_steps: int = 0
    piece_bytes: float = math.inf
    piece_columns: int = 1
    activations_from: float = math.inf
    keep_below: float = math.inf
    recompute_below: float = 0.0

    def chunk_length(
        self, time_steps: int, bytes_per_step: int, operations_per_step: int = 0, kept_per_step: int = 0
    ) -> int:
        """How many steps to take at once.

        Args:
            time_steps: how many there are.
            bytes_per_step: what one step hands from stage to stage.
            operations_per_step: what the products of one step of a backward loop take; none of a forward loop count.
            kept_per_step: the bytes of one step that the forward pass has kept for it.
        """
        if self.chunk_bytes is None:
            return time_steps
        wanted = max(self.chunk_bytes // max(bytes_per_step, 1), self.shortest)
        handed_on, kept = (time_steps * each / self.batch_blocks for each in (bytes_per_step, kept_per_step))
        small = handed_on <= self.whole_bytes
        many = operations_per_step >= self.hiding_operations * bytes_per_step
        hidden = many and handed_on <= self.whole_below_products and handed_on + kept <= self.keep_below
        return time_steps if small or hidden or time_steps <= 1.5 * wanted else dividing(time_steps, wanted)

    def with_gradients(self) -> "Choices":
        """The choices for passes that gradients need: no pieces.

        Each piece is a kernel or two to compile. Without gradients they save up to a quarter of the time, with them at
        most 4 % of it for 15 % more time in the compiler.
        """
        return dataclasses.replace(self, piece_bytes=math.inf)

    def turns(self, matrix_bytes: int, rows: int, time_steps: int) -> bool:
        """Whether a loop computes its product of so many rows with a matrix from the other side."""
        large, long = matrix_bytes >= self.turn_above, time_steps >= self.turn_steps
        return large and long and rows // self.batch_blocks in self.few_rows

    def piece_width(self, matrix_bytes: int, columns: int, rows: int) -> int | None:
        """How many columns of a matrix a loop multiplies at once; ``None`` for all."""
        if matrix_bytes < 3 * self.piece_bytes or rows // self.batch_blocks not in self.few_rows:
            return None
        multiples = int(self.piece_bytes * columns // matrix_bytes) // self.piece_columns
        width = max(multiples, 1) * self.piece_columns
        return width if width < columns else None


_forced: list[Choices] = []


def choices() -> Choices:
    """The choices for the platform that programs are traced for."""
    if _forced:
        return _forced[-1]
    if jax.default_backend() != "cpu":
        return Choices()
    # Beyond 32 MiB the C library maps fresh memory for every call, and the faults of its first use cost more than many
    # a product: to compute again what takes 80 operations a byte costs no time. An LSTM that would keep 160 MiB gets
    # half of its memory back for a tenth more time. The batch may be split over the devices; inside a shard_map it has
    # been split already.
    inside_shard_map = bool(jax.sharding.get_abstract_mesh().manual_axes)
    return Choices(
        chunk_bytes=6 * 2**20,
        whole_bytes=12 * 2**20,
        whole_below_products=20 * 2**20,
        hiding_operations=40.0,
        in_rows=True,
        fetch_apart=True,
        shift_apart=True,
        write_over=True,
        pack_below=2048,
        transpose_apart=True,
        batch_blocks=1 if inside_shard_map else jax.device_count(),
        few_rows=range(8, 65),
        turn_above=3 * 2**20,
        turn_steps=16,
        piece_bytes=2**18 if jax.device_count() > 1 else math.inf,
        piece_columns=64,
        activations_from=4096,
        keep_below=32 * 2**20,
        recompute_below=40.0,
    )


@contextlib.contextmanager
def force(forced: Choices) -> Generator[None]:
    """Trace with these choices, whatever the platform."""
    _forced.append(forced)
    try:
        yield
    finally:
        _forced.pop()
