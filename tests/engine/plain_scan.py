"""Lengths, resets and reverse on a plain ``jax.lax.scan``, written a second time as the definition says."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def plain_scan(
    step: Any,
    params: Any,
    inputs: Any,
    carry: Any,
    *,
    lengths: Any = None,
    resets: Any = None,
    fresh_carry: Any = None,
    reverse: bool = False,
    return_carries: bool = False,
) -> Any:
    time = jax.tree.leaves(inputs)[0].shape[0]

    def choose(flag: Any, if_true: Any, if_false: Any) -> Any:
        widen = lambda a: jnp.expand_dims(flag, tuple(range(jnp.ndim(flag), a.ndim)))
        return jax.tree.map(lambda a, b: jnp.where(widen(b), a, b), if_true, if_false)

    def body(carry: Any, moment: Any) -> Any:
        t, reset, x = moment
        if resets is not None:
            restored = choose(reset, fresh_carry, carry)
            carry = restored if lengths is None else choose(t < lengths, restored, carry)
        new, output = step(params, carry, x)
        if lengths is not None:
            new = choose(t < lengths, new, carry)
            output = jax.tree.map(jnp.asarray, output)
            output = choose(t < lengths, output, jax.tree.map(jnp.zeros_like, output))
        return new, (output, new)

    last, (outputs, carries) = lax.scan(body, carry, (jnp.arange(time), resets, inputs), reverse=reverse)
    return (last, outputs, carries) if return_carries else (last, outputs)
