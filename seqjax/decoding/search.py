"""The loop of the beam search."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from seqjax.decoding.constraints import Constraint, forced, guided, not_before, not_repeated
from seqjax.decoding.hypotheses import Hypotheses, largest, merge, none_yet, take
from seqjax.decoding.penalties import uncovered
from seqjax.decoding.steps import Step, check_classes


class Options(NamedTuple):
    """What the program depends on."""

    length: int
    beam_size: int
    n_best: int
    end_token: int | None
    minimum_length: int
    no_repeat_ngram: int | None
    early_stop: bool


class Inputs(NamedTuple):
    """What may change without compiling."""

    first_token: jax.Array
    divisors: jax.Array
    beta: jax.Array
    prefix: jax.Array | None


class _Live(NamedTuple):
    """Hypotheses that have not ended, as many as the beam is wide; those of log-probability ``-inf`` do not exist."""

    carry: Any
    """The step's carry and the constraint's state, ``[*batch, beam, ...]``."""
    token: jax.Array
    tokens: jax.Array
    log_probability: jax.Array
    greedy: jax.Array
    """``[*batch]``: whether the first one is the beginning of what greedy decoding gives."""


def search(
    step: Step,
    carry: Any,
    constraint: Constraint,
    coverage: Callable[[Any], jax.Array] | None,
    inputs: Inputs,
    options: Options,
) -> Hypotheses:
    """See :func:`seqjax.decoding.beam_search`."""
    length, end_token = options.length, options.end_token
    batch, axis = inputs.first_token.shape, inputs.first_token.ndim
    # What is bound to these functions has no axis of hypotheses, and is not copied.
    step = jax.vmap(guided(step, constraint.read), in_axes=axis, out_axes=axis)
    live, pool = _start((carry, constraint.state), step, inputs, options)
    divisors = inputs.divisors.astype(pool.scores.dtype)
    # The largest that a hypothesis can still be divided by.
    largest_divisors = lax.cummax(divisors, reverse=True)

    def scored(
        carry: Any, tokens: jax.Array, log_probabilities: jax.Array, position: Any, finished: bool
    ) -> Hypotheses:
        scores = log_probabilities / divisors[position]
        if coverage is not None:
            penalty = jax.vmap(lambda carry: uncovered(coverage, carry, batch), in_axes=axis, out_axes=axis)(carry[0])
            scores += (inputs.beta * penalty).astype(scores.dtype)
        return Hypotheses(
            tokens=tokens,
            lengths=jnp.full(scores.shape, position + 1, jnp.int32),
            scores=scores,
            log_probabilities=log_probabilities,
            finished=jnp.full(scores.shape, finished),
        )

    def more(loop: tuple[jax.Array, _Live, Hypotheses]) -> jax.Array:
        position, live, pool = loop
        if not options.early_stop:
            return position < length
        highest = jnp.max(live.log_probability, axis=-1) / largest_divisors[position]
        # Not the same as above where a score is NaN, which is to be seen in the result.
        return (position < length) & ~jnp.all(highest <= pool.scores[..., -1])

    def body(loop: tuple[jax.Array, _Live, Hypotheses]) -> tuple[jax.Array, _Live, Hypotheses]:
        position, live, pool = loop
        carry, (logits, mask) = step(live.carry, live.token)
        chosen = _chosen(live, logits, _permitted(live, logits, mask, position, inputs, options), options)
        if end_token is not None:
            pool = merge(pool, scored(carry, live.tokens, chosen.ended, position, True))
        carry, tokens = take((carry, live.tokens), chosen.parent)
        tokens = tokens.at[..., position].set(chosen.token)
        return position + 1, _Live(carry, chosen.token, tokens, chosen.log_probability, chosen.greedy), pool

    position = jnp.asarray(0)
    if length:
        position, live, pool = lax.while_loop(more, body, (position, live, pool))
    # A search that stopped early has live hypotheses that are shorter, and none that would be taken.
    unfinished = jnp.where(position == length, live.log_probability, -jnp.inf)
    return merge(pool, scored(live.carry, live.tokens, unfinished, position - 1, False))


class _Chosen(NamedTuple):
    parent: jax.Array
    token: jax.Array
    log_probability: jax.Array
    greedy: jax.Array
    ended: jax.Array
    """Log-probabilities of the hypotheses before the step with the end token, ``-inf`` if that is not good enough."""


def _start(carries: Any, step: Step, inputs: Inputs, options: Options) -> tuple[_Live, Hypotheses]:
    batch, beam = inputs.first_token.shape, options.beam_size
    repeated = lambda leaf: jnp.repeat(jnp.expand_dims(leaf, len(batch)), beam, axis=len(batch))
    carry, token = jax.tree.map(repeated, (carries, inputs.first_token))
    _, (logits, _) = jax.eval_shape(step, carry, token)
    check_classes(logits.shape[-1], token.dtype, options.end_token)
    fill = 0 if options.end_token is None else options.end_token
    empty = lambda count: none_yet((*batch, count), options.length, fill, token.dtype, logits.dtype)
    # One hypothesis to begin with: equal ones would remain equal.
    log_probability = empty(beam).log_probabilities.at[..., 0].set(0)
    return _Live(carry, token, empty(beam).tokens, log_probability, jnp.ones(batch, bool)), empty(options.n_best)


def _permitted(
    live: _Live, logits: jax.Array, mask: jax.Array | None, position: jax.Array, inputs: Inputs, options: Options
) -> jax.Array:
    """``[*batch, beam, classes]``: which hypotheses that are a token longer exist."""
    classes = logits.shape[-1]
    prefix = forced(classes, inputs.prefix, position)
    rules = (
        mask,
        not_before(classes, options.end_token, options.minimum_length, position),
        None if prefix is None else prefix[..., None, :],
        not_repeated(classes, live.tokens, options.no_repeat_ngram, position),
    )
    permitted = (logits != -jnp.inf) & (live.log_probability != -jnp.inf)[..., None]
    for rule in rules:
        permitted = permitted if rule is None else permitted & rule
    return permitted


def _chosen(live: _Live, logits: jax.Array, permitted: jax.Array, options: Options) -> _Chosen:
    """Of all hypotheses that are a token longer the most probable: those that end, and those that live on."""
    beam, classes = logits.shape[-2:]
    end = classes if options.end_token is None else options.end_token
    extended = jnp.where(permitted, live.log_probability[..., None] + jax.nn.log_softmax(logits), -jnp.inf)
    greedy_token = jnp.argmax(jnp.where(permitted, logits, -jnp.inf)[..., 0, :], axis=-1)
    greedy = live.greedy & jnp.any(permitted[..., 0, :], axis=-1)
    is_greedy = greedy[..., None] & (jnp.arange(classes) == greedy_token[..., None])
    # The greedy hypothesis comes before all others, and so remains the first.
    ranking = extended.at[..., 0, :].set(jnp.where(is_greedy, jnp.inf, extended[..., 0, :]))
    flat = (*logits.shape[:-2], beam * classes)
    # Every hypothesis ends in one way only: among twice as many there are enough that do not end.
    _, best = largest(ranking.reshape(flat), min(2 * beam, beam * classes))
    parent, token = best // classes, best % classes
    ends = token == end
    # Those that end count if they are among the best as many as the beam is wide.
    by_parent = parent[..., None, :beam] == jnp.arange(beam)[:, None]
    counts = jnp.any(by_parent & ends[..., None, :beam], axis=-1)
    living = jnp.argsort(ends, axis=-1, stable=True)[..., :beam]
    log_probability = jnp.where(ends, -jnp.inf, jnp.take_along_axis(extended.reshape(flat), best, axis=-1))
    ended = extended[..., min(end, classes - 1)]
    return _Chosen(
        parent=jnp.take_along_axis(parent, living, axis=-1),
        token=jnp.take_along_axis(token, living, axis=-1).astype(live.token.dtype),
        log_probability=jnp.take_along_axis(log_probability, living, axis=-1),
        greedy=greedy & (greedy_token != end),
        ended=jnp.where(counts, ended, -jnp.inf),
    )
