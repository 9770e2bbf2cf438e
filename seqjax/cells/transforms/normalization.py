"""Normalisation inside the recurrence: of layers, batches and weights."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.kernels import (
    DeferredKernel,
    NormalizedKernel,
    Term,
    WeightNormalizedKernel,
    column_lengths,
    normalized,
)
from seqjax.cells.transforms.base import Transform, with_fields

Placement = Literal["separate", "recurrent", "input", "sum"]
_NEEDS = "matrices kernel and recurrent_kernel, used as value @ kernel"
_MISUSE = "its step reads kernel or recurrent_kernel otherwise than in value @ kernel and split_gates"
_KERNELS = {
    "separate": ("kernel", "recurrent_kernel"),
    "recurrent": ("recurrent_kernel",),
    "input": ("kernel",),
    "sum": ("kernel", "recurrent_kernel"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerNormalization(Transform):
    """What :func:`layer_normalization` makes."""

    placement: Placement
    per_gate: bool
    epsilon: float

    function: ClassVar[str] = "layer_normalization"
    needs: ClassVar[str] = _NEEDS
    misuse: ClassVar[str] = _MISUSE
    paper: ClassVar[str] = "Ba, Kiros and Hinton 2016, Layer normalization, arXiv:1607.06450"
    conventions: ClassVar[tuple[str, ...]] = (
        "All gates of a product are normalised together, as in the authors' code, or each for itself (per_gate).",
        "A kernel that the step itself splits by gates is normalised part by part.",
        "Gains are learned; the shift is the cell's own bias.",
        "An LSTM's cell state is not normalised; the paper does that too.",
    )

    def check(self) -> None:
        """The placement is known."""
        if self.placement not in _KERNELS:
            known = ", ".join(map(repr, _KERNELS))
            raise ValueError(f"layer_normalization: placement must be one of {known}, got {self.placement!r}")

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw the parameters of the cell inside; gains are 1."""
        params = self.cell.init(key, dtype)
        group = self.hidden_size if self.per_gate else None
        kernels = {name: self.require_parameter(params, name) for name in _KERNELS[self.placement]}
        if self.per_gate and any(kernel.shape[1] % self.hidden_size for kernel in kernels.values()):
            raise self.unsupported(f"with per_gate its kernels must have columns in multiples of {self.hidden_size}")
        if self.placement == "sum":
            join = _NormalizedSum(group, self.epsilon)
            scale = jnp.ones(kernels["recurrent_kernel"].shape[1], dtype)
            kernels = {
                "kernel": DeferredKernel(kernel=kernels["kernel"], weights={}, role="input", join=join),
                "recurrent_kernel": DeferredKernel(
                    kernel=kernels["recurrent_kernel"], weights={"scale": scale}, role="recurrent", join=join
                ),
            }
            return with_fields(params, **kernels)
        return with_fields(
            params,
            **{
                name: NormalizedKernel(
                    kernel=kernel,
                    scale=jnp.ones(kernel.shape[1], dtype),
                    over="features",
                    group=group,
                    epsilon=self.epsilon,
                )
                for name, kernel in kernels.items()
            },
        )


@dataclasses.dataclass(frozen=True)
class _NormalizedSum:
    """The normalised sum of two products."""

    group: int | None
    epsilon: float

    def __call__(self, inputs: Term, recurrent: Term) -> jax.Array:
        total = normalized(inputs.product + recurrent.product, "features", self.group, self.epsilon)
        return total * recurrent.weights["scale"]


def layer_normalization(
    cell: Cell, placement: Placement = "separate", per_gate: bool = False, epsilon: float = 1e-5
) -> LayerNormalization:
    r"""Normalised preactivations (Ba et al. 2016).

    .. math::
        x_t W + h_{t-1} U \quad &\text{becomes} \quad
            g_1 \odot \text{LN}(x_t W) + g_2 \odot \text{LN}(h_{t-1} U) && \text{separate} \\
        &\text{or} \quad g \odot \text{LN}(x_t W + h_{t-1} U) && \text{sum}

    with learned gains, where LN makes mean 0 and variance 1 over the features.

    Args:
        cell: the cell.
        placement: ``"separate"``, ``"sum"``, or only one of the products: ``"recurrent"``, ``"input"``.
        per_gate: over the features of each gate, instead of those of all gates together.
        epsilon: added to the variance.
    """
    return LayerNormalization(cell=cell, placement=placement, per_gate=per_gate, epsilon=epsilon)


