"""Every transform and every registered cell: one step of the right shapes, or an error that says why not."""

import pickle
import re
from typing import Any

import jax
import pytest

import seqjax
from seqjax.cells import LSTM, Elman, registry
from seqjax.cells import transforms as T
from seqjax.cells.transforms import UnsupportedCell

# The options of a transform with the sizes below, where it needs any; transforms whose options change what they need
# of a cell stand here several times.
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "block_diagonal": ({"heads": 2},),
    "clip_gradient": ({"norm": 1.0},),
    "layer_normalization": ({}, {"placement": "sum"}),
    "low_rank": ({"rank": 2},),
    "recurrent_dropout": ({}, {"kind": "semeniuta", "per_step": True}, {"kind": "moon"}),
    "reinitialized": ({"bias": 0.5}, {"recurrent_kernel": "orthogonal"}),
    "weight_normalization": ({},),
    "zoneout": ({"hidden": 0.1}, {"cell_state": 0.1}),
}
CASES = [(name, options) for name in T.registry() for options in OPTIONS.get(name, ({},))]
IDS = ["-".join([name, *(str(value) for value in options.values())]) for name, options in CASES]
SIZES = {"residual": (4, 4)}
# Of each mechanism one: kernels, noise, named values.
BROADLY = ("diagonal", "zoneout", "cell_clip")
# Each cell is compiled for forget_gate_init; the others are looked at with -m slow.
GATED = ("Elman", "LSTM", "GRU", "JANET", "MGU", "RHN", "UGRNN", "QRNN", "ATR", "STAR", "LEM", "SCRN")


def taken(name: str, options: dict[str, Any], cells: tuple[str, ...] = ()) -> tuple[list[str], dict[str, str]]:
    """The cells that a transform takes, and why not the others."""
    yes, no = [], {}
    input_size, hidden_size = SIZES.get(name, (3, 4))
    for cell in cells or registry():
        inner = registry()[cell](input_size=input_size, hidden_size=hidden_size)
        try:
            made = T.registry()[name](inner, **options)
        except UnsupportedCell as error:
            no[cell] = str(error)
        else:
            yes.append(cell)
            if name in BROADLY or cell in ("Elman", "LSTM", "GRU"):
                assert_promises(made, inner)
    return yes, no


def assert_promises(cell: Any, inner: Any) -> None:
    assert (cell.input_size, cell.hidden_size) == (inner.input_size, inner.hidden_size)
    assert cell.output_shape[-1] == cell.output_size
    twin = pickle.loads(pickle.dumps(cell))
    assert twin == cell
    assert hash(twin) == hash(cell)
    assert twin.output_field == cell.output_field
    assert eval(repr(cell), {**T.registry(), **registry(), "jax": jax}) == cell
    key = jax.random.key(0)
    # Without batch and in half precision; with a batch and in float32 it ran when it was made.
    dtype = jax.numpy.dtype("bfloat16")
    params = jax.eval_shape(lambda: cell.init(key, dtype))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {dtype}
    for noise in (None, key) if cell.stochastic else (None,):
        carry = jax.eval_shape(lambda p, noise=noise: cell.initial_carry((), dtype, p, noise), params)
        inputs = jax.eval_shape(lambda: cell.example_inputs(key, (), dtype))
        new, output = jax.eval_shape(cell, params, carry, inputs)
        assert jax.tree.map(types, new) == jax.tree.map(types, carry)
        assert types(output) == (cell.output_shape, dtype)


def types(leaf: Any) -> Any:
    return leaf.shape, leaf.dtype


@pytest.fixture(autouse=True)
def _without_lists() -> Any:
    """The list of cells in an error takes a second; one test below looks at it."""
    token = T.base._looking.set(True)
    yield
    T.base._looking.reset(token)


