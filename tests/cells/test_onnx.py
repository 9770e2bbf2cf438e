"""The node vectors of the ONNX standard for RNN, GRU and LSTM, and onnxruntime for what they leave out."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, Cell, CoupledLSTM, Elman, PeepholeLSTM
from seqjax.cells.base import AffineParams
from seqjax.cells.lstm_variants import PeepholeLSTMParams
from tests.cells.conversions import from_onnx, reorder

onnx: Any = pytest.importorskip("onnx")

# The cells of the node types, and of the LSTM's by what else the node has.
CELLS = {"RNN": "Elman", "GRU": "GRU", "LSTM": "LSTM", "LSTM-peepholes": "PeepholeLSTM", "LSTM-coupled": "CoupledLSTM"}


def evidence(kind: str, library: str, what: str) -> pytest.MarkDecorator:
    name = CELLS.get(kind, CELLS[kind.partition("-")[0]])
    return pytest.mark.evidence(cell=name, library=library, what=what)


def collect() -> dict[str, Any]:
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from onnx.backend.test.case.node import gru, lstm, rnn  # noqa: F401  registers the cases

            cases = list(node._NodeTestCases)
        except (ImportError, AttributeError):
            cases = list(node.collect_testcases(None))
    kinds = ("RNN", "GRU", "LSTM")
    return {case.name: case for case in cases if case.model and case.model.graph.node[0].op_type in kinds}


CASES = collect()


def kind_of(case: Any) -> str:
    node = case.model.graph.node[0]
    return f"{node.op_type}-peepholes" if "P" in node.input else node.op_type


def converted(kind: str, plain: Any, peepholes: np.ndarray | None) -> Any:
    """The parameters of one direction, from those of the cell without peepholes and with all four gates."""
    if kind == "LSTM-peepholes":
        assert peepholes is not None
        return PeepholeLSTMParams(plain.kernel, plain.recurrent_kernel, reorder(peepholes, "iof", "ifo"), plain.bias)
    if kind == "LSTM-coupled":
        # The input gate has the weights there: f = 1 - sigmoid(a) = sigmoid(-a).
        parts = [np.split(part, 4, axis=-1) for part in plain]
        return AffineParams(*(jnp.concatenate([-i, g, o], axis=-1) for i, _, g, o in parts))
    return plain


def run_node(node: Any, feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    """What seqjax gives for the node: Y ``[time, directions, batch, H]``, Y_h and Y_c ``[directions, batch, H]``."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    names = [*node.input, *[""] * (8 - len(node.input))]
    x, w, r, b, lengths, h0, c0, peepholes = (feeds.get(name) for name in names)
    assert x is not None
    assert w is not None
    assert r is not None
    hidden, after = attributes["hidden_size"], attributes.get("linear_before_reset", 0) == 1
    kind = node.op_type + "-peepholes" * (peepholes is not None) + "-coupled" * attributes.get("input_forget", 0)
    known = {"hidden_size", "direction", "layout", "linear_before_reset", "input_forget"}
    assert set(attributes) <= known, f"attributes that are not understood: {set(attributes) - known}"
    batchwise = attributes.get("layout", 0) == 1
    if batchwise:
        x = x.swapaxes(0, 1)
        h0, c0 = (None if a is None else a.swapaxes(0, 1) for a in (h0, c0))
    sizes: dict[str, Any] = {"input_size": x.shape[-1], "hidden_size": hidden}
    cells: dict[str, Cell] = {
        "RNN": Elman(**sizes),
        "GRU": GRU(**sizes, reset="after" if after else "before"),
        "LSTM": LSTM(**sizes),
        "LSTM-peepholes": PeepholeLSTM(**sizes),
        "LSTM-coupled": CoupledLSTM(**sizes),
    }
    directions = {b"forward": [False], b"reverse": [True], b"bidirectional": [False, True]}
    outputs, carries = [], []
    for index, reverse in enumerate(directions[attributes.get("direction", b"forward")]):
        bias = np.zeros(2 * w.shape[1], w.dtype) if b is None else b[index]
        plain = from_onnx(node.op_type, w[index], r[index], bias, after)
        params = jax.tree.map(jnp.asarray, converted(kind, plain, None if peepholes is None else peepholes[index]))
        carry = cells[kind].initial_carry((x.shape[1],))
        given = [None if a is None else jnp.asarray(a[index]) for a in (h0, c0)]
        carry = type(carry)(*(leaf if a is None else a for leaf, a in zip(carry, given)))
        last, output = seqjax.scan(
            cells[kind],
            params,
            jnp.asarray(x),
            carry,
            reverse=reverse,
            lengths=None if lengths is None else jnp.asarray(lengths),
        )
        outputs.append(np.asarray(output))
        carries.append([np.asarray(leaf) for leaf in last])
    results = [np.stack(outputs, axis=1), *(np.stack(leaves) for leaves in zip(*carries, strict=True))]
    if batchwise:
        results = [results[0].transpose(2, 0, 1, 3), *(a.swapaxes(0, 1) for a in results[1:])]
    return {name: result for name, result in zip(node.output, results) if name}


