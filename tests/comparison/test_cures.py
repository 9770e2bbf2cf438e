"""Cures: one model that is trained and measured, and every row computed."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.analysis import gradient_flow
from seqjax.analysis.plots import plain
from seqjax.cells import LSTM, Elman
from seqjax.comparison import GROUPS, Settings, StackModel, compare_cures, cure_table, cures_figure, list_cures
from seqjax.comparison.study import Rule, fit, initial
from seqjax.data import make_task
from seqjax.errors import ConfigError

TASK = make_task("adding", length=6)
TINY = Settings(steps=2, batch_size=4, seeds=1, examples=8, chunk=2)


@pytest.fixture(scope="module")
def found():
    return compare_cures(TASK, TINY, units=3, groups=["gating", "truncation"])


def stack(**options) -> StackModel:
    cells = (LSTM(input_size=2, hidden_size=3), Elman(input_size=3, hidden_size=3))
    return StackModel(output_size=1, cells=cells, **options)


@pytest.mark.parametrize("residual", [False, True])
def test_a_stack_is_its_cells_one_after_the_other(residual) -> None:
    model = stack(residual=residual)
    params, inputs = model.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (4, 2, 2))
    carries = [cell.initial_carry((2,)) for cell in model.cells]
    for step in range(4):
        carries[0], below = model.cells[0](params.cells[0], carries[0], inputs[step])
        carries[1], above = model.cells[1](params.cells[1], carries[1], below)
        above = above + below if residual else above
        want = above @ params.kernel + params.bias
        np.testing.assert_allclose(model(params, inputs)[step], want, rtol=1e-5, atol=1e-6)


def test_truncation_cuts_the_gradient_and_nothing_else() -> None:
    """Against chunks whose carry is handed on as a constant."""
    plain_model, cut_model = stack(), stack(truncation=2)
    params, inputs = plain_model.init(jax.random.key(0)), jax.random.normal(jax.random.key(1), (5, 2, 2))
    np.testing.assert_allclose(cut_model(params, inputs), plain_model(params, inputs), rtol=1e-6)

    def in_chunks(params):
        carry, total = plain_model.initial_carry((2,)), 0.0
        for index in range(5):
            carry = jax.lax.stop_gradient(carry) if index % 2 == 0 else carry
            carry, output = plain_model.step(params, carry, inputs[index])
            total += (output**2).sum()
        return total

    got = jax.grad(lambda params: (cut_model(params, inputs) ** 2).sum())(params)
    for leaf, want in zip(jax.tree.leaves(got), jax.tree.leaves(jax.grad(in_chunks)(params)), strict=True):
        np.testing.assert_allclose(leaf, want, rtol=1e-4, atol=1e-6)
    flow = gradient_flow(cut_model.step, params, inputs, cut_model.initial_carry((2,)), times=[4])
    norms = flow.norms["layers.1.hidden"][0]
    assert float(norms[4].min()) > 0
    assert float(norms[:4].max()) == 0


def test_every_cure_is_another_model_or_rule() -> None:
    every = list_cures(TASK, units=3)
    assert {cure.group for cure in every} == {"baseline", *GROUPS}
    assert len({(cure.model, cure.rule) for cure in every}) == len(every)
    for cure in every:
        params = jax.eval_shape(cure.model.init, jax.random.key(0))
        outputs = jax.eval_shape(cure.model, params, jnp.zeros((6, 4, 2)))
        assert outputs.shape == (6, 4, 1), cure.name


def test_rules_do_what_they_say() -> None:
    gradient = {"w": jnp.array([3.0, -4.0])}
    step = lambda rule: rule.chain().update(gradient, rule.chain().init(gradient))[0]["w"]
    np.testing.assert_allclose(step(Rule(name="sgd")), [3, -4])
    np.testing.assert_allclose(step(Rule(name="sgd", clip=1.0)), [0.6, -0.8], rtol=1e-6)
    np.testing.assert_allclose(step(Rule(name="sgd", clip_value=0.1)), [0.1, -0.1], rtol=1e-6)
    np.testing.assert_allclose(step(Rule()), [1, -1], rtol=1e-5)


def test_training_begins_with_the_parameters_that_are_measured() -> None:
    model = stack()
    one = dataclasses.replace(TINY, steps=1, seeds=2, learning_rates=(0.0001, 1e-12))
    first, (params, _) = initial(model, one, Rule(name="sgd")), fit(model, TASK, one, Rule(name="sgd"))
    still = jax.tree.map(lambda a, b: np.allclose(a[2:], b[2:], atol=1e-9), first, params)
    assert all(jax.tree.leaves(still))
    assert not np.array_equal(first.kernel[0], params.kernel[0])


def test_rows_are_measured(found) -> None:
    assert [row.group for row in found.rows] == ["baseline", "gating", "gating", "truncation"]
    for row in found.rows:
        assert np.isfinite(row.metrics).all()
        assert row.before is not None
        assert row.after is not None
        assert row.before.horizon == 5
    assert found.rows[0].parameters == 3 * (2 + 3 + 1) + 3 + 1
    # The gradient is cut in the middle of the sequence: none of it reaches the beginning.
    assert found.rows[-1].after.ratio == 0
    assert found.rows[0].after.ratio > 0


def test_table_json_and_picture(found, tmp_path) -> None:
    rows = cure_table(found)
    assert len({len(row) for row in rows}) == 1
    assert [row[1] for row in rows[3:5]] == ["LSTM", "GRU"]
    assert rows[-1][-1] == f"{1 / 6:.4f}"
    json.dumps(plain(found.to_dict()), allow_nan=False)
    pytest.importorskip("matplotlib")
    cures_figure(found).savefig(tmp_path / "cures.png")
    assert (tmp_path / "cures.png").stat().st_size > 1000


def test_single_cures_are_chosen_by_name_and_tried_at_the_learning_rates_that_are_given() -> None:
    chosen = list_cures(TASK, units=3, groups=["irnn", "clipping", "none"])
    assert [cure.group for cure in chosen] == ["baseline", "initialisation", *["clipping"] * 3]
    assert chosen[1].name == "identity with ReLU (IRNN)"
    found = compare_cures(TASK, TINY, units=3, groups=["SGD"], rates=(1e-4,))
    assert [row.learning_rate for row in found.rows] == [1e-4, 1e-4]
    assert found.settings["learning_rates"] == (1e-4,)


@pytest.mark.slow
def test_adding_over_200_steps_is_solved_where_gradients_are_kept() -> None:
    """About four minutes of two cores, if compiled as users do (``XLA_FLAGS=``)."""
    task, settings = make_task("adding", length=200), Settings(steps=5000, seeds=1, examples=500)
    found = {row.name: row for row in compare_cures(task, settings, groups=["gating", "IRNN"]).rows}
    failed = found.pop("Elman, tanh, Glorot, norm clipped, Adam")
    assert failed.mean > 0.9 * task.trivial()
    assert failed.after.ratio < 1e-6
    for row in found.values():
        assert row.mean < 0.01, row.name
        assert row.after.ratio > 1e-3, row.name
    # The gradient of a GRU does not reach the beginning at first: what is near teaches it to keep its state.
    assert found["GRU"].before.ratio < 1e-12


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(ConfigError, match="no cures of the kind 'gateing'; did you mean 'gating'"):
        list_cures(TASK, groups=["gateing"])
