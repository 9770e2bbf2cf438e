"""Runs on tiny shapes: what a report holds, what stops it and what does not. Times are never asserted."""

import dataclasses
import json
import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax.bench
from seqjax.bench import Settings, bench, bench_streaming, jax_models, steps
from seqjax.bench.generation import Text
from seqjax.bench.peers import PEERS
from seqjax.bench.programs import Model, Problem, check_results, prepare
from seqjax.bench.settings import PASSES, Shape, parse_shape
from seqjax.cells import LSTM, registry

# Keras reads it when it is imported.
os.environ.setdefault("KERAS_BACKEND", "jax")
TINY = "5,2,3,4"


def tiny(**changes):
    options: dict[str, Any] = {
        "cells": ["LSTM"],
        "shapes": [TINY],
        "passes": ["forward"],
        "peers": ["lax"],
        "rounds": 2,
        "warmup": 1,
        "matrix_size": 16,
    }
    return Settings(**(options | changes))


def problem(cell, pass_name="training"):
    shape = parse_shape(TINY)
    return Problem.make(registry()[cell](input_size=shape.inputs, hidden_size=shape.hidden), shape, pass_name)


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def report(seen):
    settings = tiny(cells=["LSTM", "Elman"], passes=PASSES, peers=["lax", "nnx", "nnx-optimized"])
    return bench(settings, lambda report: seen.append(len(report.measurements)))


class TestReport:
    def test_every_cell_in_every_pass(self, report, seen):
        assert [(m.cell, m.pass_name, m.shape.name) for m in report.measurements] == [
            ("LSTM", "forward", TINY),
            ("LSTM", "training", TINY),
            ("Elman", "forward", TINY),
            ("Elman", "training", TINY),
        ]
        assert seen == [0, 1, 2, 3, 4]

    def test_every_peer_that_has_the_cell(self, report):
        for m in report.measurements:
            optimized = ["nnx-optimized"] if m.cell == "LSTM" else []
            assert [row.name for row in m.rows] == ["seqjax", "seqjax split", "lax", "nnx", *optimized]
            assert (m.compared_with, m.not_split) == ("seqjax split", None)
            assert m.without_cell == (() if m.cell == "LSTM" else ("nnx-optimized",))
            assert m.failures == {}

    def test_rows_hold_every_round_and_what_the_compiler_says(self, report):
        for m in report.measurements:
            for row in m.rows:
                assert len(row.times) == 2
                assert row.seconds.minimum == min(row.times)
                assert row.temporary_bytes >= 0
                assert row.compile_seconds > 0
                assert row.trace_seconds > 0
                assert row.same_results == (row.name != "seqjax")

    def test_a_program_is_compiled_again_every_time(self):
        events = []
        heard = lambda event, seconds, **_: events.append(event)
        jax.monitoring.register_event_duration_secs_listener(heard)
        try:
            given = problem("Elman")
            program = prepare(given, PEERS["lax"].build(given))
            events.clear()
            for _ in range(3):
                assert program.compile_again() > 0
        finally:
            jax.monitoring.unregister_event_duration_listener(heard)
        assert events.count("/jax/core/compile/backend_compile_duration") == 3

    def test_json_holds_it_all(self, report):
        plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
        assert set(plain) == {f.name for f in dataclasses.fields(report)} | {"geometric_means"}
        first = plain["measurements"][0]
        assert first["shape"] == {"name": TINY, "time": 5, "batch": 2, "inputs": 3, "hidden": 4}
        assert set(first["rows"][1]) == {f.name for f in dataclasses.fields(report.measurements[0].rows[1])}
        assert first["rows"][1]["seconds"]["median"] == report.measurements[0].rows[1].seconds.median
        assert plain["geometric_means"]["training"]["lax"]["measurements"] == 2

    def test_the_machine(self, report):
        assert report.machine.cores >= 1
        assert report.machine.platform == "cpu"
        assert {"python", "jax", "seqjax"} <= set(report.machine.versions)


