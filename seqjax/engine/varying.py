"""Two properties of values at the engine's border: over which mesh axes they vary, and which derivatives they allow."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def _axes(values: Any) -> frozenset:
    return frozenset().union(*(jax.typeof(leaf).manual_axis_type.varying for leaf in jax.tree.leaves(values)))


def _vary(value: Any, axes: frozenset) -> Any:
    missing = tuple(sorted(axes - jax.typeof(value).manual_axis_type.varying))
    return lax.pcast(value, missing, to="varying") if missing else value


def same_variation(tree: Any) -> Any:
    """The tree with every leaf varying over the same axes of a ``shard_map``.

    Parameters are the same on every device and the batch is not. Said here, once, it makes all that the engine computes
    vary alike, and JAX adds the sum of the parameters' gradients over the devices.
    """
    axes = _axes(tree)
    return jax.tree.map(lambda leaf: _vary(leaf, axes), tree)


def zeros_like_varying(shape: jax.ShapeDtypeStruct, values: Any) -> jax.Array:
    """Zeros that vary over the axes that ``values`` vary over."""
    return _vary(jnp.zeros(shape.shape, shape.dtype), _axes(values))


# The identity on values. Its tangent goes through a linear operation that can be transposed, as reverse mode does, but
# not evaluated, as forward mode would: there the message below is better than JAX's own, which cannot know the way out.
_reverse_only = Primitive("reverse_mode_only")
_MESSAGE = (
    "seqjax.scan offers reverse-mode derivatives (jax.grad, jax.vjp) of its planned loop; for forward mode (jax.jvp, "
    'jax.jacfwd, jax.linearize) pass mode="lax"'
)


def _refuse(*_: Any, **__: Any) -> Any:
    raise TypeError(_MESSAGE)


_reverse_only.def_impl(_refuse)
_reverse_only.def_abstract_eval(lambda value: value)
mlir.register_lowering(_reverse_only, _refuse)
ad.deflinear2(_reverse_only, lambda cotangent, _: [cotangent])
batching.primitive_batchers[_reverse_only] = _refuse


@jax.custom_jvp
def _guard(value: Any) -> Any:
    return value


_guard.defjvp(lambda primals, tangents: (primals[0], _reverse_only.bind(tangents[0])))


def reverse_mode_only(tree: Any) -> Any:
    """The tree; forward-mode differentiation of it raises an error that names the way out."""
    return jax.tree.map(lambda leaf: _guard(leaf) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf, tree)
