"""Elman's and Jordan's networks as their papers trained them: the context is a copy that carries no gradient."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.activations import Activation
from seqjax.cells.elman import Elman, ElmanCarry, ElmanParams
from seqjax.cells.jordan import Jordan, JordanCarry, JordanParams

_NO_GRADIENT = {
    "gradients_reach_every_leaf": "no gradient reaches the initial carry",
    "gradients_equal_finite_differences": "the copied context carries no gradient",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElmanOriginal(Elman):
    r"""Simple recurrent network as Elman (1990) trained it.

    .. math:: h_t = \phi(x_t W + c_t U + b), \quad c_t = \text{copy of } h_{t-1}

    The output is :math:`h_t`. The context :math:`c_t` is one more input: :math:`\partial c_t / \partial h_{t-1}` is
    taken to be zero, so that learning looks one step back and no further. It starts at ``initial_context``.
    """

    activation: Activation = "sigmoid"
    initial_context: float = 0.5

    conventions = (
        "There is one bias.",
        "No gradient flows through the copied context, as in the paper; Elman is the same step with gradients through "
        "time.",
        "Logistic units, and a context that starts at 0.5, as in the paper.",
    )
    elsewhere = {}
    law_exceptions = _NO_GRADIENT

    def initial_carry(
        self,
        batch_shape: tuple[int, ...] = (),
        dtype: DTypeLike = jnp.float32,
        params: ElmanParams | None = None,
        key: jax.Array | None = None,
    ) -> ElmanCarry:
        """Every context unit at ``initial_context``."""
        return ElmanCarry(jnp.full((*batch_shape, self.hidden_size), self.initial_context, dtype))

    def __call__(self, params: ElmanParams, carry: ElmanCarry, inputs: jax.Array) -> tuple[ElmanCarry, jax.Array]:
        """One step; see the class."""
        return super().__call__(params, jax.lax.stop_gradient(carry), inputs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class JordanOriginal(Jordan):
    r"""Recurrence through decaying traces of the output (Jordan 1986), trained as there.

    .. math::
        s_t &= \mu s_{t-1} + y_{t-1} \\
        h_t &= \phi(x_t W + s_t U + b) \\
        y_t &= \psi(h_t V + c)

    The output is :math:`y_t`, of ``units`` features (the hidden size if not given). The state units :math:`s_t` are an
    exponentially weighted sum of past outputs with ``decay`` :math:`\mu`; ``decay=0`` copies the last output. They are
    inputs of the step: no gradient flows through them. They start at zero.
    """

    activation: Activation = "sigmoid"
    decay: float = 0.5

    conventions = (
        "No gradient flows through the state units, as in the paper; Jordan is the network with plain copying and "
        "gradients through time.",
        "The paper leaves the decay below 1 to the task; 0.5 here. A later habit is to copy the output: decay=0.",
        "Logistic units, as in the paper; the inputs are its plan units.",
        "The carry's output is the state that the next step reads: decayed, and with this output added.",
    )
    law_exceptions = _NO_GRADIENT

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decay < 1:
            raise ValueError(f"JordanOriginal.decay must be at least 0 and below 1, got {self.decay!r}")

    @property
    def output_field(self) -> str | None:  # ty: ignore[incompatible-property-override]
        """The state units, where they are a plain copy of the output."""
        return "output" if self.decay == 0 else None

    def __call__(self, params: JordanParams, carry: JordanCarry, inputs: jax.Array) -> tuple[JordanCarry, jax.Array]:
        """One step; see the class."""
        context = jax.lax.stop_gradient(carry.output)
        _, output = super().__call__(params, JordanCarry(context), inputs)
        return JordanCarry(self.decay * context + output), output
