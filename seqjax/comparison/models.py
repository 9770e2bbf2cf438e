"""What is compared: a cell with a linear read-out, and a causal convolution, both of a given number of parameters."""

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import initializers

from seqjax.cells import Cell, registry
from seqjax.config import build_cell
from seqjax.data import Task
from seqjax.engine import scan
from seqjax.errors import ConfigError, SeqjaxError, nearest

BASELINE = "convolution"
_LARGEST = 2**14


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(ABC):
    """Sequences to predictions by pure functions; equal models are equal, so they are compiled once.

    Attributes:
        output_size: predictions at each step.
    """

    output_size: int

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Features of a step's inputs."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of hidden units or channels."""

    @abstractmethod
    def init(self, key: jax.Array) -> Any:
        """Draw the parameters."""

    @abstractmethod
    def __call__(self, params: Any, inputs: jax.Array) -> jax.Array:
        """Predictions ``[time, batch, output_size]`` from ``[time, batch, input_size]``; no step sees a later one."""


class RecurrentParams(NamedTuple):
    """Parameters of :class:`RecurrentModel`."""

    cell: Any
    """The cell's."""
    kernel: jax.Array
    """Of the read-out, ``[features of the cell's output, output_size]``."""
    bias: jax.Array
    """``[output_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentModel(Model):
    """A cell over time, and a linear read-out of its outputs.

    Attributes:
        cell: the cell.
    """

    cell: Cell

    @property
    def input_size(self) -> int:
        """The cell's."""
        return self.cell.input_size

    @property
    def width(self) -> int:
        """The cell's hidden size."""
        return self.cell.hidden_size

    def init(self, key: jax.Array) -> RecurrentParams:
        """The cell's own parameters, a Glorot read-out, and no bias."""
        cell_key, readout_key = jax.random.split(key)
        shape = (self.cell.output_size, self.output_size)
        kernel = initializers.glorot_uniform()(readout_key, shape, jnp.float32)
        return RecurrentParams(self.cell.init(cell_key), kernel, jnp.zeros(self.output_size))

    def __call__(self, params: RecurrentParams, inputs: jax.Array) -> jax.Array:
        """Scan and read out."""
        _, outputs = scan(self.cell, params.cell, inputs)
        return outputs @ params.kernel + params.bias


class ConvolutionParams(NamedTuple):
    """Parameters of :class:`ConvolutionModel`."""

    input_kernel: jax.Array
    """``[input_size, channels]``."""
    kernels: jax.Array
    """``[layers, kernel_size, channels, channels]``."""
    biases: jax.Array
    """``[layers, channels]``."""
    kernel: jax.Array
    """Of the read-out, ``[channels, output_size]``."""
    bias: jax.Array
    """``[output_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionModel(Model):
    r"""Causal dilated convolutions with residual connections (after Bai, Kolter and Koltun 2018), the plain baseline.

    .. math:: x^{l+1}_t = x^l_t + \mathrm{relu}\Big(\sum_j x^l_{t - j 2^l} K^l_j + b^l\Big)

    It has no state: ``layers`` decide how far back it sees.

    Attributes:
        features: of a step's inputs.
        channels: of every layer.
        layers: number of layers; the dilation doubles in each.
        kernel_size: time steps that a convolution reads.
    """

    features: int
    channels: int
    layers: int
    kernel_size: int = 3

    @property
    def input_size(self) -> int:
        """The features."""
        return self.features

    @property
    def width(self) -> int:
        """The channels."""
        return self.channels

    @property
    def receptive_field(self) -> int:
        """Number of time steps that a prediction depends on."""
        return 1 + (self.kernel_size - 1) * (2**self.layers - 1)

    def init(self, key: jax.Array) -> ConvolutionParams:
        """Kernels after He et al. 2015, without biases."""
        input_key, key, readout_key = jax.random.split(key, 3)
        draw = initializers.he_normal(in_axis=(-3, -2), out_axis=-1, batch_axis=0)
        shape = (self.layers, self.kernel_size, self.channels, self.channels)
        return ConvolutionParams(
            initializers.glorot_uniform()(input_key, (self.features, self.channels), jnp.float32),
            draw(key, shape, jnp.float32),
            jnp.zeros((self.layers, self.channels)),
            initializers.glorot_uniform()(readout_key, (self.channels, self.output_size), jnp.float32),
            jnp.zeros(self.output_size),
        )

    def __call__(self, params: ConvolutionParams, inputs: jax.Array) -> jax.Array:
        """All steps at once."""
        x = inputs @ params.input_kernel
        for layer in range(self.layers):
            # Products of shifted sequences: over several seeds they stay products, where a convolution would not.
            total = params.biases[layer]
            for tap in range(self.kernel_size):
                total = total + _later(x, tap * 2**layer) @ params.kernels[layer, tap]
            x = x + jax.nn.relu(total)
        return x @ params.kernel + params.bias


def _later(x: jax.Array, steps: int) -> jax.Array:
    """The sequence as it was some steps before, zeros at first."""
    steps = min(steps, x.shape[0])
    return jnp.pad(x, ((steps, 0), (0, 0), (0, 0)))[: x.shape[0]]


def parameter_count(model: Model) -> int:
    """Number of parameters, those of the read-out included; nothing is drawn."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(model.init, jax.random.key(0))))


