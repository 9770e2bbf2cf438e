"""Agreement of the gated single-state cells with other libraries in float64, and the papers' parameter counts.

Parameters are drawn in the other library and copied over. Where it has a parameter that the paper has not, that one is
zero here, and ``elsewhere`` of the cell says so.
"""

import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax import cells
from seqjax.cells import Cell
from tests.cells.speechbrain import speechbrain_rnn

TIME, BATCH, INPUTS, HIDDEN = 4, 2, 3, 4
Weights = dict[str, np.ndarray]


def rows(stacked: np.ndarray, theirs: str, ours: str) -> np.ndarray:
    """The gates of a matrix ``[gates * out, in]`` or a bias in our order; a matrix becomes ``[in, gates * out]``."""
    parts = dict(zip(theirs, np.split(stacked, len(theirs)), strict=True))
    return np.concatenate([parts[gate] for gate in ours]).T


def affine(theirs: str, ours: str) -> Callable[[Weights], Any]:
    """Both kernels with the same gates, and the sum of two biases."""
    return lambda w: cells.base.AffineParams(
        rows(w["weight_ih"], theirs, ours),
        rows(w["weight_hh"], theirs, ours),
        rows(w["bias_ih"] + w["bias_hh"], theirs, ours),
    )


def params(kind: str) -> Any:
    """The named tuple of the parameters of a cell that has more than :class:`AffineParams`."""
    return type(getattr(cells, kind)(input_size=1, hidden_size=2).init(jax.random.key(0)))


def light_ru(w: Weights) -> Any:
    bias = rows(w["bias_ih"], "nf", "f") + w["bias_hh"]
    return cells.base.AffineParams(rows(w["weight_ih"], "nf", "fn"), w["weight_hh"].T, bias)


def star(w: Weights) -> Any:
    bias = rows(w["bias_ih"], "zk", "kz") + np.concatenate([w["bias_hh"], np.zeros(HIDDEN)])
    return cells.base.AffineParams(rows(w["weight_ih"], "zk", "kz"), w["weight_hh"].T, bias)


def two_of_three(theirs: str, ours: str) -> Callable[[Weights], Any]:
    """Three gates read the inputs, and the first two of ours read the hidden state and have a bias."""
    gated = "".join(gate for gate in theirs if gate in ours[:2])

    def convert(w: Weights) -> Any:
        of_inputs = w["bias_ih"] if w["bias_ih"].size == w["bias_hh"].size else rows(w["bias_ih"], theirs, gated)
        return cells.base.AffineParams(
            rows(w["weight_ih"], theirs, ours),
            rows(w["weight_hh"], gated, ours[:2]),
            rows(of_inputs + w["bias_hh"], gated, ours[:2]),
        )

    return convert


def brc(w: Weights) -> Any:
    return params("BRC")(w["weight_ih"].T, w["weight_hh"], w["bias_ih"][: 2 * HIDDEN] + w["bias_hh"])


def mut1(w: Weights) -> Any:
    reset = rows(w["bias_ih"], "zrn", "r") + rows(w["bias_hh"], "rn", "r")
    bias = [reset, rows(w["bias_ih"], "zrn", "z"), rows(w["bias_hh"], "rn", "n")]
    return cells.base.AffineParams(rows(w["weight_ih"], "zrn", "rzn"), w["weight_hh"].T, np.concatenate(bias))


def fast(kind: str, *scalars: str) -> Callable[[Weights], Any]:
    return lambda w: params(kind)(
        w["weight_ih"].T, w["weight_hh"].T, w["bias_ih"] + w["bias_hh"], *(w[name][0] for name in scalars)
    )


def minimal_rnn(w: Weights) -> Any:
    return params("MinimalRNN")(w["weight_ih"].T, w["bias_ih"], w["weight_hh"].T, w["weight_mm"].T, w["bias_hh"])


def strongly_typed(kind: str) -> Callable[[Weights], Any]:
    return lambda w: params(kind)(
        rows(w["weight_ih"], "zfo", "fzo"),
        rows(w["weight_hh"], "zfo", "fzo"),
        rows(w["bias_ih"] + w["bias_hh"], "zfo", "fzo"),
    )


def dsgu(w: Weights) -> Any:
    return params("DSGU")(*affine("gz", "gz")(w), w["weight_ho"].T)


