"""Gradients of parameters: sums over time and batch.

The gradient of a kernel is a sum over time and batch of outer products, moving operand times cotangent. It is taken as
one product a chunk of time, ``operands.T @ cotangents`` over all its steps. Three things make it fast:

*   Products with the same cotangents (``inputs @ kernel + hidden @ recurrent_kernel + bias``) share one contraction:
    their moving operands lie side by side, and a bias is a column of ones; so is one that adds to a part of the sum.
*   The operands are transposed before the product, not in it. XLA's CPU compiler would fold the transposition into the
    product and then take a slower kernel, which costs a quarter to a half of its rate.
*   Where the batch may be split over devices, its blocks are contracted each for themselves and are added up after the
    last chunk. Otherwise the partitioned program would add up the devices' gradients after every chunk.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn, Var

from seqjax.engine.equations import Atom, Step, aval, bind, explicitly_sharded, shape_of, variables
from seqjax.engine.platform import Choices


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Product:
    """A product of a moving operand with a parameter."""

    equation: JaxprEqn
    position: int
    """Which operand is the parameter."""

    @property
    def parameter(self) -> Var:
        """The fixed operand."""
        operand = self.equation.invars[self.position]
        assert isinstance(operand, Var)
        return operand

    def __call__(self, moving: Any, parameter: Any) -> Any:
        """The product of one time step."""
        operands = [moving, parameter] if self.position == 1 else [parameter, moving]
        return bind(self.equation, operands)[0]

    @property
    def is_plain(self) -> bool:
        """Whether it is ``moving @ matrix`` or ``moving @ matrix.T``, all of one type."""
        equation, matrix = self.equation, aval(self.parameter)
        if equation.primitive.name != "dot_general" or self.position == 0 or matrix.ndim != 2:
            return False
        moving, product = aval(equation.invars[0]), aval(equation.outvars[0])
        (contracting, _), (batch, _) = equation.params["dimension_numbers"]
        same_type = moving.dtype == matrix.dtype == product.dtype
        return not batch and contracting == (moving.ndim - 1,) and same_type and equation.params["precision"] is None

    @property
    def rows(self) -> int:
        """How many rows a plain product's operand adds to a contraction."""
        return aval(self.equation.invars[0]).shape[-1]

    @property
    def by_transpose(self) -> bool:
        """Whether a plain product is one with the transpose of the matrix."""
        return self.equation.params["dimension_numbers"][0][1] == (1,)


