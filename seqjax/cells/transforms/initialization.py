"""Other initial values for parameters of any cell; the equations are left as they are."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.forget_bias import ForgetBias, check_forget_bias, draw_forget_bias
from seqjax.cells.initializers import Initializer, initialize, initializer_function
from seqjax.cells.transforms.base import Transform, field_names, with_fields
from seqjax.cells.transforms.named import named_values, with_named

Values = Initializer | float | tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinitialized(Transform):
    """What :func:`reinitialized` makes."""

    initializers: tuple[tuple[str, Values], ...]

    function: ClassVar[str] = "reinitialized"
    needs: ClassVar[str] = "the parameters that are named, as arrays"

    def options(self) -> dict[str, Any]:
        """The initialisers by the parameters' names."""
        return dict(self.initializers)

    def check(self) -> None:
        """The initialisers are known."""
        if not self.initializers:
            raise ValueError("reinitialized: name a parameter, such as recurrent_kernel='orthogonal'")
        for _, values in self.initializers:
            if isinstance(values, str):
                initializer_function(values)

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw the parameters of the cell inside, and those that are named anew."""
        inner_key, *keys = jax.random.split(key, 1 + len(self.initializers))
        params = self.cell.init(inner_key, dtype)
        for (name, values), own_key in zip(self.initializers, keys, strict=True):
            old = getattr(params, name, None)
            if not isinstance(old, jax.Array):
                has = ", ".join(field_names(params)) or "none"
                got = f"got {type(old).__name__} there" if old is not None else f"the cell has {has}"
                raise self.unsupported(f"it needs an array for the parameter {name!r}; {got}")
            params = with_fields(params, **{name: self._draw(name, values, old, own_key, dtype)})
        return params

    def _draw(self, name: str, values: Values, old: jax.Array, key: jax.Array, dtype: DTypeLike) -> jax.Array:
        if isinstance(values, int | float):
            return jnp.full(old.shape, values, dtype)
        if isinstance(values, Sequence) and not isinstance(values, str):
            if old.shape[-1] % len(values):
                raise self.unsupported(f"{len(values)} values for the gates of {name} do not divide {old.shape[-1]}")
            gates = jnp.repeat(jnp.asarray(values, dtype), old.shape[-1] // len(values))
            return jnp.broadcast_to(gates, old.shape)
        if old.ndim != 2:
            if values in ("zeros", "ones"):
                return jnp.full(old.shape, float(values == "ones"), dtype)
            raise self.unsupported(f"{name} has shape {old.shape}; an initialiser draws matrices, give a number")
        rows, columns = old.shape
        gates = columns // self.hidden_size if columns % self.hidden_size == 0 else 1
        return initialize(values, key, (rows, columns // gates), dtype, gates)


def reinitialized(cell: Cell, **initializers: Values) -> Reinitialized:
    """Parameters start otherwise: orthogonal, as the identity, or as constants.

    Args:
        cell: the cell.
        initializers: for each parameter, by its name, an initialiser (its name, or a function ``(key, shape, dtype)``)
            that draws the matrix of each gate; a number; or a number for each gate, in the cell's order.

    Example:
        >>> import jax, seqjax
        >>> from seqjax.cells.transforms import reinitialized
        >>> cell = reinitialized(
        ...     seqjax.cells.LSTM(input_size=3, hidden_size=2), recurrent_kernel="identity", bias=(0.0, 2.0, 0.0, 0.0)
        ... )
        >>> print(cell.init(jax.random.key(0)).bias)
        [0. 0. 2. 2. 0. 0. 0. 0.]
    """
    return Reinitialized(
        cell=cell,
        initializers=tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(initializers.items())),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForgetGateInit(Transform):
    """What :func:`forget_gate_init` makes."""

    kind: ForgetBias
    longest_memory: int | None

    function: ClassVar[str] = "forget_gate_init"
    lists_supported: ClassVar[bool] = False
    needs: ClassVar[str] = "a value named 'forget_gate' or 'update_gate' that has a part of the bias to itself"
    paper: ClassVar[str] = (
        "Jozefowicz, Zaremba and Sutskever 2015, An empirical exploration of recurrent network architectures; Gu et "
        "al. 2020, Improving the gating mechanism, arXiv:1910.09890; Tallec and Ollivier 2018, Can recurrent neural "
        "networks warp time?, arXiv:1804.11188; Mahto et al. 2021, Multi-timescale representation learning in LSTM "
        "language models, arXiv:2009.12727"
    )
    conventions: ClassVar[tuple[str, ...]] = (
        "Where the step names an input gate too, a drawn bias starts it at the negative of the forget gate's.",
        "A gate that writes where it is open, instead of keeping, gets the negative bias.",
    )

    def check(self) -> None:
        """The kind is known, and the gate can be found."""
        check_forget_bias(self.kind, self.longest_memory, "forget_gate_init", "kind")
        self._forget_gate()

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw the parameters of the cell inside, and the forget gate's bias anew."""
        inner_key, own_key = jax.random.split(key)
        params, size = self.cell.init(inner_key, dtype), self.hidden_size
        gate, sign = self._forget_gate()
        drawn = sign * draw_forget_bias(self.kind, own_key, size, self.longest_memory, dtype)
        bias = params.bias.at[gate * size : (gate + 1) * size].set(drawn)
        if isinstance(self.kind, str) and "input_gate" in self._names():
            write = _gate(self.cell, "input_gate")
            if write.part not in (None, gate):
                bias = bias.at[write.part * size : (write.part + 1) * size].set(-write.rises * sign * drawn)
        return with_fields(params, bias=bias)

    def _forget_gate(self) -> tuple[int, int]:
        """Which part of the bias it is, and whether a larger bias keeps (1) or writes (-1)."""
        for name in ("forget_gate", "update_gate") if _parts(self.cell) else ():
            if name in self._names() and (gate := _gate(self.cell, name)).part is not None:
                return gate.part, gate.rises * gate.keeps
        has = f"it names {', '.join(self._names())}" if self._names() else "its step names no gate"
        raise self.unsupported(f"no named forget or update gate has a part of the parameter 'bias' to itself; {has}")

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in named_values(self.cell)))


