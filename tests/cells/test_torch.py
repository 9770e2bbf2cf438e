"""Agreement with ``torch.nn.RNN``, ``LSTM`` and ``GRU`` in float64: values, gradients, ragged and both directions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Cell, Elman
from tests.cells.conversions import from_torch

torch = pytest.importorskip("torch")

TIME, BATCH, INPUTS, HIDDEN = 9, 3, 4, 5
LENGTHS = [9, 2, 5]
SIZES: dict[str, Any] = {"input_size": INPUTS, "hidden_size": HIDDEN}
KINDS: dict[str, tuple[Cell, Any]] = {
    "RNN-tanh": (Elman(**SIZES), lambda **k: torch.nn.RNN(INPUTS, HIDDEN, nonlinearity="tanh", **k)),
    "RNN-relu": (
        Elman(**SIZES, activation="relu"),
        lambda **k: torch.nn.RNN(INPUTS, HIDDEN, nonlinearity="relu", **k),
    ),
    "LSTM": (LSTM(**SIZES), lambda **k: torch.nn.LSTM(INPUTS, HIDDEN, **k)),
    "GRU": (GRU(**SIZES), lambda **k: torch.nn.GRU(INPUTS, HIDDEN, **k)),
}


def with_evidence(what: str) -> Any:
    """Every kind, marked as evidence for its cell."""
    return pytest.mark.parametrize(
        "kind",
        [
            pytest.param(
                kind,
                marks=pytest.mark.evidence(
                    cell=type(cell).__name__, library="torch", what=f"nn.{kind.partition('-')[0]}: {what}"
                ),
            )
            for kind, (cell, _) in KINDS.items()
        ],
    )


def weights_of(module: Any, suffix: str = "", gradients: bool = False) -> dict[str, np.ndarray]:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    found = {name: getattr(module, f"{name}_l0{suffix}") for name in names}
    return {name: (value.grad if gradients else value).detach().numpy() for name, value in found.items()}


@with_evidence("values and gradients")
def test_values_and_gradients(kind: str, float64: None) -> None:
    cell, make = KINDS[kind]
    torch.manual_seed(0)
    module = make().double()
    start = [
        torch.randn(1, BATCH, HIDDEN, dtype=torch.float64, requires_grad=True) for _ in range(1 + (kind == "LSTM"))
    ]
    inputs = torch.randn(TIME, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    outputs, last = module(inputs, tuple(start) if kind == "LSTM" else start[0])
    last = last if kind == "LSTM" else (last,)
    (outputs.sin().sum() + sum((leaf**2).sum() for leaf in last)).backward()

    carry_type = type(cell.initial_carry())
    carry = carry_type(*(jnp.asarray(leaf.detach().numpy()[0]) for leaf in start))
    params = jax.tree.map(jnp.asarray, from_torch(kind, weights_of(module)))

    def loss(params: Any, carry: Any, inputs: Any) -> Any:
        values = seqjax.scan(cell, params, inputs, carry)
        return jnp.sin(values[1]).sum() + sum((leaf**2).sum() for leaf in values[0]), values

    at = (params, carry, jnp.asarray(inputs.detach().numpy()))
    gradients, (got_last, got) = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(*at)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    close(got, outputs.detach().numpy())
    for ours, theirs in zip(got_last, last, strict=True):
        close(ours, theirs[0].detach().numpy())
    for ours, theirs in zip(gradients[1], start, strict=True):
        close(ours, theirs.grad[0].numpy())
    close(gradients[2], inputs.grad.numpy())
    # The sum of two biases has the gradient of either; the map of the weights is otherwise a permutation.
    theirs = weights_of(module, gradients=True)
    theirs["bias_ih"], theirs["bias_hh"] = theirs["bias_ih"] * 0.5, theirs["bias_hh"] * 0.5
    expected = from_torch(kind, theirs)
    if kind == "GRU":
        expected = expected._replace(
            bias=np.concatenate([expected.bias[: 2 * HIDDEN], 2 * expected.bias[2 * HIDDEN :]]),
            recurrent_bias=2 * expected.recurrent_bias,
        )
    jax.tree.map(close, gradients[0], expected)


@with_evidence("ragged in both directions")
def test_ragged_in_both_directions(kind: str, float64: None) -> None:
    """A packed sequence: the second direction starts at each sequence's own end."""
    cell, make = KINDS[kind]
    torch.manual_seed(1)
    module = make(bidirectional=True).double()
    inputs = torch.randn(TIME, BATCH, INPUTS, dtype=torch.float64)
    packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, enforce_sorted=False)
    outputs, last = module(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs)
    last = last if kind == "LSTM" else (last,)
    for direction, suffix in enumerate(("", "_reverse")):
        params = jax.tree.map(jnp.asarray, from_torch(kind, weights_of(module, suffix)))
        carry, got = seqjax.scan(
            cell, params, jnp.asarray(inputs.numpy()), lengths=jnp.asarray(LENGTHS), reverse=direction == 1
        )
        want = outputs[..., direction * HIDDEN : (direction + 1) * HIDDEN].detach().numpy()
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
        for ours, theirs in zip(carry, last, strict=True):
            np.testing.assert_allclose(ours, theirs[direction].detach().numpy(), rtol=1e-10, atol=1e-12)


def test_summing_the_biases_of_a_gru_would_be_seen() -> None:
    weights: dict[str, Any] = {name: np.ones(shape) for name, shape in (("weight_ih", (15, 4)), ("weight_hh", (15, 5)))}
    weights |= {"bias_ih": np.full(15, 2.0), "bias_hh": np.full(15, 3.0)}
    params = from_torch("GRU", weights)
    np.testing.assert_array_equal(params.bias, [5.0] * 10 + [2.0] * 5)
    np.testing.assert_array_equal(params.recurrent_bias, [3.0] * 5)
