"""Agreement with other libraries that have the same option, with weights and masks copied over."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Elman
from seqjax.cells.transforms import NoisyCarry, recurrent_dropout, weight_normalization
from seqjax.laws.subject import randomised

TIME, BATCH, SIZES = 4, 3, {"input_size": 3, "hidden_size": 4}


def evidence(cell: str, library: str, what: str) -> Any:
    return pytest.mark.evidence(cell=cell, library=library, what=what)


KERAS = [
    pytest.param("Elman", "SimpleRNN", {}, marks=evidence("Elman", "Keras", "recurrent_dropout, values")),
    pytest.param("LSTM", "LSTM", {}, marks=evidence("LSTM", "Keras", "recurrent_dropout, values")),
    pytest.param("GRU", "GRU", {"reset": "after"}, marks=evidence("GRU", "Keras", "recurrent_dropout, values")),
    pytest.param("GRU", "GRU", {"reset": "before"}, marks=evidence("GRU", "Keras", "recurrent_dropout, reset before")),
]
# Our gates in Keras's order.
ORDER = {"Elman": [0], "LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2]}


@pytest.mark.parametrize(("name", "layer", "options"), KERAS)
def test_keras_recurrent_dropout(name: str, layer: str, options: dict[str, str], monkeypatch: Any) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    cell = {"Elman": Elman, "LSTM": LSTM, "GRU": GRU}[name](**SIZES, **options)
    ours = recurrent_dropout(cell, 0.4, per_gate=name != "Elman")
    params = randomised(cell.init(jax.random.key(0)), seed=1)
    inputs = np.random.default_rng(0).standard_normal((TIME, BATCH, 3)).astype(np.float32)
    start = ours.initial_carry((BATCH,), params=params, key=jax.random.key(2))
    masks = np.asarray(start.noise[0])

    arguments = {"reset_after": options["reset"] == "after"} if options else {}
    theirs = getattr(keras.layers, f"{layer}Cell")(4, recurrent_dropout=0.4, **arguments)
    theirs.build((BATCH, 3))
    ordered = lambda a: np.concatenate([np.split(np.asarray(a), len(ORDER[name]), -1)[g] for g in ORDER[name]], -1)
    bias = ordered(params.bias)
    if options.get("reset") == "after":
        hidden = np.concatenate([np.zeros(8, np.float32), np.asarray(params.recurrent_bias)])
        bias = np.stack([bias, hidden])
    theirs.set_weights([ordered(params.kernel), ordered(params.recurrent_kernel), bias])
    if name == "Elman":
        theirs._recurrent_dropout_mask = jnp.asarray(masks)
    else:
        theirs._recurrent_dropout_mask = [jnp.asarray(masks[:, gate]) for gate in ORDER[name]]

    _, outputs = seqjax.scan(ours, params, inputs, start)
    state = [jnp.zeros((BATCH, 4)) for _ in start.carry]
    for x, got in zip(inputs, outputs, strict=True):
        want, state = theirs(jnp.asarray(x), state, training=True)
        np.testing.assert_allclose(got, np.asarray(want), rtol=2e-5, atol=2e-6)
    assert isinstance(start, NoisyCarry)


@pytest.mark.evidence(cell="LSTM", library="torch", what="weight_norm of both kernels, values and gradients")
def test_torch_weight_normalization(float64: None) -> None:
    torch = pytest.importorskip("torch")
    cell = weight_normalization(LSTM(**SIZES))
    params = randomised(cell.init(jax.random.key(0), jnp.float64), seed=1)
    inputs = np.random.default_rng(0).standard_normal((TIME, BATCH, 3))
    loss = lambda params: (seqjax.scan(cell, params, inputs)[1] ** 2).sum()
    value, got = jax.value_and_grad(loss)(params)

    theirs = torch.nn.LSTM(3, 4, dtype=torch.float64)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        theirs = torch.nn.utils.weight_norm(theirs, name)
    pairs = [("weight_ih_l0", params.kernel), ("weight_hh_l0", params.recurrent_kernel)]
    with torch.no_grad():
        for name, kernel in pairs:
            getattr(theirs, f"{name}_g").copy_(torch.tensor(np.asarray(kernel.scale)[:, None]))
            getattr(theirs, f"{name}_v").copy_(torch.tensor(np.asarray(kernel.direction).T))
        theirs.bias_ih_l0.copy_(torch.tensor(np.asarray(params.bias)))
        theirs.bias_hh_l0.zero_()
    outputs, _ = theirs(torch.tensor(inputs))
    want = (outputs**2).sum()
    want.backward()
    assert float(value) == pytest.approx(float(want), rel=1e-12)
    for name, kernel in zip(("weight_ih_l0", "weight_hh_l0"), (got.kernel, got.recurrent_kernel), strict=True):
        np.testing.assert_allclose(kernel.scale, getattr(theirs, f"{name}_g").grad.numpy()[:, 0], rtol=1e-9)
        np.testing.assert_allclose(kernel.direction, getattr(theirs, f"{name}_v").grad.numpy().T, rtol=1e-9, atol=1e-12)
