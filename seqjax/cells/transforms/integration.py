"""Multiplicative integration."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import Cell
from seqjax.cells.kernels import DeferredKernel, Term
from seqjax.cells.transforms.base import Transform, with_fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiplicativeIntegration(Transform):
    """What :func:`multiplicative_integration` makes."""

    alpha: float
    beta1: float
    beta2: float

    function: ClassVar[str] = "multiplicative_integration"
    needs: ClassVar[str] = "a step that adds inputs @ kernel and hidden @ recurrent_kernel"
    misuse: ClassVar[str] = (
        "its step does not add inputs @ kernel and hidden @ recurrent_kernel, gate by gate, but does something else "
        "with one of them"
    )
    paper: ClassVar[str] = (
        "Wu, Zhang, Zhang, Bengio and Salakhutdinov 2016, On multiplicative integration with recurrent neural "
        "networks, arXiv:1606.06630"
    )
    conventions: ClassVar[tuple[str, ...]] = (
        "The general form, with three learned vectors; they start at alpha, beta1 and beta2, 1 and 1/2 and 1/2.",
        "Where a gate multiplies the recurrent product (a GRU that resets after it), it does so in both of its places.",
    )

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> Any:
        """Draw the parameters of the cell inside."""
        params = self.cell.init(key, dtype)
        kernel, recurrent = (self.require_parameter(params, name) for name in ("kernel", "recurrent_kernel"))
        constant = lambda matrix, value: jnp.full(matrix.shape[1], value, dtype)
        recurrent_weights = {"alpha": constant(recurrent, self.alpha), "beta1": constant(recurrent, self.beta1)}
        return with_fields(
            params,
            kernel=DeferredKernel(
                kernel=kernel, weights={"beta2": constant(kernel, self.beta2)}, role="input", join=_integrated
            ),
            recurrent_kernel=DeferredKernel(
                kernel=recurrent, weights=recurrent_weights, role="recurrent", join=_integrated
            ),
        )


def _integrated(inputs: Term, recurrent: Term) -> jax.Array:
    x, h, of_h = inputs.product, recurrent.product, recurrent.weights
    return of_h["alpha"] * x * h + of_h["beta1"] * h + inputs.weights["beta2"] * x


def multiplicative_integration(
    cell: Cell, alpha: float = 1.0, beta1: float = 0.5, beta2: float = 0.5
) -> MultiplicativeIntegration:
    r"""Inputs and state are multiplied where the cell adds them (Wu et al. 2016).

    .. math:: x_t W + h_{t-1} U + b \quad\text{becomes}\quad
        \alpha \odot x_t W \odot h_{t-1} U + \beta_1 \odot h_{t-1} U + \beta_2 \odot x_t W + b

    in every gate. The arguments are what the vectors start at.
    """
    return MultiplicativeIntegration(cell=cell, alpha=alpha, beta1=beta1, beta2=beta2)
