"""The loss on a plane through parameter space, and the path of gradient descent on it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

LossOfParams = Callable[[Any], jax.Array]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Plane:
    """A plane through parameter space: ``center + x * first + y * second``.

    Attributes:
        center: the parameters at the origin.
        first: the direction of x, a tree like the parameters.
        second: the direction of y.
    """

    center: Any
    first: Any
    second: Any

    def at(self, x: Any, y: Any) -> Any:
        """The parameters at a point of the plane."""
        return jax.tree.map(lambda c, a, b: c + x * a + y * b, self.center, self.first, self.second)

    def coordinates(self, params: Any) -> np.ndarray:
        """``[x, y]`` of the point of the plane that is nearest to these parameters."""
        flat = lambda tree: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(np.float64)
        basis = np.stack([flat(self.first), flat(self.second)], axis=1)
        return np.linalg.lstsq(basis, flat(params) - flat(self.center), rcond=None)[0]


def plane_of_weights(params: Any, first: tuple[str, Any], second: tuple[str, Any]) -> Plane:
    """The plane of two single weights, each ``(name of the leaf, index)``; x and y are the weights' own values.

    Raises:
        ValueError: a leaf that is not there, or an index that is not one number.
    """
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in jax.tree.leaves_with_path(params)
    }
    masks = []
    for name, index in (first, second):
        if name not in leaves:
            raise ValueError(f"the parameters have no leaf {name!r}; they have {', '.join(leaves)}")
        if jnp.ndim(jnp.asarray(leaves[name])[index]) != 0:
            raise ValueError(f"index {index!r} of {name}, {list(jnp.shape(leaves[name]))}, is not one weight")
        masks.append({other: jnp.zeros_like(leaf) for other, leaf in leaves.items()})
        masks[-1][name] = jnp.zeros_like(leaves[name]).at[index].set(1)
    structure = jax.tree.structure(params)
    one, other = (jax.tree.unflatten(structure, list(mask.values())) for mask in masks)
    center = jax.tree.map(lambda leaf, a, b: jnp.where((a != 0) | (b != 0), 0, leaf), params, one, other)
    return Plane(center=center, first=one, second=other)


def random_plane(key: jax.Array, params: Any) -> Plane:
    """Two random directions, each leaf as long as the parameters' leaf, so that a step of 1 is a large one.

    Source: filter normalisation of Li et al. 2018, Visualizing the loss landscape of neural nets, a leaf at a time.
    """

    def direction(key: jax.Array) -> Any:
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(key, len(leaves))
        drawn = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
        scaled = [d * jnp.linalg.norm(leaf) / jnp.linalg.norm(d) for d, leaf in zip(drawn, leaves, strict=True)]
        return jax.tree.unflatten(structure, scaled)

    first, second = jax.random.split(key)
    return Plane(center=params, first=direction(first), second=direction(second))


def error_surface(loss: LossOfParams, plane: Plane, x: Any, y: Any) -> np.ndarray:
    """The loss at every point of a grid, ``[len(y), len(x)]``; rows are evaluated together.

    Args:
        loss: of the parameters, one number.
        plane: where the grid lies.
        x: coordinates along ``plane.first``.
        y: coordinates along ``plane.second``.
    """
    row = jax.vmap(lambda y, x: loss(plane.at(x, y)), (None, 0))
    return np.asarray(jax.jit(lambda x, y: jax.lax.map(lambda y: row(y, x), y))(jnp.asarray(x), jnp.asarray(y)))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class DescentPath:
    """Gradient descent, step by step.

    Attributes:
        params: the parameters before each step and after the last, a tree ``[steps + 1, ...]``.
        losses: ``[steps + 1]``.
        gradient_norms: before clipping, ``[steps + 1]``.
    """

    params: Any
    losses: np.ndarray
    gradient_norms: np.ndarray

    def on(self, plane: Plane) -> np.ndarray:
        """The path's coordinates on a plane, ``[steps + 1, 2]``."""
        count = len(self.losses)
        return np.stack([plane.coordinates(jax.tree.map(lambda a, i=i: a[i], self.params)) for i in range(count)])


def descend(
    loss: LossOfParams, params: Any, learning_rate: float, steps: int, clip_norm: float | None = None
) -> DescentPath:
    r"""Plain gradient descent with and without clipping of the gradient's norm, for looking at its path.

    .. math:: \theta \leftarrow \theta - \eta g \min(1, c / \| g \|)

    Source: Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, algorithm 1.
    """

    def step(params: Any, _: Any) -> tuple[Any, tuple]:
        value, gradient = jax.value_and_grad(loss)(params)
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient)))
        scale = 1.0 if clip_norm is None else jnp.minimum(1.0, clip_norm / norm)
        moved = jax.tree.map(lambda p, g: p - (learning_rate * scale * g).astype(p.dtype), params, gradient)
        return moved, (params, value, norm)

    params = jax.tree.map(jnp.asarray, params)
    _, (path, losses, norms) = jax.jit(lambda params: jax.lax.scan(step, params, None, length=steps + 1))(params)
    return DescentPath(params=path, losses=np.asarray(losses), gradient_norms=np.asarray(norms))


def cliff(params: Any, steps: int = 50, start: float = 0.5, target: float = 0.7) -> jax.Array:
    r"""The example with a cliff: one hidden unit, no inputs, and a loss at the last step only.

    .. math:: x_t = w \sigma(x_{t-1}) + b, \qquad E = (\sigma(x_{steps}) - 0.7)^2

    Args:
        params: a mapping with ``w`` and ``b``.
        steps: how many.
        start: the state before the first step.
        target: for the last state's sigmoid.

    Source: Pascanu, Mikolov and Bengio 2013, figure 6.
    """
    w, b = jnp.asarray(params["w"]), params["b"]
    last, _ = jax.lax.scan(lambda x, _: (w * jax.nn.sigmoid(x) + b, None), jnp.full_like(w, start), None, length=steps)
    return (jax.nn.sigmoid(last) - target) ** 2
