"""Recurrent kernels of a certain structure: diagonal, block-diagonal, of low rank."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, Cell
from seqjax.cells.initializers import Initializer, initialize
from seqjax.cells.kernels import BlockDiagonalKernel, DiagonalKernel, LowRankKernel, StructuredKernel
from seqjax.cells.transforms.base import Transform, with_fields


class Structured(Transform):
    """A cell with another kind of recurrent kernel."""

    needs = "a matrix recurrent_kernel [size, gates * size], used as hidden @ recurrent_kernel"
    misuse = "its step reads recurrent_kernel otherwise than in hidden @ recurrent_kernel and split_gates"

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw parameters; the recurrent kernel is drawn by its structure."""
        inner_key, own_key = jax.random.split(key)
        params = self.cell.init(inner_key, dtype)
        size, columns = self.require_plain(params, "recurrent_kernel", square=True).shape
        return with_fields(params, recurrent_kernel=self.draw(own_key, size, columns // size, dtype))

    def draw(self, key: jax.Array, size: int, gates: int, dtype: DTypeLike) -> StructuredKernel:
        """The structured kernel."""
        raise NotImplementedError

    def initializer(self) -> Initializer:
        """That of the innermost cell's recurrent kernel, orthogonal where it has none."""
        cell: Cell = self.cell
        while isinstance(cell, Transform):
            cell = cell.cell
        return cell.recurrent_initializer if isinstance(cell, AffineCell) else "orthogonal"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagonal(Structured):
    """What :func:`diagonal` makes."""

    scale: float = 1.0

    function: ClassVar[str] = "diagonal"
    paper: ClassVar[str] = (
        "Li, Li, Cook, Zhu and Gao 2018, Independently recurrent neural network (IndRNN), arXiv:1803.04831"
    )

    def check(self) -> None:
        """The scale is positive."""
        if not self.scale > 0:
            raise ValueError(f"diagonal: scale must be positive, got {self.scale!r}")

    def draw(self, key: jax.Array, size: int, gates: int, dtype: DTypeLike) -> DiagonalKernel:
        """Uniform weights."""
        weights = jax.random.uniform(key, (gates, size), minval=-self.scale, maxval=self.scale)
        return DiagonalKernel(weights=weights.astype(dtype))


def diagonal(cell: Cell, scale: float = 1.0) -> Diagonal:
    r"""Each unit reads only itself (Li et al. 2018): no matrix product is left in the time loop.

    .. math:: h_{t-1} U \quad\text{becomes}\quad h_{t-1} \odot u

    with one vector :math:`u` for each gate, drawn uniformly from ``-scale`` to ``scale``. Of an Elman network this
    makes the IndRNN.

    Example:
        >>> import jax, seqjax
        >>> from seqjax.cells.transforms import diagonal
        >>> cell = diagonal(seqjax.cells.LSTM(input_size=3, hidden_size=5))
        >>> cell.init(jax.random.key(0)).recurrent_kernel.weights.shape
        (4, 5)
        >>> seqjax.explain(cell).products_in_loop
        0
    """
    return Diagonal(cell=cell, scale=scale)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockDiagonal(Structured):
    """What :func:`block_diagonal` makes."""

    heads: int

    function: ClassVar[str] = "block_diagonal"
    paper: ClassVar[str] = "Beck et al. 2024, xLSTM: extended long short-term memory, arXiv:2405.04517"

    def check(self) -> None:
        """The heads share the units evenly."""
        _check_whole(self.function, "heads", self.heads)

    def draw(self, key: jax.Array, size: int, gates: int, dtype: DTypeLike) -> BlockDiagonalKernel:
        """Each block by the cell's own initialiser."""
        if size % self.heads:
            raise self.unsupported(f"its {size} units cannot be shared by {self.heads} heads")
        units = size // self.heads
        keys = jax.random.split(key, self.heads)
        blocks = [initialize(self.initializer(), k, (units, units), dtype, gates) for k in keys]
        return BlockDiagonalKernel(blocks=jnp.stack(blocks).reshape(self.heads, units, gates, units))


def block_diagonal(cell: Cell, heads: int) -> BlockDiagonal:
    r"""The units are shared by heads, and each unit reads its own head only, as in the sLSTM (Beck et al. 2024).

    .. math:: h_{t-1} U \quad\text{becomes}\quad [\,h^{(1)}_{t-1} U^{(1)}, \dots, h^{(k)}_{t-1} U^{(k)}\,]

    in every gate: ``heads`` times fewer recurrent weights. Each block is drawn by the cell's own initialiser.
    """
    return BlockDiagonal(cell=cell, heads=heads)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LowRank(Structured):
    """What :func:`low_rank` makes."""

    rank: int

    function: ClassVar[str] = "low_rank"
    paper: ClassVar[str] = "Kusupati et al. 2018, FastGRNN, arXiv:1901.02358"

    def check(self) -> None:
        """There is a rank."""
        _check_whole(self.function, "rank", self.rank)

    def draw(self, key: jax.Array, size: int, gates: int, dtype: DTypeLike) -> LowRankKernel:
        """Orthogonal factors: the product of each gate begins with ``rank`` singular values of 1."""
        if self.rank > size:
            raise self.unsupported(f"the rank of a gate with {size} units is at most {size}, got {self.rank}")
        left_key, right_key = jax.random.split(key)
        return LowRankKernel(
            left=initialize("orthogonal", left_key, (size, self.rank), dtype),
            right=initialize("orthogonal", right_key, (self.rank, size), dtype, gates),
        )


def low_rank(cell: Cell, rank: int) -> LowRank:
    r"""The recurrent kernel is a product of two thin matrices (Kusupati et al. 2018).

    .. math:: h_{t-1} U \quad\text{becomes}\quad (h_{t-1} A) B, \qquad A \in R^{n \times r}

    The first factor is shared by the gates. Both begin orthogonal.
    """
    return LowRank(cell=cell, rank=rank)


def _check_whole(function: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{function}: {name} must be a positive whole number, got {value!r}")
