"""One to many: a sequence of a class, or of a vector."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import LSTM, Cell
from seqjax.nn import functions
from seqjax.nn.bridge import Bridge
from seqjax.nn.decoder import Decoder, Source
from seqjax.nn.decoder_model import DecoderModel
from seqjax.nn.ends import input_end


class ConditionalGenerator(DecoderModel):
    """A decoder that writes the sequence of a class or of a vector.

    Calls are those of :class:`EncoderDecoder` with the conditions, whole numbers ``[*batch]`` or vectors
    ``[*batch, condition_size]``, as inputs, and no input lengths.

    Args:
        vocabulary_size: number of tokens that are written.
        cell: a cell class, or any function of ``input_size`` and ``hidden_size`` that makes a cell.
        classes: where conditions are classes, how many there are.
        condition_size: where conditions are vectors, how many features they have.
        class_embedding_size: features of a class; one-hot if not given.
        starts: the decoder's layers start at a learned function of the condition.
        every_step: every step reads the condition.
        start_token: what stands before the first token that is written.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the masks.
        param_dtype: type of the parameters.
        decoder: ``hidden_size`` and the other options of :class:`Decoder`, but for attention.

    Raises:
        ValueError: a condition that goes nowhere, or not one of ``classes`` and ``condition_size``.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> model = seqjax.nn.ConditionalGenerator(7, classes=3, hidden_size=5, rngs=nnx.Rngs(0))
        >>> model(jnp.array([0, 2]), jnp.ones([2, 4], int)).shape
        (2, 4, 7)
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: Callable[..., Cell] = LSTM,
        *,
        classes: int | None = None,
        condition_size: int | None = None,
        class_embedding_size: int | None = None,
        starts: bool = True,
        every_step: bool = True,
        start_token: int = 0,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
        **decoder: Any,
    ) -> None:
        if (classes is None) == (condition_size is None):
            raise ValueError(
                f"conditions are classes or vectors: give one of classes and condition_size, got {classes!r} and "
                f"{condition_size!r}"
            )
        if not (starts or every_step):
            raise ValueError("the condition goes nowhere; set starts or every_step to True")
        self.embedding = input_end(classes, condition_size, class_embedding_size, rngs=rngs, param_dtype=param_dtype)
        size = self.embedding.output_size
        options: dict[str, Any] = {
            "condition_size": size if every_step else 0,
            "rngs": rngs,
            "param_dtype": param_dtype,
        }
        self.decoder = Decoder(vocabulary_size, cell, **options, **decoder)
        self.bridge = nnx.data(None)
        if starts:
            cells = [layer.cell for layer in self.decoder.recurrent]
            self.bridge = Bridge([{"condition": functions.one_array(size)}], cells, rngs=rngs, param_dtype=param_dtype)
        self.every_step = every_step
        self.start_token = start_token
        self.input_axes = self.embedding.feature_axes

    def source(self, inputs: Any, input_lengths: Any = None) -> tuple[Any, Source]:
        """The first carry of every layer, and the condition."""
        if input_lengths is not None:
            raise ValueError("conditions are no sequences and have no lengths; give target_lengths")
        condition = self.embedding(inputs)
        layers = self.decoder.layers.initial_carry(condition.shape[:-1])
        if self.bridge is not None:
            layers = self.bridge([{"condition": condition}], layers)
        return layers, Source(condition=condition if self.every_step else None)
