"""Structured kernels: what may stand in the place of a matrix in a cell's parameters.

A cell writes ``value @ params.recurrent_kernel`` and ``split_gates(params.recurrent_kernel, count)``, and never says
that the kernel is a matrix. A structured kernel answers both: Python hands ``value @ kernel`` to the kernel, as arrays
do not know it. So ``diagonal``, ``layer_normalization`` and others (see :mod:`seqjax.cells.transforms`) exchange the
kernel and leave the equations alone. Kernels are trees of arrays, and one may hold another.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cells.gates import split_gates


class StructuredKernel(ABC):
    """A linear map, or what takes its place: supports ``value @ kernel`` and :meth:`split_gates`."""

    # NumPy would otherwise take the kernel for an object that goes into an array.
    __array_ufunc__ = None

    @property
    def ndim(self) -> int:
        """Two, as of a matrix."""
        return 2

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the matrix in whose place the kernel stands."""

    @abstractmethod
    def product(self, value: jax.Array) -> Any:
        """``value @ kernel``."""

    @abstractmethod
    def split_gates(self, count: int) -> list[Any]:
        """The kernels of ``count`` groups of columns of the same size."""

    def __rmatmul__(self, value: Any) -> Any:
        value = jnp.asarray(value)
        if value.shape[-1:] != self.shape[:1]:
            raise TypeError(
                f"{type(self).__name__} of shape {self.shape} got a left operand of shape {value.shape}, expected "
                f"[..., {self.shape[0]}]"
            )
        return self.product(value)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DiagonalKernel(StructuredKernel):
    """A diagonal matrix for each gate: every unit reads itself only."""

    weights: jax.Array
    """``[gates, size]``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``[size, gates * size]``."""
        gates, size = self.weights.shape
        return size, gates * size

    def product(self, value: jax.Array) -> jax.Array:
        """Element by element."""
        gates = self.weights.shape[0]
        return (jnp.concatenate([value] * gates, -1) if gates > 1 else value) * self.weights.reshape(-1)

    def split_gates(self, count: int) -> list["DiagonalKernel"]:
        """One for each gate."""
        return [DiagonalKernel(weights=part) for part in jnp.split(self.weights, count)]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockDiagonalKernel(StructuredKernel):
    """A block-diagonal matrix for each gate: the units of a head read that head only."""

    blocks: jax.Array
    """``[heads, units, gates, units]`` with ``heads * units`` hidden units."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``[heads * units, gates * heads * units]``."""
        heads, units, gates, _ = self.blocks.shape
        return heads * units, gates * heads * units

    def product(self, value: jax.Array) -> jax.Array:
        """One product a head."""
        heads, units = self.blocks.shape[:2]
        by_head = value.reshape(*value.shape[:-1], heads, units)
        product = jnp.einsum("...hi,higo->...gho", by_head, self.blocks)
        return product.reshape(*value.shape[:-1], self.shape[1])

    def split_gates(self, count: int) -> list["BlockDiagonalKernel"]:
        """One for each gate."""
        return [BlockDiagonalKernel(blocks=part) for part in jnp.split(self.blocks, count, axis=2)]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class LowRankKernel(StructuredKernel):
    """A product of two thin matrices, multiplied one after the other."""

    left: jax.Array
    """``[size, rank]``."""
    right: jax.Array
    """``[rank, gates * size]``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``[size, gates * size]``."""
        return self.left.shape[0], self.right.shape[1]

    def product(self, value: jax.Array) -> jax.Array:
        """Two thin products."""
        return value @ self.left @ self.right

    def split_gates(self, count: int) -> list["LowRankKernel"]:
        """The left factor is shared."""
        return [dataclasses.replace(self, right=part) for part in split_gates(self.right, count)]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightNormalizedKernel(StructuredKernel):
    """A kernel as directions and lengths of its columns."""

    direction: jax.Array
    """``[..., columns]``."""
    scale: jax.Array
    """``[columns]``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the directions."""
        return self.direction.shape

    @property
    def ndim(self) -> int:
        """More than two for the kernel of a convolution."""
        return self.direction.ndim

    def matrix(self) -> jax.Array:
        """The kernel."""
        return self.scale * self.direction / column_lengths(self.direction)

    def product(self, value: jax.Array) -> jax.Array:
        """The product with the kernel."""
        return value @ self.matrix()

    def split_gates(self, count: int) -> list[jax.Array]:
        """Plain kernels: columns know nothing of each other."""
        return split_gates(self.matrix(), count)


