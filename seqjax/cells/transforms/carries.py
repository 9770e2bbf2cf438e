"""What happens to the carry: where it starts, how large it gets, what flows back through it."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.transforms.base import LearnedCarryParams, NoisyCarry, Transform
from seqjax.cells.transforms.named import named_values, with_named


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnedInitialCarry(Transform):
    """What :func:`learned_initial_carry` makes."""

    function: ClassVar[str] = "learned_initial_carry"
    breaks: ClassVar[Mapping[str, str]] = {
        "gradients_reach_every_leaf": "the initial carry is read before the first step, not in it",
    }

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> LearnedCarryParams:
        """Draw the parameters of the cell inside; the initial carry starts as that cell's own."""
        params = self.cell.init(key, dtype)
        carry = self.cell.initial_carry((), dtype, params)
        return LearnedCarryParams(params, jax.tree.map(lambda leaf: leaf if _is_real(leaf) else None, carry))

    def sample_params(self, params: LearnedCarryParams, key: jax.Array) -> LearnedCarryParams:
        """See :func:`weight_drop`."""
        return params._replace(params=super().sample_params(params.params, key))

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: LearnedCarryParams | None = None,
        key: jax.Array | None = None,
    ) -> Any:
        """The learned carry for every sequence; without parameters that of the cell inside."""
        if params is None:
            return self.cell.initial_carry(batch_shape, dtype, None, key)
        carry = self.cell.initial_carry(batch_shape, dtype, params.params, key)
        return _started(carry, params.initial_carry)

    def __call__(self, params: LearnedCarryParams, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step of the cell inside."""
        return self.cell(params.params, carry, inputs)


def _started(carry: Any, learned: Any) -> Any:
    """The carry with learned values; noise stays."""
    if isinstance(carry, NoisyCarry):
        return carry._replace(carry=_started(carry.carry, learned.carry))
    leaves, structure = jax.tree.flatten(carry)
    values = jax.tree.leaves(learned, is_leaf=lambda leaf: leaf is None)
    values = [
        leaf if value is None else jnp.broadcast_to(value, leaf.shape).astype(leaf.dtype)
        for leaf, value in zip(leaves, values, strict=True)
    ]
    return jax.tree.unflatten(structure, values)


def _is_real(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def learned_initial_carry(cell: Cell) -> LearnedInitialCarry:
    """The carry before the first step is a parameter, the same for every sequence.

    It starts as the cell's own. Its gradient flows where the carry came from ``cell.initial_carry(params=params)``, as
    it does in :func:`seqjax.scan` where no carry is given.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> from seqjax.cells.transforms import learned_initial_carry
        >>> cell = learned_initial_carry(seqjax.cells.GRU(input_size=3, hidden_size=4))
        >>> params = cell.init(jax.random.key(0))
        >>> gradients = jax.grad(lambda params: seqjax.scan(cell, params, jnp.ones([7, 2, 3]))[1].sum())(params)
        >>> gradients.initial_carry.hidden.shape
        (4,)
    """
    return LearnedInitialCarry(cell=cell)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipGradient(Transform):
    """What :func:`clip_gradient` makes."""

    value: float | None
    norm: float | None

    function: ClassVar[str] = "clip_gradient"
    paper: ClassVar[str] = "Graves 2013, Generating sequences with recurrent neural networks, arXiv:1308.0850"
    conventions: ClassVar[tuple[str, ...]] = (
        "What is clipped is the gradient that flows from a step into the carry before it, for each sequence alone.",
    )
    breaks: ClassVar[Mapping[str, str]] = {
        "gradients_equal_finite_differences": "its gradient is not the derivative of its value, on purpose",
        "gradients_of_gradients": "what is clipped has no second derivative that means anything",
    }

    def check(self) -> None:
        """There is one bound."""
        bounds = [bound for bound in (self.value, self.norm) if bound is not None]
        if len(bounds) != 1 or not bounds[0] > 0:
            raise ValueError(
                f"clip_gradient: give one positive bound, value= or norm=, got value={self.value!r}, norm={self.norm!r}"
            )

    def __call__(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step of the cell inside, from a carry that clips its gradient."""
        leaves, structure = jax.tree.flatten(carry)
        real = [index for index, leaf in enumerate(leaves) if _is_real(leaf)]
        batch_axes = jnp.ndim(jax.tree.leaves(inputs)[0]) - jax.tree.leaves(self.cell.input_shapes())[0].ndim
        clipped = _clipped(self.value, self.norm, batch_axes, [leaves[index] for index in real])
        for index, leaf in zip(real, clipped, strict=True):
            leaves[index] = leaf
        return self.cell(params, jax.tree.unflatten(structure, leaves), inputs)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _clipped(value: float | None, norm: float | None, batch_axes: int, leaves: list[jax.Array]) -> list[jax.Array]:
    return leaves


def _clip(value: float | None, norm: float | None, batch_axes: int, _: None, gradients: list[jax.Array]) -> tuple[Any]:
    if value is not None:
        return ([jnp.clip(g, -value, value) for g in gradients],)
    assert norm is not None
    squares = [jnp.square(jnp.abs(g)).sum(tuple(range(batch_axes, g.ndim))) for g in gradients]
    lengths = jnp.sqrt(jnp.stack(squares).sum(0))
    factor = jnp.where(lengths > norm, norm / jnp.where(lengths > norm, lengths, 1), 1)
    return ([g * factor.reshape(factor.shape + (1,) * (g.ndim - batch_axes)).astype(g.dtype) for g in gradients],)


_clipped.defvjp(lambda value, norm, batch_axes, leaves: (leaves, None), _clip)


def clip_gradient(cell: Cell, value: float | None = None, norm: float | None = None) -> ClipGradient:
    """The gradient is clipped in every step on its way back through time; values stay as they are.

    Args:
        cell: the cell.
        value: the largest magnitude of each entry of the carry's gradient.
        norm: the largest Euclidean norm of the carry's gradient, for each sequence.

    Give one of the two. Parameters' gradients are made of the clipped ones; they may still be clipped as a whole, by
    the optimiser.
    """
    return ClipGradient(cell=cell, value=value, norm=norm)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CellClip(Transform):
    """What :func:`cell_clip` makes."""

    bound: float

    function: ClassVar[str] = "cell_clip"
    needs: ClassVar[str] = "a value named 'cell', the new long-term state"
    paper: ClassVar[str] = (
        "Sak, Senior and Beaufays 2014, Long short-term memory based RNN architectures, arXiv:1402.1128"
    )

    def check(self) -> None:
        """The bound is positive, and there is a cell state."""
        if not self.bound > 0:
            raise ValueError(f"cell_clip: bound must be positive, got {self.bound!r}")
        names = list(dict.fromkeys(name for name, _ in named_values(self.cell)))
        if "cell" not in names:
            has = f"it names {', '.join(names)}" if names else "it names none"
            raise self.unsupported(f"its step names no value 'cell'; {has}")

    def __call__(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step; see :func:`cell_clip`."""
        clip = lambda value: jnp.clip(value, -self.bound, self.bound)
        return with_named(self.cell, {"cell": clip})(params, carry, inputs)


def cell_clip(cell: Cell, bound: float = 3.0) -> CellClip:
    r"""The long-term state is kept within bounds (Sak et al. 2014).

    .. math:: c_t \quad\text{becomes}\quad \max(-b, \min(b, c_t))

    before it is carried on and before the output is made of it.
    """
    return CellClip(cell=cell, bound=bound)
