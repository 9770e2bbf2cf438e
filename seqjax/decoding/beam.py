"""Beam search over any step function and any carry."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from seqjax.decoding.constraints import Automaton, Constraint, as_constraint
from seqjax.decoding.hypotheses import Hypotheses
from seqjax.decoding.penalties import CoveragePenalty, LengthPenalty, divisors
from seqjax.decoding.search import Inputs, Options, search
from seqjax.decoding.steps import Step, check_batch_axes, checked_end, is_partial, whole_number, whole_numbers


def beam_search(
    step: Step,
    carry: Any,
    first_token: Any,
    length: int,
    *,
    beam_size: int,
    end_token: int | None,
    n_best: int = 1,
    length_penalty: LengthPenalty | None = None,
    coverage_penalty: CoveragePenalty | None = None,
    minimum_length: int = 0,
    no_repeat_ngram: int | None = None,
    allowed: Automaton | Constraint | None = None,
    prefix: Any = None,
    early_stop: bool = True,
) -> Hypotheses:
    r"""The sequences of the highest score that are found with ``beam_size`` hypotheses at a time.

    .. math::
        \mathrm{score}(y_1 \dots y_n) = \frac{\log p(y_1 \dots y_n)}{\mathrm{lp}(n)} + \mathrm{cp}(y_1 \dots y_n)

    Each step extends every live hypothesis by every token and keeps the most probable extensions. Those among the
    ``beam_size`` most probable that end go to a pool of the ``n_best`` highest scores, so that they take no place in
    the beam; hypotheses that have not ended after ``length`` tokens compete as they are, with ``finished`` False.
    The greedy hypothesis is followed beside the beam where it has fallen out of it, and competes in the end: the best
    score is never below that of :func:`seqjax.decoding.greedy`. A beam of 1 without penalties is greedy decoding.

    **Early stop.** A log-probability only falls, so that a live hypothesis of log-probability :math:`\ell` cannot end
    above :math:`\ell / \max_{n > t} \mathrm{lp}(n)`. The search stops when no live hypothesis of any row can get above
    the worst of its ``n_best``; the result is that of a search to the end.

    **Constraints** (``minimum_length``, ``no_repeat_ngram``, ``allowed``, ``prefix``) forbid tokens; the
    log-probabilities of the others remain the model's. Where nothing is allowed a hypothesis ends without result; of
    fewer than ``n_best`` results, the rest have score :math:`-\infty` and length 0.

    What all hypotheses share, such as an encoder's outputs ``[*batch, time, features]``, belongs into the step (bound
    by :class:`jax.tree_util.Partial`, or closed over) and not into the carry: the beam is an axis of its own, added by
    :func:`jax.vmap`, so that nothing bound is copied. For attention maps of a result, read it again with the step.

    A step that is a ``Partial`` is compiled once and reused, with other parameters and penalties too; any other is read
    anew at every call: call ``beam_search`` inside your own :func:`jax.jit` then.

    Args:
        step: ``carry, logits = step(carry, token)`` with ``token`` ``[*batch]`` and ``logits`` ``[*batch, classes]``.
        carry: the carry before the first token is read, any tree of arrays with the batch axes first.
        first_token: whole numbers ``[*batch]``, read first and not part of the results.
        length: number of tokens at most, the end token included.
        beam_size: number of live hypotheses a row.
        end_token: the class that ends a hypothesis; None where all have ``length`` tokens.
        n_best: number of results a row, at most ``beam_size``.
        length_penalty: :class:`AverageLengthPenalty`, :class:`GNMTLengthPenalty`, or any function of the lengths.
        coverage_penalty: from the attention that the carry sums up.
        minimum_length: results have at least that many tokens, the end token included.
        no_repeat_ngram: no sequence of so many tokens comes twice in a result.
        allowed: what may come after what.
        prefix: whole numbers ``[*batch, time]``, or ``[time]`` for all rows, that the results begin with; at -1 the
            search is free.
        early_stop: False searches to the end in any case.

    Raises:
        ValueError: arguments out of range, shapes that do not fit.

    Example:
        Greedy decoding takes 1 first, and then has nothing good to go on with.

        >>> import jax, jax.numpy as jnp, seqjax
        >>> table = jnp.log(jnp.array([[0.0, 0.6, 0.4], [0.4, 0.3, 0.3], [0.9, 0.1, 0.0]]))
        >>> step = jax.tree_util.Partial(lambda table, carry, token: (carry, table[token]), table)
        >>> best = seqjax.decoding.beam_search(step, None, 0, 5, beam_size=2, end_token=0, n_best=2)
        >>> best.tokens.tolist(), best.lengths.tolist(), jnp.round(100 * jnp.exp(best.scores)).tolist()
        ([[2, 0, 0, 0, 0], [1, 0, 0, 0, 0]], [2, 2], [36.0, 24.0])
    """
    first_token = whole_numbers("first_token", first_token)
    batch = first_token.shape
    length = whole_number("length", length, 0, " of tokens")
    beam_size = whole_number("beam_size", beam_size, 1, " of hypotheses")
    n_best = whole_number("n_best", n_best, 1, " of results")
    if n_best > beam_size:
        raise ValueError(f"n_best is {n_best} and beam_size {beam_size}; a beam gives at most as many results")
    if no_repeat_ngram is not None:
        no_repeat_ngram = whole_number("no_repeat_ngram", no_repeat_ngram, 1, " or None")
    end_token, minimum_length = checked_end(length, end_token, minimum_length)
    check_batch_axes("the carry", carry, batch)
    constraint = as_constraint(allowed, batch)
    coverage, beta = None, jnp.zeros(())
    if coverage_penalty is not None:
        coverage, beta = coverage_penalty.coverage, jnp.asarray(coverage_penalty.beta)
        if not isinstance(beta, Tracer) and not beta >= 0:
            raise ValueError(f"the coverage penalty's beta must be at least 0, got {beta}")
    inputs = Inputs(
        first_token=first_token,
        divisors=divisors(length_penalty, length),
        beta=beta,
        prefix=None if prefix is None else _checked_prefix(prefix, batch, length),
    )
    options = Options(length, beam_size, n_best, end_token, minimum_length, no_repeat_ngram, bool(early_stop))
    run = _compiled if is_partial(step, constraint.read, coverage) else search
    return run(step, carry, constraint, coverage, inputs, options)


_compiled = jax.jit(search, static_argnames="options")


def _checked_prefix(prefix: Any, batch: tuple[int, ...], length: int) -> jax.Array:
    prefix = whole_numbers("prefix", prefix)
    if prefix.shape[:-1] not in ((), batch) or not prefix.ndim:
        raise ValueError(f"the prefix has shape {prefix.shape}, expected [time] or {[*batch, 'time']}")
    if prefix.shape[-1] > length:
        raise ValueError(f"the prefix has {prefix.shape[-1]} tokens, but results have at most {length}")
    if not isinstance(prefix, Tracer) and np.any(np.asarray(prefix) < -1):
        raise ValueError(f"the prefix must be tokens, or -1 where the search is free, got {np.asarray(prefix).min()}")
    return jnp.broadcast_to(prefix, (*batch, prefix.shape[-1]))
