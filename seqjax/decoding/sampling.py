"""Ancestral and greedy sampling: one loop over time for any step function and any carry."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from seqjax.decoding.constraints import Automaton, Constraint, as_constraint, guided, not_before
from seqjax.decoding.filters import check_filters, keep_probable
from seqjax.decoding.steps import (
    Step,
    check_batch_axes,
    check_classes,
    checked_end,
    chosen_log_probability,
    is_partial,
    whole_number,
    whole_numbers,
)


class Samples(NamedTuple):
    """What :func:`sample` and :func:`greedy` made."""

    tokens: jax.Array
    """``[length, *batch]``, of the first token's type; the end token from where a row has ended."""
    log_probabilities: jax.Array
    r"""``[length, *batch]``: of each token under the model as it is, before temperature and filters; 0 after the end,
    :math:`-\infty` where nothing was allowed."""
    carry: Any
    """The carry after every token but the last was read; to go on, pass it with ``tokens[-1]`` as the first token."""
    lengths: jax.Array | None = None
    """``[*batch]``: number of tokens, the end token included; None where no end token was given."""


class _Options(NamedTuple):
    length: int
    end_token: int | None
    minimum_length: int
    top_k: int | None = None


class _Drawing(NamedTuple):
    key: jax.Array
    temperature: jax.Array
    top_p: Any
    min_p: Any


def sample(
    step: Step,
    carry: Any,
    first_token: Any,
    length: int,
    key: jax.Array,
    temperature: Any = 1.0,
    *,
    top_k: int | None = None,
    top_p: Any = None,
    min_p: Any = None,
    end_token: int | None = None,
    minimum_length: int = 0,
    allowed: Automaton | Constraint | None = None,
) -> Samples:
    r"""Draw ``length`` tokens, each from the logits that the step gives for the one before.

    .. math::
        s_t, z_t &= \mathrm{step}(s_{t-1}, y_{t-1}) \\
        y_t &= \arg\max_j \; z_{t,j} + T g_{t,j}, \qquad g_{t,j} \sim \mathrm{Gumbel}(0, 1)

    which is a draw from :math:`\mathrm{softmax}(z_t / T)`, and the most probable token at :math:`T = 0`.

    What may be drawn is narrowed in this order: by ``allowed`` and ``minimum_length``, then by ``top_k``, ``top_p`` and
    ``min_p``, each of the probabilities *at this temperature* that the one before has left
    (:func:`seqjax.decoding.filters.keep_probable`).

    With an end token the loop stops when every row has ended. A row that has ended is as it would be alone: it repeats
    the end token with log-probability 0, and its carry stays. That loop cannot be differentiated in reverse;
    :func:`seqjax.decoding.log_probability` of the tokens can.

    A step that is a :class:`jax.tree_util.Partial` of a function and its parameters is compiled once and reused, with
    other parameters too. Any other step is read anew at every call, because it may hold arrays that have changed since:
    call ``sample`` inside your own :func:`jax.jit` then.

    Args:
        step: ``carry, logits = step(carry, token)`` with ``token`` ``[*batch]`` and ``logits`` ``[*batch, classes]``.
        carry: the carry before the first token is read, any tree of arrays; with an end token, the batch axes first.
        first_token: whole numbers ``[*batch]``, read first and not part of the result.
        length: number of tokens to draw; at most, with an end token.
        key: random key.
        temperature: scalar or ``[*batch]``, at least 0; may be traced, so that another value compiles nothing.
        top_k: draw only from the tokens whose logit is among the ``top_k`` largest (ties included).
        top_p: draw only from the fewest tokens that together have at least this probability; scalar or ``[*batch]``.
        min_p: draw only from tokens at least this times as probable as the most probable one; scalar or ``[*batch]``.
        end_token: the class that ends a row.
        minimum_length: a row has at least that many tokens, the end token included.
        allowed: what may be drawn after what.

    Raises:
        ValueError: arguments out of range, or logits that do not fit the tokens.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> def count_up(carry, token):
        ...     return carry, 9.0 * jax.nn.one_hot((token + 1) % 5, 5)
        >>> samples = seqjax.decoding.sample(count_up, None, jnp.array([0, 3]), 4, jax.random.key(0), temperature=0)
        >>> samples.tokens.T.tolist()
        [[1, 2, 3, 4], [4, 0, 1, 2]]
    """
    check_options(length, temperature, top_k, top_p, min_p)
    drawing = _Drawing(key, jnp.asarray(temperature, jnp.float32), top_p, min_p)
    return _run(step, carry, first_token, allowed, drawing, _Options(length, end_token, minimum_length, top_k))


def greedy(
    step: Step,
    carry: Any,
    first_token: Any,
    length: int,
    *,
    end_token: int | None = None,
    minimum_length: int = 0,
    allowed: Automaton | Constraint | None = None,
) -> Samples:
    """The most probable token at every step: :func:`sample` at temperature 0, without a random key.

    Arguments, results and errors are those of :func:`sample`.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> def count_up(carry, token):
        ...     return carry, 9.0 * jax.nn.one_hot((token + 1) % 5, 5)
        >>> result = seqjax.decoding.greedy(count_up, None, jnp.array([0, 3]), 4, end_token=0)
        >>> result.tokens.T.tolist(), result.lengths.tolist()
        ([[1, 2, 3, 4], [4, 0, 0, 0]], [4, 2])
    """
    check_options(length)
    return _run(step, carry, first_token, allowed, None, _Options(length, end_token, minimum_length))