# cell: (torchrecurrent's class, parameters as ours, what the paper has not: the part of a bias that is set to zero).
CASES: dict[str, tuple[str, Callable[[Weights], Any], dict[str, slice]]] = {
    "ATR": (
        "ATRCell",
        lambda w: params("ATR")(w["weight_ih"].T, w["weight_hh"].T),
        {"bias_ih": np.s_[:], "bias_hh": np.s_[:]},
    ),
    "BRC": ("BRCell", brc, {"bias_ih": np.s_[2 * HIDDEN :]}),
    "CFN": ("CFNCell", two_of_three("ten", "ten"), {"bias_ih": np.s_[2 * HIDDEN :]}),
    "DSGU": ("DSGUCell", dsgu, {"bias_hh": np.s_[:HIDDEN]}),
    "FastGRNN": ("FastGRNNCell", fast("FastGRNN", "zeta", "nu"), {}),
    "FastRNN": ("FastRNNCell", fast("FastRNN", "alpha", "beta"), {}),
    "IntersectionRNN": (
        "IntersectionRNNCell",
        lambda w: params("IntersectionRNN")(None, *affine("yhYH", "hHyY")(w)),
        {},
    ),
    "LiGRU": ("LiGRUCell", affine("zn", "zn"), {}),
    "LightRU": ("LightRUCell", light_ru, {"bias_ih": np.s_[:HIDDEN]}),
    "MGU": ("MGUCell", affine("fn", "fn"), {}),
    "MUT1": ("MUT1Cell", mut1, {"bias_ih": np.s_[2 * HIDDEN :]}),
    "MUT2": ("MUT2Cell", affine("zrn", "rzn"), {}),
    "MUT3": ("MUT3Cell", affine("zrn", "rzn"), {}),
    "MiRU1": ("MiRU1Cell", affine("rn", "rn"), {}),
    "MiRU2": ("MiRU2Cell", affine("n", "n"), {}),
    "MinimalRNN": ("MinimalRNNCell", minimal_rnn, {}),
    "NBRC": ("NBRCell", two_of_three("acn", "acn"), {"bias_ih": np.s_[2 * HIDDEN :]}),
    "RAN": ("RANCell", two_of_three("nif", "ifn"), {}),
    "SGRN": ("SGRNCell", affine("n", "n"), {"bias_hh": np.s_[:]}),
    "SGU": ("SGUCell", affine("gz", "gz"), {"bias_hh": np.s_[:HIDDEN]}),
    "STAR": ("STARCell", star, {}),
    "StronglyTypedGRU": ("TGRUCell", strongly_typed("StronglyTypedGRU"), {}),
    "StronglyTypedLSTM": ("TLSTMCell", strongly_typed("StronglyTypedLSTM"), {}),
    "StronglyTypedRNN": (
        "TRNNCell",
        lambda w: params("StronglyTypedRNN")(rows(w["weight_ih"], "zf", "fz"), rows(w["bias_ih"], "zf", "f")),
        {"bias_ih": np.s_[:HIDDEN]},
    ),
    "UGRNN": ("UGRNNCell", affine("ng", "gn"), {}),
}


# What makes their cell the paper's.
SETTINGS: dict[str, dict[str, Any]] = {"FastGRNN": {"nonlinearity": "sigmoid"}}
# torch's derivative of the hard logistic function is 1/6 in single precision.
GRADIENT_TOLERANCE = {"SGU": 1e-6, "DSGU": 1e-6}


def randomised(torch: Any, module: Any, zeros: dict[str, slice]) -> tuple[Any, Weights]:
    """The module in float64 with normal parameters, and these as arrays."""
    torch.manual_seed(0)
    module = module.double().eval()
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.normal_()
            if name in zeros:
                value[zeros[name]] = 0
    return module, {name: value.detach().numpy() for name, value in module.named_parameters()}


def agrees(
    cell: Cell, params: Any, torch: Any, run: Callable[[Any, Any], Any], start: list[Any], gradients: float = 1e-10
) -> None:
    """Outputs, and gradients to the inputs and the first carry; ``run(inputs, start)`` gives the other's outputs."""
    inputs = torch.randn(TIME, BATCH, cell.input_size, dtype=torch.float64, requires_grad=True)
    want = run(inputs, start)
    want.sin().sum().backward()
    carry = cell.carry_type(*(jnp.asarray(leaf.detach().numpy()) for leaf in start))
    given = jax.tree.map(jnp.asarray, params)

    def loss(carry: Any, inputs: jax.Array) -> Any:
        outputs = seqjax.scan(cell, given, inputs, carry)[1]
        return jnp.sin(outputs).sum(), outputs

    at = (carry, jnp.asarray(inputs.detach().numpy()))
    (of_carry, of_inputs), got = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(*at)
    close = lambda a, b, tolerance=1e-10: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance / 100)
    close(got, want.detach().numpy())
    close(of_inputs, inputs.grad.numpy(), gradients)
    for ours, theirs in zip(of_carry, start, strict=True):
        close(ours, theirs.grad.numpy(), gradients)


