"""Agreement of the LSTM family with other libraries in float64, and the deviations of one that has other equations."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.cells import (
    JANET,
    NAS,
    SLSTM,
    URLSTM,
    WMCLSTM,
    Cell,
    MultiplicativeLSTM,
    OriginalLSTM,
    PeepholeLSTM,
    ProjectedLSTM,
    ResidualLSTM,
)
from seqjax.cells.base import AffineParams
from seqjax.cells.exponential_lstm import SLSTMCarry
from seqjax.cells.kernels import BlockDiagonalKernel
from seqjax.cells.lstm_connections import MultiplicativeLSTMParams, ResidualLSTMParams, WMCLSTMParams
from seqjax.cells.lstm_variants import PeepholeLSTMParams, ProjectedLSTMParams
from seqjax.cells.transforms import block_diagonal

# NumPy arrays: what the parameters' types promise comes when they are handed to JAX.
Array = Any
TIME, BATCH, INPUTS, HIDDEN = 6, 3, 4, 5
SIZES: dict[str, Any] = {"input_size": INPUTS, "hidden_size": HIDDEN}


def run(cell: Cell, params: Any, carry: Any, inputs: Any) -> tuple[Any, jax.Array]:
    step = jax.jit(cell)
    outputs = []
    for x in inputs:
        carry, output = step(params, carry, x)
        outputs.append(output)
    return carry, jnp.stack(outputs)


def close(got: Any, want: Any) -> None:
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-10, atol=1e-12)


@pytest.mark.evidence(cell="ProjectedLSTM", library="torch", what="LSTM with proj_size: values and gradients")
def test_torch_projection(float64: None) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.LSTM(INPUTS, HIDDEN, proj_size=2).double()
    inputs = torch.randn(TIME, BATCH, INPUTS, dtype=torch.float64, requires_grad=True)
    start = [torch.randn(1, BATCH, size, dtype=torch.float64) for size in (2, HIDDEN)]
    want, last = module(inputs, tuple(start))
    want.sin().sum().backward()
    w, u, b, c, p = (value.detach().numpy() for value in module.parameters())
    params = ProjectedLSTMParams(w.T, u.T, p.T, b + c)
    cell = ProjectedLSTM(**SIZES, projection_size=2)
    carry = type(cell.initial_carry())(*(leaf[0].numpy() for leaf in start))

    def loss(params: Any, inputs: Any) -> Any:
        values = jax.lax.scan(lambda carry, x: cell(params, carry, x), carry, inputs)
        return jnp.sin(values[1]).sum(), values

    gradients, (got_last, got) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, inputs.detach().numpy())
    close(got, want.detach())
    jax.tree.map(lambda a, b: close(a, b[0].detach()), tuple(got_last), last)
    for ours, theirs in zip(gradients[0][:3], (module.weight_ih_l0, module.weight_hh_l0, module.weight_hr_l0)):
        close(ours, theirs.grad.T)
    close(gradients[0].bias, module.bias_ih_l0.grad)
    close(gradients[1], inputs.grad)


class Torchrecurrent(NamedTuple):
    """A cell of torchrecurrent, ours, and its weights as our parameters; ``zero`` are biases that we do not have."""

    name: str
    cell: Cell
    params: Callable[[dict[str, Array]], Any]
    zero: tuple[str, ...] = ()


def affine(w: dict[str, Array]) -> AffineParams:
    return AffineParams(w["weight_ih"].T, w["weight_hh"].T, w["bias_ih"] + w["bias_hh"])


TORCHRECURRENT = (
    Torchrecurrent("OriginalLSTMCell", OriginalLSTM(**SIZES, squashing="tanh"), affine),
    Torchrecurrent(
        "PeepholeLSTMCell",
        PeepholeLSTM(**SIZES),
        lambda w: PeepholeLSTMParams(affine(w).kernel, affine(w).recurrent_kernel, w["weight_ph"], affine(w).bias),
    ),
    Torchrecurrent(
        "MultiplicativeLSTMCell",
        MultiplicativeLSTM(**SIZES),
        lambda w: MultiplicativeLSTMParams(
            kernel=w["weight_ih"].T[:, HIDDEN:],
            recurrent_kernel=w["weight_mh"].T,
            multiplicative_kernel=w["weight_ih"].T[:, :HIDDEN],
            multiplicative_recurrent_kernel=w["weight_hh"].T,
            bias=w["bias_mh"],
        ),
        zero=("bias_ih", "bias_hh"),
    ),
    Torchrecurrent(
        "ResLSTMCell",
        ResidualLSTM(**SIZES),
        lambda w: ResidualLSTMParams(
            *affine(w)[:2], w["weight_ph"], w["weight_proj"].T, w["weight_res"].T, affine(w).bias
        ),
    ),
    Torchrecurrent(
        "WMCLSTMCell",
        WMCLSTM(**SIZES),
        lambda w: WMCLSTMParams(
            *affine(w)[:2], w["weight_mh"].T[:, : 2 * HIDDEN], w["weight_mh"].T[:, 2 * HIDDEN :], affine(w).bias
        ),
        zero=("bias_mh",),
    ),
    Torchrecurrent("JANETCell", JANET(**SIZES), affine),
)


def run_torchrecurrent(name: str, zero: tuple[str, ...] = ()) -> tuple[dict[str, Array], Any, Any, Any, Any]:
    """``(weights, start, inputs, last, outputs)`` of a cell of torchrecurrent with random weights."""
    torch, library = pytest.importorskip("torch"), pytest.importorskip("torchrecurrent")
    torch.manual_seed(0)
    module = getattr(library, name)(INPUTS, HIDDEN).double()
    with torch.no_grad():
        for label, value in module.named_parameters():
            if label != "beta":
                value.copy_(torch.zeros_like(value) if label in zero else 0.7 * torch.randn_like(value))
        inputs, state = torch.randn(TIME, BATCH, INPUTS).double(), [torch.randn(BATCH, HIDDEN).double() for _ in "hc"]
        if name == "JANETCell":
            state[0] = state[1]
        start, outputs = [leaf.numpy() for leaf in state], []
        for x in inputs:
            state = module(x, tuple(state))
            outputs.append(state[0].numpy())
    weights = {label: value.detach().numpy() for label, value in module.named_parameters()}
    return weights, start, inputs.numpy(), [leaf.numpy() for leaf in state], np.stack(outputs)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=pytest.mark.evidence(
                cell=type(case.cell).__name__, library="torchrecurrent", what=f"{case.name}, values"
            ),
        )
        for case in TORCHRECURRENT
    ],
)
def test_torchrecurrent(case: Torchrecurrent, float64: None) -> None:
    weights, start, inputs, want_last, want = run_torchrecurrent(case.name, case.zero)
    carry_type = case.cell.carry_type
    carry = carry_type(**{field: dict(zip(("hidden", "cell"), start))[field] for field in carry_type._fields})
    last, outputs = run(case.cell, case.params(weights), carry, inputs)
    close(outputs, want)
    for field, leaf in zip(carry_type._fields, last, strict=True):
        close(leaf, dict(zip(("hidden", "cell"), want_last))[field])


def test_torchrecurrent_adds_in_the_fourth_branch_of_nas(float64: None) -> None:
    """Its NASCell is ours with a sum in the fourth branch, where the authors' code has a product."""
    weights, (h, c), inputs, _, want = run_torchrecurrent("NASCell")
    params, cell = affine(weights), NAS(**SIZES)
    outputs = run(cell, params, cell.carry_type(hidden=h, cell=c), inputs)[1]
    assert np.abs(outputs - want).max() > 1e-2
    first = np.split(inputs[0] @ params.kernel + h @ params.recurrent_kernel + params.bias, 8, axis=-1)
    sigma, relu, tanh = (lambda x: 1 / (1 + np.exp(-x))), (lambda x: np.maximum(x, 0)), np.tanh
    branches = [f(x) for f, x in zip((sigma, relu, sigma, relu, tanh, sigma, tanh, sigma), first, strict=True)]
    new = tanh(tanh(branches[0] * branches[1]) + c) * tanh(branches[2] + branches[3])
    deviating = tanh(new * tanh(tanh(branches[4] * branches[5]) + sigma(branches[6] + branches[7])))
    close(deviating, want[0])


