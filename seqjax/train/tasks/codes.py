"""What an encoder makes of sequences."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from seqjax.data import SequenceBatches
from seqjax.nn import EncoderDecoder


def codes_of(model: EncoderDecoder, columns: Mapping[str, Any], batch_size: int) -> np.ndarray:
    """What the encoder hands to the decoder's layers, ``[records, size]``.

    Args:
        model: without attention this is all that the decoder knows of the inputs: the code of an autoencoder.
        columns: with ``inputs``, as :class:`~seqjax.data.SequenceBatches` takes them.
        batch_size: sequences that are read at once.
    """
    graph, state = nnx.split(model)
    batches = SequenceBatches({"inputs": columns["inputs"]}, batch_size, shuffle=False)
    rows: dict[int, np.ndarray] = {}
    for number in range(batches.batches_per_epoch):
        batch, indices = batches[number], batches.indices(number)
        found = np.asarray(_codes(graph, state, batch["inputs"], batch["inputs_lengths"]))
        rows.update(zip(indices.tolist(), found, strict=False))
    return np.stack([rows[index] for index in range(len(rows))])


@functools.partial(jax.jit, static_argnums=0)
def _codes(graph: Any, state: Any, inputs: jax.Array, lengths: jax.Array) -> jax.Array:
    carry, _ = nnx.merge(graph, state).source(inputs, lengths)
    leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(carry)]
    return jax.numpy.concatenate(leaves, axis=-1)