_OF_THE_BATCH = "statistics of the whole batch in every step"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchNormalization(Transform):
    """What :func:`batch_normalization` makes."""

    gain: float
    epsilon: float

    function: ClassVar[str] = "batch_normalization"
    needs: ClassVar[str] = _NEEDS
    misuse: ClassVar[str] = _MISUSE
    paper: ClassVar[str] = "Cooijmans et al. 2017, Recurrent batch normalization, arXiv:1603.09025"
    conventions: ClassVar[tuple[str, ...]] = (
        "The statistics of each step are those of its own batch, in evaluation too; there are no running averages.",
        "Gains start at 0.1, as in the paper; the shift is the cell's own bias.",
        "An LSTM's cell state is not normalised; the paper does that too.",
    )
    breaks: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "scan_equals_the_python_loop",
            "vmap_equals_batch",
            "causality",
            "padding_changes_nothing",
            "any_leading_batch_shape",
            "a_sequence_of_length_zero_is_its_carry",
            "a_reset_equals_a_fresh_run",
            "a_reset_without_a_fresh_carry_restores_the_cells_own",
            "any_number_of_time_steps",
            "the_step_works_alone_and_in_the_plain_scan",
            "reverse_equals_flip",
            "eager_equals_jit",
            "shard_map_over_the_batch",
            "shard_map_with_the_cells_own_carry",
        ),
        _OF_THE_BATCH,
    )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw the parameters of the cell inside; gains are ``gain``."""
        params = self.cell.init(key, dtype)
        kernels = {}
        for name in _KERNELS["separate"]:
            kernel = self.require_parameter(params, name)
            scale = jnp.full(kernel.shape[1], self.gain, dtype)
            kernels[name] = NormalizedKernel(kernel=kernel, scale=scale, over="batch", group=None, epsilon=self.epsilon)
        return with_fields(params, **kernels)


def batch_normalization(cell: Cell, gain: float = 0.1, epsilon: float = 1e-5) -> BatchNormalization:
    r"""Preactivations normalised over the batch, step by step (Cooijmans et al. 2017).

    .. math:: x_t W + h_{t-1} U \quad\text{becomes}\quad
        g_1 \odot \text{BN}(x_t W) + g_2 \odot \text{BN}(h_{t-1} U)

    where BN makes mean 0 and variance 1 over all batch axes. So sequences of a batch are no longer independent: padding
    and the other sequences matter, and a batch of one gives nothing but the bias.
    """
    return BatchNormalization(cell=cell, gain=gain, epsilon=epsilon)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightNormalization(Transform):
    """What :func:`weight_normalization` makes."""

    parameters: tuple[str, ...]

    function: ClassVar[str] = "weight_normalization"
    needs: ClassVar[str] = "the parameters that are normalised, kernel and recurrent_kernel if not said otherwise"
    paper: ClassVar[str] = "Salimans and Kingma 2016, Weight normalization, arXiv:1602.07868"
    conventions: ClassVar[tuple[str, ...]] = ("A length for each column, that is, for each unit of each gate.",)
    elsewhere: ClassVar[Mapping[str, str]] = {
        "torch": "torch.nn.utils.weight_norm: the same with dim=0, as its kernels are transposed"
    }

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw the parameters of the cell inside, and take lengths and directions from them."""
        params = self.cell.init(key, dtype)
        for name in self.parameters:
            kernel = getattr(params, name, None)
            if not isinstance(kernel, jax.Array) or kernel.ndim < 2:
                got = "none" if kernel is None else f"{type(kernel).__name__} of shape {getattr(kernel, 'shape', None)}"
                raise self.unsupported(f"it needs an array of two axes or more for the parameter {name!r}, got {got}")
            split = WeightNormalizedKernel(direction=kernel, scale=column_lengths(kernel).astype(dtype))
            params = with_fields(params, **{name: split})
        return params

    def __call__(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step; the kernels are put together outside the time loop, as they need no step."""
        kernels = {name: getattr(params, name) for name in self.parameters}
        # Another transform around this one may have put its own kernel around the normalised one.
        kernels = {name: k.matrix() for name, k in kernels.items() if isinstance(k, WeightNormalizedKernel)}
        return self.cell(with_fields(params, **kernels), carry, inputs)


def weight_normalization(
    cell: Cell, parameters: tuple[str, ...] = ("kernel", "recurrent_kernel")
) -> WeightNormalization:
    r"""Kernels as lengths and directions (Salimans and Kingma 2016).

    .. math:: W = g \, \frac{v}{\lVert v \rVert}

    for each column :math:`v`. At first the kernels are those of the cell inside.
    """
    return WeightNormalization(cell=cell, parameters=tuple(parameters))