class TestFailures:
    def test_a_peer_that_fails_does_not_stop_the_others(self, monkeypatch):
        def build(problem):
            raise RuntimeError("no\n  such thing")

        monkeypatch.setitem(PEERS, "nnx", dataclasses.replace(PEERS["nnx"], build=build))
        (m,) = bench(tiny(peers=["nnx", "lax"])).measurements
        assert m.failures == {"nnx": "RuntimeError: no such thing"}
        assert [row.name for row in m.rows] == ["seqjax", "seqjax split", "lax"]

    def test_a_peer_that_computes_something_else_is_not_timed(self, monkeypatch):
        def build(problem):
            model = PEERS["lax"].build(problem)
            return dataclasses.replace(model, forward=lambda params, x: 1.1 * model.forward(params, x))

        monkeypatch.setitem(PEERS, "nnx", dataclasses.replace(PEERS["nnx"], build=build))
        (m,) = bench(tiny(peers=["nnx", "lax"])).measurements
        assert m.failures["nnx"].startswith("ValueError: outputs: differs from ours by 0.1")
        assert [row.name for row in m.rows] == ["seqjax", "seqjax split", "lax"]

    def test_a_peer_that_fails_later_leaves_the_rounds(self, monkeypatch):
        def build(problem):
            program, calls = prepare(problem, PEERS["lax"].build(problem)), []

            def run():
                calls.append(1)
                if len(calls) == 3:
                    raise MemoryError
                return program.run()

            return dataclasses.replace(program, run=run)

        monkeypatch.setitem(PEERS, "nnx", dataclasses.replace(PEERS["nnx"], build=build))
        (m,) = bench(tiny(peers=["nnx", "lax"])).measurements
        assert m.failures == {"nnx": "MemoryError"}
        assert [len(row.times) for row in m.rows] == [2, 2, 2]

    def test_one_that_is_not_installed_is_named(self, monkeypatch):
        absent = dataclasses.replace(PEERS["haiku"], package="no_such_package", pip="no-such-package")
        monkeypatch.setitem(PEERS, "haiku", absent)
        report = bench(tiny(peers=["haiku", "lax"]))
        assert report.not_installed == {"haiku": "no-such-package"}
        assert [row.name for row in report.measurements[0].rows] == ["seqjax", "seqjax split", "lax"]

    def test_results_of_the_wrong_shape(self):
        outputs = np.zeros((2, 5, 4))
        with pytest.raises(ValueError, match=r"computed \{'outputs': \(2, 5, 4\)\}, expected .*\(5, 2, 4\)"):
            check_results(problem("LSTM", "forward"), {"outputs": outputs}, None)

    def test_results_that_are_not_finite(self):
        with pytest.raises(ValueError, match="outputs: not all numbers are finite"):
            check_results(problem("LSTM", "forward"), {"outputs": np.full((5, 2, 4), np.nan)}, None)


class TestCheckpoints:
    def test_ours_runs_beside_itself(self):
        (m,) = bench(tiny(cells=["Elman"], passes=["training"], checkpoints=["sqrt", 3])).measurements
        ours = ["seqjax", "seqjax split", "seqjax sqrt", "seqjax split sqrt", "seqjax 3", "seqjax split 3"]
        assert [row.name for row in m.rows] == [*ours, "lax"]
        assert m.failures == {}


class TestSplit:
    def test_a_batch_that_cannot_be_divided(self):
        (m,) = bench(tiny(shapes=["5,3,3,4"], peers=["lax", "lax-split"])).measurements
        assert [row.name for row in m.rows] == ["seqjax", "lax"]
        assert (m.compared_with, m.not_split) == ("seqjax", "a batch of 3 cannot be divided over 2 devices")

    @pytest.mark.parametrize(
        "build", [partial(jax_models.ours, split=True), PEERS["lax-split"].build], ids=["ours", "lax"]
    )
    def test_every_device_has_its_part_and_gradients_are_those_of_the_whole(self, build):
        given = problem("LSTM")
        _, (of_params, of_inputs) = prepare(given, build(given)).run()
        assert {shard.data.shape for shard in of_inputs.addressable_shards} == {(5, 1, 3)}
        _, expected = prepare(given, jax_models.lax_scan(given)).run()
        for got, whole in zip([*of_params, of_inputs], [*expected[0], expected[1]], strict=True):
            np.testing.assert_allclose(got, whole, rtol=1e-4, atol=1e-5)

    def test_temporary_memory_is_that_of_all_devices(self):
        given = Problem.make(LSTM(input_size=32, hidden_size=64), Shape("mine", 40, 8, 32, 64), "training")
        whole, parts = (prepare(given, PEERS[name].build(given)).temporary_bytes for name in ("lax", "lax-split"))
        # What is saved for the backward pass is the same; what the devices both have is more.
        assert whole
        assert parts
        assert whole <= parts < 1.5 * whole