def states(torch: Any, *sizes: int) -> list[Any]:
    return [torch.randn(BATCH, size, dtype=torch.float64, requires_grad=True) for size in sizes]


def evidence(cell: str, library: str, what: str) -> Any:
    return pytest.param(cell, marks=pytest.mark.evidence(cell=cell, library=library, what=what), id=cell)


@pytest.mark.parametrize(
    "kind", [evidence(kind, "torchrecurrent", f"{case[0]}, values and gradients") for kind, case in CASES.items()]
)
def test_torchrecurrent(kind: str, float64: None) -> None:
    torch, library = pytest.importorskip("torch"), pytest.importorskip("torchrecurrent")
    name, convert, zeros = CASES[kind]
    size = HIDDEN if kind == "IntersectionRNN" else INPUTS
    cell = getattr(cells, kind)(input_size=size, hidden_size=HIDDEN)
    module, weights = randomised(torch, getattr(library, name)(size, HIDDEN, **SETTINGS.get(kind, {})), zeros)
    start = states(torch, *(leaf.shape[-1] for leaf in cell.initial_carry()))

    def run(inputs: Any, state: Any) -> Any:
        state, outputs = tuple(state) if len(state) > 1 else state[0], []
        for x in inputs:
            output = module(x, state)
            # A step gives the state, or the output and the state, or both states of which the first is the output.
            if kind in ("IntersectionRNN", "StronglyTypedLSTM"):
                output, state = output
            else:
                state = output
                output = output[0] if isinstance(output, tuple) else output
            outputs.append(output)
        return torch.stack(outputs)

    agrees(cell, convert(weights), torch, run, start, GRADIENT_TOLERANCE.get(kind, 1e-10))


def test_the_gate_of_torchrecurrents_fastgrnn_is_tanh_by_default(float64: None) -> None:
    torch, library = pytest.importorskip("torch"), pytest.importorskip("torchrecurrent")
    module, w = randomised(torch, library.FastGRNNCell(INPUTS, HIDDEN), {})
    x, h = np.ones(INPUTS), np.ones(HIDDEN)
    total = w["weight_ih"] @ x + w["weight_hh"] @ h
    gate, candidate = np.tanh(total + np.split(w["bias_ih"] + w["bias_hh"], 2))
    zeta, nu = (1 / (1 + np.exp(-w[name])) for name in ("zeta", "nu"))
    got = module(torch.tensor(x)[None], torch.tensor(h)[None])[0].detach().numpy()
    np.testing.assert_allclose(got, (zeta * (1 - gate) + nu) * candidate + gate * h, rtol=1e-12)


