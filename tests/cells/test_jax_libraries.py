"""Agreement with the cells of Flax, Haiku and Equinox in float64: values and gradients, from the same parameters.

Every step below is the library's own, built from *our* parameters, so that both sides are differentiated to the same.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Cell, Elman
from tests.trees import gradient, weighted_sum

TIME, BATCH, INPUTS, HIDDEN = 5, 2, 3, 4
SIZES: dict[str, Any] = {"input_size": INPUTS, "hidden_size": HIDDEN}
# step(params, carry, inputs) -> carry, both carries as ours.
Step = Callable[[Any, Any, jax.Array], Any]


def reordered(stacked: jax.Array, ours: str, theirs: str) -> jax.Array:
    parts = dict(zip(ours, jnp.split(stacked, len(ours), axis=-1), strict=True))
    return jnp.concatenate([parts[gate] for gate in theirs], axis=-1)


def noisy(tree: Any) -> Any:
    """No bias and no carry is zero."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + 0.5 * rng.standard_normal(leaf.shape), tree)


def flax_cell(kind: str) -> Any:
    nnx = pytest.importorskip("flax.nnx")
    return getattr(nnx, kind)(INPUTS, HIDDEN, dtype=jnp.float64, param_dtype=jnp.float64, rngs=nnx.Rngs(0))


def set_linear(layer: Any, kernel: jax.Array, bias: jax.Array | None = None) -> None:
    layer.kernel[...] = kernel
    if bias is not None:
        layer.bias[...] = bias


def flax_simple(p: Any, carry: Any, x: jax.Array) -> Any:
    cell = flax_cell("SimpleCell")
    set_linear(cell.dense_i, p.kernel, p.bias)
    set_linear(cell.dense_h, p.recurrent_kernel)
    return type(carry)(cell(carry.hidden, x)[0])


def flax_lstm(p: Any, carry: Any, x: jax.Array) -> Any:
    cell = flax_cell("LSTMCell")
    kernels, recurrent, biases = (jnp.split(part, 4, axis=-1) for part in (p.kernel, p.recurrent_kernel, p.bias))
    for number, (of_inputs, of_hidden) in enumerate((("ii", "hi"), ("if_", "hf"), ("ig", "hg"), ("io", "ho"))):
        set_linear(getattr(cell, of_inputs), kernels[number])
        set_linear(getattr(cell, of_hidden), recurrent[number], biases[number])
    (c, h), _ = cell((carry.cell, carry.hidden), x)
    return type(carry)(hidden=h, cell=c)


def flax_optimized_lstm(p: Any, carry: Any, x: jax.Array) -> Any:
    cell = flax_cell("OptimizedLSTMCell")
    set_linear(cell.dense_i, p.kernel)
    set_linear(cell.dense_h, p.recurrent_kernel, p.bias)
    (c, h), _ = cell((carry.cell, carry.hidden), x)
    return type(carry)(hidden=h, cell=c)


def flax_gru(p: Any, carry: Any, x: jax.Array) -> Any:
    cell = flax_cell("GRUCell")
    set_linear(cell.dense_i, p.kernel, p.bias)
    set_linear(cell.dense_h, p.recurrent_kernel)
    return type(carry)(cell(carry.hidden, x)[0])


def flax_linen_gru(p: Any, carry: Any, x: jax.Array) -> Any:
    linen = pytest.importorskip("flax.linen")
    kernels, recurrent, biases = (jnp.split(part, 3, axis=-1) for part in (p.kernel, p.recurrent_kernel, p.bias))
    layers = {f"i{gate}": {"kernel": k, "bias": b} for gate, k, b in zip("rzn", kernels, biases, strict=True)}
    layers |= {f"h{gate}": {"kernel": k} for gate, k in zip("rzn", recurrent, strict=True)}
    layers["hn"]["bias"] = p.recurrent_bias
    cell = linen.GRUCell(HIDDEN, param_dtype=jnp.float64)
    return type(carry)(cell.apply({"params": layers}, carry.hidden, x)[0])


def haiku_step(core: str, params: Callable[[Any], Any]) -> Step:
    def step(p: Any, carry: Any, x: jax.Array) -> Any:
        haiku = pytest.importorskip("haiku")
        apply = haiku.without_apply_rng(haiku.transform(lambda x, s: getattr(haiku, core)(HIDDEN)(x, s))).apply
        state = haiku.LSTMState(hidden=carry.hidden, cell=carry.cell) if core == "LSTM" else carry.hidden
        _, state = apply(params(p), x, state)
        return type(carry)(hidden=state.hidden, cell=state.cell) if core == "LSTM" else type(carry)(state)

    return step


def haiku_vanilla_params(p: Any) -> Any:
    return {
        "vanilla_rnn/linear": {"w": p.kernel, "b": p.bias},
        "vanilla_rnn/linear_1": {"w": p.recurrent_kernel, "b": jnp.zeros(HIDDEN)},
    }


