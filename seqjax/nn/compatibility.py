"""Some versions of flax cannot be imported with some of jax; pip installs such pairs without a word."""

import sys
from importlib import metadata


def pair_message(flax_version: str, jax_version: str) -> str:
    """What to tell the person whose flax cannot be imported."""
    pair = (
        '"jax>=0.11.1,<0.13" "flax>=0.12.10,!=0.12.11"'
        if sys.version_info >= (3, 12)
        else '"jax>=0.10,<0.11.1" "flax>=0.12.8,<0.12.9"'
    )
    return (
        f"flax {flax_version} cannot be imported with jax {jax_version}: the two do not fit together. seqjax.nn needs "
        f"a pair that does; on this Python run: pip install {pair} (cells and seqjax.scan work without flax)"
    )


try:
    import flax.nnx as _nnx  # noqa: F401
except AttributeError as error:
    raise ImportError(pair_message(metadata.version("flax"), metadata.version("jax"))) from error
