"""Agreement with Keras, which has the GRU that resets before the product."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Cell
from tests.cells.conversions import from_keras

os.environ.setdefault("KERAS_BACKEND", "jax")
keras: Any = pytest.importorskip("keras")

TIME, BATCH, INPUTS, HIDDEN = 7, 2, 3, 4
SIZES: dict[str, Any] = {"input_size": INPUTS, "hidden_size": HIDDEN}
LAYERS: dict[str, tuple[Cell, str, dict[str, Any]]] = {
    "LSTM": (LSTM(**SIZES), "LSTM", {}),
    "GRU-after": (GRU(**SIZES), "GRU", {"reset_after": True}),
    "GRU-before": (GRU(**SIZES, reset="before"), "GRU", {"reset_after": False}),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.evidence(
                cell=type(cell).__name__,
                library="Keras",
                what=f"layers.{kind}" + (f" reset {name.partition('-')[2]}" if "-" in name else "") + ": values",
            ),
        )
        for name, (cell, kind, _) in LAYERS.items()
    ],
)
def test_outputs_and_states(name: str) -> None:
    cell, kind, options = LAYERS[name]
    rng = np.random.default_rng(0)
    layer = getattr(keras.layers, kind)(HIDDEN, return_sequences=True, return_state=True, **options)
    inputs = rng.standard_normal((BATCH, TIME, INPUTS)).astype(np.float32)
    layer.build(inputs.shape)
    layer.set_weights([0.5 * rng.standard_normal(w.shape) for w in layer.get_weights()])
    outputs, *states = (np.asarray(a) for a in layer(inputs))
    params = from_keras(kind, layer.get_weights(), after=name == "GRU-after")
    carry, got = seqjax.scan(cell, jax.tree.map(jnp.asarray, params), jnp.asarray(inputs).swapaxes(0, 1))
    np.testing.assert_allclose(got.swapaxes(0, 1), outputs, rtol=1e-5, atol=2e-6)
    for ours, theirs in zip(carry, states, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)
