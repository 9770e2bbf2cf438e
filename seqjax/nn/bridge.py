"""From what one network ends with to what another begins with."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from seqjax.cells import Cell
from seqjax.nn import functions, sequences
from seqjax.nn.ends import LinearHead


class Bridge(nnx.Module):
    r"""The initial carry of a decoder's layers from the final carries of an encoder's.

    Leaf by leaf: where exactly one leaf of the encoder's layer has the same name, shape and type, it is taken as it is.
    Otherwise it is learned (Bahdanau, Cho, Bengio 2015),

    .. math:: s = \tanh(z W + b)

    with :math:`z` the leaves of that name side by side, such as those of two directions, or all leaves of the layer
    where none has the name. Leaves that do not start at zero, such as counters and normalisers, keep their start.
    The decoder's layer k reads the encoder's layer k; where the numbers of layers differ, all read the highest.

    Args:
        source: the carry of each layer that is read, or its shapes, without batch axes.
        cells: those of the decoder's layers.
        rngs: the stream ``params`` draws the parameters.
        param_dtype: type of the parameters.
    """

    def __init__(
        self, source: Sequence[Any], cells: Sequence[Cell], *, rngs: nnx.Rngs, param_dtype: DTypeLike = jnp.float32
    ) -> None:
        heads, plan = [], []
        for index, cell in enumerate(cells):
            layer = index if len(source) == len(cells) else -1
            origins = sequences.named_leaves(source[layer])
            real = [position for position, (_, origin) in enumerate(origins) if functions.is_real(origin)]
            for name, leaf in sequences.named_leaves(sequences.start_of(cell, param_dtype)):
                same = [position for position, (other, _) in enumerate(origins) if other == name]
                identical = len(same) == 1 and functions.types(origins[same[0]][1]) == functions.types(leaf)
                read = [position for position in real if position in same] or real
                if identical:
                    plan.append((layer, tuple(same), leaf.ndim, None))
                elif read and functions.is_real(leaf) and sequences.is_zero(leaf):
                    plan.append((layer, tuple(read), leaf.ndim, len(heads)))
                    size = sum(math.prod(origins[position][1].shape) for position in read)
                    heads.append(LinearHead(size, leaf.size, rngs=rngs, param_dtype=param_dtype))
                else:
                    plan.append(None)
        self.heads = nnx.List(heads)
        self.plan = tuple(plan)

    def __call__(self, source: Sequence[Any], target: Sequence[Any]) -> tuple[Any, ...]:
        """The decoder's carries.

        Args:
            source: the final carry of each layer that is read, every leaf ``[*batch, ...]``.
            target: the initial carry of each of the decoder's layers, for the same batch.
        """
        origins = [jax.tree.leaves(carry) for carry in source]
        starts, structure = jax.tree.flatten(tuple(target))
        leaves = []
        for origin, start in zip(self.plan, starts, strict=True):
            if origin is None:
                leaves.append(start)
                continue
            layer, read, axes, head = origin
            seen = [origins[layer][position] for position in read]
            if head is None:
                leaves.append(seen[0])
            else:
                batch_axes = len(start.shape[axes:])
                flat = functions.side_by_side([sequences.flat_features(leaf, batch_axes) for leaf in seen])
                leaves.append(sequences.squashed_like(self.heads[head](flat), start))
        return jax.tree.unflatten(structure, leaves)
