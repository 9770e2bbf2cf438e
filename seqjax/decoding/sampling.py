"""Ancestral and greedy sampling: one loop over time for any step function and any carry."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array]]


class Samples(NamedTuple):
    """What :func:`sample` made."""

    tokens: jax.Array
    """``[length, *batch]``, of the first token's type."""
    log_probabilities: jax.Array
    """``[length, *batch]``: of each token under the model as it is, before temperature and ``top_k``."""
    carry: Any
    """The carry after every token but the last was read; to go on, pass it with ``tokens[-1]`` as the first token."""


def sample(
    step: Step,
    carry: Any,
    first_token: Any,
    length: int,
    key: jax.Array,
    temperature: Any = 1.0,
    *,
    top_k: int | None = None,
) -> Samples:
    r"""Draw ``length`` tokens, each from the logits that the step gives for the one before.

    .. math::
        s_t, z_t &= \mathrm{step}(s_{t-1}, y_{t-1}) \\
        y_t &= \arg\max_j \; z_{t,j} + T g_{t,j}, \qquad g_{t,j} \sim \mathrm{Gumbel}(0, 1)

    which is a draw from :math:`\mathrm{softmax}(z_t / T)`, and the most probable token at :math:`T = 0`.

    A step that is a :class:`jax.tree_util.Partial` of a function and its parameters is compiled once and reused, with
    other parameters too. Any other step is read anew at every call, because it may hold arrays that have changed since:
    call ``sample`` inside your own :func:`jax.jit` then.

    Args:
        step: ``carry, logits = step(carry, token)`` with ``token`` ``[*batch]`` and ``logits`` ``[*batch, classes]``.
        carry: the carry before the first token is read, any tree of arrays.
        first_token: whole numbers ``[*batch]``, read first and not part of the result.
        length: number of tokens to draw.
        key: random key.
        temperature: scalar or ``[*batch]``, at least 0; may be traced, so that another value compiles nothing.
        top_k: draw only from the tokens whose logit is among the ``top_k`` largest (ties included).

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
    check_options(length, temperature, top_k)
    first_token = jnp.asarray(first_token)
    if not jnp.issubdtype(first_token.dtype, jnp.integer):
        raise ValueError(f"first_token must be whole numbers, got {first_token.dtype}")
    temperature = jnp.asarray(temperature, jnp.float32)
    run = _compiled if isinstance(step, jax.tree_util.Partial) else _sample
    carry, (tokens, log_probabilities) = run(step, carry, first_token, length, key, temperature, top_k)
    return Samples(tokens, log_probabilities, carry)


def _sample(
    step: Step,
    carry: Any,
    first_token: jax.Array,
    length: int,
    key: jax.Array,
    temperature: jax.Array,
    top_k: int | None,
) -> tuple[Any, tuple[jax.Array, jax.Array]]:
    def body(state: tuple[Any, jax.Array], key: jax.Array) -> Any:
        carry, logits = step(*state)
        if logits.shape[:-1] != first_token.shape:
            raise ValueError(
                f"the step returned logits of shape {logits.shape} for tokens of shape {first_token.shape}, "
                "expected [*batch, classes] for [*batch]"
            )
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        token = draw(logits, key, temperature, top_k)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), token[..., None], axis=-1)[..., 0]
        token = token.astype(first_token.dtype)
        return (carry, token), (token, chosen)

    (carry, _), drawn = lax.scan(body, (carry, first_token), jax.random.split(key, length))
    return carry, drawn


_compiled = partial(jax.jit, static_argnums=(3, 6))(_sample)


def draw(logits: jax.Array, key: jax.Array, temperature: jax.Array, top_k: int | None = None) -> jax.Array:
    """One token ``[*batch]`` from logits ``[*batch, classes]``; see :func:`sample`."""
    if top_k is not None:
        if top_k > logits.shape[-1]:
            raise ValueError(f"top_k is {top_k}, but there are {logits.shape[-1]} classes; use at most that many")
        smallest = lax.top_k(logits, top_k)[0][..., -1:]
        logits = jnp.where(logits >= smallest, logits, -jnp.inf)
    noise = jax.random.gumbel(key, logits.shape, logits.dtype)
    return jnp.argmax(logits + temperature[..., None] * noise, axis=-1)


def check_options(length: int, temperature: Any, top_k: int | None) -> None:
    """Whole numbers where they are expected, and a temperature that is not negative where its value is known."""
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise ValueError(f"length must be a whole number of tokens, at least 0, got {length!r}")
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"top_k must be None or a positive whole number, got {top_k!r}")
    if not isinstance(temperature, Tracer) and not np.all(np.asarray(temperature) >= 0):
        raise ValueError(f"temperature must be at least 0 (0 takes the most probable token), got {temperature}")
