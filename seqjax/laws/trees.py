"""Trees of arrays: their floating leaves, the gradient to them, and where two trees differ, in words."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_float(leaf: Any) -> bool:
    """Floating or complex, that is, something with a derivative."""
    return jnp.issubdtype(leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf), jnp.inexact)


def floats(tree: Any) -> list[Any]:
    """The leaves that have a derivative."""
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


def with_floats(tree: Any, values: list[Any]) -> Any:
    """The tree with its floating leaves replaced, in order."""
    leaves, structure = jax.tree.flatten(tree)
    replacements = iter(values)
    return jax.tree.unflatten(structure, [next(replacements) if is_float(leaf) else leaf for leaf in leaves])


def on_host(tree: Any) -> Any:
    """The tree in NumPy, where cutting and joining compiles nothing; random keys stay as they are."""
    return jax.tree.map(lambda leaf: leaf if _is_key(leaf) else np.asarray(leaf), tree)


def converted(tree: Any, dtype: Any) -> Any:
    """The tree on the host with its floating leaves in another type."""
    return with_floats(tree, [np.asarray(leaf).astype(dtype) for leaf in floats(tree)])


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


def name_of(path: Any, root: str = "") -> str:
    """A leaf's place in its tree, as a person writes it: ``carry.hidden``."""
    return (root + jax.tree_util.keystr(path)).lstrip(".") or "the array"


def kind(leaf: Any) -> str:
    """Type and shape, as in ``float32[4, 3]``."""
    return f"{leaf.dtype}{list(leaf.shape)}"


def type_difference(got: Any, want: Any, root: str = "") -> str | None:
    """The first leaf whose shape or type differs, in words, or how the structures differ; ``None`` if nothing does."""
    if jax.tree.structure(got) != jax.tree.structure(want):
        return f"{root or 'the tree'} is {jax.tree.structure(got)}, expected {jax.tree.structure(want)}"
    for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{name_of(path, root)} is {kind(a)}, expected {kind(b)}"
    return None


def difference(got: Any, want: Any, relative: float = 0.0, root: str = "", floor: float = 1e-2) -> str | None:
    """The first leaf that differs, in words: structure, shape, type, values; ``None`` if nothing does.

    Floating leaves may differ by ``relative`` times the largest number of each; the rest, and with ``relative=0`` all,
    must be the same.
    """
    words = type_difference(got, want, root)
    if words:
        return words
    for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True):
        if _is_key(a):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        words = _difference(np.asarray(a), np.asarray(b), relative, name_of(path, root), floor)
        if words:
            return words
    return None


def _difference(a: np.ndarray, b: np.ndarray, relative: float, name: str, floor: float) -> str | None:
    if not a.size:
        return None
    exact = relative == 0 or not is_float(a)
    if is_float(a):
        wide = np.complex128 if np.iscomplexobj(a) else np.float64
        a, b = a.astype(wide), b.astype(wide)
    if exact:
        wrong = (a != b) & ~((a != a) & (b != b))
        if not wrong.any():
            return None
        place = tuple(map(int, np.argwhere(wrong)[0]))
        return f"{name}{list(place) or ''} is {a[place]}, expected exactly {b[place]}"
    if not np.isfinite(b).all():
        place = tuple(map(int, np.argwhere(~np.isfinite(b))[0]))
        return f"{name}{list(place) or ''} is {b[place]} in the plain way of running the step, expected a finite number"
    distance = np.where(np.isfinite(a), np.abs(a - b), np.inf)
    allowed = relative * max(np.abs(b).max(), floor)
    if distance.max() <= allowed:
        return None
    place = tuple(map(int, np.unravel_index(distance.argmax(), a.shape)))
    return f"{name}{list(place) or ''} is {a[place]:.8g}, expected {b[place]:.8g} to within {allowed:.2g}"


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
