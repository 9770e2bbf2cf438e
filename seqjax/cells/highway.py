"""Recurrent highway networks: several highway layers inside one time step."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates


@dataclasses.dataclass(frozen=True, kw_only=True)
class RHN(AffineCell):
    r"""Recurrent highway network (Zilly, Srivastava, Koutník, Schmidhuber 2017).

    With :math:`s_0 = h_{t-1}`, for the layers :math:`l = 1, \dots, L` of one step, the inputs in the first alone:

    .. math::
        n_l &= \tanh(x_t W_n [l = 1] + s_{l-1} U_{n,l} + b_{n,l}) \\
        t_l &= \sigma(x_t W_t [l = 1] + s_{l-1} U_{t,l} + b_{t,l}) \\
        c_l &= 1 - t_l && \text{coupled=True} \\
        c_l &= \sigma(x_t W_c [l = 1] + s_{l-1} U_{c,l} + b_{c,l}) && \text{coupled=False} \\
        s_l &= n_l \odot t_l + s_{l-1} \odot c_l

    The output is :math:`h_t = s_L`; :math:`L` is ``depth``. ``transform_bias`` is the initial value of :math:`b_t`.
    """

    depth: int = 3
    coupled: bool = True
    transform_bias: float = -2.0

    paper = "Zilly, Srivastava, Koutník and Schmidhuber 2017, Recurrent highway networks, ICML, arXiv:1607.03474"
    conventions = (
        "Gates in the order n, t, c; recurrent kernel and bias layer by layer, each with its gates side by side.",
        "Carry gates are coupled, as in the paper's experiments, and have no parameters then.",
        "The transform gates' biases start at -2, so that a new network mostly carries.",
    )
    elsewhere = {"torchrecurrent": "its file has the cell, but cannot be imported (0.2.5)"}
    carry_type = HiddenCarry

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or self.depth < 1:
            raise ValueError(
                f"{type(self).__name__}.depth must be a positive whole number of layers, got {self.depth!r}"
            )

    @property
    def gates(self) -> int:
        """Gates of one layer."""
        return 2 if self.coupled else 3

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias is zero but for the transform gates'."""
        kernel_key, recurrent_key = jax.random.split(key)
        bias = jnp.zeros((self.depth, self.gates, self.hidden_size), dtype).at[:, 1].set(self.transform_bias)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, self.gates, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, self.depth * self.gates, dtype),
            bias=bias.reshape(-1),
        )

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        s, from_inputs = carry.hidden, inputs @ params.kernel
        layers = zip(
            split_gates(params.recurrent_kernel, self.depth), split_gates(params.bias, self.depth), strict=True
        )
        for layer, (recurrent_kernel, bias) in enumerate(layers):
            total = s @ recurrent_kernel + bias
            n, t, *c = split_gates(total + from_inputs if layer == 0 else total, self.gates)
            n, t = named(jnp.tanh(n), "candidate"), named(jax.nn.sigmoid(t), "input_gate")
            s = n * t + s * (1 - t if self.coupled else named(jax.nn.sigmoid(*c), "forget_gate"))
        return HiddenCarry(s), s
