"""What transforms share: a cell around a cell, and errors that say why a cell cannot be taken."""

import contextvars
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import Cell


class UnsupportedCell(ValueError):
    """A cell that a transform cannot take."""


class NoisyCarry(NamedTuple):
    """The carry of a cell with randomness. The fields inside can be read here too."""

    carry: Any
    """The carry of the cell inside."""
    noise: Any
    """Masks or keys of each sequence, every leaf ``[*batch, ...]``; ``None`` in evaluation."""

    def __getattr__(self, name: str) -> Any:
        return _look_inside(self, self.carry, name)


class LearnedCarryParams(NamedTuple):
    """Parameters of a cell with those of its initial carry. The fields inside can be read here too."""

    params: Any
    """The parameters of the cell inside."""
    initial_carry: Any
    """The carry before the first step, without batch axes; ``None`` for what is not learned."""

    def __getattr__(self, name: str) -> Any:
        return _look_inside(self, self.params, name)


def _look_inside(outer: Any, inside: Any, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"{type(outer).__name__} has no attribute {name!r}")
    return getattr(inside, name)


def field_names(tree: Any) -> tuple[str, ...]:
    """The fields of a carry or of parameters, within what transforms put around them."""
    if isinstance(tree, NoisyCarry | LearnedCarryParams):
        return field_names(tree[0])
    return tuple(getattr(tree, "_fields", ()))


def with_fields(tree: Any, **values: Any) -> Any:
    """The carry or the parameters with fields replaced, within what transforms put around them."""
    if isinstance(tree, NoisyCarry | LearnedCarryParams):
        return tree._replace(**{tree._fields[0]: with_fields(tree[0], **values)})
    return tree._replace(**values)


def with_noise_of(carry: Any, noisy: Any) -> Any:
    """The values of one carry with the noise of another, of the same cell."""
    if not isinstance(noisy, NoisyCarry):
        return carry
    return NoisyCarry(with_noise_of(carry.carry, noisy.carry), noisy.noise)


def without_noise(carry: Any) -> Any:
    """The carry as it is in evaluation."""
    return NoisyCarry(without_noise(carry.carry), None) if isinstance(carry, NoisyCarry) else carry


def is_noisy(carry: Any) -> bool:
    """Whether the carry holds noise."""
    return isinstance(carry, NoisyCarry) and (carry.noise is not None or is_noisy(carry.carry))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transform(Cell):
    """A cell made of another cell; printed as the call that makes it.

    Attributes:
        cell: the cell inside.
        function: the name of the function that makes it.
        needs: what it needs of a cell, for a list of transforms.
        misuse: what it means where a step of the cell fails with it.
        lists_supported: whether its errors list the cells that it can take; not where finding them takes long.
        breaks: laws that it does not obey on any cell, each with its reason.
    """

    input_size: int = dataclasses.field(init=False, repr=False, compare=False)
    hidden_size: int = dataclasses.field(init=False, repr=False, compare=False)
    cell: Cell

    function: ClassVar[str] = ""
    needs: ClassVar[str] = "any cell"
    misuse: ClassVar[str] = "a step of the cell fails with it"
    lists_supported: ClassVar[bool] = True
    breaks: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__repr__ = Transform.__repr__

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise TypeError(
                f"{self.function} expects a cell such as LSTM(input_size=3, hidden_size=5), got {self.cell!r}"
            )
        derived = {
            "input_size": self.cell.input_size,
            "hidden_size": self.cell.hidden_size,
            "output_field": self.cell.output_field,
            "law_exceptions": {**self.cell.law_exceptions, **self.breaks},
        }
        for name, value in (derived | self.derived()).items():
            object.__setattr__(self, name, value)
        super().__post_init__()
        _check_supported(self)

    def derived(self) -> dict[str, Any]:
        """Attributes that are other than those of the cell inside."""
        return {}

    def check(self) -> None:
        """Raise ``ValueError`` for options that are out of range, and :class:`UnsupportedCell` for a cell."""

    @property
    def output_size(self) -> int:
        """That of the cell inside."""
        return self.cell.output_size

    @property
    def output_shape(self) -> tuple[int, ...]:
        """That of the cell inside."""
        return self.cell.output_shape

    @property
    def stochastic(self) -> bool:
        """Whether training is noisy: give ``initial_carry`` a key, and parameters to :meth:`sample_params`."""
        return isinstance(self.cell, Transform) and self.cell.stochastic

    def example_inputs(self, key: jax.Array, leading_shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Any:
        """Those of the cell inside."""
        return self.cell.example_inputs(key, leading_shape, dtype)

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw the parameters of the cell inside."""
        return self.cell.init(key, dtype)

    def sample_params(self, params: Any, key: jax.Array) -> Any:
        """The parameters as one training step sees them: those given, but for :func:`weight_drop`."""
        return self.cell.sample_params(params, key) if isinstance(self.cell, Transform) else params

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: Any = None,
        key: jax.Array | None = None,
    ) -> Any:
        """That of the cell inside."""
        return self.cell.initial_carry(batch_shape, dtype, params, key)

    def __call__(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step of the cell inside."""
        return self.cell(params, carry, inputs)

    def unsupported(self, reason: str) -> UnsupportedCell:
        """The error for a cell that cannot be taken."""
        return UnsupportedCell(f"{self.function} cannot take {self.cell!r}: {reason}")

    def require_parameter(self, params: Any, name: str) -> Any:
        """The matrix of that name in the parameters."""
        names = field_names(params)
        value = getattr(params, name) if name in names else None
        if value is None:
            raise self.unsupported(f"it needs a parameter {name!r}, but the cell has {', '.join(names) or 'none'}")
        if getattr(value, "ndim", 0) != 2:
            shape = getattr(value, "shape", type(value).__name__)
            raise self.unsupported(f"it needs a matrix for the parameter {name!r}, got {shape}")
        return value

    def require_plain(self, params: Any, name: str, square: bool = False) -> jax.Array:
        """The parameter of that name, which no other transform has replaced, for square gates if wanted."""
        value = self.require_parameter(params, name)
        if not isinstance(value, jax.Array | jax.ShapeDtypeStruct):
            raise self.unsupported(f"its {name} is a {type(value).__name__} already, expected a matrix")
        if square and value.shape[1] % value.shape[0]:
            raise self.unsupported(f"its {name} has shape {value.shape}, expected [size, gates * size]")
        return value

    def __repr__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options().items())
        return f"{self.function}({self.cell!r}{options})"

    def options(self) -> dict[str, Any]:
        """What the function was given besides the cell."""
        names = [field.name for field in dataclasses.fields(self) if field.init and field.name != "cell"]
        return {name: getattr(self, name) for name in names}


