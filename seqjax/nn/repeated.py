"""Equal layers on top of each other as one loop over layers, so that they are compiled once."""

from typing import Any, NamedTuple

import jax
from flax import nnx

from seqjax.nn import functions
from seqjax.nn.bidirectional import Bidirectional
from seqjax.nn.layer import Layer
from seqjax.nn.recurrent import Recurrent


class Block(NamedTuple):
    """One layer of a stack with what belongs to it.

    Attributes:
        layer: the layer.
        norm: normalises its outputs, if there is any.
        carry: the layer's carry before the first step, if given.
        key: of the dropout of its inputs, if there is any.
    """

    layer: Layer
    norm: nnx.Module | None
    carry: Any
    key: jax.Array | None


class Options(NamedTuple):
    """What a loop over layers is compiled for, besides shapes."""

    graph: Any
    dropout: float
    residual: bool


def finished(layer: Layer, norm: Any, residual: bool, inputs: Any, outputs: Any) -> Any:
    """A layer's outputs, normalised and with its inputs added."""
    if norm is not None:
        outputs = norm(outputs)
    return functions.add_residual(inputs, outputs) if residual and layer.input_size == layer.output_size else outputs


def equal_blocks(blocks: list[Block]) -> int:
    """How many of the first blocks are equal but for the values of their parameters and carries."""
    kind = _kind(blocks[0])
    if kind is None:
        return 1
    return next((count for count, block in enumerate(blocks) if _kind(block) != kind), len(blocks))


def _kind(block: Block) -> Any:
    # What a loop draws would not be told to the layer's random state.
    if type(block.layer) not in (Recurrent, Bidirectional) or block.layer.noisy:
        return None
    graph, state = nnx.split((block.layer, block.norm))
    kind = graph, functions.types((state, block.carry))
    try:
        hash(kind)
    except TypeError:
        return None
    return kind


def run_repeated(
    blocks: list[Block], inputs: Any, lengths: Any, resets: Any, *, dropout: float, residual: bool
) -> tuple[tuple[Any, ...], Any] | None:
    """The carries and outputs of equal blocks, or ``None`` where the first changes its inputs' type."""
    options = Options(nnx.graphdef((blocks[0].layer, blocks[0].norm)), dropout, residual)
    values = [(nnx.state((block.layer, block.norm)), block.carry) for block in blocks]
    dropped = [block.key is not None for block in blocks]
    keys = [block.key for block in blocks if block.key is not None]
    # A loop needs a key for every layer; the one that drops nothing makes no use of it.
    keys = [keys[0] if block.key is None else block.key for block in blocks] if keys else None
    first = functions.result_types(lambda inputs: _block(options, lengths, resets, inputs, values[0], None)[0], inputs)
    if first != functions.types(inputs):
        return None
    return _repeated(options, inputs, values, (keys, dropped) if keys else None, lengths, resets)


def _block(options: Options, lengths: Any, resets: Any, inputs: Any, values: Any, dropping: Any) -> tuple[Any, Any]:
    state, carry = values
    layer, norm = nnx.merge(options.graph, state)
    seen = inputs
    if dropping is not None:
        key, dropped = dropping
        seen = functions.choose(dropped, nnx.Dropout(options.dropout, deterministic=False)(inputs, rngs=key), inputs)
    carry, outputs = layer.time_major(seen, carry, lengths=lengths, resets=resets)
    return finished(layer, norm, options.residual, inputs, outputs), carry


def _loop(options: Options, inputs: Any, values: list, dropping: Any, lengths: Any, resets: Any) -> tuple[Any, Any]:
    def block(inputs: Any, values: Any, dropping: Any) -> tuple[Any, Any]:
        return _block(options, lengths, resets, inputs, values, dropping)

    dropping = None if dropping is None else tuple(map(functions.stacked, dropping))
    outputs, carries = functions.over_layers(block, inputs, functions.stacked(values), dropping)
    return functions.unstacked(carries, len(values)), outputs


_repeated = jax.jit(_loop, static_argnums=0)
