"""The batch split over the CPU's devices: when it is."""

import jax


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
