"""Agreement of oscillators, cells with elapsed time, liquid and elementwise cells with other libraries, in float64.

Values over time, and gradients to the inputs. Where a library's equations are not the paper's, a test shows that it
computes the equations that we say it does.
"""

import importlib.util
import sys
import types
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRUD, LEM, LTC, QRNN, SRU, Cell, CfC, CoRNN, UnICORNN
from seqjax.cells.elapsed_time import IncompleteInputs, TimedInputs
from tests.cells.speechbrain import speechbrain_rnn

TIME, BATCH, INPUTS, HIDDEN = 6, 3, 4, 5
SIZES: dict[str, Any] = {"input_size": INPUTS, "hidden_size": HIDDEN}


def evidence(cell: str, library: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.evidence(cell=cell, library=library, what=f"{what}, values and gradients of the inputs")


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((TIME, BATCH, INPUTS))


def numbers(module: Any) -> dict[str, jax.Array]:
    """A torch module's parameters and buffers."""
    return {name: jnp.asarray(value.detach().numpy()) for name, value in module.state_dict().items()}


def reordered(*stacked: jax.Array, order: str, ours: str) -> list[jax.Array]:
    """Gates stacked in the first axis in another order, ours in the last."""
    parts = [dict(zip(order, jnp.split(part, len(order)), strict=True)) for part in stacked]
    return [jnp.concatenate([part[gate] for gate in ours]).T for part in parts]


def by_seqjax(cell: Cell, params: Any, inputs: Any) -> tuple[Any, Any]:
    """Outputs, and gradients of the sum of their sines."""

    def loss(inputs: Any) -> Any:
        outputs = seqjax.scan(cell, params, inputs)[1]
        return jnp.sin(outputs).sum(), outputs

    gradients, outputs = jax.grad(loss, has_aux=True)(jax.tree.map(jnp.asarray, inputs))
    return outputs, gradients


def by_torch(step: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: np.ndarray) -> tuple[Any, Any]:
    """The same of a step ``state, output = step(state, x)`` of torch."""
    torch = pytest.importorskip("torch")
    x, outputs = torch.tensor(inputs, requires_grad=True), []
    for each in x:
        state, output = step(state, each)
        outputs.append(output)
    outputs = torch.stack(outputs)
    outputs.sin().sum().backward()
    return outputs.detach().numpy(), x.grad.numpy()


def close(got: Any, want: Any, tolerance: float = 1e-10) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), got, want)


