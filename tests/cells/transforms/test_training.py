"""Noise in the modules, in the trainer and in the configuration; and a run that is resumed ends as one that was not."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import seqjax
from seqjax import train
from seqjax.cells import GRU, LSTM
from seqjax.cells import transforms as T
from seqjax.config import (
    LanguageModelConfig,
    LanguageModelExperiment,
    SampleConfig,
    TrainConfig,
    config_from_dict,
    load_config,
)
from seqjax.data import TextConfig
from seqjax.errors import ConfigError
from seqjax.train.tasks.language_model import language_model_learner

SIZES = {"input_size": 3, "hidden_size": 4}
INPUTS = jnp.ones((2, 6, 3))


def noisy_layer(seed: int = 0) -> seqjax.nn.Recurrent:
    cell = T.zoneout(T.recurrent_dropout(T.weight_drop(LSTM(**SIZES), 0.5), 0.5), hidden=0.2)
    return seqjax.nn.Recurrent(cell, rngs=nnx.Rngs(seed))


def test_a_layer_draws_noise_in_training_only() -> None:
    layer = noisy_layer()
    (carry, first), (_, second) = layer(INPUTS), layer(INPUTS)
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(noisy_layer()(INPUTS)[1], first)
    assert not T.is_noisy(carry)
    layer.eval()
    np.testing.assert_array_equal(layer(INPUTS)[1], layer(INPUTS)[1])
    plain, _ = layer(INPUTS[:, :3])
    np.testing.assert_allclose(layer(INPUTS[:, 3:], plain)[1], layer(INPUTS)[1][:, 3:], rtol=1e-6)
    resets = jnp.zeros((2, 6), bool).at[:, 2].set(True)
    for mode in (layer.train, layer.eval):
        mode()
        assert layer(INPUTS, resets=resets)[1].shape == (2, 6, 4)


def test_a_carry_with_noise_keeps_it_over_calls() -> None:
    layer = noisy_layer()
    layer.eval()
    start = layer.initial_carry(2, key=jax.random.key(1))
    _, whole = layer(INPUTS, start)
    middle, first = layer(INPUTS[:, :4], start)
    assert T.is_noisy(middle)
    _, second = layer(INPUTS[:, 4:], middle)
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, rtol=1e-6, atol=1e-7)
    assert np.abs(whole - layer(INPUTS)[1]).max() > 1e-3


@pytest.mark.parametrize("compile_once", [False, True])
def test_a_model_with_noise_in_its_recurrence(compile_once: bool) -> None:
    make = lambda **sizes: T.recurrent_dropout(GRU(**sizes), 0.5)
    model = seqjax.nn.LanguageModel(
        7, make, hidden_size=5, num_layers=2, rngs=nnx.Rngs(0), embedding_size=5, compile_once=compile_once
    )
    tokens = jnp.zeros((3, 4), int)
    assert np.abs(model(tokens)[1] - model(tokens)[1]).max() > 1e-3
    gradients = nnx.grad(lambda model: model(tokens)[1].var())(model)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    prompt = np.zeros((2, 3), int)
    drawn = [seqjax.nn.generate(model, prompt, 5, jax.random.key(0)).tokens for _ in range(2)]
    np.testing.assert_array_equal(*drawn)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> LanguageModelExperiment:
    text = tmp_path_factory.mktemp("text") / "cats.txt"
    text.write_text("the cat sat on the mat and looked at the rat. " * 40)
    transforms: list[dict[str, Any]] = [
        {"name": "layer_normalization"},
        {"name": "weight_drop", "rate": 0.3},
        {"name": "recurrent_dropout", "rate": 0.2},
        {"name": "zoneout", "hidden": 0.1},
    ]
    return LanguageModelExperiment(
        name="noisy",
        data=TextConfig(source=str(text), batch_size=2, length=32),
        model=LanguageModelConfig(cell="GRU", hidden_size=6, num_layers=1, cell_transforms=transforms),
        train=TrainConfig(steps=8, eval_every=8, checkpoint_every=4, log_every=4, tensorboard=False),
        sample=SampleConfig(prompt="the ", length=5),
    )


def test_a_resumed_run_ends_as_an_unbroken_one(config: LanguageModelExperiment, tmp_path: Path) -> None:
    """The second run stops after its first checkpoint, and a resumed one does the rest."""
    unbroken = train.run(config, tmp_path / "unbroken")
    assert load_config(unbroken / "config.yaml") == config
    short = dataclasses.replace(config, train=dataclasses.replace(config.train, steps=4))
    train.run(short, tmp_path / "resumed")
    train.resume(tmp_path / "resumed", ["train.steps=8"])
    states = [saved(tmp_path / name, 8) for name in ("unbroken", "resumed")]
    assert states[0].keys() == states[1].keys()
    assert any("rngs" in name for name in states[0]), "the state of the noise is not saved"
    for name, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][name], err_msg=name)


def saved(run: Path, step: int) -> dict[str, Any]:
    from tests.train.helpers import saved_arrays

    return saved_arrays(run, step)


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        (
            [{"name": "zonout"}],
            r"model\.cell_transforms\[0\]\.name - no transform of this name; did you mean 'zoneout'",
        ),
        ([{"name": "diagonal", "scal": 2}], r"cell_transforms\[0\]\.scal - diagonal has no such option; .* 'scale'"),
        ([{"rate": 0.1}], r"cell_transforms\[0\]\.name - missing; known are batch_normalization, "),
        ([{"name": "low_rank"}], r"cell_transforms\[0\]\.rank - missing; low_rank needs it"),
        ({"name": "diagonal"}, r"model\.cell_transforms - must be a list"),
        (["diagonal"], r"model\.cell_transforms - must be a mapping"),
    ],
)
def test_mistakes_in_a_configuration(transforms: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_dict({"model": {"cell_transforms": transforms}})


@pytest.mark.parametrize(
    ("cell", "transform", "message"),
    [
        ("GRU", {"name": "zoneout", "hidden": 1.5}, r"cell_transforms\[0\] - zoneout: hidden must be a number from 0"),
        ("QRNN", {"name": "diagonal"}, r"cell_transforms\[0\] - diagonal cannot take QRNN\(.*'recurrent_kernel'"),
        ("Elman", {"name": "cell_clip"}, r"its step names no value 'cell'; it names none; it supports .*LSTM"),
    ],
)
def test_what_a_transform_refuses(config: LanguageModelExperiment, cell: str, transform: Any, message: str) -> None:
    model = dataclasses.replace(config.model, cell=cell, cell_transforms=[transform])
    with pytest.raises(ConfigError, match=message):
        language_model_learner(dataclasses.replace(config, model=model), 11)


def test_the_command_lists_transforms(run: Any) -> None:
    code, out, _ = run("transforms")
    assert code == 0
    assert all(f"\n{name} " in out for name in T.registry())
    code, out, _ = run("transforms", "zoneout")
    assert code == 0
    assert "Krueger et al. 2017" in out
    assert "Needs of a cell" in out
    code, _, error = run("transforms", "zonout")
    assert (code, error) == (2, "error: there is no transform 'zonout'; did you mean 'zoneout'?\n")
