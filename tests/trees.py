"""Trees of arrays in tests: their floating leaves, and comparison leaf by leaf."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.laws.trees import floats as floats
from seqjax.laws.trees import gradient as gradient
from seqjax.laws.trees import is_float as is_float
from seqjax.laws.trees import weighted_sum as weighted_sum
from seqjax.laws.trees import with_floats as with_floats


def assert_trees_close(got: Any, want: Any, relative: float, what: str = "", floor: float = 1e-2) -> None:
    """Same structure, shapes, types; floats equal to ``relative`` times the largest of each leaf, the rest exactly."""
    assert jax.tree.structure(got) == jax.tree.structure(want), what
    for (path, a), b in zip(jax.tree.leaves_with_path(got), jax.tree.leaves(want), strict=True):
        name = f"{what}{jax.tree_util.keystr(path)}"
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert a.shape == b.shape, f"{name}: shape {a.shape}, expected {b.shape}"
        assert a.dtype == b.dtype, f"{name}: {a.dtype}, expected {b.dtype}"
        if not a.size:
            continue
        if not is_float(a):
            np.testing.assert_array_equal(a, b, err_msg=name)
            continue
        wide = np.complex128 if np.iscomplexobj(a) else np.float64
        a, b = np.asarray(a).astype(wide), np.asarray(b).astype(wide)
        assert np.isfinite(b).all(), f"{name}: the expected value is not finite"
        scale = max(np.abs(b).max(), floor)
        difference = np.abs(a - b).max() / scale
        assert difference <= relative, f"{name}: differs by {difference:.3g} of the largest, allowed {relative:.3g}"
