"""Connectionist temporal classification: targets shorter than the frames, and not aligned with them.

Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal classification: labelling unsegmented sequence data
with recurrent neural networks", 2006.

A path gives every frame a class or the blank; it stands for the labels that are left when repeated symbols are merged
and then blanks removed. Two equal labels in a row therefore need a blank, that is a frame, between them.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.losses.ctc_lattice import Lattice, best_states, lattice, negative_log_likelihood, occupation, valid_frames
from seqjax.losses.masks import checked_lengths

ROWS_TOLD = 5


class Alignment(NamedTuple):
    """The most probable path of every row; see :func:`ctc_best_alignment`."""

    symbols: jax.Array
    """``[time, *batch]``: the class or blank that the frame stands for; -1 after the end."""
    positions: jax.Array
    """``[time, *batch]``: which label of the target it is, counted from 0; -1 for the blank and after the end."""
    log_probability: jax.Array
    """``[*batch]``: of this one path."""


def ctc_loss(logits: Any, labels: Any, *, lengths: Any = None, label_lengths: Any = None, blank: int = 0) -> jax.Array:
    r"""Minus the log-probability of every row's labels, summed over all paths that stand for them, in nats.

    .. math:: \ell = -\log \sum_{\pi \in \mathcal{B}^{-1}(y)} \prod_t \mathrm{softmax}(z_t)_{\pi_t}

    Never negative. A row that cannot be aligned (:func:`ctc_alignable`), or whose every path has a zero probability,
    has an infinite loss and no gradient; ``jnp.where(ctc_alignable(...), loss, 0)`` leaves such rows out. A label that
    is the blank or no class makes its row's loss NaN, without gradient. The empty target is legal, and so is a row of
    no frames: its loss is 0 if its target is empty, else infinite.

    Half-precision logits are summed in float32. What stands after the end of a row, NaN too, touches neither values nor
    gradients. The gradient is that of the exact sum, softmax less the probability that a frame stands for a class given
    the target, not that of the rounded recursion; derivatives of any order and both modes work.

    Args:
        logits: ``[time, *batch, classes]``, not normalised, the blank among the classes.
        labels: whole numbers ``[*batch, label_length]``.
        lengths: number of frames of each row, ``[*batch]``; all of them if not given.
        label_lengths: number of labels of each row, ``[*batch]``; all of them if not given.
        blank: which class is the blank.

    Returns:
        ``[*batch]``.

    Raises:
        ValueError: shapes that do not fit, labels or lengths that are not whole numbers, lengths out of range.

    Example:
        Of the 8 paths over a blank and one label, 6 stand for the label once:

        >>> import jax.numpy as jnp, seqjax
        >>> loss = seqjax.losses.ctc_loss(jnp.zeros([3, 2]), jnp.array([1]))
        >>> round(float(jnp.exp(-loss)), 4)
        0.75
    """
    of, _, _, wrong = _checked_lattice(logits, labels, lengths, label_lengths, blank)
    return jnp.where(wrong, jnp.nan, _negative_log_likelihood(of))


def ctc_occupation(
    logits: Any, labels: Any, *, lengths: Any = None, label_lengths: Any = None, blank: int = 0
) -> jax.Array:
    """The probability, given the labels, that a frame is in each state of the lattice.

    The states are blank, first label, blank, ..., last label, blank: state ``2 i + 1`` is label ``i``.

    Args:
        logits: and what follows as in :func:`ctc_loss`.

    Returns:
        ``[time, *batch, 2 label_length + 1]``; every frame sums to 1. Zero after the end of a row, and for a row that
        cannot be aligned.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> seqjax.losses.ctc_occupation(jnp.zeros([2, 3]), jnp.array([1, 2])).tolist()
        [[0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
    """
    of, _, valid, wrong = _checked_lattice(logits, labels, lengths, label_lengths, blank)
    shares = jnp.where(valid[..., None], _occupation(of), 0)
    return jnp.where(wrong[..., None], jnp.nan, shares)


def ctc_best_alignment(
    logits: Any, labels: Any, *, lengths: Any = None, label_lengths: Any = None, blank: int = 0
) -> Alignment:
    """The most probable single path that stands for the labels (Viterbi): which frame belongs to which label.

    A row that cannot be aligned has the log-probability minus infinity and is -1 throughout, and so is a row with a
    label that is the blank or no class.

    Args:
        logits: and what follows as in :func:`ctc_loss`.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> frames = 5 * jax.nn.one_hot(jnp.array([0, 1, 1, 0, 2]), 3)
        >>> seqjax.losses.ctc_best_alignment(frames, jnp.array([1, 2])).positions.tolist()
        [-1, 0, 0, -1, 1]
    """
    of, symbols, valid, wrong = _checked_lattice(logits, labels, lengths, label_lengths, blank)
    states, log_probability = _best_states(of)
    log_probability = jnp.where(wrong, -jnp.inf, log_probability)
    there = valid & (log_probability > -jnp.inf)
    symbols = jnp.take_along_axis(symbols[None], states[..., None], axis=-1)[..., 0]
    return Alignment(
        jnp.where(there, symbols, -1), jnp.where(there & (states % 2 == 1), states // 2, -1), log_probability
    )


def ctc_alignable(labels: Any, *, lengths: Any, label_lengths: Any = None) -> jax.Array:
    """Whether each row has frames enough: one a label, and one between two equal labels in a row.

    Args:
        labels: whole numbers ``[*batch, label_length]``.
        lengths: number of frames of each row, ``[*batch]``.
        label_lengths: number of labels of each row, ``[*batch]``; all of them if not given.

    Returns:
        Booleans ``[*batch]``.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> seqjax.losses.ctc_alignable(jnp.array([[1, 1], [1, 2]]), lengths=jnp.array([2, 2])).tolist()
        [False, True]
    """
    labels = jnp.asarray(labels)
    if labels.ndim == 0 or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"labels must be whole numbers [*batch, label_length], got {labels.dtype} of shape {labels.shape}"
        )
    batch, most = labels.shape[:-1], labels.shape[-1]
    lengths = checked_lengths("lengths", jnp.asarray(lengths), batch, np.iinfo(np.int32).max, "frames")
    label_lengths = checked_lengths("label_lengths", label_lengths, batch, most, "labels")
    return lengths >= _frames_needed(labels, label_lengths)


def check_ctc_targets(
    labels: Any, *, lengths: Any, label_lengths: Any = None, classes: int | None = None, blank: int = 0
) -> None:
    """Say in words which rows :func:`ctc_loss` would make infinite or NaN; for concrete arrays, before training.

    Args:
        labels: and what follows as in :func:`ctc_alignable`.
        classes: number of classes, the blank among them; unknown if not given.
        blank: which class is the blank.

    Raises:
        ValueError: rows that cannot be aligned, labels that are no class or the blank.

    Example:
        >>> import numpy as np, seqjax
        >>> seqjax.losses.check_ctc_targets(np.array([[1, 2], [3, 3]]), lengths=np.array([5, 2]))
        Traceback (most recent call last):
        ...
        ValueError: 1 of 2 rows cannot be aligned: row 1 has 2 frames, its 2 labels (1 repeated) need 3; leave such rows
        out, or shorten the sequence of frames less
    """
    alignable = np.asarray(ctc_alignable(labels, lengths=lengths, label_lengths=label_lengths))
    labels, lengths = np.asarray(labels), np.asarray(lengths)
    batch, most = labels.shape[:-1], labels.shape[-1]
    label_lengths = np.full(batch, most) if label_lengths is None else np.asarray(label_lengths)
    there = np.arange(most) < label_lengths[..., None]
    foreign = there & ((labels < 0) | (labels == blank) | (labels >= (np.inf if classes is None else classes)))
    if foreign.any():
        where = tuple(map(int, np.argwhere(foreign)[0]))
        raise ValueError(
            f"labels{list(where)} is {labels[where]}, expected a class"
            + (f" from 0 to {classes - 1}" if classes is not None else " of at least 0")
            + f" that is not the blank, {blank}; is the vocabulary another one, or label_lengths missing?"
        )
    if not alignable.all():
        needed = np.asarray(_frames_needed(labels, label_lengths))
        rows = list(map(tuple, np.argwhere(~alignable)))
        told = "; ".join(
            f"row {', '.join(map(str, row)) or 0} has {lengths[row]} frames, its {label_lengths[row]} labels "
            f"({needed[row] - label_lengths[row]} repeated) need {needed[row]}"
            for row in rows[:ROWS_TOLD]
        )
        more = f"; and {len(rows) - ROWS_TOLD} more" if len(rows) > ROWS_TOLD else ""
        raise ValueError(
            f"{len(rows)} of {alignable.size} rows cannot be aligned: {told}{more}; leave such rows out, or shorten "
            "the sequence of frames less"
        )


def _frames_needed(labels: Any, label_lengths: Any) -> jax.Array:
    """One frame a label, and one between two equal labels in a row."""
    labels = jnp.asarray(labels)
    pair = jnp.arange(1, labels.shape[-1]) < label_lengths[..., None]
    return label_lengths + jnp.sum(pair & (labels[..., 1:] == labels[..., :-1]), axis=-1)


def _checked_lattice(
    logits: Any, labels: Any, lengths: Any, label_lengths: Any, blank: int
) -> tuple[Lattice, jax.Array, jax.Array, jax.Array]:
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"labels must be whole numbers, got {labels.dtype}")
    if logits.ndim < 2 or labels.shape[:-1] != logits.shape[1:-1] or labels.ndim != logits.ndim - 1:
        raise ValueError(
            f"logits have shape {logits.shape} and labels {labels.shape}, "
            "expected [time, *batch, classes] and [*batch, label_length]; is time the first axis?"
        )
    check_blank(blank, logits.shape[-1])
    batch = logits.shape[1:-1]
    lengths = checked_lengths("lengths", lengths, batch, logits.shape[0], "frames")
    label_lengths = checked_lengths("label_lengths", label_lengths, batch, labels.shape[-1], "labels")
    return _lattice(logits, labels, lengths, label_lengths, blank)


def check_blank(blank: int, classes: int) -> None:
    """The blank is one of the classes."""
    if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < classes:
        raise ValueError(f"blank must be one of the classes, 0 to {classes - 1}, got {blank!r}")


@partial(jax.jit, static_argnames="blank")
def _lattice(
    logits: jax.Array, labels: jax.Array, lengths: jax.Array, label_lengths: jax.Array, blank: int
) -> tuple[Lattice, jax.Array, jax.Array, jax.Array]:
    """The lattice, the symbols of its states, the frames that are there, and the rows with labels that are no class."""
    valid = valid_frames(logits.shape[0], lengths)
    there = jnp.arange(labels.shape[-1]) < label_lengths[..., None]
    labels = labels.astype(jnp.promote_types(labels.dtype, jnp.int32))
    foreign = there & ((labels < 0) | (labels >= logits.shape[-1]) | (labels == blank))
    labels = jnp.where(there & ~foreign, labels, blank).astype(jnp.int32)
    of, symbols = lattice(logits, labels, valid, label_lengths, blank)
    return of, symbols, valid, jnp.any(foreign, axis=-1)


_negative_log_likelihood, _occupation, _best_states = map(jax.jit, (negative_log_likelihood, occupation, best_states))
