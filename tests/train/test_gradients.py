"""Measures of whole models, and the same while they are trained."""

import dataclasses
import json

import numpy as np
import pytest

from seqjax.errors import CheckpointError, ConfigError, DataError, TrainingError
from seqjax.nn import LanguageModel
from seqjax.train import measure_gradients
from seqjax.train.gradients import report
from seqjax.train.tasks import build
from tests.train.helpers import changed


@pytest.fixture(scope="module")
def measured(finished):
    return measure_gradients(finished, length=6, batch=2)


def test_a_run_is_measured_layer_by_layer(measured):
    assert measured.step == 24
    assert [layer.name for layer in measured.layers] == ["layers.0", "layers.1"]
    assert [list(layer.flow) for layer in measured.layers] == [["layers.0.hidden"], ["layers.1.hidden"]]
    assert all(summary.horizon == 5 for layer in measured.layers for summary in layer.flow.values())
    text = str(measured)
    assert "at step 24, on 2 sequences of 6 symbols" in text
    assert text.count("spectral radius of recurrent_kernel, gate by gate: ") == 2
    assert "layers.1.hidden: " in text
    assert "update_gate" in text
    assert "data.length=56" in text


def test_numbers_are_json(measured):
    numbers = json.loads(json.dumps(measured.to_dict(), allow_nan=False))
    first = numbers["layers"][0]
    assert first["flow"]["layers.0.hidden"]["verdict"] in ("vanishing", "healthy", "exploding")
    assert len(first["spectral_radii"]["recurrent_kernel"]) == 3
    assert 0 < first["gates"]["update_gate"]["mean"] < 1
    assert numbers["truncation"]["lengths"] == [1, 2, 4, 6]
    assert numbers["truncation"]["cosine"][-1] == pytest.approx(1)


def test_pictures_come_with_their_numbers(measured, tmp_path):
    pytest.importorskip("matplotlib")
    written = measured.draw(tmp_path / "pictures")
    stems = {path.stem for path in written}
    assert stems >= {"flow_by_lag", "flow_layers_1_hidden", "truncation", "spectrum_layers_0_recurrent_kernel"}
    assert {path.name for path in written} == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg", "json")}
    assert all(path.stat().st_size > 100 for path in written)


def test_a_config_is_measured_at_the_parameters_that_its_run_begins_with(config):
    found = measure_gradients(config, length=4, batch=1)
    assert (found.name, found.step, found.own_length) == ("cats", 0, 56)
    assert "cats at its initial parameters" in str(found)


@pytest.mark.parametrize(
    ("own", "best", "advice"),
    [
        (4, 2, "data.length=4 is enough; 2 would be, too"),
        (4, 4, "data.length=4 is enough"),
        (2, 4, "data.length=2 is too short; data.length=4 would keep the gradient"),
        (4, 6, "data.length=4: no length below 6 is enough; measure with a longer --length"),
        (4, None, "data.length=4: no length below 6 is enough; measure with a longer --length"),
    ],
)
def test_advice_compares_with_the_models_own_length(measured, own, best, advice):
    cut = dataclasses.replace(measured.truncation, recommended=best)
    assert dataclasses.replace(measured, own_length=own, truncation=cut).advice() == advice


def test_a_reservoir_has_nothing_to_truncate(config):
    found = measure_gradients(changed(config, "model", cell="EchoState", dropout=0.0), length=4, batch=1)
    assert found.truncation is None
    assert found.to_dict()["truncation"] is None
    assert str(found).endswith("have no gradient, so no truncation changes it")


def test_bad_input_gets_a_clear_message(config, finished, tmp_path):
    with pytest.raises(DataError, match="at least 2 time steps, got 1"):
        measure_gradients(config, length=1)
    with pytest.raises(ConfigError, match=r"model.hidden_size - cannot change"):
        measure_gradients(finished, overrides=["model.hidden_size=3"])
    with pytest.raises(CheckpointError, match="holds no run"):
        measure_gradients(tmp_path)


def test_parameters_that_are_not_finite_are_named(config):
    experiment = build(config)
    state = experiment.learner.initial_state()
    name = "layers.layers.1.params.kernel"
    broken = state.parameters | {name: state.parameters[name].at[0, :2].set(np.nan)}
    model = experiment.learner.model(state._replace(parameters=broken))
    assert isinstance(model, LanguageModel)
    batch = experiment.streams[0]
    with pytest.raises(TrainingError, match=rf"{name} \(2 of 192\)"):
        report(model, batch.inputs, batch.targets, name="cats", step=0, own_length=56)
