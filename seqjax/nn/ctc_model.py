"""Many to fewer: scores of labels and a blank for frames, for connectionist temporal classification."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import LSTM, Cell
from seqjax.nn import functions, sequences
from seqjax.nn.ends import Features, LinearHead, read_inputs
from seqjax.nn.stacked import Stacked, dropout_layer


class CTCModel(nnx.Module):
    """Frames to scores of labels and a blank (Graves et al. 2006): a front end, stacked layers, a linear head.

    The front end makes sequences shorter: a convolution over time with a stride, then frames that are put side by side.
    An output is there for every input it starts at, so a sequence of n frames has ``ceil(n / stride)`` outputs of the
    convolution, and of these ``ceil(n / stack_frames)`` remain; what is after the end counts as zero.

    Args:
        classes: labels and the blank.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        input_size: features of a frame.
        convolution_size: features of the convolution; no convolution if not given.
        convolution_width: frames that it sees.
        convolution_stride: frames that it moves on by.
        stack_frames: frames that are put side by side.
        bidirectional: read the sequence from both ends.
        dropout: share of every layer's outputs that is dropped in training (``model.train()``, ``model.eval()``).
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        stack: ``hidden_size``, ``num_layers`` and the other options of :meth:`Stacked.from_cell`.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> model = seqjax.nn.CTCModel(11, input_size=4, hidden_size=5, stack_frames=3, rngs=nnx.Rngs(0))
        >>> logits, lengths = model(jnp.ones([2, 8, 4]), lengths=jnp.array([8, 6]))
        >>> logits.shape, lengths.tolist()
        ((2, 3, 11), [3, 2])
    """

    def __init__(
        self,
        classes: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        input_size: int,
        convolution_size: int | None = None,
        convolution_width: int = 5,
        convolution_stride: int = 1,
        stack_frames: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **stack: Any,
    ) -> None:
        for name, value in (("convolution_stride", convolution_stride), ("stack_frames", stack_frames)):
            if value < 1:
                raise ValueError(f"{name} must be a positive whole number, got {value!r}")
        options: dict[str, Any] = {"rngs": rngs, "param_dtype": param_dtype}
        self.features = Features(input_size)
        self.convolution = nnx.data(None)
        self.stride, self.stack_frames = 1, stack_frames
        if convolution_size is not None:
            padding = [sequences.centred_padding(convolution_width)]
            self.stride = convolution_stride
            self.convolution = nnx.Conv(
                input_size, convolution_size, convolution_width, convolution_stride, padding=padding, **options
            )
        size = math.prod((stack_frames, input_size if convolution_size is None else convolution_size))
        self.layers = Stacked.from_cell(cell, size, bidirectional=bidirectional, dropout=dropout, **options, **stack)
        self.dropout = dropout_layer(dropout, rngs)
        self.head = LinearHead(self.layers.output_size, classes, **options)

    def output_lengths(self, lengths: Any) -> Any:
        """How many outputs there are for so many frames."""
        return sequences.divided_up(sequences.divided_up(lengths, self.stride), self.stack_frames)

    def __call__(self, inputs: Any, lengths: Any = None) -> tuple[jax.Array, jax.Array]:
        """Run over the frames.

        Args:
            inputs: features ``[*batch, time, input_size]``.
            lengths: whole numbers ``[*batch]``, the number of frames; what comes after touches nothing.

        Returns:
            ``(logits, lengths)``: ``[*batch, shorter time, classes]``, and how many of them count, ``[*batch]``.
        """
        frames = read_inputs(self.features, inputs, lengths)
        if lengths is None:
            lengths = sequences.filled(frames.shape[1:-1], frames.shape[0])
        if self.convolution is not None:
            convolved = self.convolution(functions.to_batch_major(frames))
            kept = sequences.divided_up(lengths, self.stride)
            frames = functions.zero_padding(functions.to_time_major(sequences.rectified(convolved)), kept)
        frames = sequences.frames_side_by_side(frames, self.stack_frames)
        lengths = self.output_lengths(lengths)
        _, outputs = self.layers.time_major(frames, lengths=lengths)
        outputs = functions.to_batch_major(outputs)
        return self.head(outputs if self.dropout is None else self.dropout(outputs)), lengths
