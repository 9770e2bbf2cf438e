"""Activation functions by name, so that a cell built from a configuration file prints and compares as plain text."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from seqjax.errors import closest

Activation = str | Callable[[jax.Array], jax.Array]

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "identity": lambda x: x,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_tanh": jax.nn.hard_tanh,
    "sine": jnp.sin,
}


def activation_function(activation: Activation) -> Callable[[jax.Array], jax.Array]:
    """The function called ``activation``; a callable is returned as it is.

    Raises:
        ValueError: the name is not known; the message lists the names and the nearest one.
    """
    if not isinstance(activation, str):
        return activation
    if activation in ACTIVATIONS:
        return ACTIVATIONS[activation]
    raise ValueError(unknown_name("activation", activation, ACTIVATIONS))


def activation_name(activation: Activation) -> Activation:
    """The name of an activation function that has one; anything else as it is."""
    names = [name for name, function in ACTIVATIONS.items() if function is activation]
    return names[0] if names else activation


def unknown_name(kind: str, name: object, known: dict) -> str:
    """The message for a name that is not in ``known``, with the nearest name first."""
    near = closest(str(name), list(known))
    hint = f"did you mean {near!r}? " if near else ""
    return f"unknown {kind} {name!r}; {hint}known: {', '.join(known)}, or any function"
