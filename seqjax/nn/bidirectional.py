"""Two layers over the same sequence, one from each end."""

from typing import Any, NamedTuple

from flax import nnx

from seqjax.cells import Cell
from seqjax.nn import functions
from seqjax.nn.layer import Layer
from seqjax.nn.recurrent import Recurrent


class BidirectionalCarry(NamedTuple):
    """The carries of the two directions."""

    forward: Any
    backward: Any


class Bidirectional(Layer):
    """A forward and a backward layer, merged (Schuster and Paliwal 1997).

    With ``lengths`` the backward direction starts at each sequence's last valid step; with ``resets`` it starts afresh
    at the end of each segment, so that every segment is as if it ran alone. Calls are those of
    :class:`~seqjax.nn.Layer`; the carry is a :class:`BidirectionalCarry`.

    Args:
        forward: a layer with ``reverse=False``.
        backward: another layer, with ``reverse=True``.
        merge: ``"concatenate"``, ``"sum"``, ``"mean"``, ``"multiply"``, or a function of the two outputs.

    Raises:
        ValueError: one layer twice, directions that do not fit, or sizes that cannot be merged.
    """

    def __init__(self, forward: Recurrent, backward: Recurrent, merge: functions.Merge = "concatenate") -> None:
        if forward is backward:
            raise ValueError(
                "forward and backward are the same layer, which would tie their weights; build two, or use "
                "Bidirectional.from_cell"
            )
        if forward.reverse or not backward.reverse:
            raise ValueError(
                f"forward has reverse={forward.reverse} and backward reverse={backward.reverse}; build them with "
                "reverse=False and reverse=True, or use Bidirectional.from_cell"
            )
        if forward.input_size != backward.input_size:
            raise ValueError(
                f"forward expects {forward.input_size} features and backward {backward.input_size}, but both read the "
                "same inputs; build their cells with one input_size"
            )
        self.forward = forward
        self.backward = backward
        self.merge = merge
        self.input_size = forward.input_size
        self.output_size = functions.merged_size(merge, forward.output_size, backward.output_size)

    @property
    def input_shapes(self) -> Any:
        """Those of the forward layer."""
        return self.forward.input_shapes

    @property
    def noisy(self) -> bool:
        """Whether one of the directions draws noise."""
        return self.forward.noisy or self.backward.noisy

    @property
    def output_axes(self) -> int:
        """That of the forward layer."""
        return self.forward.output_axes

    @classmethod
    def from_cell(
        cls, cell: Cell, *, rngs: nnx.Rngs, merge: functions.Merge = "concatenate", **options: Any
    ) -> "Bidirectional":
        """Both directions with the same cell and their own parameters; ``options`` are those of :class:`Recurrent`."""
        return cls(
            Recurrent(cell, rngs=rngs, **options), Recurrent(cell, rngs=rngs, reverse=True, **options), merge=merge
        )

    def time_major(self, inputs: Any, carry: Any = None, *, lengths: Any = None, resets: Any = None) -> tuple[Any, Any]:
        """As the call, with inputs and outputs ``[time, *batch, features]`` and resets ``[time, *batch]``."""
        carry = BidirectionalCarry(None, None) if carry is None else carry
        ends = None if resets is None else functions.backward_resets(resets)
        forward_carry, forward = self.forward.time_major(inputs, carry.forward, lengths=lengths, resets=resets)
        backward_carry, backward = self.backward.time_major(inputs, carry.backward, lengths=lengths, resets=ends)
        outputs = functions.merged(self.merge, forward, backward)
        if lengths is not None and callable(self.merge):
            outputs = functions.zero_padding(outputs, lengths)
        return BidirectionalCarry(forward_carry, backward_carry), outputs

    def step(self, inputs: Any, carry: Any) -> tuple[Any, Any]:
        """Not possible: the backward direction needs the whole sequence."""
        raise ValueError("a bidirectional layer needs the whole sequence and has no single step")

    def initial_carry(self, batch_size: int | tuple[int, ...] = ()) -> BidirectionalCarry:
        """The initial carries of the two directions."""
        return BidirectionalCarry(self.forward.initial_carry(batch_size), self.backward.initial_carry(batch_size))
