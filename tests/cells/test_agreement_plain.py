"""Plain, structured and orthogonal recurrences against torch, torchrecurrent, reservoirpy and geotorch, in float64."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import ES2N, IRNN, SCRN, AntisymmetricRNN, Cell, EchoState, GatedAntisymmetricRNN, IndRNN
from seqjax.cells.orthogonal_maps import cayley, skew_symmetric

TIME, BATCH, INPUTS, HIDDEN = 7, 3, 3, 4
SIZES: dict[str, Any] = {"input_size": INPUTS, "hidden_size": HIDDEN}
RNG = np.random.default_rng(0)
X, H = RNG.standard_normal((TIME, BATCH, INPUTS)), RNG.standard_normal((BATCH, HIDDEN))
WEIGHT = RNG.standard_normal((TIME, BATCH, HIDDEN))


def torch_irnn(torch: Any) -> Any:
    return torch.nn.RNNCell(INPUTS, HIDDEN, nonlinearity="relu")


def torchrecurrent(name: str, **options: Any) -> Callable[[Any], Any]:
    def make(torch: Any) -> Any:
        module = pytest.importorskip("torchrecurrent")
        return getattr(module, name)(INPUTS, HIDDEN, **options)

    return make


def affine(cell: Cell, weights: dict[str, Any]) -> Any:
    """Both biases are one here, so each has the gradient of ours."""
    return {"kernel": weights["weight_ih"].T, "recurrent_kernel": weights["weight_hh"].T}


def antisymmetric_gated(cell: Cell, weights: dict[str, Any]) -> Any:
    z, n = np.split(weights["weight_ih"], 2)
    return {"kernel": np.concatenate([z.T, n.T], axis=1), "recurrent_kernel": weights["weight_hh"].T}


def independent(cell: Cell, weights: dict[str, Any]) -> Any:
    return {"kernel": weights["weight_ih"].T, "recurrent_kernel": weights["vector_u"]}


def evidence(cell: str, library: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.evidence(cell=cell, library=library, what=what)


@pytest.mark.parametrize(
    ("cell", "make", "convert"),
    [
        pytest.param(
            IRNN(**SIZES),
            torch_irnn,
            affine,
            id="IRNN",
            marks=evidence("IRNN", "torch", "RNNCell with relu, values and gradients"),
        ),
        pytest.param(
            IndRNN(**SIZES),
            torchrecurrent("IndRNNCell", nonlinearity="relu"),
            independent,
            id="IndRNN",
            marks=evidence("IndRNN", "torchrecurrent", "IndRNNCell with relu, values and gradients"),
        ),
        pytest.param(
            AntisymmetricRNN(**SIZES, time_step=0.3, diffusion=0.2),
            torchrecurrent("AntisymmetricRNNCell", epsilon=0.3, gamma=0.2),
            affine,
            id="AntisymmetricRNN",
            marks=evidence("AntisymmetricRNN", "torchrecurrent", "AntisymmetricRNNCell, values and gradients"),
        ),
        pytest.param(
            GatedAntisymmetricRNN(**SIZES, time_step=0.3, diffusion=0.2),
            torchrecurrent("GatedAntisymmetricRNNCell", epsilon=0.3, gamma=0.2, recurrent_bias=False),
            antisymmetric_gated,
            id="GatedAntisymmetricRNN",
            marks=evidence(
                "GatedAntisymmetricRNN",
                "torchrecurrent",
                "GatedAntisymmetricRNNCell without its recurrent bias, values and gradients",
            ),
        ),
    ],
)
def test_torch_cells(cell: Cell, make: Any, convert: Any, float64: None) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = make(torch).double()
    named = dict(module.named_parameters())
    for parameter in named.values():
        parameter.data += 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
    inputs, start = (torch.tensor(a, requires_grad=True) for a in (X, H))
    state, outputs = start, []
    for x in inputs:
        state = module(x, state)
        outputs.append(state)
    (torch.stack(outputs) * torch.tensor(WEIGHT)).sum().backward()

    of = lambda read: convert(
        cell, {name: read(each).numpy() for name, each in named.items() if "weight" in name or "vector" in name}
    )
    bias = sum(each.detach().numpy() for name, each in named.items() if "bias" in name)
    params_type = type(cell.init(jax.random.key(0)))
    params = params_type(**of(lambda each: each.detach()), bias=bias)

    def loss(params: Any, carry: Any, inputs: Any) -> Any:
        outputs = seqjax.scan(cell, params, inputs, type(cell.initial_carry())(carry))[1]
        return (outputs * WEIGHT).sum(), outputs

    arguments = jax.tree.map(jnp.asarray, (params, H, X))
    gradients, got = jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(*arguments)
    np.testing.assert_allclose(got, torch.stack(outputs).detach(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradients[1], start.grad, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(gradients[2], inputs.grad, rtol=1e-10, atol=1e-12)
    want = params_type(**of(lambda each: each.grad), bias=named["bias_ih"].grad.numpy())
    for ours, theirs in zip(gradients[0], want, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_torchrecurrents_scrn_recurs_on_its_read_out(float64: None) -> None:
    torch = pytest.importorskip("torch")
    module = pytest.importorskip("torchrecurrent").SCRNCell(
        INPUTS, HIDDEN, bias=False, recurrent_bias=False, context_bias=False
    )
    torch.manual_seed(0)
    module = module.double()
    for name, parameter in module.named_parameters():
        parameter.data = torch.zeros_like(parameter) if "bias" in name else torch.randn(parameter.shape).double()
    retention = 0.7
    module.alpha.data = torch.tensor(retention, dtype=torch.float64)
    b, a = (half.T for half in np.split(module.weight_ih.detach().numpy(), 2))
    r, u = (half.T for half in np.split(module.weight_hh.detach().numpy(), 2))
    p, v = (half.T for half in np.split(module.weight_ch.detach().numpy(), 2))
    cell = SCRN(**SIZES, context=HIDDEN, retention=retention)
    params = type(cell.init(jax.random.key(0)))(
        kernel=a, recurrent_kernel=r, context_kernel=b, context_to_hidden_kernel=p
    )

    theirs, read_out = [], torch.zeros(BATCH, HIDDEN).double()
    context = torch.zeros(BATCH, HIDDEN).double()
    for x in torch.tensor(X):
        read_out, context = module(x, (read_out, context))
        theirs.append(read_out.detach().numpy())

    def steps(feed_back_read_out: bool) -> np.ndarray:
        carry, found = cell.initial_carry((BATCH,), jnp.float64), []
        for x in X:
            carry, output = cell(params, carry, jnp.asarray(x))
            hidden, context = np.split(np.asarray(output), 2, axis=-1)
            found.append(np.tanh(hidden @ u + context @ v))
            if feed_back_read_out:
                carry = carry._replace(hidden=jnp.asarray(found[-1]))
        return np.stack(found)

    np.testing.assert_allclose(steps(True), np.stack(theirs), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(steps(False)[0], theirs[0], rtol=1e-12, atol=1e-12)
    assert np.abs(steps(False)[1:] - np.stack(theirs)[1:]).max() > 0.1


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("Reservoir", marks=evidence("EchoState", "reservoirpy", "Reservoir, values")),
        pytest.param("ES2N", marks=evidence("ES2N", "reservoirpy", "ES2N, values")),
    ],
)
def test_reservoirpy(kind: str, float64: None) -> None:
    nodes = pytest.importorskip("reservoirpy.nodes", exc_type=ImportError)
    cell = EchoState(**SIZES, leak=0.3) if kind == "Reservoir" else ES2N(**SIZES, proximity=0.3)
    params = cell.init(jax.random.key(0), jnp.float64)
    options: dict[str, Any] = {"Win": np.asarray(params.kernel).T, "W": np.asarray(params.recurrent_kernel).T}
    if kind == "ES2N":
        node = nodes.ES2N(**options, O=np.asarray(params.orthogonal_kernel).T, proximity=0.3, bias=0.0)
    else:
        params = params._replace(bias=jnp.asarray(RNG.standard_normal(HIDDEN)))
        node = nodes.Reservoir(**options, lr=0.3, bias=np.asarray(params.bias))
    for example in range(BATCH):
        node.reset() if example else None
        want = node.run(X[:, example])
        got = seqjax.scan(cell, params, jnp.asarray(X[:, example]))[1]
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            "cayley", marks=evidence("ScoRNN", "geotorch", "cayley_map, the orthogonal matrix before its signs")
        ),
        pytest.param("expm", marks=evidence("ExpRNN", "geotorch", "SO with expm, the orthogonal matrix")),
    ],
)
def test_geotorchs_orthogonal_matrices(kind: str, float64: None) -> None:
    torch, so = pytest.importorskip("torch"), pytest.importorskip("geotorch.so")
    size = 6
    skew = skew_symmetric(jnp.asarray(RNG.standard_normal(size * (size - 1) // 2)), size)
    if kind == "cayley":
        np.testing.assert_allclose(
            cayley(skew), so.cayley_map(torch.tensor(np.asarray(-2 * skew))), rtol=1e-12, atol=1e-13
        )
        return
    manifold = so.SO((size, size), triv="expm").double()
    manifold.base.data = torch.eye(size, dtype=torch.float64)
    want = manifold(torch.tensor(np.tril(np.asarray(skew))))
    np.testing.assert_allclose(jax.scipy.linalg.expm(skew), want.detach(), rtol=1e-12, atol=1e-12)
