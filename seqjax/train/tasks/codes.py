"""What an encoder makes of sequences, and a picture of it."""

import functools
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from seqjax.data import SequenceBatches
from seqjax.nn import EncoderDecoder
from seqjax.train.files import write_atomically

_NAMED = 40


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


def principal_components(points: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Points in the directions of their greatest variance.

    Args:
        points: ``[points, features]``.
        count: of directions.

    Returns:
        Coordinates ``[points, count]``, and the share of the variance that each direction has, ``[count]``.

    Example:
        >>> import numpy as np
        >>> coordinates, shares = principal_components(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), 1)
        >>> np.abs(coordinates[:, 0]).round(3).tolist(), shares.round(3).tolist()
        ([5.0, 0.0, 5.0], [1.0])
    """
    centred = points - points.mean(axis=0)
    _, deviations, directions = np.linalg.svd(centred, full_matrices=False)
    variances = deviations**2
    return centred @ directions[:count].T, variances[:count] / max(variances.sum(), np.finfo(points.dtype).tiny)


def draw_codes(directory: Path, codes: np.ndarray, labels: Sequence[str]) -> Path:
    """Draw the codes' two principal components as ``codes.png``, coloured by length, some of them with their sequence.

    Args:
        directory: where the picture goes.
        codes: ``[records, size]``.
        labels: each record's sequence.

    Returns:
        The picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places, shares = principal_components(codes)
    figure = Figure(figsize=(9, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    dots = axes.scatter(*places.T, c=[len(label) for label in labels], s=8, cmap="viridis", linewidths=0)
    figure.colorbar(dots, ax=axes, label="characters of the sequence")
    for index in np.linspace(0, len(labels) - 1, min(_NAMED, len(labels))).astype(int):
        axes.annotate(labels[index], places[index], fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.set_xlabel(f"first principal component ({100 * shares[0]:.0f} % of the variance)")
    axes.set_ylabel(f"second ({100 * shares[1]:.0f} %)")
    axes.set_title(f"Codes of {len(labels):,} sequences")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_atomically(directory / "codes.png", content.getvalue())
    return directory / "codes.png"


@functools.partial(jax.jit, static_argnums=0)
def _codes(graph: Any, state: Any, inputs: jax.Array, lengths: jax.Array) -> jax.Array:
    carry, _ = nnx.merge(graph, state).source(inputs, lengths)
    leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(carry)]
    return jax.numpy.concatenate(leaves, axis=-1)
