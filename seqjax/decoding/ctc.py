"""Labels from the frames of connectionist temporal classification: best path, and prefix beam search."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.tree_util import Partial

from seqjax.decoding.ctc_beam import PADDING, Fusion, prefix_beams
from seqjax.decoding.steps import Step, check_batch_axes, is_partial, whole_number, whole_numbers
from seqjax.losses.ctc import check_blank, ctc_loss
from seqjax.losses.ctc_lattice import valid_frames
from seqjax.losses.masks import checked_lengths


class Transcripts(NamedTuple):
    """What was recognised."""

    tokens: jax.Array
    """Labels, then -1: ``[*batch, time]`` of :func:`ctc_greedy`, ``[*batch, n_best, max_length]`` of
    :func:`ctc_beam_search`."""
    lengths: jax.Array
    """Number of labels, ``[*batch]`` or ``[*batch, n_best]``."""
    scores: jax.Array
    """Of the best path, ``[*batch]``; of the labels, ``[*batch, n_best]``, best first."""


def ctc_greedy(logits: Any, *, lengths: Any = None, blank: int = 0) -> Transcripts:
    """The labels of the most probable path: repeated symbols are merged, then blanks removed.

    The most probable labels may be others, because many paths stand for the same labels: :func:`ctc_beam_search` adds
    them up.

    Args:
        logits: ``[time, *batch, classes]``, not normalised.
        lengths: number of frames of each row, ``[*batch]``; all of them if not given.
        blank: which class is the blank.

    Returns:
        Labels ``[*batch, time]``, and as their score the log-probability of the one path.

    Raises:
        ValueError: shapes that do not fit, lengths out of range, a blank that is no class.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> frames = 9 * jax.nn.one_hot(jnp.array([1, 1, 0, 1, 2]), 3)
        >>> seqjax.decoding.ctc_greedy(frames).tokens.tolist()
        [1, 1, 2, -1, -1]
    """
    logits, lengths = _checked(logits, lengths, blank)
    return _greedy(logits, lengths, blank)


def _frames(logits: jax.Array, lengths: jax.Array, blank: int) -> jax.Array:
    """Log-probabilities ``[time, *batch, classes]``; after the end the blank is certain, which changes no label."""
    valid = valid_frames(logits.shape[0], lengths)[..., None]
    logits = jnp.where(valid, logits, 0)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    certain_blank = jnp.where(jnp.arange(logits.shape[-1]) == blank, 0.0, -jnp.inf)
    return jnp.where(valid, jax.nn.log_softmax(logits), certain_blank)


@partial(jax.jit, static_argnames="blank")
def _greedy(logits: jax.Array, lengths: jax.Array, blank: int) -> Transcripts:
    log_probabilities = _frames(logits, lengths, blank)
    scores = jnp.sum(jnp.max(log_probabilities, axis=-1), axis=0)
    path = jnp.moveaxis(jnp.argmax(log_probabilities, axis=-1), 0, -1).astype(jnp.int32)
    before = jnp.concatenate([jnp.full((*path.shape[:-1], 1), blank, path.dtype), path], axis=-1)[..., :-1]
    kept = (path != blank) & (path != before)
    order = jnp.argsort(~kept, axis=-1, stable=True)
    tokens = jnp.take_along_axis(jnp.where(kept, path, PADDING), order, axis=-1)
    return Transcripts(tokens, jnp.sum(kept, axis=-1), scores)


def ctc_beam_search(
    logits: Any,
    *,
    lengths: Any = None,
    blank: int = 0,
    beam_size: int = 16,
    n_best: int = 1,
    max_length: int | None = None,
    language_model: Step | None = None,
    language_model_carry: Any = None,
    language_model_weight: Any = 1.0,
    first_token: Any = None,
    end_token: int | None = None,
    insertion_bonus: Any = 0.0,
) -> Transcripts:
    r"""The labels with the best scores among those that a prefix beam search comes across.

    .. math:: \log p_\mathrm{CTC}(y \mid z) + \alpha \log p_\mathrm{LM}(y) + \beta |y|

    The first term of the scores returned is exact, summed over all paths (minus :func:`seqjax.losses.ctc_loss`), though
    the search ranks by the paths that it has found. The greedy labels are always kept: the best score is never below
    theirs, with a beam of 1 as well. A beam wide enough for all labels that the frames admit is an exhaustive search.

    A language model that is a :class:`jax.tree_util.Partial` of a function and its parameters, or none, is compiled
    once; any other step is read anew at every call: call this inside your own :func:`jax.jit` then.

    Args:
        logits: ``[time, *batch, classes]``, not normalised.
        lengths: number of frames of each row, ``[*batch]``; all of them if not given.
        blank: which class is the blank.
        beam_size: number of label sequences that are followed from frame to frame.
        n_best: number of label sequences returned, at most ``beam_size``.
        max_length: no longer label sequences; the number of frames, which no labels exceed, if not given.
        language_model: ``carry, logits = step(carry, token)`` as in :func:`seqjax.decoding.sample`, its classes
            numbered as those of the frames; what it says of the blank is not read, but the first token may be the
            blank. It is called under :func:`jax.vmap`, for one token and one carry.
        language_model_carry: before the first token is read; any tree of arrays, the batch axes first.
        language_model_weight: :math:`\alpha`, may be traced.
        first_token: whole numbers ``[*batch]``, or one for all, that the language model reads before the first label.
        end_token: what the language model gives after the last label; nothing is added for the end if not given.
        insertion_bonus: :math:`\beta` in nats for every label, may be traced; language models prefer few labels.

    Returns:
        Labels ``[*batch, n_best, max_length]``, best first. Where fewer are possible, the rest have length 0 and the
        score minus infinity.

    Raises:
        ValueError: shapes that do not fit, arguments out of range.

    Source: Graves and Jaitly, "Towards end-to-end speech recognition with recurrent neural networks", 2014; Hannun et
    al., "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014.

    Example:
        The best path is two blanks (0.36), but the paths that stand for one label are together more probable (0.64):

        >>> import jax.numpy as jnp, seqjax
        >>> frames = jnp.log(jnp.array([[0.6, 0.4], [0.6, 0.4]]))
        >>> seqjax.decoding.ctc_greedy(frames).lengths.tolist()
        0
        >>> best = seqjax.decoding.ctc_beam_search(frames)
        >>> best.tokens.tolist(), round(float(jnp.exp(best.scores[0])), 2)
        ([[1, -1]], 0.64)
    """
    logits, lengths = _checked(logits, lengths, blank)
    time_steps, batch, classes = logits.shape[0], logits.shape[1:-1], logits.shape[-1]
    options = _Options(
        blank=blank,
        beam_size=whole_number("beam_size", beam_size, 1),
        n_best=whole_number("n_best", n_best, 1),
        max_length=time_steps if max_length is None else whole_number("max_length", max_length, 0),
        end_token=end_token if end_token is None else whole_number("end_token", end_token, 0, " or None"),
    )
    if n_best > beam_size:
        raise ValueError(f"n_best is {n_best}, but the beam holds {beam_size}; widen beam_size to at least that")
    if language_model is None:
        if first_token is not None or end_token is not None or language_model_carry is not None:
            raise ValueError("a carry, a first_token or an end_token was given, but no language_model to read it")
        language_model, first_token, language_model_weight = Partial(_no_model, jnp.zeros(classes)), blank, 0.0
    elif first_token is None:
        raise ValueError("the language_model needs a first_token, which it reads before the first label")
    if end_token is not None and end_token >= classes:
        raise ValueError(f"end_token is {end_token}, but there are {classes} classes; it must be one of them")
    check_batch_axes("language_model_carry", language_model_carry, batch)
    first_token = jnp.broadcast_to(whole_numbers("first_token", first_token), batch).astype(jnp.int32)
    weight, bonus = jnp.asarray(language_model_weight, jnp.float32), jnp.asarray(insertion_bonus, jnp.float32)

    # One batch axis: XLA's CPU compiler has a fast selection for matrices only.
    rows = math.prod(batch)
    flat = lambda leaf: jnp.reshape(leaf, (rows, *jnp.shape(leaf)[len(batch) :]))
    fusion = Fusion(language_model, jax.tree.map(flat, language_model_carry), flat(first_token), weight, bonus)
    run = _compiled_search if is_partial(language_model) else _search
    found = run(logits.reshape(time_steps, rows, classes), flat(lengths), fusion, options)
    return Transcripts(*(leaf.reshape(*batch, *leaf.shape[1:]) for leaf in found))


class _Options(NamedTuple):
    blank: int
    beam_size: int
    n_best: int
    max_length: int
    end_token: int | None


def _search(logits: jax.Array, lengths: jax.Array, fusion: Fusion, options: _Options) -> Transcripts:
    def one(logits: jax.Array, length: jax.Array, carry: Any, first_token: jax.Array) -> Transcripts:
        return _search_one(logits, length, fusion._replace(carry=carry, first_token=first_token), options)

    return jax.vmap(one, in_axes=(1, 0, 0, 0))(logits, lengths, fusion.carry, fusion.first_token)


_compiled_search = partial(jax.jit, static_argnames="options")(_search)


def _search_one(logits: jax.Array, length: jax.Array, fusion: Fusion, options: _Options) -> Transcripts:
    blank, n_best, max_length = options.blank, options.n_best, options.max_length
    log_probabilities = _frames(logits, length, blank)
    beams = prefix_beams(log_probabilities, fusion, blank, options.beam_size, max_length)
    bonus = beams.bonus
    if options.end_token is not None:
        bonus += beams.next_bonus[:, options.end_token] - fusion.insertion_bonus
    found = beams.log_probability + bonus

    # The first beam holds the greedy labels; they may be among the best anyway.
    best = jnp.append(lax.top_k(found, n_best)[1], 0)
    counts = jnp.ones(n_best + 1, bool).at[-1].set(jnp.all(best[:-1] != 0))
    tokens, lengths = beams.tokens[best, :max_length], jnp.minimum(beams.lengths[best], max_length)
    losses = jax.vmap(lambda *labels: ctc_loss(logits, labels[0], lengths=length, label_lengths=labels[1], blank=blank))
    scores = jnp.where(counts & (found[best] != -jnp.inf), bonus[best] - losses(tokens, lengths), -jnp.inf)
    scores, order = lax.top_k(scores, n_best)
    lengths = jnp.where(scores != -jnp.inf, lengths[order], 0)
    tokens = jnp.where(jnp.arange(max_length) < lengths[:, None], tokens[order], PADDING)
    return Transcripts(tokens, lengths, scores)


def _no_model(logits: jax.Array, carry: Any, token: jax.Array) -> tuple[Any, jax.Array]:
    del token
    return carry, logits


def _checked(logits: Any, lengths: Any, blank: int) -> tuple[jax.Array, jax.Array]:
    logits = jnp.asarray(logits)
    if logits.ndim < 2:
        raise ValueError(f"logits have shape {logits.shape}, expected [time, *batch, classes]")
    check_blank(blank, logits.shape[-1])
    return logits, checked_lengths("lengths", lengths, logits.shape[1:-1], logits.shape[0], "frames")
