"""Batches of contiguous streams: each row of a batch goes on where the same row of the batch before stopped."""

import dataclasses
import operator
import sys
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.errors import DataError


class TextBatch(NamedTuple):
    """One window of every stream.

    Attributes:
        inputs: symbols, [batch, length] int32.
        targets: the symbols that follow, [batch, length] int32.
        fresh: a new pass over the text starts here, so the carry of the batch before must not be used.
    """

    inputs: np.ndarray
    targets: np.ndarray
    fresh: bool


class EvaluationBatch(NamedTuple):
    """One window of every stream of an evaluation.

    Attributes:
        inputs: symbols, [batch, length] int32; 0 where the mask is False.
        targets: the symbols that follow, [batch, length] int32; 0 where the mask is False.
        mask: True where a target counts, [batch, length] bool.
        fresh: True in the first batch only: the carry starts anew.
    """

    inputs: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    fresh: bool


def batches_per_epoch(symbols: int, batch_size: int, length: int, *, name: str = "the text") -> int:
    """Batches in one pass over a text, such that every shift below ``length`` still fits.

    Raises:
        DataError: if there is not one.
    """
    needed = (batch_size + 1) * length
    if symbols < needed:
        raise DataError(
            f"{name}: {symbols} symbols to train on, but data.batch_size={batch_size} streams of data.length={length} "
            f"need at least {needed}; make data.batch_size or data.length smaller, or take a longer text"
        )
    return (symbols - length) // (batch_size * length)


@dataclasses.dataclass(frozen=True, eq=False)
class ContiguousStreams:
    """Endless batches for truncated back-propagation through time; ``streams[i]`` is a pure function of ``i``.

    An epoch of ``K`` batches is one pass over the text: ``batch_size`` streams of ``K * length`` symbols lie one behind
    the other in it, and batch ``k`` of the epoch holds window ``k`` of each. The carry after one batch is thus the
    right one for the next, except where the next is ``fresh``. All streams of an epoch start later by a shift drawn
    from ``(seed, epoch)``, so that the boundaries at which gradients are cut, and the few symbols left over at the
    ends, differ between epochs.

    The state is one integer, the index of the next batch. There are the two methods of a random-access source, so
    ``grain`` reads it as it is; ``len`` is the largest there can be, since epochs do not end.

    Attributes:
        tokens: the text as symbols, [time].
        batch_size: streams side by side.
        length: time steps of a batch.
        seed: of the shifts.

    Raises:
        DataError: if the text is too short for one batch.
    """

    tokens: np.ndarray
    batch_size: int
    length: int
    seed: int = 0
    batches_per_epoch: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        tokens = np.array(self.tokens, np.int32)
        tokens.flags.writeable = False
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "batches_per_epoch", batches_per_epoch(tokens.size, self.batch_size, self.length))

    def shift(self, epoch: int) -> int:
        """How many symbols at the beginning of the text this epoch leaves out."""
        leftover = self.tokens.size - 1 - self.batches_per_epoch * self.batch_size * self.length
        # A seed sequence, unlike a generator's distributions, is the same in every version of NumPy.
        word = np.random.SeedSequence((self.seed, epoch)).generate_state(1, np.uint64)[0]
        return int(word) % (leftover + 1)

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: int) -> TextBatch:
        index = operator.index(index)
        if index < 0:
            raise IndexError(f"streams have no end to count back from, got index {index}; indices start at 0")
        epoch, step = divmod(index, self.batches_per_epoch)
        stream_length = self.batches_per_epoch * self.length
        start = self.shift(epoch)

        def window(first: int) -> np.ndarray:
            streams = self.tokens[first : first + self.batch_size * stream_length].reshape(
                self.batch_size, stream_length
            )
            return streams[:, step * self.length : (step + 1) * self.length].copy()

        return TextBatch(window(start), window(start + 1), fresh=step == 0)


def evaluation_batches(tokens: npt.ArrayLike, batch_size: int, length: int) -> list[EvaluationBatch]:
    """Cuts a text into batches in which every symbol but the first is a target exactly once.

    The targets are dealt to ``batch_size`` contiguous streams whose lengths differ by at most one; a stream is cut into
    windows of ``length``, and what the last windows lack is masked. The carry is handed on from batch to batch. Each
    stream but the first starts without the context before it, so fewer streams are a little more favourable to a model.

    Raises:
        DataError: if the text has fewer than two symbols.
    """
    tokens = np.asarray(tokens, np.int32)
    targets = tokens.size - 1
    if targets < 1:
        raise DataError(f"an evaluation needs a text of at least 2 symbols, got {tokens.size}; take a longer text")
    bounds = np.arange(batch_size + 1) * targets // batch_size
    steps = -(-int(np.diff(bounds).max()) // length) * length
    positions = bounds[:-1, None] + np.arange(steps)
    mask = positions < bounds[1:, None]
    inputs = np.where(mask, tokens[np.minimum(positions, targets)], 0)
    following = np.where(mask, tokens[np.minimum(positions + 1, targets)], 0)
    return [
        EvaluationBatch(
            inputs[:, start : start + length].copy(),
            following[:, start : start + length].copy(),
            mask[:, start : start + length].copy(),
            fresh=start == 0,
        )
        for start in range(0, steps, length)
    ]
