"""The batch split over the CPU's devices: when it is, and how its arrays are placed."""

from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

# Of inputs and outputs, [time, batch, ...].
BATCH = P(None, "batch")


def why_not(batch: int) -> str | None:
    """Why a batch of this size is not split; ``None`` where it is. Nothing that was measured has a say in it."""
    devices = jax.device_count()
    if (platform := jax.default_backend()) != "cpu":
        return f"JAX runs on {platform}, and the split is one over CPU devices"
    if devices == 1:
        return "JAX has one CPU device; `--devices 2` makes two"
    if batch % devices:
        return f"a batch of {batch} cannot be divided over {devices} devices"
    return None


def mesh() -> Mesh:
    """All devices in a row; XLA's partitioner decides what the specifications leave open."""
    return jax.make_mesh((jax.device_count(),), ("batch",), axis_types=(AxisType.Auto,))


def place(params: Any, inputs: Any) -> tuple[Any, Any]:
    """Parameters on every device, inputs in equal parts."""
    devices = mesh()
    return (
        jax.device_put(params, NamedSharding(devices, P())),
        jax.device_put(inputs, NamedSharding(devices, BATCH)),
    )