def model_of_size(name: str, task: Task, parameters: int, options: dict[str, Any] | None = None) -> Model:
    """The model of a name whose number of parameters for a task is nearest to the one wanted.

    Args:
        name: of a cell, or ``convolution``.
        task: what it is for.
        parameters: how many it should have.
        options: of the cell; no sizes.

    Raises:
        ConfigError: there is no such cell, it reads or writes something else than vectors, or no size comes near.
    """
    if name != BASELINE and name not in registry():
        raise ConfigError(f"there is no cell {name!r}; {nearest(name, [BASELINE, *registry()])}")
    make = functools.partial(_convolution, task) if name == BASELINE else functools.partial(_recurrent, name, task)
    build = functools.partial(make, options or {})
    sizes = _around(lambda size: _count(build, size), parameters)
    counts = {size: count for size in sizes if (count := _count(build, size)) is not None}
    if not counts:
        # The cell says what it does not like.
        build(2)
        raise ConfigError(f"{name} has no size with about {parameters} parameters")
    return build(min(counts, key=lambda size: abs(counts[size] - parameters)))


def _convolution(task: Task, options: dict[str, Any], channels: int) -> ConvolutionModel:
    width = options.get("kernel_size", 3)
    # As many layers as it takes to see the first step from the last.
    layers = math.ceil(math.log2((task.longest - 1) / (width - 1) + 1))
    return ConvolutionModel(
        features=task.input_size, output_size=task.output_size, channels=channels, layers=max(1, layers), **options
    )


def _recurrent(name: str, task: Task, options: dict[str, Any], size: int) -> RecurrentModel:
    cell = build_cell(name, {"input_size": task.input_size, "hidden_size": size, **options})
    shapes = jax.tree.leaves(cell.input_shapes())
    if [leaf.shape for leaf in shapes] != [(task.input_size,)] or len(cell.output_shape) != 1:
        raise ConfigError(
            f"{name} cannot be compared: it reads {', '.join(str(leaf.shape) for leaf in shapes)} and writes "
            f"{cell.output_shape} in a step, where the tasks have one vector; choose a cell of vectors"
        )
    return RecurrentModel(cell=cell, output_size=task.output_size)


def _count(build: Callable[[int], Model], size: int) -> int | None:
    """``None`` where the cell does not take this size."""
    try:
        return parameter_count(build(size))
    except (SeqjaxError, ValueError):
        return None


def _around(count: Callable[[int], int | None], wanted: int) -> range:
    """Sizes among which the nearest one is, by bisection; a cell may refuse some of them."""

    def next_count(size: int) -> int | None:
        return next((found for near in range(size, size + 8) if (found := count(near)) is not None), None)

    low, high = 1, 2
    while high < _LARGEST and (next_count(high) or wanted) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        found = next_count(middle)
        low, high = (middle, high) if found is not None and found < wanted else (low, middle)
    return range(max(1, low - 8), high + 8)
