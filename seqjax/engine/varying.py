"""Two properties of values at the engine's border: over which mesh axes they vary, and which derivatives they allow."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import PartitionSpec


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


def zeros_like_varying(shape: Any, values: Any) -> jax.Array:
    """Zeros that vary over the axes that ``values`` vary over, sharded over no explicit ones."""
    return _vary(jnp.zeros(shape.shape, shape.dtype), _axes(values))


def zeros_over_time(time_steps: int, shape: jax.ShapeDtypeStruct, values: Any) -> jax.Array:
    """Zeros of that shape for every time step, placed as it is, that vary over the axes that ``values`` vary over."""
    sharding = shape.sharding
    if sharding is not None:
        sharding = sharding.update(spec=PartitionSpec(None, *sharding.spec))
    return _vary(jnp.zeros((time_steps, *shape.shape), shape.dtype, out_sharding=sharding), _axes(values))


# The guard is the identity on values. The tangent goes through a linear operation that can be transposed, as reverse
# mode does, but not evaluated, as forward mode would: there the message below is better than JAX's own, which cannot
# know the way out.
_guard = Primitive("reverse_mode_only")
_linear = Primitive("reverse_mode_only_tangent")
_MESSAGE = (
    "seqjax.scan offers reverse-mode derivatives (jax.grad, jax.vjp) of its planned loop; for forward mode (jax.jvp, "
    'jax.jacfwd, jax.linearize) pass mode="lax"'
)


def _refuse(*_: Any, **__: Any) -> Any:
    raise TypeError(_MESSAGE)


def _guard_derivative(primals: list, tangents: list) -> tuple[Any, Any]:
    [tangent] = tangents
    return primals[0], tangent if isinstance(tangent, ad.Zero) else _linear.bind(tangent)


_guard.def_impl(lambda value: value)
_guard.def_abstract_eval(lambda value: value)
mlir.register_lowering(_guard, lambda _, value: [value])
ad.primitive_jvps[_guard] = _guard_derivative
batching.primitive_batchers[_guard] = lambda values, axes: (_guard.bind(*values), axes[0])

_linear.def_impl(_refuse)
_linear.def_abstract_eval(lambda value: value)
mlir.register_lowering(_linear, _refuse)
ad.deflinear2(_linear, lambda cotangent, _: [cotangent])
batching.primitive_batchers[_linear] = _refuse


def reverse_mode_only(tree: Any) -> Any:
    """The tree; forward-mode differentiation of it raises an error that names the way out."""
    return jax.tree.map(lambda leaf: _guard.bind(leaf) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf, tree)