@pytest.mark.evidence(cell="TauGRU", library="torchrecurrent", what="tauGRU with a delay of 2, values")
def test_torchrecurrent_with_a_delay(float64: None) -> None:
    torch, library = pytest.importorskip("torch"), pytest.importorskip("torchrecurrent")
    cell = cells.TauGRU(input_size=INPUTS, hidden_size=HIDDEN, delay=2)
    module, weights = randomised(torch, library.tauGRU(INPUTS, HIDDEN, delay=2), {})
    converted = affine("uzga", "uzga")({name.split(".")[-1]: value for name, value in weights.items()})
    hidden, inputs = (torch.randn(*shape, dtype=torch.float64) for shape in ((BATCH, HIDDEN), (TIME, BATCH, INPUTS)))
    want = module(inputs, hidden[None])[0].detach().numpy()
    # Its history is zero before the first step and cannot be given.
    carry = cell.initial_carry((BATCH,), jnp.float64)._replace(hidden=jnp.asarray(hidden.numpy()))
    got = seqjax.scan(cell, jax.tree.map(jnp.asarray, converted), jnp.asarray(inputs.numpy()), carry)[1]
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def edgeml(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("edgeml_pytorch")
    # Where CUDA is found, the module asks for a kernel of its own that these cells do not use.
    monkeypatch.setitem(sys.modules, "fastgrnn_cuda", types.ModuleType("fastgrnn_cuda"))
    return importlib.import_module("edgeml_pytorch.graph.rnn")


@pytest.mark.parametrize(
    "kind",
    [
        evidence("FastGRNN", "edgeml-pytorch", "FastGRNNCell of the authors, values, gradients and initial values"),
        evidence("FastRNN", "edgeml-pytorch", "FastRNNCell of the authors, values, gradients and initial values"),
        evidence("UGRNN", "edgeml-pytorch", "UGRNNLRCell, values and gradients"),
    ],
)
def test_edgeml(kind: str, float64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    torch, library = pytest.importorskip("torch"), edgeml(monkeypatch)
    cell = getattr(cells, kind)(input_size=INPUTS, hidden_size=HIDDEN)
    fresh = getattr(library, "UGRNNLRCell" if kind == "UGRNN" else f"{kind}Cell")(INPUTS, HIDDEN)
    scalars = {"FastGRNN": ("zeta", "nu"), "FastRNN": ("alpha", "beta"), "UGRNN": ()}[kind]
    ours = cell.init(jax.random.key(0))
    for name in scalars:
        assert getattr(ours, name) == getattr(fresh, name).item()
    if scalars:
        np.testing.assert_array_equal(ours.bias, np.ones_like(ours.bias))
    module, w = randomised(torch, fresh, {})
    if kind == "UGRNN":
        kernels = [np.concatenate([w[f"{letter}1"], w[f"{letter}2"]], axis=1) for letter in "WU"]
        converted = cells.base.AffineParams(*kernels, np.concatenate([w["bias_gate"], w["bias_update"]], axis=1)[0])
    else:
        # The authors keep the kernels of the one cell transposed and of the other not.
        kernels = [w["W"].T, w["U"].T] if kind == "FastGRNN" else [w["W"], w["U"]]
        biases = [w[name] for name in ("bias_gate", "bias_update") if name in w]
        converted = type(ours)(*kernels, np.concatenate(biases, axis=1)[0], *(w[name][0, 0] for name in scalars))

    def run(inputs: Any, start: Any) -> Any:
        state, outputs = start[0], []
        for x in inputs:
            state = module(x, state)
            outputs.append(state)
        return torch.stack(outputs)

    agrees(cell, converted, torch, run, states(torch, HIDDEN))


@pytest.mark.parametrize(
    "kind",
    [
        evidence(
            "LiGRU", "speechbrain", "LiGRU_Layer of the authors with fixed batch statistics, values and gradients"
        ),
        evidence(
            "SLiGRU", "speechbrain", "SLiGRU_Layer of the authors with fixed batch statistics, values and gradients"
        ),
    ],
)
def test_speechbrain(kind: str, float64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch normalisation of x W with fixed statistics is a part of the kernel and the bias."""
    torch = pytest.importorskip("torch")
    cell = getattr(cells, kind)(input_size=INPUTS, hidden_size=HIDDEN)
    layer = getattr(speechbrain_rnn(monkeypatch), f"{kind}_Layer")(INPUTS, HIDDEN, num_layers=1, batch_size=BATCH)
    module, w = randomised(torch, layer, {})
    module.norm.running_mean.normal_()
    module.norm.running_var.uniform_(0.5, 2)
    mean, variance = module.norm.running_mean.numpy(), module.norm.running_var.numpy()
    gain = w["norm.weight"] / np.sqrt(variance + module.norm.eps)
    converted = cells.base.AffineParams(
        rows(gain[:, None] * w["w.weight"], "nz", "zn"),
        rows(w["u.weight"], "nz", "zn"),
        rows(w["norm.bias"] - gain * mean, "nz", "zn"),
    )

    def run(inputs: Any, start: Any) -> Any:
        return module(inputs.transpose(0, 1), start[0]).transpose(0, 1)

    agrees(cell, converted, torch, run, states(torch, HIDDEN))


@pytest.mark.evidence(cell="MGU", library="memax", what="MGUSetAction, values")
def test_memax(float64: None) -> None:
    pytest.importorskip("memax")
    pytest.importorskip("beartype")
    eqx = pytest.importorskip("equinox")
    module = importlib.import_module("memax.equinox.set_actions.mgu").MGUSetAction(HIDDEN, jax.random.key(0))
    floating = eqx.is_inexact_array
    module = jax.tree.map(lambda a: a.astype(jnp.float64) if floating(a) else a, module)
    cell = cells.MGU(input_size=HIDDEN, hidden_size=HIDDEN)
    converted = cells.base.AffineParams(
        jnp.concatenate([module.W_f.weight.T, module.W_h.weight.T], axis=1),
        jnp.concatenate([module.U_f.weight.T, module.U_h.weight.T], axis=1),
        jnp.concatenate([module.W_f.bias, module.W_h.bias]),
    )
    carry, inputs = jax.random.normal(jax.random.key(1), (2, HIDDEN), jnp.float64)
    got = cell(converted, cells.base.HiddenCarry(carry), inputs)[1]
    np.testing.assert_allclose(got, module(carry, inputs), rtol=1e-12)


@pytest.mark.evidence(cell="MGU", library="brainstate", what="MGUCell, values")
def test_brainstate(float64: None) -> None:
    brainstate = pytest.importorskip("brainstate", exc_type=ImportError)
    cell = cells.MGU(input_size=INPUTS, hidden_size=HIDDEN)
    given = jax.tree.map(
        lambda a: jax.random.normal(jax.random.key(a.size), a.shape, jnp.float64), cell.init(jax.random.key(0))
    )
    module = brainstate.nn.MGUCell(INPUTS, HIDDEN)
    carry, inputs = (
        jax.random.normal(jax.random.key(k), (BATCH, n), jnp.float64) for k, n in ((1, HIDDEN), (2, INPUTS))
    )
    module.init_state(BATCH)
    module.h.value = carry
    kernels = np.split(np.concatenate([given.kernel, given.recurrent_kernel]), 2, axis=1)
    for layer, kernel, bias in zip((module.Wf, module.Wh), kernels, np.split(given.bias, 2), strict=True):
        layer.weight.value = {"weight": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    got = cell(given, cells.base.HiddenCarry(carry), inputs)[1]
    np.testing.assert_allclose(got, module.update(inputs), rtol=1e-12)


# As functions of the sizes m of the inputs and n of the hidden state.
COUNTS: dict[str, Callable[[int, int], int]] = {
    "ATR": lambda m, n: n * m + n * n,
    "BRC": lambda m, n: 3 * n * m + 2 * n + 2 * n,
    "CFN": lambda m, n: 3 * n * m + 2 * n * n + 2 * n,
    "FastGRNN": lambda m, n: n * m + n * n + 2 * n + 2,
    "FastRNN": lambda m, n: n * m + n * n + n + 2,
    "LiGRU": lambda m, n: 2 * (n * m + n * n + n),
    "LightRU": lambda m, n: 2 * n * m + n * n + n,
    "MGU": lambda m, n: 2 * (n * n + n * m + n),
    "MGU1": lambda m, n: 2 * (n * n + n * m + n) - n * m,
    "MGU2": lambda m, n: 2 * (n * n + n * m + n) - n * m - n,
    "MGU3": lambda m, n: 2 * (n * n + n * m + n) - n * m - n * n,
    "MUT2": lambda m, n: 3 * (n * n + n * m + n),
    "MinimalRNN": lambda m, n: n * m + n + 2 * n * n + n,
    "RAN": lambda m, n: 3 * n * m + 2 * n * n + 2 * n,
    "RHN": lambda m, n: 2 * n * m + 3 * 2 * (n * n + n),
    "STAR": lambda m, n: 2 * n * m + n * n + 2 * n,
    "StronglyTypedRNN": lambda m, n: 2 * n * m + n,
    "UGRNN": lambda m, n: 2 * (n * n + n * m + n),
}


@pytest.mark.parametrize("kind", COUNTS)
def test_parameter_counts_are_the_papers(kind: str) -> None:
    shapes = jax.eval_shape(getattr(cells, kind)(input_size=5, hidden_size=7).init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == COUNTS[kind](5, 7)


def test_delays_and_depths_are_whole_numbers() -> None:
    with pytest.raises(ValueError, match=r"TauGRU\.delay must be a positive whole number of steps, got 0"):
        cells.TauGRU(input_size=3, hidden_size=4, delay=0)
    with pytest.raises(ValueError, match=r"RHN\.depth must be a positive whole number of layers, got 2\.5"):
        cells.RHN(input_size=3, hidden_size=4, depth=2.5)  # ty: ignore[invalid-argument-type]


def test_the_strongly_typed_network_is_affine_in_its_carry() -> None:
    cell = cells.StronglyTypedRNN(input_size=INPUTS, hidden_size=HIDDEN)
    plan = str(seqjax.explain(cell, cell.init(jax.random.key(0)), jnp.zeros((TIME, BATCH, INPUTS))))
    assert "affine in the carry: yes" in plan
