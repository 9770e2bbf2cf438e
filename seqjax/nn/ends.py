"""The modules at the two ends of a sequence model: tokens or features in, logits or numbers out."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.nn import functions, sequences


class Embedding(nnx.Module):
    """Tokens as vectors: learned ones, or one-hot where ``embedding_size`` is ``None``."""

    feature_axes, sequence_axes = 0, 1

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int | None,
        *,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.output_size = vocabulary_size if embedding_size is None else embedding_size
        self.param_dtype = param_dtype
        self.table = (
            None
            if embedding_size is None
            else nnx.Embed(vocabulary_size, embedding_size, param_dtype=param_dtype, rngs=rngs)
        )

    def __call__(self, tokens: Any) -> jax.Array:
        """``[*shape]`` whole numbers to ``[*shape, output_size]``."""
        if not jnp.issubdtype(jnp.result_type(tokens), jnp.integer):
            raise ValueError(f"tokens must be whole numbers, got {jnp.result_type(tokens)}")
        if self.table is None:
            return functions.one_hot(tokens, self.vocabulary_size, self.param_dtype)
        return self.table(tokens)


class Features(nnx.Module):
    """Inputs that are vectors of ``output_size`` numbers already."""

    feature_axes, sequence_axes = 1, 2

    def __init__(self, output_size: int) -> None:
        self.output_size = output_size

    def __call__(self, features: Any) -> jax.Array:
        """The same, after a check."""
        if jnp.shape(features)[-1:] != (self.output_size,):
            raise ValueError(
                f"features have shape {jnp.shape(features)}, expected {self.output_size} features as the last axis (a "
                "model that reads tokens is built with a vocabulary)"
            )
        return jnp.asarray(features)


def input_end(
    vocabulary_size: int | None,
    input_size: int | None,
    embedding_size: int | None,
    *,
    rngs: nnx.Rngs,
    param_dtype: DTypeLike = jnp.float32,
) -> Embedding | Features:
    """An embedding of tokens, or features as they are.

    Raises:
        ValueError: not one of ``vocabulary_size`` and ``input_size``.
    """
    if vocabulary_size is not None and input_size is None:
        return Embedding(vocabulary_size, embedding_size, rngs=rngs, param_dtype=param_dtype)
    if input_size is not None and vocabulary_size is None:
        return Features(input_size)
    raise ValueError(
        f"inputs are tokens (give vocabulary_size) or features (give input_size): one of the two, got "
        f"vocabulary_size={vocabulary_size!r} and input_size={input_size!r}"
    )


def read_inputs(end: Embedding | Features, inputs: Any, lengths: Any = None) -> jax.Array:
    """Batch-major inputs as time-major features; what comes after the end, whatever it is, becomes 0 first."""
    inputs = functions.to_time_major(jnp.asarray(inputs), feature_axes=end.feature_axes)
    return end(inputs if lengths is None else functions.zero_padding(inputs, lengths))


class LinearHead(nnx.Linear):
    """An affine map from ``input_size`` features to ``output_size`` logits."""

    def __init__(
        self, input_size: int, output_size: int, *, rngs: nnx.Rngs, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        super().__init__(input_size, output_size, param_dtype=param_dtype, rngs=rngs)


class TiedHead(nnx.Module):
    """A head whose kernel is the transposed table of an embedding (Press and Wolf 2017)."""

    def __init__(
        self, input_size: int, output_size: int, *, rngs: nnx.Rngs, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        del input_size, rngs
        self.bias = nnx.Param(sequences.zeros((output_size,), param_dtype))

    def __call__(self, features: Any, embedding: Embedding) -> jax.Array:
        """Logits ``[*batch, output_size]`` of features ``[*batch, input_size]``; one-hot embeddings have no table."""
        assert embedding.table is not None
        return sequences.tied_logits(features, embedding.table.embedding[...], self.bias[...])
