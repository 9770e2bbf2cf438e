"""The log-probability of given sequences: one teacher-forced scan."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from seqjax.decoding.steps import Step, checked_logits, chosen_log_probability, is_partial, whole_numbers


class SequenceLogProbability(NamedTuple):
    """What :func:`log_probability` found."""

    log_probabilities: jax.Array
    """``[time, *batch]``: of each token after those before it; 0 from each row's length on."""
    total: jax.Array
    """``[*batch]``: their sum."""


def log_probability(
    step: Step, carry: Any, first_token: Any, tokens: Any, *, lengths: Any = None
) -> SequenceLogProbability:
    r"""What the model gives to sequences that are known, such as references, or the results of a search.

    .. math::
        s_t, z_t = \mathrm{step}(s_{t-1}, y_{t-1}), \qquad
        \log p(y_1 \dots y_n) = \sum_{t=1}^n \Big( z_{t,y_t} - \log \sum_j e^{z_{t,j}} \Big)

    It is differentiable. What stands in the padding, be it no class at all, touches neither values nor gradients; a
    token before it that is not a class makes its log-probability NaN.

    Args:
        step: as in :func:`seqjax.decoding.sample`; compiled once where it is a :class:`jax.tree_util.Partial`.
        carry: the carry before the first token is read.
        first_token: whole numbers ``[*batch]``, read first and not scored.
        tokens: whole numbers ``[time, *batch]``, with the end token where it is to be counted.
        lengths: whole numbers ``[*batch]`` from 0 to ``time``, where rows differ; the other tokens are padding.

    Raises:
        ValueError: shapes, types or lengths that do not fit.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> def fair(carry, token):
        ...     return carry, jnp.zeros([*token.shape, 2])
        >>> scores = seqjax.decoding.log_probability(fair, None, jnp.array([0, 0]), jnp.array([[0, 1], [1, 1], [0, 1]]),
        ...                                          lengths=[3, 1])
        >>> jnp.exp(scores.total).round(3).tolist()
        [0.125, 0.5]
    """
    first_token, tokens = whole_numbers("first_token", first_token), whole_numbers("tokens", tokens)
    if not tokens.ndim or tokens.shape[1:] != first_token.shape:
        raise ValueError(
            f"tokens have shape {tokens.shape} and first_token {first_token.shape}, "
            "expected [time, *batch] and [*batch]"
        )
    time_steps = tokens.shape[0]
    if lengths is not None:
        lengths = whole_numbers("lengths", lengths)
        if lengths.shape != first_token.shape:
            raise ValueError(f"lengths have shape {lengths.shape}, expected one for each row, {first_token.shape}")
        if not isinstance(lengths, Tracer) and np.any((np.asarray(lengths) < 0) | (np.asarray(lengths) > time_steps)):
            raise ValueError(f"lengths must be from 0 to {time_steps}, the number of tokens, got {lengths}")
    run = _compiled if is_partial(step) else _score
    return run(step, carry, first_token, tokens, lengths)


def _score(
    step: Step, carry: Any, first_token: jax.Array, tokens: jax.Array, lengths: jax.Array | None
) -> SequenceLogProbability:
    valid = None
    read = jnp.concatenate([first_token[None], tokens[:-1].astype(first_token.dtype)])[: tokens.shape[0]]
    if lengths is not None:
        valid = jnp.arange(tokens.shape[0]).reshape(-1, *[1] * first_token.ndim) < lengths
        # Also what is read must be a class: zero times the NaN that another embedding gives is NaN.
        read, tokens = jnp.where(valid, read, first_token), jnp.where(valid, tokens, 0)

    def body(carry: Any, xs: Any) -> Any:
        read, token, valid = xs
        carry, logits = step(carry, read)
        logits = checked_logits(logits, read)
        if valid is not None:
            logits = jnp.where(valid[..., None], logits, 0)
        chosen = chosen_log_probability(logits, token)
        return carry, chosen if valid is None else jnp.where(valid, chosen, 0)

    _, chosen = lax.scan(body, carry, (read, tokens, valid))
    return SequenceLogProbability(chosen, jnp.sum(chosen, axis=0))


_compiled = jax.jit(_score)
