"""Prefix beam search for connectionist temporal classification, of one sequence: the loop over frames.

The beams are sequences of labels that all differ, each with the summed probability of the paths found so far that stand
for it, apart for paths that end in a blank and in its last label: only the former may repeat that label.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

PADDING = -1


class Fusion(NamedTuple):
    """A language model, and what its score and every label are worth."""

    step: Any
    """``carry, logits = step(carry, token)`` for one token and one carry."""
    carry: Any
    first_token: jax.Array
    weight: jax.Array
    insertion_bonus: jax.Array


class Beams(NamedTuple):
    """The beams before a frame, the first of them the greedy labels."""

    tokens: jax.Array
    """``[beams, max_length + 1]``: labels, then padding."""
    lengths: jax.Array
    """``[beams]``."""
    last: jax.Array
    """``[beams]``: the last label; the blank where there is none."""
    ends_blank: jax.Array
    """``[beams]``: the log of the summed probability of the paths that end in a blank."""
    ends_label: jax.Array
    """``[beams]``: of those that end in the last label."""
    common: jax.Array
    """``[beams, beams]``: how many labels two beams have in common from the start; it tells exactly which are equal."""
    bonus: jax.Array
    """``[beams]``: what the language model and the insertions add."""
    carry: Any
    """Of the language model after the last label, ``[beams, ...]``."""
    next_bonus: jax.Array
    """``[beams, classes]``: what a further label would add."""

    @property
    def log_probability(self) -> jax.Array:
        """``[beams]``: of all paths found; minus infinity where there is no beam."""
        return jnp.logaddexp(self.ends_blank, self.ends_label)


def prefix_beams(log_probabilities: jax.Array, fusion: Fusion, blank: int, beam_size: int, max_length: int) -> Beams:
    """The beams after the last frame of ``[time, classes]``."""
    path = jnp.argmax(log_probabilities, axis=-1).astype(jnp.int32)
    before = jnp.concatenate([jnp.full_like(path[:1], blank, shape=1), path])[: path.size]
    beams = _start(log_probabilities, fusion, blank, beam_size, max_length)
    frames = (log_probabilities, path, (path != blank) & (path != before))
    return lax.scan(lambda beams, frame: (_frame(beams, *frame, fusion, blank), None), beams, frames)[0]


def _start(log_probabilities: jax.Array, fusion: Fusion, blank: int, beam_size: int, max_length: int) -> Beams:
    """One beam, the empty one; the others have no paths yet."""
    nothing = jnp.full(beam_size, -jnp.inf, log_probabilities.dtype)
    frame = jax.ShapeDtypeStruct(log_probabilities.shape[1:], log_probabilities.dtype)
    carry, next_bonus = _read(fusion, fusion.carry, fusion.first_token, frame)
    carry, next_bonus = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (beam_size, *leaf.shape)), (carry, next_bonus))
    return Beams(
        tokens=jnp.full((beam_size, max_length + 1), PADDING, jnp.int32),
        lengths=jnp.zeros(beam_size, jnp.int32),
        last=jnp.full(beam_size, blank, jnp.int32),
        ends_blank=nothing.at[0].set(0),
        ends_label=nothing,
        common=jnp.zeros((beam_size, beam_size), jnp.int32),
        bonus=jnp.zeros_like(nothing),
        carry=carry,
        next_bonus=next_bonus,
    )


def _frame(
    beams: Beams, emission: jax.Array, greedy_symbol: jax.Array, greedy_extends: jax.Array, fusion: Fusion, blank: int
) -> Beams:
    beam_size, max_length = beams.tokens.shape[0], beams.tokens.shape[1] - 1
    index, classes = jnp.arange(beam_size), jnp.arange(emission.size)
    total = beams.log_probability

    # After its own last label a beam is longer only by way of a blank.
    extended = jnp.where(classes == beams.last[:, None], beams.ends_blank[:, None], total[:, None]) + emission
    possible = (classes != blank) & (beams.lengths < max_length)[:, None]
    extended = jnp.where(possible, extended, -jnp.inf)

    # A beam that is another one with one more label takes over the paths that would make it a second time. What has
    # lost all its paths is none: the same labels may have come again.
    longer = (beams.lengths == beams.lengths[:, None] + 1) & (beams.common == beams.lengths[:, None])
    longer &= (total > -jnp.inf) & (total > -jnp.inf)[:, None]
    taken_over = jnp.max(jnp.where(longer, extended[:, beams.last], -jnp.inf), axis=0)
    shorter = jnp.where(jnp.any(longer, axis=0), jnp.argmax(longer, axis=0), beam_size)
    extended = extended.at[shorter, beams.last].set(-jnp.inf, mode="drop")
    ends_blank = total + emission[blank]
    ends_label = jnp.logaddexp(beams.ends_label + emission[beams.last], taken_over)

    # The greedy labels always stay, so that no beam is too narrow to find them.
    made = longer[0] & (beams.last == greedy_symbol)
    greedy = jnp.where(jnp.any(made), jnp.argmax(made), beam_size + greedy_symbol)
    greedy = jnp.where(greedy_extends, greedy, 0)
    kept_scores = jnp.logaddexp(ends_blank, ends_label) + beams.bonus
    scores = jnp.concatenate([kept_scores, (extended + beams.next_bonus + beams.bonus[:, None]).reshape(-1)])
    _, chosen = lax.top_k(scores.at[greedy].set(jnp.inf), beam_size)

    extends = chosen >= beam_size
    source, token = (
        jnp.where(extends, (chosen - beam_size) // classes.size, chosen),
        (chosen - beam_size) % classes.size,
    )
    lengths = beams.lengths[source]
    position = jnp.where(extends, lengths, max_length + 1)
    tokens = beams.tokens[source].at[index, position].set(token, mode="drop")
    # In one frame the common start of two beams grows by one label at most.
    common = beams.common[source][:, source]
    ahead = jnp.take_along_axis(tokens, common, axis=-1)
    common += (ahead == ahead.T) & (ahead != PADDING)

    carry = jax.tree.map(lambda leaf: leaf[source], beams.carry)
    read = jax.vmap(lambda carry, token: _read(fusion, carry, token, emission))(carry, token)
    carry, next_bonus = jax.tree.map(
        lambda new, old: jnp.where(extends.reshape(-1, *(1,) * (new.ndim - 1)), new, old),
        read,
        (carry, beams.next_bonus[source]),
    )
    return Beams(
        tokens=tokens,
        lengths=lengths + extends,
        last=jnp.where(extends, token, beams.last[source]),
        ends_blank=jnp.where(extends, -jnp.inf, ends_blank[source]),
        ends_label=jnp.where(extends, extended[source, token], ends_label[source]),
        common=common,
        bonus=beams.bonus[source] + jnp.where(extends, beams.next_bonus[source, token], 0),
        carry=carry,
        next_bonus=next_bonus,
    )


def _read(fusion: Fusion, carry: Any, token: jax.Array, like: Any) -> tuple[Any, jax.Array]:
    """The language model's carry after a token, and what each label would add as the next one."""
    carry, logits = fusion.step(carry, token)
    if logits.shape != like.shape:
        raise ValueError(
            f"the language model gives logits of {logits.shape} for one token, but there are {like.size} classes, the "
            "blank among them; give it a step that numbers the classes alike (what it says of the blank is not read)"
        )
    log_probabilities = jax.nn.log_softmax(logits.astype(like.dtype))
    return carry, _scaled(fusion.weight, log_probabilities) + fusion.insertion_bonus


def _scaled(weight: jax.Array, log_probabilities: jax.Array) -> jax.Array:
    """A weight of 0 leaves out what is impossible, too."""
    return jnp.where(weight == 0, 0, weight * log_probabilities)