@pytest.mark.slow
def test_forget_gates_of_every_cell() -> None:
    assert len(taken("forget_gate_init", {})[0]) >= 40


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_every_cell_is_taken_or_the_error_says_why(name: str, options: dict[str, Any]) -> None:
    yes, no = taken(name, options, GATED if name == "forget_gate_init" else ())
    assert len(yes) >= (5 if name == "forget_gate_init" else 10), "a transform for hardly any cell"
    assert "LSTM" in yes
    for cell, message in no.items():
        reason = message.removeprefix(f"{name} cannot take {registry()[cell].__name__}(")
        assert reason != message, message
        assert re.search(r"\): .*(needs|names|has|reads|adds|add|inputs are|gives|kernel)", reason), message


def test_what_any_cell_can_have() -> None:
    for name in ("learned_initial_carry", "clip_gradient"):
        assert not taken(name, OPTIONS.get(name, ({},))[0])[1]
    # Skipping and adding need inputs of one array.
    assert set(taken("skip", {})[1]) == {
        name
        for name, cell in registry().items()
        if len(jax.tree.leaves(cell(input_size=3, hidden_size=4).input_shapes())) > 1
    }


def test_the_registry_is_what_the_configuration_reads() -> None:
    from seqjax.config import transform_names

    assert transform_names() == list(T.registry())


def test_an_error_lists_what_is_supported() -> None:
    T.base._looking.set(False)
    with pytest.raises(UnsupportedCell) as caught:
        T.diagonal(seqjax.cells.QRNN(input_size=3, hidden_size=4))
    message = str(caught.value)
    assert message.startswith("diagonal cannot take QRNN(input_size=3, hidden_size=4")
    assert "it needs a parameter 'recurrent_kernel', but the cell has kernel, previous_kernel, bias" in message
    assert re.search(r"it supports .*Elman, .*GRU, .*LSTM", message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: T.zoneout(LSTM), "zoneout expects a cell such as LSTM"),
        (lambda: T.zoneout(LSTM(input_size=3, hidden_size=4)), "there is no rate"),
        (lambda: T.zoneout(LSTM(input_size=3, hidden_size=4), hidden=1.0), "from 0 to below 1, got 1.0"),
        (lambda: T.zoneout(Elman(input_size=3, hidden_size=4), hiden=0.1), "no array 'hiden' to keep; it has hidden"),
        (lambda: T.recurrent_dropout(LSTM(input_size=3, hidden_size=4), kind="Gal"), "'gal', 'semeniuta' or 'moon'"),
        (lambda: T.recurrent_dropout(Elman(input_size=3, hidden_size=4), kind="moon"), "names none; kind='gal' may do"),
        (lambda: T.recurrent_dropout(LSTM(input_size=3, hidden_size=4), per_step=True), "per_step is for"),
        (lambda: T.block_diagonal(LSTM(input_size=3, hidden_size=4), heads=3), "4 units cannot be shared by 3 heads"),
        (lambda: T.low_rank(LSTM(input_size=3, hidden_size=4), rank=0), "positive whole number, got 0"),
        (lambda: T.diagonal(T.diagonal(LSTM(input_size=3, hidden_size=4))), "is a DiagonalKernel already"),
        (lambda: T.residual(LSTM(input_size=3, hidden_size=4)), "reads \\[3\\] and gives \\[4\\]"),
        (lambda: T.clip_gradient(LSTM(input_size=3, hidden_size=4)), "one positive bound"),
        (lambda: T.layer_normalization(LSTM(input_size=3, hidden_size=4), "both"), "must be one of 'separate'"),
        (lambda: T.reinitialized(LSTM(input_size=3, hidden_size=4)), "name a parameter"),
        (lambda: T.reinitialized(LSTM(input_size=3, hidden_size=4), kernel="ortogonal"), "did you mean 'orthogonal'"),
        (lambda: T.forget_gate_init(LSTM(input_size=3, hidden_size=4), "chrono"), "longest_memory must be"),
        (
            lambda: T.multiplicative_integration(seqjax.cells.STAR(input_size=3, hidden_size=4)),
            "does not add inputs @ kernel and hidden @ recurrent_kernel",
        ),
    ],
)
def test_errors(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