@pytest.mark.evidence(cell="SLSTM", library="xlstm", what="sLSTM, vanilla backend: one head and several, values")
@pytest.mark.parametrize("heads", [1, 2])
def test_xlstm(heads: int, float64: None) -> None:
    torch = pytest.importorskip("torch")
    vanilla = pytest.importorskip("xlstm.blocks.slstm.src.vanilla")
    torch.manual_seed(0)
    hidden, normal = 6, lambda *shape: torch.randn(*shape, dtype=torch.float64)
    units = hidden // heads
    w, r, b, inputs = (
        normal(INPUTS, 4 * hidden),
        normal(heads, 4 * units, units),
        normal(4 * hidden),
        2 * normal(TIME, BATCH, INPUTS),
    )
    step = vanilla.slstm_pointwise_function_registry["slstm"]
    states, last, _ = vanilla.slstm_forward(
        inputs @ w, torch.zeros(4, BATCH, hidden, dtype=torch.float64), r, b, step, constants={}
    )
    plain = SLSTM(input_size=INPUTS, hidden_size=hidden)
    blocks = r.numpy().reshape(heads, 4, units, units).transpose(0, 3, 1, 2)
    cell = plain if heads == 1 else block_diagonal(plain, heads=heads)
    recurrent: Any = (
        blocks.reshape(hidden, 4 * hidden) if heads == 1 else BlockDiagonalKernel(blocks=jnp.asarray(blocks))
    )
    params = cell.init(jax.random.key(0), jnp.float64)
    assert jax.tree.map(jnp.shape, params.recurrent_kernel) == jax.tree.map(jnp.shape, recurrent)
    params = params._replace(kernel=w.numpy(), recurrent_kernel=recurrent, bias=b.numpy())
    carry, outputs = run(cell, params, plain.initial_carry((BATCH,), jnp.float64), inputs.numpy())
    close(outputs, states[0, 1:])
    for ours, theirs in zip(carry, last, strict=True):
        close(ours, theirs)
    assert type(carry) is SLSTMCarry


