"""The structurally constrained network: fast hidden units beside slow context units."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation, activation_function
from seqjax.cells.base import AffineCell
from seqjax.cells.initializers import initialize


class SCRNParams(NamedTuple):
    """Parameters of :class:`SCRN`."""

    kernel: jax.Array
    """From the inputs to the hidden units, ``[input_size, hidden_size]``; A in the paper."""
    recurrent_kernel: jax.Array
    """``[hidden_size, hidden_size]``; R in the paper."""
    context_kernel: jax.Array
    """From the inputs to the context, ``[input_size, context]``; B in the paper."""
    context_to_hidden_kernel: jax.Array
    """From the context to the hidden units, ``[context, hidden_size]``; P in the paper."""


class SCRNCarry(NamedTuple):
    """Carry of :class:`SCRN`."""

    hidden: jax.Array
    """``[*batch, hidden_size]``."""
    context: jax.Array
    """The slow units, ``[*batch, context]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SCRN(AffineCell):
    r"""Structurally constrained recurrent network (Mikolov, Joulin, Chopra, Mathieu and Ranzato 2014).

    .. math::
        s_t &= (1 - \alpha) x_t B + \alpha s_{t-1} \\
        h_t &= \sigma(s_t P + x_t A + h_{t-1} R)

    The output is :math:`h_t` and :math:`s_t` side by side: the paper's :math:`y_t = f(h_t U + s_t V)` is one linear
    layer above it. ``context`` is the number of slow units, a quarter of the hidden ones if not given.
    """

    context: int | None = None
    retention: float = 0.95
    activation: Activation = "sigmoid"

    paper = (
        "Mikolov, Joulin, Chopra, Mathieu and Ranzato 2014, Learning longer memory in recurrent neural networks, "
        "arXiv:1412.7753"
    )
    conventions = (
        "The retention alpha is fixed at 0.95 for all context units, as in most of the paper.",
        "The output is the hidden and the context units side by side; the softmax layer is outside.",
        "No biases, as in the paper.",
        "A quarter as many context units as hidden ones, as in the paper's smallest network (10 beside 40).",
    )
    elsewhere = {
        "torchrecurrent": "what recurs is tanh of the read-out, not the hidden units; context as wide as hidden"
    }
    carry_type = SCRNCarry
    output_field = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context is not None and self.context < 1:
            raise ValueError(f"SCRN.context must be a positive number of units or None, got {self.context!r}")
        if not 0 <= self.retention < 1:
            raise ValueError(f"SCRN.retention must be at least 0 and below 1, got {self.retention!r}")

    @property
    def context_units(self) -> int:
        """Number of slow units."""
        return max(1, self.hidden_size // 4) if self.context is None else self.context

    @property
    def output_size(self) -> int:
        """Hidden and context units."""
        return self.hidden_size + self.context_units

    @property
    def carry_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The slow context."""
        return {"context": (self.context_units,)}

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> SCRNParams:
        """Draw parameters."""
        keys = jax.random.split(key, 4)
        context = self.context_units
        return SCRNParams(
            kernel=self.draw_kernel(keys[0], dtype=dtype),
            recurrent_kernel=self.draw_recurrent_kernel(keys[1], dtype=dtype),
            context_kernel=initialize(self.kernel_initializer, keys[2], (self.input_size, context), dtype),
            context_to_hidden_kernel=self.draw_kernel(keys[3], dtype=dtype, rows=context),
        )

    def __call__(self, params: SCRNParams, carry: SCRNCarry, inputs: jax.Array) -> tuple[SCRNCarry, jax.Array]:
        """One step; see the class."""
        context = (1 - self.retention) * (inputs @ params.context_kernel) + self.retention * carry.context
        hidden = activation_function(self.activation)(
            inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + context @ params.context_to_hidden_kernel
        )
        return SCRNCarry(hidden, context), jnp.concatenate([hidden, context], axis=-1)
