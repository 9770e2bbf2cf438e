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
    """Hypotheses that have not ended, those of the beam and a reserve; at log-probability ``-inf`` there is none."""

    carry: Any
    """The step's carry and the constraint's state, ``[*batch, live, ...]``."""
    token: jax.Array
    tokens: jax.Array
    log_probability: jax.Array
    greedy: jax.Array
    """``[*batch]``: which one is the beginning of what greedy decoding gives; their number when that has ended."""


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
        permitted = _permitted(live, logits, mask, position, inputs, options)
        longer, greedy, ended = _chosen(live, logits, permitted, options)
        if end_token is not None:
            pool = merge(pool, scored(carry, live.tokens, ended, position, True))
        carry, tokens = take((carry, live.tokens), longer.parent)
        token = longer.token.astype(live.token.dtype)
        tokens = tokens.at[..., position].set(token)
        return position + 1, _Live(carry, token, tokens, longer.log_probability, greedy), pool

    position = jnp.asarray(0)
    if length:
        position, live, pool = lax.while_loop(more, body, (position, live, pool))
    # A search that stopped early has live hypotheses that are shorter, and none that would be taken.
    unfinished = jnp.where(position == length, live.log_probability, -jnp.inf)
    return merge(pool, scored(live.carry, live.tokens, unfinished, position - 1, False))


class _Longer(NamedTuple):
    """Hypotheses that are a token longer."""

    parent: jax.Array
    token: jax.Array
    log_probability: jax.Array


def _start(carries: Any, step: Step, inputs: Inputs, options: Options) -> tuple[_Live, Hypotheses]:
    batch = inputs.first_token.shape
    # The reserve is for the greedy hypothesis when it falls out of the beam; out of a beam of one it does not.
    count = options.beam_size + (options.beam_size > 1)
    repeated = lambda leaf: jnp.repeat(jnp.expand_dims(leaf, len(batch)), count, axis=len(batch))
    carry, token = jax.tree.map(repeated, (carries, inputs.first_token))
    _, (logits, _) = jax.eval_shape(step, carry, token)
    check_classes(logits.shape[-1], token.dtype, options.end_token)
    fill = 0 if options.end_token is None else options.end_token
    empty = lambda count: none_yet((*batch, count), options.length, fill, token.dtype, logits.dtype)
    # One hypothesis to begin with: equal ones would remain equal.
    log_probability = empty(count).log_probabilities.at[..., 0].set(0)
    live = _Live(carry, token, empty(count).tokens, log_probability, jnp.zeros(batch, jnp.int32))
    return live, empty(options.n_best)


def _permitted(
    live: _Live, logits: jax.Array, mask: jax.Array | None, position: jax.Array, inputs: Inputs, options: Options
) -> jax.Array:
    """``[*batch, live, classes]``: which hypotheses that are a token longer exist."""
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


def _chosen(
    live: _Live, logits: jax.Array, permitted: jax.Array, options: Options
) -> tuple[_Longer, jax.Array, jax.Array]:
    """The hypotheses that live on; which of them is greedy; log-probabilities of those that end and count."""
    beam, (count, classes) = options.beam_size, logits.shape[-2:]
    end = classes if options.end_token is None else options.end_token
    extended = jnp.where(permitted, live.log_probability[..., None] + jax.nn.log_softmax(logits), -jnp.inf)
    flat = extended[..., :beam, :].reshape(*extended.shape[:-2], beam * classes)
    # Every hypothesis ends in one way only: among twice as many there are enough that do not end.
    log_probability, best = largest(flat, min(2 * beam, beam * classes))
    parent, token = best // classes, best % classes
    ends = token == end
    counts = jnp.any((parent[..., None, :beam] == jnp.arange(count)[:, None]) & ends[..., None, :beam], axis=-1)
    living = jnp.argsort(ends, axis=-1, stable=True)[..., :beam]
    longer = _Longer(*take((parent, token, jnp.where(ends, -jnp.inf, log_probability)), living))

    # [*batch, 1]: the greedy hypothesis wherever it is, and its most probable token.
    place = jnp.minimum(live.greedy, count - 1)[..., None]
    of_greedy, its_logits = take((extended, jnp.where(permitted, logits, -jnp.inf)), place)
    its_token = jnp.argmax(its_logits, axis=-1)
    goes_on = (live.greedy[..., None] < count) & (jnp.max(its_logits, axis=-1) != -jnp.inf)
    counts |= goes_on & (its_token == end) & (jnp.arange(count) == place)
    goes_on &= its_token != end
    among_longer = goes_on & (longer.parent == place) & (longer.token == its_token)
    is_among_longer = jnp.any(among_longer, axis=-1, keepdims=True)
    if count > beam:
        its_log_probability = jnp.take_along_axis(of_greedy, its_token[..., None], axis=-1)[..., 0]
        kept = jnp.where(goes_on & ~is_among_longer, its_log_probability, -jnp.inf)
        longer = jax.tree.map(lambda *both: jnp.concatenate(both, -1), longer, _Longer(place, its_token, kept))
    greedy = jnp.where(is_among_longer, jnp.argmax(among_longer, axis=-1, keepdims=True), beam)
    greedy = jnp.where(goes_on, greedy, count)[..., 0].astype(live.greedy.dtype)
    ended = jnp.where(counts, extended[..., min(end, classes - 1)], -jnp.inf)
    return longer, greedy, ended
