"""What every decoder asks of a step function, its tokens, its logits and its carry."""

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Step = Callable[[Any, jax.Array], tuple[Any, jax.Array]]


def whole_numbers(name: str, values: Any) -> jax.Array:
    """Tokens, lengths, as an array."""
    array = jnp.asarray(values)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"{name} must be whole numbers, got {array.dtype}")
    return array


def whole_number(name: str, value: Any, smallest: int, meaning: str = "") -> int:
    """One number that the compiled program depends on."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < smallest:
        raise ValueError(f"{name} must be a whole number{meaning}, at least {smallest}, got {value!r}")
    return number


def checked_logits(logits: jax.Array, token: jax.Array) -> jax.Array:
    """Logits ``[*batch, classes]`` of tokens ``[*batch]``, in float32 or wider."""
    if logits.shape[:-1] != token.shape or not logits.ndim:
        raise ValueError(
            f"the step returned logits of shape {logits.shape} for tokens of shape {token.shape}, "
            "expected [*batch, classes] for [*batch]"
        )
    check_classes(logits.shape[-1], token.dtype)
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def check_classes(classes: int, dtype: Any, end_token: int | None = None) -> None:
    """Every class is a number of the tokens' type, and the end token is a class."""
    if classes - 1 > jnp.iinfo(dtype).max:
        raise ValueError(f"{dtype} cannot number {classes} classes; give first_token a wider type, such as int32")
    if end_token is not None and end_token >= classes:
        raise ValueError(f"end_token is {end_token}, but there are {classes} classes; it must be one of them")


def checked_end(length: int, end_token: int | None, minimum_length: int) -> tuple[int | None, int]:
    """The end token and the length that it has to wait for."""
    minimum_length = whole_number("minimum_length", minimum_length, 0, " of tokens")
    if minimum_length > length:
        raise ValueError(f"minimum_length is {minimum_length}, but there are at most {length} tokens")
    if end_token is None:
        if minimum_length:
            raise ValueError(f"minimum_length is {minimum_length}, but without an end_token nothing ends before")
        return None, 0
    return whole_number("end_token", end_token, 0, " or None"), minimum_length


def check_batch_axes(name: str, tree: Any, batch: tuple[int, ...]) -> None:
    """Every leaf has the batch axes first: rows end, and hypotheses are exchanged, one by one."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        if jnp.shape(leaf)[: len(batch)] != batch:
            raise ValueError(
                f"{name}{jax.tree_util.keystr(path)} has shape {jnp.shape(leaf)}, expected the batch axes {batch} "
                "first; broadcast what all rows share, or bind it to the step"
            )


def chosen_log_probability(logits: jax.Array, token: jax.Array) -> jax.Array:
    """Of one class ``[*batch]`` under logits ``[*batch, classes]``; NaN for what is not a class."""
    index = jnp.where(token < 0, logits.shape[-1], token)[..., None]
    return jnp.take_along_axis(jax.nn.log_softmax(logits), index, axis=-1, mode="fill", fill_value=jnp.nan)[..., 0]


def is_partial(*functions: Any) -> bool:
    """Whether all that are given carry their arrays as arguments, so that one compiled program serves other arrays."""
    return all(function is None or isinstance(function, jax.tree_util.Partial) for function in functions)