# The other libraries' results are compared with ours where the run does it: a failure would be theirs or the mapping's.
@pytest.mark.parametrize(
    ("peer", "package", "cell"),
    [
        *(("nnx", "flax", cell) for cell in ("LSTM", "GRU", "Elman")),
        ("nnx-optimized", "flax", "LSTM"),
        *(("haiku", "haiku", cell) for cell in ("LSTM", "GRU", "Elman")),
        *(("equinox", "equinox", cell) for cell in ("LSTM", "GRU")),
        *(("keras", "keras", cell) for cell in ("LSTM", "GRU", "Elman")),
        *(("torch", "torch", cell) for cell in ("LSTM", "GRU", "Elman")),
    ],
)
def test_every_peer_computes_what_the_plain_scan_does(peer, package, cell):
    pytest.importorskip(package)
    given = problem(cell)
    rng = np.random.default_rng(1)
    # Biases that start at zero would hide one that is in the wrong place; those of a GRU that peers lack stay.
    params = given.params._replace(bias=rng.standard_normal(given.params.bias.shape).astype(np.float32))
    given = dataclasses.replace(given, params=params)
    program = prepare(given, PEERS[peer].build(given))
    got = program.results(program.run())
    check_results(given, got, None)
    assert program.comparable == ((peer, cell) not in {("haiku", "GRU"), ("haiku", "Elman")})
    if program.comparable:
        plain = prepare(given, PEERS["lax"].build(given))
        for name, expected in plain.results(plain.run()).items():
            np.testing.assert_allclose(got[name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("peer", "package", "cell"),
    [
        *(("nnx", "flax", cell) for cell in ("LSTM", "GRU", "Elman")),
        ("nnx-optimized", "flax", "LSTM"),
        *(("haiku", "haiku", cell) for cell in ("LSTM", "GRU", "Elman")),
        *(("equinox", "equinox", cell) for cell in ("LSTM", "GRU")),
        *(("torch", "torch", cell) for cell in ("LSTM", "GRU", "Elman")),
    ],
)
def test_every_step_is_ours(peer, package, cell):
    pytest.importorskip(package)
    given = problem(cell)
    ours, theirs = steps.ours(given), steps.STEPS[peer](given)
    carries = ours.carry, theirs.carry
    for _ in range(3):
        (carry, expected), (other, got) = ours.run(carries[0]), theirs.run(carries[1])
        carries = carry, other
    assert steps.as_numpy(got).shape == (2, 4)
    assert theirs.comparable == ((peer, cell) not in {("haiku", "GRU"), ("haiku", "Elman")})
    if theirs.comparable:
        np.testing.assert_allclose(steps.as_numpy(got), expected, rtol=1e-4, atol=1e-5)


def test_streaming_goes_on_without_what_fails(monkeypatch):
    def build(problem):
        step = steps.ours(problem)

        def run(carry):
            carry, output = step.run(carry)
            return carry, output + 1

        return dataclasses.replace(step, run=run)

    monkeypatch.setitem(steps.STEPS, "nnx", build)
    text = Text(batch=1, length=4, vocabulary=5, hidden=3)
    report = bench_streaming(tiny(shapes=["1,1,3,4"], peers=["lax", "nnx", "nnx-optimized"]), texts=[text])
    (step,), (written,) = report.steps, report.generation
    assert [row.name for row in step.rows] == ["seqjax", "nnx-optimized"]
    assert step.failures["nnx"].startswith("AssertionError: Not equal to tolerance")
    assert [(row.name, len(row.times)) for row in written.rows] == [("seqjax", 2)]
    assert written.compilations == 1


def test_gradients_are_taken_to_the_parameters_as_well():
    given = problem("Elman")
    model = PEERS["lax"].build(given)
    _, (of_params, of_inputs) = prepare(given, model).run()
    assert [a.shape for a in of_params] == [a.shape for a in given.params]
    assert of_inputs.shape == given.inputs.shape
    # The sum of squares of outputs w * x has the gradients 2 w sum(x^2) and 2 w^2 x.
    simple = Model(forward=lambda w, x: w * jnp.asarray(x), params=np.float32(3), inputs=given.inputs)
    value, (of_w, of_x) = prepare(given, simple).run()
    np.testing.assert_allclose(value, 9 * np.sum(given.inputs**2), rtol=1e-5)
    np.testing.assert_allclose(of_w, 6 * np.sum(given.inputs**2), rtol=1e-5)
    np.testing.assert_allclose(of_x, 18 * given.inputs, rtol=1e-5)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'bensh'"):
        seqjax.bench.bensh  # noqa: B018
    assert "bench" in dir(seqjax.bench)
