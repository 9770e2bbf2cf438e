"""Equal settings give equal results, runs in one compiled loop are what they are alone, and outcomes are kept."""

import dataclasses
import json
import math

import jax
import numpy as np
import optax
import pytest

from seqjax.comparison import Comparison, Outcome, Settings, compare, model_of_size, table, train
from seqjax.data import make_task
from seqjax.errors import ConfigError
from seqjax.losses import mean_cross_entropy

TINY = Settings(parameters=150, steps=5, batch_size=4, seeds=2, examples=20, chunk=3, learning_rates=(0.01, 0.1))
TASK = make_task("recall", lag=2, length=6)


def outcome(metrics=(0.5, 0.7), **changes) -> Outcome:
    base = Outcome(
        task="copy", model="LSTM", width=4, parameters=99, learning_rate=0.1, metrics=metrics, curve=((1, 2.0),),
        seconds=1.0,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def test_equal_settings_give_equal_results():
    model = model_of_size("Elman", TASK, 150)
    first, again = train(model, TASK, TINY), train(model, TASK, TINY)
    assert first.metrics == again.metrics
    assert first.curve == again.curve
    assert len(set(first.metrics)) == 2, "both seeds gave the same"


def test_one_run_is_what_it_is_in_a_plain_loop():
    model, seed, rate = model_of_size("Elman", TASK, 150), 1, 0.1
    settings = dataclasses.replace(TINY, learning_rates=(rate,))
    params = model.init(jax.random.key(seed))
    adam = optax.chain(optax.clip_by_global_norm(settings.clip), optax.adam(rate))
    state = adam.init(params)

    def predict(params, inputs):
        return model(params, jax.nn.one_hot(inputs, TASK.input_size))

    @jax.jit
    def update(params, state, batch):
        def loss(params):
            return mean_cross_entropy(predict(params, batch.inputs), batch.targets, batch.mask)

        steps, state = adam.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, steps), state

    for step in range(settings.steps):
        params, state = update(params, state, TASK.batch((seed, step), settings.batch_size))
    test = TASK.batch((0,), settings.examples, "test")
    want = mean_cross_entropy(predict(params, test.inputs), test.targets, test.mask) / math.log(2)
    assert train(model, TASK, settings).metrics[seed] == pytest.approx(float(want), rel=1e-5)


@pytest.mark.parametrize("name", ["adding", "parity", "anbn"])
def test_the_metric_is_the_task_s(name):
    options = {"anbn": {"longest_trained": 2}}.get(name, {"length": 5})
    task = make_task(name, **options)
    model = model_of_size("Elman", task, 60)
    found = train(model, task, dataclasses.replace(TINY, steps=1, seeds=1, learning_rates=(1e-30,)))
    inputs, targets, mask = task.batch((0,), TINY.examples, "test")
    read = inputs if inputs.ndim == 3 else np.eye(task.input_size, dtype=np.float32)[inputs]
    said = np.asarray(model(model.init(jax.random.key(0)), read))
    if name == "adding":
        want = np.mean([(said[-1, i, 0] - targets[-1, i]) ** 2 for i in range(TINY.examples)])
    else:
        right = [[said[t, i].argmax() == targets[t, i] for t in np.flatnonzero(mask[:, i])] for i in range(20)]
        want = np.mean(np.concatenate(right)) if name == "parity" else np.mean([all(steps) for steps in right])
    assert found.metrics[0] == pytest.approx(want, rel=1e-5)


def test_the_best_learning_rate_counts():
    settings = dataclasses.replace(TINY, learning_rates=(1e-9, 0.03), steps=60)
    found = train(model_of_size("Elman", TASK, 150), TASK, settings)
    assert found.learning_rate == 0.03
    assert found.mean < 2.9


def test_a_comparison_has_every_pair_and_survives_json():
    seen, done = [], []
    found = compare(
        ["Jordan", ("Elman", {"activation": "relu"})],
        [TASK, make_task("parity", length=4)],
        TINY,
        finished=done.append,
        advanced=lambda *where: seen.append(where),
    )
    models = ["Jordan", "Elman(activation=relu)", "convolution"]
    assert [(o.task, o.model) for o in found.outcomes] == [(t, m) for t in ("recall", "parity") for m in models]
    assert [len(so_far.outcomes) for so_far in done] == [1, 2, 3, 4, 5, 6]
    assert done[-1] == found
    assert seen[:2] == [("recall", "Jordan", 3, 5), ("recall", "Jordan", 5, 5)]
    assert Comparison.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert repr(found) == "<Comparison of Jordan, Elman(activation=relu), convolution on recall, parity>"
    rows = table(found)
    assert [row[0] for row in rows[2:]] == [*models, "without memory"]
    assert rows[-1][1:] == ("3.000", "0.625")
    assert found._repr_markdown_().splitlines()[-1] == "| without memory | 3.000 | 0.625 |"


def test_means_errors_and_what_diverged():
    assert outcome().mean == pytest.approx(0.6)
    assert outcome().standard_error == pytest.approx(0.1)
    assert outcome().text() == "0.600 ± 0.100"
    assert outcome((0.5,)).text() == "0.500"
    assert outcome((0.5, math.nan)).text() == "diverged"


def test_settings_that_do_not_fit():
    with pytest.raises(ConfigError, match="steps must be a positive whole number, got 0"):
        Settings(steps=0)
    with pytest.raises(ConfigError, match="learning rates and clip must be positive"):
        Settings(learning_rates=())


def test_the_picture_and_the_command(run, tmp_path):
    pytest.importorskip("matplotlib")
    arguments = ["--cells", "Elman:activation=relu", "--tasks", "parity", "--parameters", 60, "--steps", 2]
    files = ["--json", tmp_path / "found.json", "--plot", tmp_path / "found.png"]
    code, out, error = run("compare", *arguments, "--seeds", 2, "--learning-rates", "0.01,0.1", *files)
    assert code == 0, error
    assert "Elman(activation=relu)" in out
    assert "without memory" in out
    saved = json.loads((tmp_path / "found.json").read_text())
    assert len(Comparison.from_dict(saved).outcomes) == 2
    assert saved["machine"]["cores"] >= 1
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cells", "LSTN"], "--cells: there is no cell 'LSTN'; did you mean 'LSTM'?"),
        (["--cells", "GRU:rest=before"], "did you mean"),
        (["--tasks", "addition"], "--tasks: there is no task 'addition'"),
        (["--learning-rates", "fast"], "--learning-rates: a positive number such as 0.005 is expected, got 'fast'"),
        (["--plot", "found.txt"], "--plot: a file that ends in .png, .svg or .pdf is expected, got found.txt"),
        (["--json", "nowhere/found.json"], "--json: there is no directory nowhere; make it first"),
    ],
)
def test_errors_of_the_command(run, arguments, message):
    code, _, error = run("compare", *arguments)
    assert code == 2
    assert message in error