@pytest.mark.evidence(cell="URLSTM", library="brainstate", what="nn.URLSTMCell, values")
def test_brainstate_ur_lstm(float64: None) -> None:
    library = pytest.importorskip("brainstate")
    theirs = library.nn.URLSTMCell(INPUTS, HIDDEN)
    rng = np.random.default_rng(0)
    shapes = ((INPUTS, 4 * HIDDEN), (HIDDEN, 4 * HIDDEN), (HIDDEN,), (TIME, BATCH, INPUTS))
    w, u, bias, inputs = (jnp.asarray(rng.standard_normal(shape)) for shape in shapes)
    theirs.init_state(BATCH)
    theirs.W.weight.value = {"weight": jnp.concatenate([w, u])}
    theirs.bias.value = bias
    theirs.h.value, theirs.c.value = (jnp.asarray(rng.standard_normal((BATCH, HIDDEN))) for _ in "hc")
    cell = URLSTM(**SIZES)
    carry = cell.carry_type(hidden=theirs.h.value, cell=theirs.c.value)
    params = AffineParams(w, u, jnp.concatenate([bias, -bias, 0 * bias, 0 * bias]))
    last, outputs = run(cell, params, carry, inputs)
    close(outputs, jnp.stack([theirs.update(x) for x in inputs]))
    close(last.cell, theirs.c.value)