def test_the_cases_are_those_of_the_standard() -> None:
    assert len(CASES) >= 18
    assert {kind_of(case) for case in CASES.values()} == {"RNN", "GRU", "LSTM", "LSTM-peepholes"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=evidence(kind, "ONNX", f"node vectors of the standard for {kind.replace('-', ' with ')}")
        )
        for name, case in sorted(CASES.items())
        for kind in (kind_of(case),)
    ],
)
def test_node(name: str) -> None:
    case = CASES[name]
    graph = case.model.graph
    ((inputs, expected),) = case.data_sets
    got = run_node(graph.node[0], dict(zip([i.name for i in graph.input], inputs, strict=True)))
    for output, want in zip(graph.output, expected, strict=True):
        np.testing.assert_allclose(got[output.name], want, rtol=max(case.rtol, 1e-5), atol=max(case.atol, 1e-6))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=evidence(kind, "onnxruntime", f"{kind.replace('-', ' ', 1)}: ragged, all directions"),
        )
        for kind in ("RNN", "GRU", "GRU-linear-before-reset", "LSTM", "LSTM-peepholes", "LSTM-coupled")
    ],
)
def test_onnxruntime(kind: str, direction: str) -> None:
    """Ragged lengths, both biases, initial carries, ``linear_before_reset``, peepholes, and ``input_forget``."""
    runtime: Any = pytest.importorskip("onnxruntime")
    rng, (time, batch, features, hidden) = np.random.default_rng(0), (6, 3, 2, 4)
    op, both = kind.split("-")[0], 2 if direction == "bidirectional" else 1
    count = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    feeds = {
        "X": normal(time, batch, features),
        "W": normal(both, count * hidden, features),
        "R": 0.5 * normal(both, count * hidden, hidden),
        "B": normal(both, 2 * count * hidden),
        "sequence_lens": np.array([6, 1, 4], np.int32),
        "initial_h": normal(both, batch, hidden),
    }
    if op == "LSTM":
        feeds["initial_c"] = normal(both, batch, hidden)
    if kind == "LSTM-peepholes":
        feeds["P"] = normal(both, 3 * hidden)
    outputs = ["Y", "Y_h", "Y_c"][: 2 + (op == "LSTM")]
    attributes = {"GRU-linear-before-reset": {"linear_before_reset": 1}, "LSTM-coupled": {"input_forget": 1}}.get(
        kind, {}
    )
    node = onnx.helper.make_node(op, list(feeds), outputs, hidden_size=hidden, direction=direction, **attributes)
    types = {"sequence_lens": onnx.TensorProto.INT32}
    value = lambda name, shape: onnx.helper.make_tensor_value_info(name, types.get(name, onnx.TensorProto.FLOAT), shape)
    graph = onnx.helper.make_graph(
        [node], "node", [value(name, a.shape) for name, a in feeds.items()], [value(name, None) for name in outputs]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    want = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    got = run_node(node, feeds)
    for name, expected in zip(outputs, want, strict=True):
        np.testing.assert_allclose(got[name], expected, rtol=1e-5, atol=2e-6, err_msg=name)
