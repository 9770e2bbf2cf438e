"""What every recurrent module has in common: batch-major outside, time-major inside."""

from typing import Any

import jax
from flax import nnx

from seqjax.nn import functions


class Layer(nnx.Module):
    """A module over time, ``carry, outputs = layer(inputs, carry)``.

    A subclass sets ``input_size`` and ``output_size`` and gives :meth:`time_major`, :meth:`step` and
    :meth:`initial_carry`, and :attr:`input_shapes` and :attr:`output_axes` where inputs or outputs are more than one
    array of features; the one transposition in and out happens here.
    """

    input_size: int
    output_size: int

    @property
    def noisy(self) -> bool:
        """Whether calls draw noise inside the recurrence."""
        return False

    @property
    def input_shapes(self) -> Any:
        """The shapes of one step's inputs without batch axes: a tree like the inputs, of abstract arrays."""
        return functions.one_array(self.input_size)

    @property
    def output_axes(self) -> int:
        """How many axes one step's output has without batch axes."""
        return 1

    def __call__(self, inputs: Any, carry: Any = None, *, lengths: Any = None, resets: Any = None) -> tuple[Any, Any]:
        """Run over time.

        Args:
            inputs: ``[*batch, time, input_size]``; no batch axis at all is a batch shape too. Where the cell reads more
                than one array, a tree with every leaf ``[*batch, time, ...]``.
            carry: the carry before the first step; the initial carry if not given.
            lengths: whole numbers ``[*batch]``; outputs after the end are zero, and padding touches nothing.
            resets: booleans ``[*batch, time]``; where True a new sequence starts at that step.

        Returns:
            ``(carry, outputs)``, as :func:`seqjax.scan`, with outputs ``[*batch, time, output_size]``.
        """
        shapes = self.input_shapes
        functions.check_inputs(type(self).__name__, inputs, shapes)
        inputs = functions.to_time_major(inputs, jax.tree.map(lambda leaf: leaf.ndim, shapes))
        if resets is not None:
            resets = functions.to_time_major(resets, feature_axes=0)
        carry, outputs = self.time_major(inputs, carry, lengths=lengths, resets=resets)
        return carry, functions.to_batch_major(outputs, self.output_axes)

    def time_major(self, inputs: Any, carry: Any = None, *, lengths: Any = None, resets: Any = None) -> tuple[Any, Any]:
        """As the call, with inputs and outputs ``[time, *batch, features]`` and resets ``[time, *batch]``."""
        raise NotImplementedError

    def step(self, inputs: Any, carry: Any) -> tuple[Any, Any]:
        """One step, ``carry, outputs``, with inputs ``[*batch, input_size]``: for decoding and streams."""
        raise NotImplementedError

    def initial_carry(self, batch_size: int | tuple[int, ...] = ()) -> Any:
        """The carry before the first step, for a batch of that size or shape."""
        raise NotImplementedError


def batch_shape(batch_size: int | tuple[int, ...]) -> tuple[int, ...]:
    """A batch size as a shape."""
    return batch_size if isinstance(batch_size, tuple) else (batch_size,)