def _run(
    step: Step, carry: Any, first_token: Any, allowed: Any, drawing: _Drawing | None, options: _Options
) -> Samples:
    first_token = whole_numbers("first_token", first_token)
    end_token, minimum_length = checked_end(options.length, options.end_token, options.minimum_length)
    options = options._replace(end_token=end_token, minimum_length=minimum_length)
    if options.end_token is not None:
        check_batch_axes("the carry", carry, first_token.shape)
    constraint = as_constraint(allowed, first_token.shape)
    run = _compiled if is_partial(step, constraint.read) else _sample
    return run(step, carry, first_token, constraint, drawing, options)


def _sample(
    step: Step,
    carry: Any,
    first_token: jax.Array,
    constraint: Constraint,
    drawing: _Drawing | None,
    options: _Options,
) -> Samples:
    length, end_token = options.length, options.end_token
    step = guided(step, constraint.read)
    keys = None if drawing is None else jax.random.split(drawing.key, length)

    def one(state: tuple[Any, jax.Array], key: Any, position: Any = None) -> Any:
        carry, (logits, mask) = step(*state)
        check_classes(logits.shape[-1], first_token.dtype, end_token)
        permitted = logits
        for rule in (mask, not_before(logits.shape[-1], end_token, options.minimum_length, position)):
            if rule is not None:
                permitted = jnp.where(rule, permitted, -jnp.inf)
        if drawing is None:
            token = jnp.argmax(permitted, axis=-1)
        else:
            token = draw(permitted, key, drawing.temperature, options.top_k, drawing.top_p, drawing.min_p)
        chosen = chosen_log_probability(logits, token)
        if permitted is not logits:
            chosen = jnp.where(jnp.any(permitted != -jnp.inf, axis=-1), chosen, -jnp.inf)
        token = token.astype(first_token.dtype)
        return (carry, token), (token, chosen)

    start = (carry, constraint.state), first_token
    if end_token is None or length == 0:
        ((carry, _), _), drawn = lax.scan(one, start, keys, length)
        return Samples(*drawn, carry, None if end_token is None else jnp.zeros(first_token.shape, jnp.int32))

    def more(loop: Any) -> jax.Array:
        position, *_, ended = loop
        return (position < length) & ~jnp.all(ended)

    def body(loop: Any) -> Any:
        position, (before, token), (tokens, log_probabilities), lengths, ended = loop
        key = None if keys is None else keys[position]
        (after, drawn), (_, chosen) = one((before, token), key, position)
        carry = jax.tree.map(partial(_where_rows, ended), before, after)
        drawn, chosen = jnp.where(ended, end_token, drawn).astype(token.dtype), jnp.where(ended, 0, chosen)
        written = tokens.at[position].set(drawn), log_probabilities.at[position].set(chosen)
        return position + 1, (carry, drawn), written, lengths + ~ended, ended | (drawn == end_token)

    _, (_, chosen) = jax.eval_shape(one, start, None if keys is None else keys[0], 0)
    shape = (length, *first_token.shape)
    empty = jnp.full(shape, end_token, first_token.dtype), jnp.zeros(shape, chosen.dtype)
    lengths, ended = jnp.zeros(first_token.shape, jnp.int32), jnp.zeros(first_token.shape, bool)
    _, ((carry, _), _), drawn, lengths, _ = lax.while_loop(more, body, (0, start, empty, lengths, ended))
    return Samples(*drawn, carry, lengths)


_compiled = jax.jit(_sample, static_argnames="options")


def _where_rows(rows: jax.Array, chosen: jax.Array, other: jax.Array) -> jax.Array:
    return jnp.where(rows.reshape(*rows.shape, *[1] * (jnp.ndim(other) - rows.ndim)), chosen, other)


def draw(
    logits: jax.Array,
    key: jax.Array,
    temperature: jax.Array,
    top_k: int | None = None,
    top_p: Any = None,
    min_p: Any = None,
) -> jax.Array:
    """One token ``[*batch]`` from logits ``[*batch, classes]``; see :func:`sample`."""
    logits = keep_probable(logits, temperature, top_k, top_p, min_p)
    noise = jax.random.gumbel(key, logits.shape, logits.dtype)
    return jnp.argmax(logits + temperature[..., None] * noise, axis=-1)


def check_options(
    length: int, temperature: Any = 1.0, top_k: int | None = None, top_p: Any = None, min_p: Any = None
) -> None:
    """Whole numbers where they are expected, and values in range where they are known."""
    whole_number("length", length, 0, " of tokens")
    check_filters(top_k, top_p, min_p)
    if not isinstance(temperature, Tracer) and not np.all(np.asarray(temperature) >= 0):
        raise ValueError(f"temperature must be at least 0 (0 takes the most probable token), got {temperature}")
