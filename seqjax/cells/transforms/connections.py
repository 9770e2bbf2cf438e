"""Connections around the recurrence, from the inputs to the output."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from seqjax.cells.base import Cell
from seqjax.cells.transforms.base import Transform


class _Connected(Transform):
    """A cell whose output also reads the inputs."""

    def derived(self) -> dict[str, Any]:
        """The output is no longer a part of the carry."""
        return {"output_field": None}

    def input_shape(self) -> tuple[int, ...]:
        """The shape of the inputs, one array."""
        leaves = jax.tree.leaves(self.cell.input_shapes())
        if len(leaves) != 1:
            raise self.unsupported(f"its inputs are {self.cell.input_shapes()}, expected one array")
        return leaves[0].shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Residual(_Connected):
    """What :func:`residual` makes."""

    function: ClassVar[str] = "residual"
    needs: ClassVar[str] = "inputs and outputs of the same shape"
    paper: ClassVar[str] = (
        "He, Zhang, Ren and Sun 2016, Deep residual learning, arXiv:1512.03385; Wu et al. 2016, Google's neural "
        "machine translation system, arXiv:1609.08144"
    )

    def check(self) -> None:
        """The shapes agree."""
        if self.input_shape() != self.cell.output_shape:
            raise self.unsupported(
                f"one step reads {list(self.input_shape())} and gives {list(self.cell.output_shape)}, which cannot be "
                "added; make input_size and output_size equal, or use skip"
            )

    def __call__(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step; see :func:`residual`."""
        carry, output = self.cell(params, carry, inputs)
        return carry, output + jax.tree.leaves(inputs)[0]


def residual(cell: Cell) -> Residual:
    r"""The inputs are added to the output (He et al. 2016; Wu et al. 2016 between recurrent layers).

    .. math:: y_t \quad\text{becomes}\quad y_t + x_t

    The recurrence is left as it is.
    """
    return Residual(cell=cell)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Skip(_Connected):
    """What :func:`skip` makes."""

    function: ClassVar[str] = "skip"
    needs: ClassVar[str] = "inputs and outputs that agree in all axes but the last"
    paper: ClassVar[str] = "Graves 2013, Generating sequences with recurrent neural networks, arXiv:1308.0850"

    def check(self) -> None:
        """The shapes agree but for the features."""
        if self.input_shape()[:-1] != self.cell.output_shape[:-1]:
            raise self.unsupported(
                f"one step reads {list(self.input_shape())} and gives {list(self.cell.output_shape)}, which cannot "
                "stand side by side"
            )

    @property
    def output_size(self) -> int:
        """Features of the output and the inputs."""
        return self.output_shape[-1]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The output's, with the features of the inputs added."""
        *rest, features = self.cell.output_shape
        return *rest, features + self.input_shape()[-1]

    def __call__(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step; see :func:`skip`."""
        carry, output = self.cell(params, carry, inputs)
        return carry, jnp.concatenate([output, jax.tree.leaves(inputs)[0]], axis=-1)


def skip(cell: Cell) -> Skip:
    r"""The layer above reads the inputs beside the output (Graves 2013).

    .. math:: y_t \quad\text{becomes}\quad [\,y_t, x_t\,]

    The recurrence is left as it is.
    """
    return Skip(cell=cell)
