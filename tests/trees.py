"""Trees of arrays in tests: their floating leaves, random arrays like them, and comparison leaf by leaf."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_float(leaf: Any) -> bool:
    """Floating or complex, that is, something with a derivative."""
    return jnp.issubdtype(jnp.result_type(leaf) if not isinstance(leaf, jax.Array) else leaf.dtype, jnp.inexact)


def floats(tree: Any) -> list[Any]:
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


def with_floats(tree: Any, values: list[Any]) -> Any:
    """The tree with its floating leaves replaced, in order."""
    leaves, structure = jax.tree.flatten(tree)
    replacements = iter(values)
    return jax.tree.unflatten(structure, [next(replacements) if is_float(leaf) else leaf for leaf in leaves])


def gradient(function: Any, *trees: Any) -> tuple[Any, Any, Any]:
    """``(loss, values)`` of ``function(*trees)`` and the gradients of the loss to every floating leaf.

    The gradients come as ``trees`` themselves; leaves without a derivative are left as they are.
    """

    def of_floats(leaves: list[Any]) -> Any:
        return function(*with_floats(trees, leaves))

    loss, pull, values = jax.vjp(of_floats, floats(trees), has_aux=True)
    (gradients,) = pull(jnp.ones_like(loss))
    return loss, values, with_floats(trees, gradients)


def weighted_sum(tree: Any, seed: int = 0) -> jax.Array:
    """A real scalar that depends on every floating leaf of the tree, with fixed random weights."""
    rng = np.random.default_rng(seed)
    total = jnp.zeros((), jnp.result_type(float))
    for leaf in floats(tree):
        weights = rng.standard_normal(jnp.shape(leaf))
        total += jnp.sum(jnp.asarray(weights, total.dtype) * jnp.real(leaf).astype(total.dtype))
        if jnp.iscomplexobj(leaf):
            total += jnp.sum(jnp.asarray(weights[::-1], total.dtype) * jnp.imag(leaf).astype(total.dtype))
    return total


def assert_trees_close(got: Any, want: Any, relative: float, what: str = "", floor: float = 1e-2) -> None:
    """Same structure, shapes, types; floats equal to ``relative`` times the largest of each leaf, the rest exactly."""
    assert jax.tree.structure(got) == jax.tree.structure(want), what
    for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True):
        name = f"{what}{jax.tree_util.keystr(path)}"
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert a.shape == b.shape, f"{name}: shape {a.shape}, expected {b.shape}"
        assert a.dtype == b.dtype, f"{name}: {a.dtype}, expected {b.dtype}"
        if not a.size:
            continue
        if not is_float(a):
            np.testing.assert_array_equal(a, b, err_msg=name)
            continue
        wide = np.complex128 if np.iscomplexobj(a) else np.float64
        a, b = np.asarray(a).astype(wide), np.asarray(b).astype(wide)
        assert np.isfinite(b).all(), f"{name}: the expected value is not finite"
        scale = max(np.abs(b).max(), floor)
        difference = np.abs(a - b).max() / scale
        assert difference <= relative, f"{name}: differs by {difference:.3g} of the largest, allowed {relative:.3g}"
