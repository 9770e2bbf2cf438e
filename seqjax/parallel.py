"""Splitting a batch over devices: each reads its share of the sequences, and gradients are added across them.

Nothing else has to be said: :func:`seqjax.scan` under ``jax.jit`` runs where its inputs lie, and its backward pass adds
the devices' gradients once, after the loop.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def batch_mesh(devices: int | None = None) -> Mesh:
    """A mesh of one axis, ``batch``, over the first devices that JAX has.

    Args:
        devices: how many; all of them if not given.

    Raises:
        ValueError: if there are fewer.

    Example:
        >>> import jax, jax.numpy as jnp, seqjax
        >>> mesh = seqjax.parallel.batch_mesh()
        >>> cell = seqjax.cells.LSTM(input_size=3, hidden_size=4)
        >>> params = seqjax.parallel.replicate(cell.init(jax.random.key(0)), mesh)
        >>> inputs = seqjax.parallel.split_batch(jnp.ones([5, 2 * mesh.size, 3]), mesh, axis=1)
        >>> gradients = jax.jit(jax.grad(lambda params: seqjax.scan(cell, params, inputs)[1].sum()))(params)
    """
    available = jax.devices()
    devices = len(available) if devices is None else devices
    if devices < 1:
        raise ValueError(f"a mesh needs at least one device, got devices={devices}")
    if devices > len(available):
        platform = available[0].platform
        mend = (
            f"run jax.config.update('jax_num_cpu_devices', {devices}) before JAX is first used, "
            f"as `seqjax train` does for train.devices={devices}"
            if platform == "cpu"
            else "ask for at most that"
        )
        raise ValueError(f"got devices={devices}, but JAX has {len(available)} of platform {platform}; {mend}")
    return jax.make_mesh((devices,), ("batch",), (AxisType.Auto,), devices=available[:devices])


def split_batch(tree: Any, mesh: Mesh, axis: int) -> Any:
    """Every leaf with its batch axis split over a mesh.

    Args:
        tree: arrays that have the same batch axis.
        mesh: of :func:`batch_mesh`.
        axis: the batch axis: 1 for the time-major inputs of :func:`seqjax.scan`, 0 for carries, batch-major inputs and
            labels.

    Raises:
        ValueError: if a leaf has no such axis, or its size is not a multiple of the number of devices.
    """

    def sharding(path: Any, leaf: Any) -> NamedSharding:
        shape = np.shape(leaf)
        which = f"the leaf {name} of shape {shape}" if (name := jax.tree_util.keystr(path)) else f"shape {shape}"
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"cannot split axis {axis} over {mesh.size} devices: {which} has no such axis")
        if shape[axis] % mesh.size:
            raise ValueError(
                f"cannot split axis {axis} of {which} over {mesh.size} devices: {shape[axis]} is not a multiple of "
                f"{mesh.size}; take a batch that is, or a mesh of fewer devices"
            )
        return NamedSharding(mesh, PartitionSpec(*[None] * (axis % len(shape)), "batch"))

    return jax.device_put(tree, jax.tree_util.tree_map_with_path(sharding, tree))


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Every leaf whole on each device of a mesh, as parameters are.

    As with ``jax.device_put``, one of the copies may be the array that was given: do not use that one again where the
    result's buffers are donated.
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
