"""Which tokens may come next: finite automata, forced tokens, repeated n-grams."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from seqjax.decoding.steps import Step, check_batch_axes, checked_logits


class Constraint(NamedTuple):
    """A step that gives a mask instead of logits; it reads what the model's step reads, from the first token on."""

    read: Callable[[Any, jax.Array], tuple[Any, jax.Array]]
    """``state, mask = read(state, token)``: token ``[*batch]``, mask ``[*batch, classes]``, True for what may follow.

    A :class:`jax.tree_util.Partial` where the model's step is one, so that both are compiled once.
    """
    state: Any
    """The state before the first token is read: a tree of arrays with the batch axes first."""


class Automaton(NamedTuple):
    r"""A deterministic finite automaton over tokens, as a table: what it has no transition for is not decoded.

    .. math:: q_t = \delta(q_{t-1}, y_t), \qquad y_t \in \{ j : \delta(q_{t-1}, j) \ge 0 \}

    The end token is a class like the others: a sequence may end where it has a transition, whatever state that is to.

    Example:
        >>> import seqjax
        >>> automaton = seqjax.decoding.Automaton.from_sequences([[1, 2], [1, 3], []], classes=4, end_token=0)
        >>> automaton.transitions.tolist()
        [[4, 1, -1, -1], [-1, -1, 2, 3], [4, -1, -1, -1], [4, -1, -1, -1], [-1, -1, -1, -1]]
    """

    transitions: Any
    """Whole numbers ``[states, classes]``, all of them in memory: the next state, -1 where the token is forbidden."""
    start: Any = 0
    """The state before the first token of a result: a whole number, or ``[*batch]`` of them."""

    @classmethod
    def from_sequences(cls, sequences: Iterable[Sequence[int]], classes: int, end_token: int) -> "Automaton":
        """The automaton that permits these sequences, each followed by the end token, and nothing else: their trie.

        Args:
            sequences: tokens without the end token; the empty sequence is one too.
            classes: number of classes.
            end_token: the class that ends a sequence.

        Raises:
            ValueError: no sequences, tokens that are not classes, or an end token within a sequence.
        """
        if not 0 <= end_token < classes:
            raise ValueError(f"end_token is {end_token}, but there are {classes} classes; it must be one of them")
        children: list[dict[int, int]] = [{}]
        last: set[int] = set()
        for sequence in sequences:
            state = 0
            for token in map(int, sequence):
                if not 0 <= token < classes or token == end_token:
                    raise ValueError(
                        f"the sequence {[int(token) for token in sequence]} holds {token}, expected tokens from 0 to "
                        f"{classes - 1} without the end token, {end_token}"
                    )
                if token not in children[state]:
                    children[state][token] = len(children)
                    children.append({})
                state = children[state][token]
            last.add(state)
        if not last:
            raise ValueError("there are no sequences, so that nothing would be permitted; give at least one")
        transitions = np.full((len(children) + 1, classes), -1, np.int32)
        for state, following in enumerate(children):
            for token, child in following.items():
                transitions[state, token] = child
        transitions[sorted(last), end_token] = len(children)
        return cls(transitions)


def as_constraint(allowed: Automaton | Constraint | None, batch: tuple[int, ...]) -> Constraint:
    """What is to be carried along; without a constraint, nothing."""
    if allowed is None:
        return Constraint(jax.tree_util.Partial(_read_nothing), None)
    if isinstance(allowed, Constraint):
        check_batch_axes("the constraint's state", allowed.state, batch)
        return allowed
    if not isinstance(allowed, Automaton):
        raise ValueError(f"allowed must be an Automaton, a Constraint or None, got {type(allowed).__name__}")
    transitions, start = jnp.asarray(allowed.transitions), jnp.asarray(allowed.start)
    _check_automaton(transitions, start, batch)
    states, classes = transitions.shape
    # Two states more: one that the first token, whatever it is, leads out of to the start, and one that all that is
    # forbidden leads to and nothing leads out of.
    unread, dead = states, states + 1
    following = jnp.concatenate([jnp.where(transitions < 0, dead, transitions), jnp.full((2, classes), dead)])
    read = jax.tree_util.Partial(_read_table, following, jnp.broadcast_to(start, batch))
    return Constraint(read, jnp.full(batch, unread))