def haiku_lstm_params(p: Any) -> Any:
    """One kernel for inputs and hidden state; in every step the forget gate gets 1 more than its bias."""
    bias = p.bias.at[HIDDEN : 2 * HIDDEN].add(-1)
    both = jnp.concatenate([p.kernel, p.recurrent_kernel])
    return {"lstm/linear": {"w": reordered(both, "ifgo", "igfo"), "b": reordered(bias, "ifgo", "igfo")}}


def haiku_gru_params(p: Any) -> Any:
    """Their z is 1 - ours: the logistic function of the opposite."""

    def part(stacked: jax.Array) -> jax.Array:
        r, z, n = jnp.split(stacked, 3, axis=-1)
        return jnp.concatenate([-z, r, n], axis=-1)

    return {"gru": {"w_i": part(p.kernel), "w_h": part(p.recurrent_kernel), "b": part(p.bias)}}


def equinox_step(kind: str) -> Step:
    def step(p: Any, carry: Any, x: jax.Array) -> Any:
        equinox = pytest.importorskip("equinox")
        cell = getattr(equinox.nn, kind)(INPUTS, HIDDEN, dtype=jnp.float64, key=jax.random.key(0))
        names = ["weight_ih", "weight_hh", "bias"] + ["bias_n"] * (kind == "GRUCell")
        values = [p.kernel.T, p.recurrent_kernel.T, p.bias] + [p[-1]] * (kind == "GRUCell")
        cell = equinox.tree_at(lambda c: [getattr(c, name) for name in names], cell, values)
        if kind == "GRUCell":
            return type(carry)(jax.vmap(cell)(x, carry.hidden))
        hidden, memory = jax.vmap(cell)(x, (carry.hidden, carry.cell))
        return type(carry)(hidden=hidden, cell=memory)

    return step


# Cell, library, what, step, and the parameter that the library does not have.
AGREEMENTS: list[tuple[Cell, str, str, Step, str]] = [
    (Elman(**SIZES), "Flax nnx", "SimpleCell", flax_simple, ""),
    (LSTM(**SIZES), "Flax nnx", "LSTMCell", flax_lstm, ""),
    (LSTM(**SIZES), "Flax nnx", "OptimizedLSTMCell", flax_optimized_lstm, ""),
    (GRU(**SIZES), "Flax nnx", "GRUCell, with the recurrent bias that it lacks at 0", flax_gru, "recurrent_bias"),
    (GRU(**SIZES), "Flax linen", "GRUCell", flax_linen_gru, ""),
    (Elman(**SIZES, activation="relu"), "haiku", "VanillaRNN", haiku_step("VanillaRNN", haiku_vanilla_params), ""),
    (LSTM(**SIZES), "haiku", "LSTM, less the 1 that it adds", haiku_step("LSTM", haiku_lstm_params), ""),
    (GRU(**SIZES, reset="before"), "haiku", "GRU, with 1 - z", haiku_step("GRU", haiku_gru_params), ""),
    (LSTM(**SIZES), "equinox", "nn.LSTMCell", equinox_step("LSTMCell"), ""),
    (GRU(**SIZES), "equinox", "nn.GRUCell", equinox_step("GRUCell"), ""),
]


@pytest.mark.parametrize(
    ("cell", "library", "step", "absent"),
    [
        pytest.param(
            cell,
            library,
            step,
            absent,
            marks=pytest.mark.evidence(cell=type(cell).__name__, library=library, what=f"{what}: values and gradients"),
            id=f"{library}-{what.partition(',')[0]}".replace(" ", "-"),
        )
        for cell, library, what, step, absent in AGREEMENTS
    ],
)
def test_values_and_gradients(cell: Cell, library: str, step: Step, absent: str, float64: None) -> None:
    pytest.importorskip(library.split()[0].lower())
    params = noisy(cell.init(jax.random.key(0), jnp.float64))
    if absent:
        params = params._replace(**{absent: jnp.zeros_like(getattr(params, absent))})
    carry = noisy(cell.initial_carry((BATCH,), jnp.float64))
    inputs = cell.example_inputs(jax.random.key(3), (TIME, BATCH), jnp.float64)

    def ours(params: Any, carry: Any, inputs: jax.Array) -> Any:
        last, outputs = seqjax.scan(cell, params, inputs, carry)
        return weighted_sum(outputs) + weighted_sum(last, seed=1), (last, outputs)

    def theirs(params: Any, carry: Any, inputs: jax.Array) -> Any:
        outputs = []
        for x in inputs:
            carry = step(params, carry, x)
            outputs.append(carry.hidden)
        return weighted_sum(jnp.stack(outputs)) + weighted_sum(carry, seed=1), (carry, jnp.stack(outputs))

    got, want = (jax.jit(lambda *at, f=f: gradient(f, *at)[1:])(params, carry, inputs) for f in (ours, theirs))
    if absent:
        of_params, *others = got[1]
        got = got[0], (of_params._replace(**{absent: jnp.zeros_like(getattr(params, absent))}), *others)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), got, want)