def column_lengths(kernel: jax.Array) -> jax.Array:
    """The Euclidean norm of each column, in at least 32 bits inside."""
    wide = kernel.astype(jnp.promote_types(kernel.dtype, jnp.float32))
    return jnp.sqrt(jnp.square(wide).sum(tuple(range(kernel.ndim - 1)))).astype(kernel.dtype)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedKernel(StructuredKernel):
    """Multiplies its left operand by a mask before the kernel: dropout on the way into a product."""

    kernel: Any
    mask: jax.Array
    """``[*batch, rows]``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the kernel inside."""
        return self.kernel.shape

    def product(self, value: jax.Array) -> Any:
        """The masked value times the kernel."""
        return (value * self.mask) @ self.kernel

    def split_gates(self, count: int) -> list["MaskedKernel"]:
        """All gates read through the same mask."""
        return [dataclasses.replace(self, kernel=part) for part in split_gates(self.kernel, count)]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class GateMaskedKernel(StructuredKernel):
    """As :class:`MaskedKernel`, with a mask for each gate."""

    kernel: Any
    masks: jax.Array
    """``[*batch, gates, rows]``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the kernel inside."""
        return self.kernel.shape

    def product(self, value: jax.Array) -> jax.Array:
        """One product a gate, side by side."""
        return jnp.concatenate([value @ part for part in self.split_gates(self.masks.shape[-2])], -1)

    def split_gates(self, count: int) -> list[MaskedKernel]:
        """One for each gate."""
        masks = jnp.moveaxis(self.masks, -2, 0)
        parts = zip(split_gates(self.kernel, count), masks, strict=True)
        return [MaskedKernel(kernel=kernel, mask=mask) for kernel, mask in parts]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class NormalizedKernel(StructuredKernel):
    """Normalises its products, and scales them.

    ``over`` says over what: ``"features"`` (layer normalisation; ``group`` of them together, all where it is ``None``)
    or ``"batch"`` (batch normalisation, over all axes before the last).
    """

    kernel: Any
    scale: jax.Array
    """``[columns]``."""
    over: str = dataclasses.field(metadata={"static": True})
    group: int | None = dataclasses.field(metadata={"static": True})
    epsilon: float = dataclasses.field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the kernel inside."""
        return self.kernel.shape

    def product(self, value: jax.Array) -> jax.Array:
        """The normalised product."""
        return normalized(value @ self.kernel, self.over, self.group, self.epsilon) * self.scale

    def split_gates(self, count: int) -> list["NormalizedKernel"]:
        """Kernels whose products are normalised apart from each other."""
        kernels, scales = split_gates(self.kernel, count), split_gates(self.scale, count)
        return [dataclasses.replace(self, kernel=k, scale=s) for k, s in zip(kernels, scales, strict=True)]


def normalized(value: jax.Array, over: str, group: int | None, epsilon: float) -> jax.Array:
    """Mean 0 and variance 1, over the features in groups or over the batch; in at least 32 bits."""
    wide = value.astype(jnp.promote_types(value.dtype, jnp.float32))
    if over == "features":
        wide = wide.reshape(*value.shape[:-1], -1, group or value.shape[-1])
    axes = -1 if over == "features" else tuple(range(value.ndim - 1))
    centred = wide - wide.mean(axes, keepdims=True)
    scaled = centred * jax.lax.rsqrt(jnp.square(centred).mean(axes, keepdims=True) + epsilon)
    return scaled.reshape(value.shape).astype(value.dtype)


Join = Callable[["Term", "Term"], jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class DeferredKernel(StructuredKernel):
    """Its product is a :class:`Term` that waits for the other product of the sum that it stands in."""

    kernel: Any
    weights: dict[str, jax.Array]
    """What the sum is made with, each ``[columns]``."""
    role: str = dataclasses.field(metadata={"static": True})
    """``"input"`` or ``"recurrent"``."""
    join: Join = dataclasses.field(metadata={"static": True})
    """What takes the place of the sum, of the input's and the recurrent term."""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the kernel inside."""
        return self.kernel.shape

    def product(self, value: jax.Array) -> "Term":
        """The product as a term."""
        return Term(value @ self.kernel, 0, self.weights, self.role, self.join)

    def split_gates(self, count: int) -> list["DeferredKernel"]:
        """One for each gate."""
        kernels, weights = split_gates(self.kernel, count), _split_weights(self.weights, count)
        return [dataclasses.replace(self, kernel=k, weights=w) for k, w in zip(kernels, weights, strict=True)]


@dataclasses.dataclass(frozen=True)
class Term:
    """One of two products that meet in a sum; what else is added waits beside it."""

    product: jax.Array
    added: Any
    weights: dict[str, jax.Array]
    role: str
    join: Join

    __array_ufunc__ = None

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Term):
            return dataclasses.replace(self, added=self.added + other)
        if other.role == self.role:
            raise TypeError(f"two {self.role} products are added")
        inputs, recurrent = (self, other) if self.role == "input" else (other, self)
        return self.join(inputs, recurrent) + self.added + other.added

    __radd__ = __add__

    def __mul__(self, factor: Any) -> "Term":
        return dataclasses.replace(self, product=self.product * factor, added=self.added * factor)

    __rmul__ = __mul__

    def split_gates(self, count: int) -> list["Term"]:
        """The terms of each gate."""
        products, weights = split_gates(self.product, count), _split_weights(self.weights, count)
        added = [0] * count if isinstance(self.added, int) else split_gates(self.added, count)
        parts = zip(products, added, weights, strict=True)
        return [Term(product, added, weights, self.role, self.join) for product, added, weights in parts]


def _split_weights(weights: dict[str, jax.Array], count: int) -> list[dict[str, jax.Array]]:
    parts = {name: split_gates(value, count) for name, value in weights.items()}
    return [{name: values[index] for name, values in parts.items()} for index in range(count)]
