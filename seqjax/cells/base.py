"""What a cell is: static hyperparameters whose methods are pure functions of one time step.

A cell is a frozen, keyword-only dataclass. Arrays never live on it, so equal cells are equal, hash equal, print as
code, pickle, and cause no recompilation. Its parameters and its carry are named tuples of arrays.
"""

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import activation_name
from seqjax.cells.initializers import Initializer, initialize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell(ABC):
    """One time step of a recurrent network, ``carry, output = cell(params, carry, inputs)``.

    The call is the body of :func:`jax.lax.scan` once ``params`` are bound, and works for any leading batch shape:
    ``inputs`` is ``[*batch, input_size]`` and every leaf of the carry starts with ``*batch``.

    Attributes:
        input_size: number of input features.
        hidden_size: number of hidden units.
        paper: where the equations come from; several papers are separated by ``"; "``.
        conventions: what was chosen where the paper leaves a choice or implementations disagree, a sentence each.
        elsewhere: what other libraries do differently, by the library's name.
        carry_type: the named tuple of the carry; each of its leaves is ``[*batch, hidden_size]`` unless
            :attr:`carry_shapes` says otherwise, and starts at zero unless the cell gives its own :meth:`initial_carry`.
        output_field: the field of the carry that is also the output, or ``None`` where the output is something else.
        law_exceptions: laws that the cell does not obey, each with its reason.
    """

    input_size: int
    hidden_size: int

    paper: ClassVar[str] = ""
    conventions: ClassVar[tuple[str, ...]] = ()
    elsewhere: ClassVar[Mapping[str, str]] = {}
    carry_type: ClassVar[Any]
    output_field: ClassVar[str | None] = "hidden"
    law_exceptions: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("activation"):
                # A known function becomes its name, for JAX's own functions cannot be pickled.
                object.__setattr__(self, field.name, activation_name(value))
            whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
            if field.name.endswith("_size") and not whole:
                raise ValueError(f"{type(self).__name__}.{field.name} must be a positive whole number, got {value!r}")

    @property
    def output_size(self) -> int:
        """Number of features of one output, its last axis; the hidden size unless the cell says otherwise."""
        return self.hidden_size

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one output without its batch axes; more than one axis where the cell keeps space."""
        return (self.output_size,)

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes, without batch axes, of those fields of the carry that are not ``[hidden_size]``."""
        return {}

    def example_inputs(self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Any:
        """Random inputs that the cell is defined for, every leaf ``[*leading_shape, ...]``.

        One array ``[*leading_shape, input_size]``, unless the cell reads more: elapsed times, masks, an image.
        """
        return jax.random.normal(key, (*leading_shape, self.input_size)).astype(dtype)

    def input_shapes(self) -> Any:
        """The shapes of one step's inputs without batch axes: a tree like the inputs, of abstract arrays."""
        return _input_shapes(self)

    @abstractmethod
    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw parameters: a named tuple of arrays of ``dtype``."""

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: Any = None,
        key: jax.Array | None = None,
    ) -> Any:
        """The carry before the first step: a named tuple of arrays ``[*batch_shape, ...]``, zeros as a rule.

        Args:
            batch_shape: batch axes.
            dtype: of the floating leaves.
            params: used by cells that learn their initial carry and ignored by the others.
            key: for cells with randomness (dropout, zoneout), the source of the noise of each sequence; without it they
                run as they do in evaluation. Ignored by the others.
        """
        shapes = dict.fromkeys(self.carry_type._fields, (self.hidden_size,)) | dict(self.carry_shapes)
        return self.carry_type(**{name: jnp.zeros((*batch_shape, *shape), dtype) for name, shape in shapes.items()})

    @abstractmethod
    def __call__(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, jax.Array]:
        """One step: ``(carry, output)`` from the parameters, the carry of the step before, and this step's inputs."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{f.name}={_as_code(getattr(self, f.name))}" for f in dataclasses.fields(self) if f.repr)
        return f"{type(self).__name__}({fields})"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A dataclass decorator would otherwise replace the representation that prints callables as code.
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Cell.__repr__


@dataclasses.dataclass(frozen=True, kw_only=True)
class AffineCell(Cell):
    """A cell whose step is built on ``inputs @ kernel + hidden @ recurrent_kernel``, gates side by side.

    Attributes:
        kernel_initializer: of each gate's input kernel.
        recurrent_initializer: of each gate's recurrent kernel.
    """

    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"

    def draw_kernel(
        self, key: jax.Array, gates: int = 1, dtype: DTypeLike = jnp.float32, rows: int | None = None
    ) -> jax.Array:
        """An input kernel, ``[rows or input_size, gates * hidden_size]``."""
        return initialize(self.kernel_initializer, key, (rows or self.input_size, self.hidden_size), dtype, gates)

    def draw_recurrent_kernel(self, key: jax.Array, gates: int = 1, dtype: DTypeLike = jnp.float32) -> jax.Array:
        """A recurrent kernel, ``[hidden_size, gates * hidden_size]``."""
        return initialize(self.recurrent_initializer, key, (self.hidden_size, self.hidden_size), dtype, gates)


class AffineParams(NamedTuple):
    """Parameters of a cell with one input kernel, one recurrent kernel and one bias; gates side by side."""

    kernel: jax.Array
    """Input kernel, ``[input_size, gates * hidden_size]``."""
    recurrent_kernel: jax.Array
    """Recurrent kernel, ``[hidden_size, gates * hidden_size]``."""
    bias: jax.Array
    """``[gates * hidden_size]``."""


class HiddenCarry(NamedTuple):
    """Carry of a cell with one hidden state."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""


class HiddenCellCarry(NamedTuple):
    """Carry of a cell with a hidden state and a cell state."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    cell: jax.Array
    """``[*batch, hidden_size]``."""


# Tracing costs more than a small step: equal cells share it.
@functools.cache
def _input_shapes(cell: Cell) -> Any:
    return jax.eval_shape(lambda: cell.example_inputs(jax.random.key(0), ()))


def _as_code(value: Any) -> str:
    if isinstance(value, Callable) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value)