class Bias(NamedTuple):
    """A parameter whose gradient is the sum of some columns of cotangents."""

    parameter: Var
    columns: slice


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Contraction:
    """What the cotangents of one value give: gradients of the parameters it is a product with, and of biases.

    A product that is not a plain one has a contraction for itself; biases may have one for themselves too.
    """

    cotangents: Atom
    """The value of the backward step whose stacked values are contracted."""
    products: list[int]
    """Positions of the products among those of the step."""
    plain: list[Product]
    other: Product | None = None
    biases: list[Bias] = dataclasses.field(default_factory=list)
    blocks: int = 1

    @property
    def all_products(self) -> list[Product]:
        """The products that it contracts."""
        return self.plain if self.other is None else [self.other]

    @property
    def parameters(self) -> list[Var]:
        """The parameters whose gradients it gives."""
        return [*(p.parameter for p in self.all_products), *(bias.parameter for bias in self.biases)]

    @property
    def start(self) -> jax.ShapeDtypeStruct:
        """Shape and type of the sum."""
        dtype = jnp.promote_types(aval(self.cotangents).dtype, jnp.float32)
        if self.other is not None:
            return shape_of(self.other.parameter, dtype=dtype)
        rows = sum(p.rows for p in self.plain) + bool(self.biases)
        return jax.ShapeDtypeStruct((self.blocks, rows, aval(self.cotangents).shape[-1]), dtype)

    def chunk(self, moving: Sequence[jax.Array], cotangents: jax.Array, transpose_apart: bool) -> jax.Array:
        """The sum over a chunk of time, from the stacked operands and cotangents of its steps."""
        if self.other is not None:
            product, [operand] = self.other, moving
            over_time = lambda parameter: jax.vmap(product, in_axes=(0, None))(operand, parameter)
            return jax.linear_transpose(over_time, shape_of(product.parameter))(cotangents)[0]
        if self.blocks > 1:
            blocks = (self.blocks, cotangents.shape[1] // self.blocks)
            apart = lambda a: a.reshape(a.shape[0], *blocks, *a.shape[2:]).swapaxes(0, 1)
        else:
            apart = lambda a: a[None]
        cotangents = apart(cotangents)
        columns = [apart(operand) for operand in moving]
        summed = range(1, cotangents.ndim - 1)
        if not columns:
            return cotangents.sum(tuple(summed), self.start.dtype)[:, None]
        if self.biases:
            columns.append(jnp.ones_like(cotangents[..., :1]))
        rows = jnp.concatenate([jnp.moveaxis(column, -1, 1) for column in columns], axis=1)
        if transpose_apart:
            rows = lax.optimization_barrier(rows)
        contracting = ([axis + 1 for axis in summed], list(summed))
        return lax.dot_general(rows, cotangents, (contracting, ((0,), (0,))), preferred_element_type=self.start.dtype)

    def gradients(self, total: jax.Array) -> list[jax.Array]:
        """The gradients of :attr:`parameters` from the sum over all time."""
        if self.other is not None:
            return [total]
        parts = lax.split(total.sum(0), [*(p.rows for p in self.plain), *[1] * bool(self.biases)])
        kernels = [part.T if p.by_transpose else part for p, part in zip(self.plain, parts, strict=False)]
        sums = [parts[-1][:, bias.columns].reshape(aval(bias.parameter).shape) for bias in self.biases]
        return [*kernels, *sums]


def contract(
    backward: Step, products: Sequence[Product], summed: Sequence[Var], choices: Choices
) -> tuple[Step, list[Contraction], list[Var]]:
    """What of a backward step's gradients is contracted.

    Args:
        backward: its outputs are the gradients of ``summed``, others, the products' cotangents, their moving operands.
        products: the products of the step.
        summed: parameters whose gradient is an output of every step, summed over time.
        choices: the platform's.

    Returns:
        The backward step with what is contracted in the place of gradients and cotangents, the contractions, and what
        is left of ``summed``.
    """
    first = len(backward.outputs) - 2 * len(products)
    gradients, others = backward.outputs[: len(summed)], backward.outputs[len(summed) : first]
    cotangents, moving = backward.outputs[first : first + len(products)], backward.outputs[first + len(products) :]
    biases = _biases(backward, [v for p, v in zip(products, cotangents, strict=True) if p.is_plain], summed, gradients)
    contracted = _contractions(products, cotangents, biases, choices)
    found = {bias.parameter for c in contracted for bias in c.biases}
    left = [(v, gradient) for v, gradient in zip(summed, gradients, strict=True) if v not in found]
    outputs = [gradient for _, gradient in left]
    outputs += [*others, *(c.cotangents for c in contracted), *(moving[i] for c in contracted for i in c.products)]
    return dataclasses.replace(backward, outputs=outputs), contracted, [v for v, _ in left]


def _biases(
    backward: Step, cotangents: Sequence[Atom], summed: Sequence[Var], gradients: Sequence[Atom]
) -> dict[Var, list[Bias]]:
    """The biases among ``summed``, by the value whose columns they are sums of.

    A gradient that is the sum of a value over all axes but the last is that of a bias. Where the value is put together
    with others to a product's cotangents, the bias has some columns of these.
    """
    definitions: dict[Any, JaxprEqn] = {e.outvars[0]: e for e in backward.equations if e.outvars}
    # The gradient of a parameter that is only compared is a literal zero, which nothing defines.
    definition = lambda atom: definitions.get(atom) if isinstance(atom, Var) else None
    columns = {v: (v, slice(None)) for v in variables(cotangents)}
    for whole in variables(cotangents):
        equation, last = definition(whole), aval(whole).ndim - 1
        if equation is None or equation.primitive.name != "concatenate" or equation.params["dimension"] != last:
            continue
        end = 0
        for part in equation.invars:
            start, end = end, end + aval(part).shape[last]
            if isinstance(part, Var):
                columns.setdefault(part, (whole, slice(start, end)))
    biases: dict[Var, list[Bias]] = {}
    for parameter, gradient in zip(summed, gradients, strict=True):
        equation = definition(gradient)
        if equation is not None and equation.primitive.name == "reshape":
            equation = definition(equation.invars[0])
        if equation is None or equation.primitive.name != "reduce_sum":
            continue
        [value] = variables(equation.invars)
        all_but_last = tuple(range(aval(value).ndim - 1))
        if all_but_last and equation.params["axes"] == all_but_last:
            whole, part = columns.get(value, (value, slice(None)))
            biases.setdefault(whole, []).append(Bias(parameter, part))
    return biases


def _contractions(
    products: Sequence[Product], cotangents: Sequence[Atom], biases: Mapping[Var, list[Bias]], choices: Choices
) -> list[Contraction]:
    groups: dict[Any, list[int]] = {value: [] for value in biases}
    alone: list[int] = []
    for index, (product, value) in enumerate(zip(products, cotangents, strict=True)):
        if product.is_plain and isinstance(value, Var):
            groups.setdefault(value, []).append(index)
        else:
            alone.append(index)
    shared = [
        Contraction(
            cotangents=value,
            products=members,
            plain=[products[i] for i in members],
            biases=biases.get(value, []),
            blocks=_blocks(value, choices),
        )
        for value, members in groups.items()
    ]
    return shared + [Contraction(cotangents=cotangents[i], products=[i], plain=[], other=products[i]) for i in alone]


def _blocks(value: Var, choices: Choices) -> int:
    # An explicitly sharded batch cannot be reshaped without saying how.
    fits = aval(value).ndim > 1 and aval(value).shape[0] % choices.batch_blocks == 0
    return choices.batch_blocks if fits and not explicitly_sharded(value) else 1
