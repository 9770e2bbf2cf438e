"""Dropout inside the recurrence: its three meanings, dropout of the inputs, and of the weights."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.kernels import GateMaskedKernel, MaskedKernel
from seqjax.cells.transforms.base import NoisyTransform, Transform, check_rate, field_names, with_fields
from seqjax.cells.transforms.named import named_values, with_named
from seqjax.cells.transforms.noise import StepKeys, dropout_mask, next_step, step_keys, uniform

_NAMES = {"semeniuta": "candidate", "moon": "cell"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentDropout(NoisyTransform):
    """What :func:`recurrent_dropout` makes."""

    rate: float
    kind: Literal["gal", "semeniuta", "moon"]
    per_step: bool
    per_gate: bool

    function: ClassVar[str] = "recurrent_dropout"
    needs: ClassVar[str] = (
        "gal: a matrix recurrent_kernel; semeniuta: a value named 'candidate'; moon: a value named 'cell'"
    )
    misuse: ClassVar[str] = (
        "its step reads recurrent_kernel otherwise than in hidden @ recurrent_kernel and split_gates"
    )
    paper: ClassVar[str] = (
        "Gal and Ghahramani 2016, A theoretically grounded application of dropout in recurrent neural networks, "
        "arXiv:1512.05287; Semeniuta, Severyn and Barth 2016, Recurrent dropout without memory loss, arXiv:1603.05118; "
        "Moon, Choi, Lee and Song 2015, RnnDrop: a novel dropout for RNNs in ASR, ASRU"
    )
    conventions: ClassVar[tuple[str, ...]] = (
        "Masks are drawn once a sequence and divided by the share that is kept, so evaluation changes nothing.",
        "Moon's mask is 0 or 1: divided by that share in every step, a cell state would grow without bound.",
        "Gal's mask is shared by the gates, or each gate has its own (per_gate): the paper's tied and untied weights.",
    )
    elsewhere: ClassVar[Mapping[str, str]] = {
        "Keras": "recurrent_dropout is kind='gal' with per_gate=True",
        "torch": "dropout of its LSTM and GRU acts between layers, never in the recurrence",
    }

    def check(self) -> None:
        """The options fit together, and the cell has what is masked."""
        check_rate(self.function, "rate", self.rate)
        if self.kind not in ("gal", *_NAMES):
            raise ValueError(f"recurrent_dropout: kind must be 'gal', 'semeniuta' or 'moon', got {self.kind!r}")
        if self.per_step and self.kind != "semeniuta":
            raise ValueError(f"recurrent_dropout: per_step is for kind='semeniuta', got kind={self.kind!r}")
        if self.per_gate and self.kind != "gal":
            raise ValueError(f"recurrent_dropout: per_gate is for kind='gal', got kind={self.kind!r}")
        if self.kind == "gal":
            rows, columns = self._kernel_shape()
            if self.per_gate and columns % rows:
                raise self.unsupported(
                    f"its recurrent_kernel has shape {(rows, columns)}, expected [size, gates * size]"
                )
        elif not self._shapes():
            names = list(dict.fromkeys(name for name, _ in named_values(self.cell)))
            has = f"it names {', '.join(names)}" if names else "it names none"
            raise self.unsupported(f"its step names no value {_NAMES[self.kind]!r}; {has}; kind='gal' may do")

    def _shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the masks, without batch axes."""
        if self.kind == "gal":
            rows, columns = self._kernel_shape()
            return [(columns // rows, rows) if self.per_gate else (rows,)]
        return [shape for name, shape in named_values(self.cell) if name == _NAMES[self.kind]]

    def _kernel_shape(self) -> tuple[int, int]:
        return self.require_parameter(jax.eval_shape(self.cell.init, jax.random.key(0)), "recurrent_kernel").shape

    def noise(self, key: jax.Array, batch_shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """A mask for each value that is masked, or keys for masks of each step."""
        if self.per_step:
            return step_keys(key, batch_shape)
        shapes, scaled = self._shapes(), self.kind != "moon"
        keys = jax.random.split(key, len(shapes))
        return tuple(
            dropout_mask(k, self.rate, (*batch_shape, *s), dtype, scaled) for k, s in zip(keys, shapes, strict=True)
        )

    def noisy_step(self, params: Any, carry: Any, inputs: Any, noise: Any) -> tuple[Any, Any, Any]:
        """One step; see :func:`recurrent_dropout`."""
        if noise is None:
            return *self.cell(params, carry, inputs), None
        if self.kind == "gal":
            kernel = params.recurrent_kernel
            masked = (
                GateMaskedKernel(kernel=kernel, masks=noise[0])
                if self.per_gate
                else MaskedKernel(kernel=kernel, mask=noise[0])
            )
            return *self.cell(with_fields(params, recurrent_kernel=masked), carry, inputs), noise
        masks = iter(self._masks_of_step(noise) if self.per_step else noise)
        step = with_named(self.cell, {_NAMES[self.kind]: lambda value: value * next(masks).astype(value.dtype)})
        return *step(params, carry, inputs), next_step(noise) if self.per_step else noise

    def _masks_of_step(self, keys: StepKeys) -> list[jax.Array]:
        batch, masks, start = keys.step.shape, [], 0
        sizes = [math.prod(shape) for shape in self._shapes()]
        draws = uniform(keys, sum(sizes))
        for size, shape in zip(sizes, self._shapes(), strict=True):
            kept = draws[..., start : start + size].reshape(*batch, *shape) >= self.rate
            masks.append(kept / (1 - self.rate))
            start += size
        return masks


def recurrent_dropout(
    cell: Cell,
    rate: float = 0.25,
    kind: Literal["gal", "semeniuta", "moon"] = "gal",
    per_step: bool = False,
    per_gate: bool = False,
) -> RecurrentDropout:
    r"""Dropout in the recurrence, in one of its three meanings. With a mask :math:`m` of each sequence,

    .. math::
        h_{t-1} U \quad &\text{becomes} \quad (m \odot h_{t-1}) U && \text{Gal and Ghahramani 2016} \\
        g_t \quad &\text{becomes} \quad m \odot g_t && \text{Semeniuta et al. 2016, g the candidate} \\
        c_t \quad &\text{becomes} \quad m \odot c_t && \text{Moon et al. 2015, c the cell state}

    Args:
        cell: the cell.
        rate: share of zeros in the mask.
        kind: ``"gal"``, ``"semeniuta"`` or ``"moon"``.
        per_step: Semeniuta's mask drawn anew in every step, as in most of that paper.
        per_gate: Gal's mask drawn for each gate, which takes a product a gate.

    There is noise where ``initial_carry`` got a key; the mask lies in the carry. In evaluation this is the cell itself.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> from seqjax.cells.transforms import recurrent_dropout
        >>> cell = recurrent_dropout(seqjax.cells.GRU(input_size=3, hidden_size=4), rate=0.5)
        >>> params = cell.init(jax.random.key(0))
        >>> carry = cell.initial_carry((2,), params=params, key=jax.random.key(1))
        >>> carry.noise[0].shape, carry.hidden.shape
        ((2, 4), (2, 4))
        >>> loss = lambda params: seqjax.scan(cell, params, jnp.ones([7, 2, 3]), carry)[1].sum()
        >>> gradients = jax.grad(loss)(params)
    """
    return RecurrentDropout(cell=cell, rate=rate, kind=kind, per_step=per_step, per_gate=per_gate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class InputDropout(NoisyTransform):
    """What :func:`input_dropout` makes."""

    rate: float

    function: ClassVar[str] = "input_dropout"
    needs: ClassVar[str] = "inputs of one array"
    paper: ClassVar[str] = (
        "Gal and Ghahramani 2016, A theoretically grounded application of dropout in recurrent neural networks, "
        "arXiv:1512.05287"
    )

    def check(self) -> None:
        """The rate is a share, and there is one array to mask."""
        check_rate(self.function, "rate", self.rate)
        if len(jax.tree.leaves(self.cell.input_shapes())) != 1:
            raise self.unsupported(f"its inputs are {self.cell.input_shapes()}, expected one array")

    def noise(self, key: jax.Array, batch_shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """A mask for each sequence."""
        [shape] = jax.tree.leaves(self.cell.input_shapes())
        return dropout_mask(key, self.rate, (*batch_shape, *shape.shape), dtype)

    def noisy_step(
        self, params: Any, carry: Any, inputs: Any, noise: jax.Array | None
    ) -> tuple[Any, Any, jax.Array | None]:
        """One step; see :func:`input_dropout`."""
        seen = inputs if noise is None else jax.tree.map(lambda x: x * noise.astype(x.dtype), inputs)
        return *self.cell(params, carry, seen), noise


def input_dropout(cell: Cell, rate: float = 0.25) -> InputDropout:
    r"""Dropout of the inputs with one mask for all steps of a sequence (Gal and Ghahramani 2016).

    .. math:: x_t \quad\text{becomes}\quad m \odot x_t

    There is noise where ``initial_carry`` got a key; the mask lies in the carry. In evaluation this is the cell itself.
    As the mask is carried, the product of inputs and kernel stays in the time loop; where that matters, multiply the
    inputs by a mask before the scan.
    """
    return InputDropout(cell=cell, rate=rate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightDrop(Transform):
    """What :func:`weight_drop` makes."""

    rate: float
    parameters: tuple[str, ...]

    function: ClassVar[str] = "weight_drop"
    needs: ClassVar[str] = "the parameters that are dropped, recurrent_kernel if not said otherwise"
    paper: ClassVar[str] = (
        "Merity, Keskar and Socher 2017, Regularizing and optimizing LSTM language models, arXiv:1708.02182; Wan et "
        "al. 2013, Regularization of neural networks using DropConnect, ICML"
    )
    conventions: ClassVar[tuple[str, ...]] = (
        "One mask for all sequences and all steps, divided by the share that is kept, as in the authors' code.",
    )

    def check(self) -> None:
        """The rate is a share, and the parameters are there."""
        check_rate(self.function, "rate", self.rate)
        params = jax.eval_shape(self.cell.init, jax.random.key(0))
        for name in self.parameters:
            if getattr(params, name, None) is None:
                has = ", ".join(field_names(params)) or "none"
                raise self.unsupported(f"it needs a parameter {name!r}, but the cell has {has}")

    @property
    def stochastic(self) -> bool:
        """True."""
        return True

    def sample_params(self, params: Any, key: jax.Array) -> Any:
        """The parameters with weights dropped: what one training step uses in their place."""
        inner_key, own_key = jax.random.split(key)
        params = super().sample_params(params, inner_key)
        dropped = {name: getattr(params, name) for name in self.parameters}
        leaves, structure = jax.tree.flatten(dropped)
        keys = jax.random.split(own_key, len(leaves))
        # Gains of normalised kernels are not weights between units.
        leaves = [
            leaf * dropout_mask(k, self.rate, leaf.shape, leaf.dtype) if leaf.ndim >= 2 else leaf
            for k, leaf in zip(keys, leaves, strict=True)
        ]
        return with_fields(params, **jax.tree.unflatten(structure, leaves))


def weight_drop(cell: Cell, rate: float = 0.5, parameters: tuple[str, ...] = ("recurrent_kernel",)) -> WeightDrop:
    r"""Weights between hidden units are dropped, the same ones for all sequences and steps (Merity et al. 2017).

    .. math:: U \quad\text{becomes}\quad M \odot U

    The mask is no part of the step: ``sample_params`` draws it into the parameters, once a training step. With the
    parameters themselves the cell is in evaluation.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> from seqjax.cells.transforms import weight_drop
        >>> cell = weight_drop(seqjax.cells.LSTM(input_size=3, hidden_size=4), rate=0.5)
        >>> def loss(params, key):
        ...     return seqjax.scan(cell, cell.sample_params(params, key), jnp.ones([7, 2, 3]))[1].sum()
        >>> gradients = jax.grad(loss)(cell.init(jax.random.key(0)), jax.random.key(1))
    """
    return WeightDrop(cell=cell, rate=rate, parameters=tuple(parameters))