def guided(step: Step, read: Callable[[Any, jax.Array], tuple[Any, jax.Array]]) -> Step:
    """The step with a constraint beside it: ``(carry, state), (logits, mask)``, checked."""

    def both(carry: Any, token: jax.Array) -> Any:
        carry, state = carry
        carry, logits = step(carry, token)
        logits = checked_logits(logits, token)
        state, mask = read(state, token)
        if mask is not None and (mask.shape != logits.shape or mask.dtype != jnp.bool_):
            raise ValueError(
                f"the constraint returned {mask.dtype}{list(mask.shape)} for logits of shape {logits.shape}, "
                "expected booleans of that shape (True = this token may follow)"
            )
        return (carry, state), (logits, mask)

    return both


def not_before(classes: int, end_token: int | None, minimum_length: int, position: Any) -> jax.Array | None:
    """``[classes]``: a sequence of at least ``minimum_length`` tokens does not end at an earlier position."""
    if minimum_length <= 1:
        return None
    return (position + 1 >= minimum_length) | (jnp.arange(classes) != end_token)


def forced(classes: int, prefix: jax.Array | None, position: Any) -> jax.Array | None:
    """``[*batch, classes]``: only the token of the prefix ``[*batch, time]`` at this position, if it has one there."""
    if prefix is None or not prefix.shape[-1]:
        return None
    token = jnp.take(prefix, jnp.minimum(position, prefix.shape[-1] - 1), axis=-1)[..., None]
    return (position >= prefix.shape[-1]) | (token < 0) | (jnp.arange(classes) == token)


def not_repeated(classes: int, tokens: jax.Array, size: int | None, position: Any) -> jax.Array | None:
    """``[*batch, classes]``: no n-gram twice in tokens ``[*batch, length]``, of which ``position`` count."""
    if size is None or size >= tokens.shape[-1]:
        return None
    starts = jnp.arange(tokens.shape[-1] - size + 1)
    last = lax.dynamic_slice_in_dim(tokens, jnp.maximum(position - size + 1, 0), size - 1, axis=-1)
    windows = tokens[..., starts[:, None] + jnp.arange(size)]
    same = jnp.all(windows[..., :-1] == last[..., None, :], axis=-1) & (starts + size <= position)
    scatter = lambda completed, same: jnp.zeros(classes, bool).at[completed].max(same)
    for _ in range(tokens.ndim - 1):
        scatter = jax.vmap(scatter)
    return ~scatter(windows[..., -1], same)


def _read_nothing(state: None, token: jax.Array) -> tuple[None, None]:
    del token
    return state, None


def _read_table(following: jax.Array, start: jax.Array, state: jax.Array, token: jax.Array) -> Any:
    dead = following.shape[0] - 1
    state = jnp.where(state == dead - 1, start, following[state, token])
    return state, following[state] != dead


def _check_automaton(transitions: jax.Array, start: jax.Array, batch: tuple[int, ...]) -> None:
    if transitions.ndim != 2 or not jnp.issubdtype(transitions.dtype, jnp.integer):
        raise ValueError(
            f"an automaton's transitions are whole numbers [states, classes], got {transitions.dtype}"
            f"{list(transitions.shape)}"
        )
    if not jnp.issubdtype(start.dtype, jnp.integer) or start.shape not in ((), batch):
        raise ValueError(
            f"an automaton's start must be a whole number, or one for each row {batch}, got {start.dtype}"
            f"{list(start.shape)}"
        )
    states = transitions.shape[0]
    for name, values, smallest in (("transitions", transitions, -1), ("start", start, 0)):
        if isinstance(values, Tracer) or not values.size:
            continue
        lowest, highest = int(values.min()), int(values.max())
        if lowest < smallest or highest >= states:
            raise ValueError(
                f"an automaton of {states} states has {name} from {lowest} to {highest}, expected {smallest} to "
                f"{states - 1}"
            )
