"""A cell with its parameters, over time."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import Cell
from seqjax.cells.transforms import Transform
from seqjax.engine import scan
from seqjax.nn import functions
from seqjax.nn.layer import Layer, batch_shape


class Recurrent(Layer):
    """A recurrent layer: :func:`seqjax.scan` of a cell whose parameters live here.

    ``params`` is the cell's own named tuple with an :class:`flax.nnx.Param` at each leaf, so that a parameter's path is
    its name, such as ``params.recurrent_kernel``. Calls are those of :class:`~seqjax.nn.Layer`.

    A cell with randomness (``recurrent_dropout``, ``zoneout``, ``weight_drop`` of :mod:`seqjax.cells.transforms`) is
    noisy in training: each call draws its noise, one mask for all its steps, and returns a carry without it.
    ``model.eval()`` and ``model.train()`` switch that. A carry of ``initial_carry(..., key=key)`` keeps its own noise.

    Args:
        cell: the equations and their sizes.
        rngs: the stream ``params`` draws the parameters, ``dropout`` the noise of a cell that has any.
        reverse: run from the last (valid) step to the first; outputs keep their places.
        mode: as for :func:`seqjax.scan`.
        checkpoint: as for :func:`seqjax.scan`.
        param_dtype: type of the parameters.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> layer = seqjax.nn.Recurrent(seqjax.cells.GRU(input_size=3, hidden_size=5), rngs=nnx.Rngs(0))
        >>> carry, outputs = layer(jnp.ones([2, 7, 3]))
        >>> outputs.shape, carry.hidden.shape, layer.params.kernel.shape
        ((2, 7, 5), (2, 5), (3, 15))
    """

    def __init__(
        self,
        cell: Cell,
        *,
        rngs: nnx.Rngs,
        reverse: bool = False,
        mode: Literal["auto", "lax"] = "auto",
        checkpoint: Literal["sqrt"] | int | None = None,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        if not isinstance(cell, Cell):
            raise TypeError(
                f"Recurrent expects a cell such as seqjax.cells.LSTM(input_size=3, hidden_size=5), got {cell!r}"
            )
        self.cell = cell
        self.input_size = cell.input_size
        self.output_size = cell.output_size
        self.reverse = reverse
        self.mode = mode
        self.checkpoint = checkpoint
        self.deterministic = False
        stochastic = isinstance(cell, Transform) and cell.stochastic
        self.rngs = rngs["dropout"].fork() if stochastic else nnx.data(None)
        self.params = nnx.data(jax.tree.map(nnx.Param, cell.init(rngs.params(), param_dtype)))

    @property
    def input_shapes(self) -> Any:
        """Those of the cell."""
        return self.cell.input_shapes()

    @property
    def output_axes(self) -> int:
        """That of the cell."""
        return len(self.cell.output_shape)

    @property
    def noisy(self) -> bool:
        """Whether calls draw noise."""
        return self.rngs is not None and not self.deterministic

    def set_view(self, deterministic: bool | None = None) -> None:
        """Called by ``nnx.view``."""
        if deterministic is not None:
            self.deterministic = deterministic

    @property
    def param_values(self) -> Any:
        """The cell's parameters as plain arrays: what the pure functions take."""
        return jax.tree.map(lambda param: param[...], self.params, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable))

    def start(self, inputs: Any, carry: Any, with_resets: bool = False) -> tuple[Any, Any, Any]:
        """What a run over time-major inputs starts with: parameters, carry, and with resets the carry they restore.

        In training those of a noisy cell are drawn, as :func:`functions.with_noise`; otherwise they are as given.
        """
        params = self.param_values
        key = self.rngs() if self.rngs is not None and not self.deterministic else None
        if isinstance(self.cell, Transform) and key is not None:
            return functions.with_noise(self.cell, params, inputs, carry, key, with_resets)
        return params, carry, None

    def time_major(self, inputs: Any, carry: Any = None, *, lengths: Any = None, resets: Any = None) -> tuple[Any, Any]:
        """As the call, with inputs and outputs ``[time, *batch, features]`` and resets ``[time, *batch]``."""
        params, noisy_carry, fresh_carry = self.start(inputs, carry, resets is not None)
        last, outputs = scan(
            self.cell,
            params,
            inputs,
            noisy_carry,
            lengths=lengths,
            resets=resets,
            reverse=self.reverse,
            mode=self.mode,
            checkpoint=self.checkpoint,
            fresh_carry=fresh_carry,
        )
        return functions.noise_as_in(carry, last), outputs

    def step(self, inputs: Any, carry: Any) -> tuple[Any, Any]:
        """One step of the cell."""
        if self.reverse:
            raise ValueError("a layer with reverse=True needs the whole sequence and has no single step")
        return self.cell(self.param_values, carry, inputs)

    def initial_carry(self, batch_size: int | tuple[int, ...] = (), *, key: jax.Array | None = None) -> Any:
        """The cell's initial carry, of the parameters' type; with a key, and the noise of each sequence."""
        values = self.param_values
        return self.cell.initial_carry(batch_shape(batch_size), functions.result_type(values), values, key)