def double_state(module: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The step of a torchrecurrent cell with two states."""

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        state = module(x, state)
        return state, state[0]

    return step


def torchrecurrent_cell(name: str, **options: Any) -> tuple[Any, Any, dict[str, jax.Array]]:
    """A cell with random biases too, its zero state, and its parameters."""
    library, torch = pytest.importorskip("torchrecurrent"), pytest.importorskip("torch")
    torch.manual_seed(0)
    module = getattr(library, name)(INPUTS, HIDDEN, **options).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module, (torch.zeros(BATCH, HIDDEN).double(),) * 2, numbers(module)


@evidence("CoRNN", "torchrecurrent", "coRNNCell")
def test_cornn_torchrecurrent(inputs: np.ndarray, float64: None) -> None:
    module, state, w = torchrecurrent_cell("coRNNCell", dt=0.3, gamma=1.5, epsilon=0.7)
    cell = CoRNN(**SIZES, time_step=0.3, stiffness=1.5, friction=0.7)
    params = cell.init(jax.random.key(0))._replace(
        kernel=w["weight_ih"].T,
        recurrent_kernel=w["weight_hh"].T,
        velocity_kernel=w["weight_ch"].T,
        bias=w["bias_ih"] + w["bias_hh"] + w["bias_ch"],
    )
    close(by_seqjax(cell, params, inputs), by_torch(double_state(module), state, inputs))


@evidence("CoRNN", "rnn-jax", "CoupledOscillatoryRNNCell with its constants multiplied by the time step")
def test_cornn_rnn_jax(inputs: np.ndarray, float64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library leaves the time step out of stiffness and friction."""
    folder = Path(str(pytest.importorskip("rnn_jax").__file__)).parent / "cells"
    # The folder's own imports need Python 3.12; this cell does not.
    package = types.ModuleType("rnn_jax.cells")
    package.__path__ = [str(folder)]
    monkeypatch.setitem(sys.modules, "rnn_jax.cells", package)
    cells = importlib.import_module("rnn_jax.cells.obscillator")
    cell = CoRNN(**SIZES, time_step=0.3, stiffness=1.5, friction=0.7)
    module = cells.CoupledOscillatoryRNNCell(
        INPUTS, HIDDEN, 0.3 * 1.5, 0.3 * 0.7, 0.3, key=jax.random.key(0), nonlinearity=jnp.tanh
    )
    params = cell.init(jax.random.key(0))._replace(
        kernel=module.w_in.T, recurrent_kernel=module.w_h.T, velocity_kernel=module.w_z.T, bias=module.b
    )

    def loss(inputs: Any) -> Any:
        start = (jnp.zeros(HIDDEN),) * 2
        step = lambda state, x: module(x, state)
        outputs = jax.vmap(lambda x: jax.lax.scan(step, start, x)[1], in_axes=1, out_axes=1)(inputs)
        return jnp.sin(outputs).sum(), outputs

    gradients, outputs = jax.grad(loss, has_aux=True)(jnp.asarray(inputs))
    close(by_seqjax(cell, params, inputs), (outputs, gradients))


@evidence("UnICORNN", "torchrecurrent", "UnICORNNCell")
def test_unicornn_torchrecurrent(inputs: np.ndarray, float64: None) -> None:
    module, state, w = torchrecurrent_cell("UnICORNNCell", dt=0.3, alpha=1.5)
    cell = UnICORNN(**SIZES, time_step=0.3, stiffness=1.5)
    params = cell.init(jax.random.key(0))._replace(
        kernel=w["weight_ih"].T,
        recurrent_weights=w["weight_hh"],
        bias=w["bias_ih"] + w["bias_hh"],
        time_scale=w["weight_ch"],
    )
    close(by_seqjax(cell, params, inputs), by_torch(double_state(module), state, inputs))


def test_lem_torchrecurrent_reads_the_old_memory(inputs: np.ndarray, float64: None) -> None:
    """It is the paper's only where the memory does not enter; with it, it equals the step with the old memory."""
    torch = pytest.importorskip("torch")
    module, state, w = torchrecurrent_cell("LEMCell", dt=0.8)
    cell = LEM(**SIZES, time_step=0.8)

    def params_of(w: dict[str, jax.Array]) -> Any:
        recurrent_bias = jnp.concatenate([w["bias_hh"], w["bias_ch"]])
        kernel, bias = reordered(w["weight_ih"], w["bias_ih"] + recurrent_bias, order="21zy", ours="12zy")
        (recurrent,) = reordered(w["weight_hh"], order="21z", ours="12z")
        return cell.init(jax.random.key(0))._replace(
            kernel=kernel, recurrent_kernel=recurrent, memory_kernel=w["weight_ch"].T, bias=bias
        )

    theirs = by_torch(double_state(module), state, inputs)
    assert np.abs(by_seqjax(cell, params_of(w), inputs)[0] - theirs[0]).max() > 1e-2

    params, carry, outputs = params_of(w), cell.initial_carry((BATCH,), jnp.float64), []
    for x in inputs:
        new, _ = cell(params, carry, x)
        step_y = 0.8 * jax.nn.sigmoid(
            jnp.split(x @ params.kernel + params.bias, 4, -1)[1]
            + jnp.split(carry.hidden @ params.recurrent_kernel, 3, -1)[1]
        )
        target = jnp.split(x @ params.kernel + params.bias, 4, -1)[3] + carry.cell @ params.memory_kernel
        carry = new._replace(hidden=(1 - step_y) * carry.hidden + step_y * jnp.tanh(target))
        outputs.append(carry.hidden)
    close(jnp.stack(outputs), theirs[0])

    with torch.no_grad():
        module.weight_ch.zero_()
    close(by_seqjax(cell, params_of(numbers(module)), inputs), by_torch(double_state(module), state, inputs))


@evidence("LTC", "ncps", "LTCCell with implicit_param_constraints and no maps of inputs and outputs")
@pytest.mark.parametrize("elapsed", [1.0, 0.3])
def test_ltc_ncps(inputs: np.ndarray, elapsed: float, float64: None) -> None:
    torch, library = pytest.importorskip("torch"), pytest.importorskip("ncps.torch")
    wirings = pytest.importorskip("ncps.wirings")
    torch.manual_seed(0)
    module = library.LTCCell(
        wirings.FullyConnected(HIDDEN),
        INPUTS,
        input_mapping=None,
        output_mapping=None,
        epsilon=0.0,
        implicit_param_constraints=True,
    ).double()
    w, cell = numbers(module), LTC(**SIZES, elapsed=elapsed)
    params = cell.init(jax.random.key(0))
    params = params._replace(
        sensory=type(params.sensory)(
            conductance=w["sensory_w"],
            steepness=w["sensory_sigma"],
            midpoint=w["sensory_mu"],
            reversal=w["sensory_erev"],
        ),
        recurrent=type(params.recurrent)(
            conductance=w["w"], steepness=w["sigma"], midpoint=w["mu"], reversal=w["erev"]
        ),
        leak_conductance=w["gleak"],
        leak_potential=w["vleak"],
        capacitance=w["cm"],
    )

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        output, state = module(x, state, elapsed)
        return state, output

    close(by_seqjax(cell, params, inputs), by_torch(step, torch.zeros(BATCH, HIDDEN).double(), inputs))


@evidence("CfC", "ncps", "CfCCell in its three modes, with elapsed times")
@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_cfc_ncps(inputs: np.ndarray, mode: Any, float64: None) -> None:
    torch, library = pytest.importorskip("torch"), pytest.importorskip("ncps.torch")
    torch.manual_seed(0)
    module = library.CfCCell(INPUTS, HIDDEN, mode=mode, backbone_units=7).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    w, cell = numbers(module), CfC(**SIZES, mode=mode, backbone_size=7, elapsed=None)
    heads = ["ff1"] if mode == "pure" else ["ff1", "ff2", "time_a", "time_b"]
    params = cell.init(jax.random.key(0))._replace(
        kernel=w["backbone.0.weight"][:, :INPUTS].T,
        recurrent_kernel=w["backbone.0.weight"][:, INPUTS:].T,
        bias=w["backbone.0.bias"],
        head_kernel=jnp.concatenate([w[f"{head}.weight"] for head in heads]).T,
        head_bias=jnp.concatenate([w[f"{head}.bias"] for head in heads]),
        rate=w["w_tau"][0] if mode == "pure" else None,
        limit=w["A"][0] if mode == "pure" else None,
    )
    elapsed = np.random.default_rng(1).uniform(0.2, 2.0, (TIME, BATCH, 1))
    outputs, gradients = by_seqjax(cell, params, TimedInputs(jnp.asarray(inputs), jnp.asarray(elapsed)))

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        output, state = module(x[:, :INPUTS], state, x[:, INPUTS:])
        return state, output

    both = np.concatenate([inputs, elapsed], axis=-1)
    want, slopes = by_torch(step, torch.zeros(BATCH, HIDDEN).double(), both)
    close((outputs, np.concatenate(gradients, axis=-1)), (want, slopes))


@evidence("GRUD", "pypots", "TemporalDecay, the two decays")
def test_grud_decays_pypots(inputs: np.ndarray, float64: None) -> None:
    """Its GRU is another one; the decays are the paper's. The file is read alone, as the package needs much more."""
    torch, package = pytest.importorskip("torch"), importlib.util.find_spec("pypots")
    if package is None or package.origin is None:
        pytest.skip("pypots is not installed")
    path = Path(package.origin).parent / "nn" / "modules" / "grud" / "layers.py"
    layers: Any = types.ModuleType("grud_layers_of_pypots")
    SourceFileLoader(layers.__name__, str(path)).exec_module(layers)
    torch.manual_seed(0)
    of_inputs = layers.TemporalDecay(INPUTS, INPUTS, diag=True).double()
    of_hidden = layers.TemporalDecay(INPUTS, HIDDEN, diag=False).double()
    cell, elapsed = GRUD(**SIZES), np.abs(inputs[0])
    params = cell.init(jax.random.key(0), jnp.float64)._replace(
        input_decay=jnp.diag(numbers(of_inputs)["W"]),
        input_decay_bias=numbers(of_inputs)["b"],
        hidden_decay=numbers(of_hidden)["W"].T,
        hidden_decay_bias=numbers(of_hidden)["b"],
    )
    carry = cell.initial_carry((BATCH,), jnp.float64)._replace(
        hidden=jnp.ones((BATCH, HIDDEN)), last_observation=jnp.asarray(inputs[1])
    )
    nothing = jnp.zeros((BATCH, INPUTS))
    decayed = {
        "hidden": of_hidden(torch.tensor(elapsed)).detach().numpy(),
        "last_observation": of_inputs(torch.tensor(elapsed)).detach().numpy() * inputs[1],
    }
    got, _ = cell(params, carry, IncompleteInputs(nothing, nothing, jnp.asarray(elapsed)))
    # The same step without any decay, from a state that the library has decayed and with the value filled in.
    still = params._replace(
        input_decay=0 * params.input_decay,
        input_decay_bias=0 * params.input_decay_bias,
        hidden_decay=0 * params.hidden_decay,
        hidden_decay_bias=0 * params.hidden_decay_bias,
    )
    want, _ = cell(still, carry._replace(**decayed), IncompleteInputs(nothing, nothing, jnp.asarray(elapsed)))
    close(got.hidden, want.hidden)


@evidence("SRU", "sru", "SRUCell, version 1 and 2, inputs as wide as the hidden state and not")
@pytest.mark.parametrize("width", [INPUTS, HIDDEN])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.filterwarnings("ignore")
def test_sru(version: Any, width: int, float64: None) -> None:
    torch = pytest.importorskip("torch")
    try:
        library = pytest.importorskip("sru")
    except (OSError, RuntimeError) as error:
        pytest.skip(f"sru compiles its own code on import, which failed: {error}")
    torch.manual_seed(0)
    inputs = np.random.default_rng(0).standard_normal((TIME, BATCH, width))
    options = {"v1": True, "use_tanh": True, "rescale": False} if version == 1 else {"highway_bias": -1.0}
    module = library.SRUCell(width, HIDDEN, **options).double()
    with torch.no_grad():
        module.bias.add_(0.5 * torch.randn_like(module.bias))
    cell = SRU(input_size=width, hidden_size=HIDDEN, version=version, highway_bias=-1.0)
    w = numbers(module)
    by_gate = jnp.moveaxis(w["weight"].reshape(width, HIDDEN, -1), 2, 0)
    # What scales the inputs on the highway is a buffer of 32 bits, and inside the projection where there is one.
    scale = cell.highway_scale
    params = cell.init(jax.random.key(0))._replace(
        kernel=jnp.concatenate(by_gate[:3], axis=-1),
        recurrent_weights=None if version == 1 else w["weight_c"],
        bias=w["bias"],
        highway_kernel=None if width == HIDDEN else by_gate[3] / scale,
    )
    x = torch.tensor(inputs, requires_grad=True)
    outputs, last = module(x)
    outputs.sin().sum().backward()
    close(by_seqjax(cell, params, inputs), (outputs.detach().numpy(), x.grad.numpy()), 1e-7)
    close(seqjax.scan(cell, params, jnp.asarray(inputs))[0].cell, last.detach().numpy())


@evidence("QRNN", "speechbrain", "QuasiRNNLayer, which has a window of one step and whose f is our 1 - f")
@pytest.mark.parametrize("pooling", ["f", "fo"])
@pytest.mark.filterwarnings("ignore")
def test_qrnn_speechbrain(inputs: np.ndarray, pooling: Any, float64: None, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    library = speechbrain_rnn(monkeypatch)
    torch.manual_seed(0)
    module = library.QuasiRNNLayer(INPUTS, HIDDEN, bidirectional=False, output_gate=pooling == "fo").double()
    w, cell = numbers(module), QRNN(**SIZES, pooling=pooling)
    sign = jnp.repeat(jnp.array([1, -1, 1][: cell.gates]), HIDDEN)
    params = cell.init(jax.random.key(0), jnp.float64)._replace(
        kernel=sign * w["w.weight"].T,
        previous_kernel=jnp.zeros((INPUTS, cell.gates * HIDDEN)),
        bias=sign * w["w.bias"],
    )
    x = torch.tensor(inputs.swapaxes(0, 1), requires_grad=True)
    outputs, _ = module(x)
    outputs.sin().sum().backward()
    close(
        by_seqjax(cell, params, inputs),
        (outputs.detach().numpy().swapaxes(0, 1), x.grad.numpy().swapaxes(0, 1)),
    )
