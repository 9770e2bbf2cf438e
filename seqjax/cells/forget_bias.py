"""How a forget gate's bias starts: a constant, or a draw that spreads the time scales of the units."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell

ForgetBias = float | Literal["uniform", "chrono", "power_law"]
KINDS = ("uniform", "chrono", "power_law")


def draw_forget_bias(
    kind: ForgetBias,
    key: jax.Array,
    size: int,
    longest_memory: int | None = None,
    dtype: DTypeLike = jnp.float32,
    *,
    shape: float = 0.56,
    scale: float = 1.0,
) -> jax.Array:
    r"""The first bias of ``size`` forget gates.

    .. math::
        b_f &= \text{kind} && \text{a number} \\
        b_f &= -\log(1 / u - 1), \quad u \sim U[1/n, 1 - 1/n] && \text{uniform} \\
        b_f &= \log(u), \quad u \sim U[1, T_{max} - 1] && \text{chrono} \\
        b_f &= -\log(\exp(1/T) - 1), \quad T \sim \text{InverseGamma}(\text{shape}, \text{scale}) && \text{power law}

    Args:
        kind: a number; ``"uniform"``, the uniform gate initialisation of Gu et al. 2020, whose gates are uniform on
            (0, 1) for n units; ``"chrono"`` of Tallec and Ollivier 2018, whose time scales reach up to
            ``longest_memory`` steps; ``"power_law"`` of Mahto et al. 2021, whose forget gates are exp(-1/T) and so
            together forget like a power of the distance.
        key: not used for a number.
        size: number of units.
        longest_memory: of ``"chrono"``, the longest dependency that is expected, in steps.
        dtype: of the bias.
        shape: of ``"power_law"``, the exponent of the inverse gamma distribution.
        scale: of ``"power_law"``, the scale of the inverse gamma distribution, in steps.
    """
    check_forget_bias(kind, longest_memory, "draw_forget_bias", "kind")
    # Small numbers of half precision would be infinite as logarithms.
    exact = jnp.promote_types(dtype, jnp.float32)
    if kind == "uniform":
        edge = 1 / max(size, 2)
        u = jax.random.uniform(key, (size,), exact, edge, 1 - edge)
        bias = -jnp.log(1 / u - 1)
    elif kind == "chrono":
        assert longest_memory is not None
        bias = jnp.log(jax.random.uniform(key, (size,), exact, 1, longest_memory - 1))
    elif kind == "power_law":
        # 1 / T has a gamma distribution; its logarithm is drawn because it may be too small for its type.
        rate = jnp.exp(jax.random.loggamma(key, shape, (size,), exact)) / scale
        bias = -jnp.log(jnp.expm1(jnp.maximum(rate, jnp.finfo(exact).tiny)))
    else:
        bias = jnp.full(size, kind, exact)
    return bias.astype(dtype)


def check_forget_bias(kind: ForgetBias, longest_memory: int | None, owner: str, field: str = "forget_bias") -> None:
    """Raise a ValueError that says what to do unless ``draw_forget_bias`` can draw this."""
    number = isinstance(kind, (int, float)) and not isinstance(kind, bool) and math.isfinite(kind)
    if not number and kind not in KINDS:
        raise ValueError(f"{owner}.{field} must be a number or one of {', '.join(map(repr, KINDS))}, got {kind!r}")
    if kind != "chrono" and longest_memory is not None:
        raise ValueError(
            f"{owner}.longest_memory is read with {field}='chrono' only, got {field}={kind!r}; leave it out"
        )
    whole = isinstance(longest_memory, int) and not isinstance(longest_memory, bool) and longest_memory > 2
    if kind == "chrono" and not whole:
        raise ValueError(
            f"{owner}.longest_memory must be a whole number above 2 with {field}='chrono', got {longest_memory!r}; "
            "give the longest dependency of the task in time steps, such as longest_memory=100"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForgetGateCell(AffineCell):
    """A cell with a forget gate, whose bias may start as a constant or be drawn.

    Attributes:
        forget_bias: see :func:`draw_forget_bias`. A drawn bias starts the input gate, where there is one, at its
            negative, so that a unit that keeps long writes little.
        longest_memory: of ``forget_bias="chrono"``, the longest dependency that is expected, in steps.
    """

    forget_bias: ForgetBias = 1.0
    longest_memory: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_forget_bias(self.forget_bias, self.longest_memory, type(self).__name__)

    def draw_bias(self, key: jax.Array, gates: str, dtype: DTypeLike) -> jax.Array:
        """Biases side by side in the order of the letters ``gates``: zeros but for ``f`` and, where drawn, ``i``."""
        zeros = jnp.zeros(self.hidden_size, dtype)
        forget = draw_forget_bias(self.forget_bias, key, self.hidden_size, self.longest_memory, dtype)
        biases = {"f": forget, "i": -forget if isinstance(self.forget_bias, str) else zeros}
        return jnp.concatenate([biases.get(gate, zeros) for gate in gates])
