"""Sampling where a step has many labels, each of which may hold: chords and not tokens."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from seqjax.decoding.sampling import check_options

LabelStep = Callable[[Any, jax.Array], tuple[Any, jax.Array]]


class LabelSamples(NamedTuple):
    """What :func:`sample_labels` made."""

    labels: jax.Array
    """``[length, *batch, labels]``, zeros and ones of the first labels' type."""
    carry: Any
    """The carry after every step but the last was read; to go on, pass it with ``labels[-1]`` as the first labels."""


def sample_labels(
    step: LabelStep, carry: Any, first_labels: Any, length: int, key: jax.Array, temperature: Any = 1.0
) -> LabelSamples:
    r"""Draw ``length`` steps, in each of which every label holds with the probability that the step gives it.

    .. math::
        s_t, z_t &= \mathrm{step}(s_{t-1}, y_{t-1}) \\
        y_{t,j} &\sim \mathrm{Bernoulli}(\sigma(z_{t,j} / T))

    and at :math:`T = 0` those hold that are more probable than not.

    A step that is a :class:`jax.tree_util.Partial` is compiled once and reused, as for :func:`seqjax.decoding.sample`.

    Args:
        step: ``carry, logits = step(carry, labels)`` with both ``[*batch, labels]``.
        carry: the carry before the first labels are read, any tree of arrays.
        first_labels: numbers ``[*batch, labels]``, read first and not part of the result.
        length: number of steps to draw.
        key: random key.
        temperature: scalar, at least 0; may be traced.

    Raises:
        ValueError: arguments out of range, or logits that do not fit the labels.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> def turn(carry, labels):
        ...     return carry, 9.0 - 18.0 * labels
        >>> drawn = seqjax.decoding.sample_labels(turn, None, jnp.array([0.0, 1.0]), 3, jax.random.key(0), 0.0)
        >>> drawn.labels.tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    check_options(length, temperature, None)
    first_labels, temperature = jnp.asarray(first_labels), jnp.asarray(temperature, jnp.float32)
    run = _compiled if isinstance(step, jax.tree_util.Partial) else _sample
    return run(step, carry, first_labels, length, key, temperature)


def _sample(
    step: LabelStep, carry: Any, first_labels: jax.Array, length: int, key: jax.Array, temperature: jax.Array
) -> LabelSamples:
    def body(state: tuple[Any, jax.Array], key: jax.Array) -> tuple[tuple[Any, jax.Array], jax.Array]:
        carry, logits = step(*state)
        if logits.shape != first_labels.shape:
            raise ValueError(
                f"the step returned logits of shape {logits.shape} for labels of shape {first_labels.shape}"
            )
        noise = jax.random.logistic(key, logits.shape, jnp.float32)
        labels = (logits + temperature * noise > 0).astype(first_labels.dtype)
        return (carry, labels), labels

    (carry, _), labels = lax.scan(body, (carry, first_labels), jax.random.split(key, length))
    return LabelSamples(labels, carry)


_compiled = partial(jax.jit, static_argnums=3)(_sample)