class NoisyTransform(Transform):
    """A transform whose noise lies in the carry, for each sequence its own.

    So batches may be split, sequences reset or padded, and runs stopped and resumed, and each sequence meets the same
    noise. Without a key there is none, and the step is that of evaluation.
    """

    @property
    def stochastic(self) -> bool:
        """True."""
        return True

    def noise(self, key: jax.Array, batch_shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """The noise of each sequence."""
        raise NotImplementedError

    def noisy_step(self, params: Any, carry: Any, inputs: Any, noise: Any) -> tuple[Any, Any, Any]:
        """One step of the cell inside, and the noise of the next step; ``noise`` is ``None`` in evaluation."""
        raise NotImplementedError

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: Any = None,
        key: jax.Array | None = None,
    ) -> NoisyCarry:
        """The initial carry of the cell inside, with noise if there is a key to draw it from."""
        if key is None:
            return NoisyCarry(self.cell.initial_carry(batch_shape, dtype, params), None)
        inner_key, own_key = jax.random.split(key)
        carry = self.cell.initial_carry(batch_shape, dtype, params, inner_key)
        return NoisyCarry(carry, self.noise(own_key, batch_shape, dtype))

    def __call__(self, params: Any, carry: NoisyCarry, inputs: Any) -> tuple[NoisyCarry, Any]:
        """One step; see the function that makes the cell."""
        new, output, noise = self.noisy_step(params, carry.carry, inputs, carry.noise)
        return NoisyCarry(new, noise), output


def check_rate(function: str, name: str, rate: Any) -> None:
    """A share of values that are dropped or kept."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ValueError(f"{function}: {name} must be a number from 0 to below 1, got {rate!r}")


# Set while the cells that a transform supports are looked for, so that their errors do not look for them again.
_looking = contextvars.ContextVar("looking", default=False)


def _check_supported(transform: Transform) -> None:
    try:
        transform.check()
        _trial(transform)
    except UnsupportedCell as error:
        if _looking.get() or not transform.lists_supported:
            raise
        from seqjax.cells import transforms

        sizes, function = (transform.input_size, transform.hidden_size), getattr(transforms, transform.function)
        names = supported_cells(function, sizes, **transform.options())
        known = f"it supports {', '.join(names)}" if names else "with these options it supports no cell of this size"
        raise UnsupportedCell(f"{error}; {known}") from error.__cause__


def supported_cells(
    transform: Callable[..., Transform], sizes: tuple[int, int] = (4, 4), /, **options: Any
) -> list[str]:
    """The names of the registered cells of these sizes that a transform can take with these options."""
    from seqjax.cells import registry

    names, token = [], _looking.set(True)
    try:
        for name, cell in registry().items():
            try:
                transform(cell(input_size=sizes[0], hidden_size=sizes[1]), **options)
            except ValueError:
                continue
            names.append(name)
    finally:
        _looking.reset(token)
    return names


@functools.cache
def _trial(transform: Transform) -> None:
    """One step, traced, with noise if there is any."""
    key, batch = jax.random.key(0), (2,)
    try:
        params = jax.eval_shape(transform.init, key)
        for noise_key in (None, key) if transform.stochastic else (None,):
            carry = jax.eval_shape(lambda p, k=noise_key: transform.initial_carry(batch, params=p, key=k), params)
            inputs = jax.eval_shape(lambda: transform.example_inputs(key, batch))
            new, output = jax.eval_shape(transform, params, carry, inputs)
            if jax.tree.map(jnp.shape, new) != jax.tree.map(jnp.shape, carry):
                raise transform.unsupported("the carry changes its shapes in a step")
            if output.shape != (*batch, *transform.output_shape):
                raise transform.unsupported(
                    f"one output has shape {output.shape[1:]}, expected {transform.output_shape}"
                )
    except UnsupportedCell:
        raise
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise transform.unsupported(f"{transform.misuse} ({_short(error)})") from error


def _short(error: Exception, length: int = 120) -> str:
    text = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return text if len(text) <= length else text[: length - 3] + "..."
