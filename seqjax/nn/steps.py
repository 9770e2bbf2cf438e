"""A module as one pure step of time: what :mod:`seqjax.analysis` measures."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flax import nnx

from seqjax.nn import functions
from seqjax.nn.bidirectional import Bidirectional
from seqjax.nn.language_model import LanguageModel
from seqjax.nn.layer import Layer
from seqjax.nn.recurrent import Recurrent
from seqjax.nn.stacked import Stacked


class Step(NamedTuple):
    """A module's step, its parameters, and the carry before the first one."""

    step: Callable[[Any, Any, Any], tuple[Any, Any]]
    """``carry, output = step(params, carry, inputs)``."""
    params: Any
    """The trained arrays: a cell's own named tuple, or a dictionary by their dotted names."""
    carry: Any
    """Its leaves are named after the layers, such as ``layers.0.hidden``."""


class RecurrentLayer(NamedTuple):
    """One recurrent layer of a module."""

    name: str
    """As in the names of the carry, such as ``layers.0``; empty where the module is the layer."""
    layer: Recurrent
    inputs: Any
    """What it reads, ``[time, *batch, features]``."""


def step_of(module: nnx.Module, batch_size: int | tuple[int, ...] = ()) -> Step:
    """The pure step of a recurrent module, without dropout: its values and those of ``module(inputs)`` are the same.

    Inputs of a step are ``[*batch, features]``, and those of a language model tokens ``[*batch, 1]``, with an axis for
    the one feature that they are; :mod:`seqjax.analysis` has time before them.

    Args:
        module: a :class:`Recurrent`, :class:`Stacked` or :class:`LanguageModel`.
        batch_size: of the carry.

    Raises:
        TypeError: a module that is none of them.
        ValueError: a layer that has no step because it reads the sequence from its end.

    Example:
        >>> import jax.numpy as jnp, seqjax
        >>> from flax import nnx
        >>> cells = [seqjax.cells.LSTM(input_size=size, hidden_size=5) for size in (3, 5)]
        >>> rngs = nnx.Rngs(0)
        >>> model = seqjax.nn.Stacked([seqjax.nn.Recurrent(cell, rngs=rngs) for cell in cells], rngs=rngs)
        >>> step, params, carry = seqjax.nn.step_of(model, batch_size=2)
        >>> flow = seqjax.analysis.gradient_flow(step, params, jnp.ones([7, 2, 3]), carry)
        >>> list(flow.norms)
        ['layers.0.hidden', 'layers.0.cell', 'layers.1.hidden', 'layers.1.cell']
    """
    _check(module, "")
    if isinstance(module, Recurrent):
        return Step(module.cell, module.param_values, module.initial_carry(batch_size))
    assert isinstance(module, Stacked | LanguageModel)
    view = nnx.view(module, deterministic=True, raise_if_not_found=False)
    graph, trained, rest = nnx.split(view, nnx.Param, ...)

    def step(params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        merged = nnx.merge(graph, functions.like_named(trained, params), rest)
        inputs = inputs[..., 0] if isinstance(merged, LanguageModel) else inputs
        carries, outputs = merged.step(inputs, carry["layers"])
        return {"layers": carries}, outputs

    return Step(step, functions.by_name(trained), {"layers": module.initial_carry(batch_size)})


def recurrent_layers(module: nnx.Module, inputs: Any) -> tuple[RecurrentLayer, ...]:
    """The recurrent layers of a module, the lowest first, with what each reads; dropout is off.

    Args:
        module: as for :func:`step_of`.
        inputs: as for its step, with time first.

    Raises:
        TypeError, ValueError: as for :func:`step_of`.
    """
    _check(module, "")
    view = nnx.view(module, deterministic=True, raise_if_not_found=False)
    if isinstance(view, LanguageModel):
        return tuple(_layers("", view.layers, view.embedding(inputs[..., 0])))
    assert isinstance(view, Layer)
    return tuple(_layers("", view, inputs))


def _layers(name: str, layer: Layer, inputs: Any) -> Iterator[RecurrentLayer]:
    if isinstance(layer, Recurrent):
        yield RecurrentLayer(name, layer, inputs)
    elif isinstance(layer, Stacked):
        for index, (each, seen) in enumerate(zip(layer.layers, layer.layer_inputs(inputs), strict=True)):
            yield from _layers(f"{name}.{index}" if name else f"layers.{index}", each, seen)


def _check(module: Any, at: str) -> None:
    if isinstance(module, LanguageModel):
        _check(module.layers, at)
    elif isinstance(module, Stacked):
        for index, layer in enumerate(module.layers):
            _check(layer, f"{at}layers[{index}]: ")
    elif isinstance(module, Bidirectional):
        raise ValueError(
            f"{at}a bidirectional layer needs the whole sequence and has no single step; "
            "measure its two directions apart, each as a Recurrent with reverse=False"
        )
    elif isinstance(module, Recurrent):
        if module.reverse:
            raise ValueError(
                f"{at}a layer with reverse=True starts at the end of the sequence and has no step towards its end; "
                "measure it with reverse=False on reversed inputs"
            )
    elif not isinstance(module, Layer) or not at:
        raise TypeError(
            f"{at}{type(module).__name__} has no recurrence that can be read; expected a seqjax.nn.Recurrent, Stacked "
            "or LanguageModel (for a step of your own, call seqjax.analysis with the function)"
        )