def forget_gate_init(cell: Cell, kind: ForgetBias = 1.0, longest_memory: int | None = None) -> ForgetGateInit:
    """The bias of the gate that keeps the state starts as a number, or is drawn.

    Args:
        cell: the cell; its gate is found by its name in the step, and what it keeps by trying.
        kind: a number (Jozefowicz et al. 2015), ``"uniform"`` (Gu et al. 2020), ``"chrono"`` (Tallec and Ollivier 2018)
            or ``"power_law"`` (Mahto et al. 2021): see :func:`seqjax.cells.forget_bias.draw_forget_bias`.
        longest_memory: of ``"chrono"``, the longest dependency that is expected, in steps.

    Example:
        >>> import jax, seqjax
        >>> from seqjax.cells.transforms import forget_gate_init
        >>> cell = forget_gate_init(seqjax.cells.GRU(input_size=3, hidden_size=2), 2.0)
        >>> print(cell.init(jax.random.key(0)).bias)
        [0. 0. 2. 2. 0. 0.]
    """
    return ForgetGateInit(cell=cell, kind=kind, longest_memory=longest_memory)


class _Gate(NamedTuple):
    """Where a named gate stands in a cell, and what it does."""

    part: int | None
    """The part of the bias that it reads alone, if there is one."""
    rises: int
    """1 if it opens with its bias, -1 if it closes."""
    keeps: int
    """1 if the state stays with the gate open, -1 if it stays with the gate closed."""


@functools.cache
def _gate(cell: Cell, name: str) -> _Gate:
    """Found by trying: slopes of the gate by the parts of the bias, and of the carry with the gate open and closed."""
    parts = _parts(cell)
    with jax.ensure_compile_time_eval():
        slopes, kept = jax.device_get(_tried(cell, name, parts))
    moves = [part for part in range(parts) if slopes[part].any()]
    signs = {int(sign) for part in moves for sign in np.sign(slopes[part]).flat}
    alone = len(moves) == 1 and len(signs) == 1 and slopes.shape[1:] == (cell.hidden_size,)
    return _Gate(moves[0] if alone else None, min(signs, default=1), 1 if kept[1] > kept[0] else -1)


def _parts(cell: Cell) -> int:
    """How many gates the bias has, 0 if it cannot be told."""
    shape = getattr(getattr(jax.eval_shape(cell.init, jax.random.key(0)), "bias", None), "shape", ())
    return shape[0] // cell.hidden_size if len(shape) == 1 and shape[0] % cell.hidden_size == 0 else 0


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _tried(cell: Cell, name: str, parts: int) -> Any:
    # Small numbers in the place of parameters, as drawing them costs more; zeros leave nothing but what is kept.
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    params = jax.tree.map(lambda s: 0.1 * jnp.cos(jnp.arange(s.size, dtype=s.dtype)).reshape(s.shape), shapes)
    nothing = jax.tree.map(jnp.zeros_like, params)
    leaves, structure = jax.tree.flatten(cell.initial_carry(params=params))
    is_real = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]
    start = [leaf + 0.5 for leaf, real in zip(leaves, is_real, strict=True) if real]
    inputs = cell.example_inputs(jax.random.key(1), ())

    def run(params: Any, values: list[jax.Array], replace: Any) -> list[jax.Array]:
        replacements = iter(values)
        carry = [next(replacements) if real else leaf for leaf, real in zip(leaves, is_real, strict=True)]
        new, _ = with_named(cell, {name: replace})(params, jax.tree.unflatten(structure, carry), inputs)
        return [leaf for leaf, real in zip(jax.tree.leaves(new), is_real, strict=True) if real]

    def gate(shift: jax.Array) -> jax.Array:
        seen = []
        moved = with_fields(params, bias=params.bias + jnp.repeat(shift, cell.hidden_size))
        run(moved, start, lambda value: seen.append(value) or value)
        return seen[0]

    def kept(value: float) -> jax.Array:
        constant = lambda values: run(nothing, values, lambda gate: jnp.full_like(gate, value))
        slopes = jax.jvp(constant, (start,), ([jnp.ones_like(leaf) for leaf in start],))[1]
        return jnp.stack([jnp.abs(slope).sum() for slope in slopes]).sum()

    return jnp.moveaxis(jax.jacfwd(gate)(jnp.zeros(parts)), -1, 0), (kept(0.0), kept(1.0))
