import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from seqjax.errors import ConfigError
from seqjax.optim import (
    ClipConfig,
    OptimizerConfig,
    ScheduleConfig,
    learning_rate_at,
    optimizer,
    optimizer_names,
    schedule_names,
    skipped_in_a_row,
    skipped_updates,
)

STEPS = 100
PARAMS = {"kernel": jnp.asarray([[3.0, -1.0], [0.5, 2.0], [1.0, 1.0]]), "bias": jnp.asarray([0.5, -2.0])}
GRADIENTS = {"kernel": jnp.asarray([[3.0, -4.0], [0.1, 12.0], [0.0, 0.3]]), "bias": jnp.asarray([-0.2, 5.0])}


def one_update(config, gradients=GRADIENTS, params=PARAMS):
    transformation = optimizer(config, STEPS)
    updates, state = transformation.update(gradients, transformation.init(params), params)
    return jax.tree.map(np.asarray, updates), state


def sgd(**options):
    return OptimizerConfig(name="sgd", learning_rate=1.0, **options)


def refusal(config, steps=STEPS):
    with pytest.raises(ConfigError) as caught:
        optimizer(config, steps)
    return str(caught.value)


class TestClipping:
    def test_none(self):
        updates, _ = one_update(sgd())
        np.testing.assert_array_equal(updates["kernel"], -np.asarray(GRADIENTS["kernel"]))

    def test_global_norm_scales_all_together(self):
        updates, _ = one_update(sgd(clip=ClipConfig(global_norm=2.0)))
        norm = np.sqrt(sum(np.sum(np.square(np.asarray(g, np.float64))) for g in GRADIENTS.values()))
        for name, gradient in GRADIENTS.items():
            np.testing.assert_allclose(updates[name], -np.asarray(gradient, np.float64) * 2.0 / norm, rtol=1e-6)

    def test_global_norm_leaves_small_gradients_alone(self):
        updates, _ = one_update(sgd(clip=ClipConfig(global_norm=1000.0)))
        np.testing.assert_array_equal(updates["bias"], -np.asarray(GRADIENTS["bias"]))

    def test_value_clips_each_element(self):
        updates, _ = one_update(sgd(clip=ClipConfig(value=0.25)))
        for name, gradient in GRADIENTS.items():
            np.testing.assert_array_equal(updates[name], np.clip(-np.asarray(gradient), -0.25, 0.25))

    def test_adaptive_limits_each_unit_by_its_parameters(self):
        updates, _ = one_update(sgd(clip=ClipConfig(adaptive=0.1)))
        # A unit is a column of a kernel, and the whole of a vector.
        for name, axis in (("kernel", 0), ("bias", None)):
            parameter, gradient = np.asarray(PARAMS[name], np.float64), np.asarray(GRADIENTS[name], np.float64)
            norm = functools.partial(np.linalg.norm, axis=axis, keepdims=True)
            limit = 0.1 * np.maximum(norm(parameter), 1e-3)
            expected = np.where(norm(gradient) > limit, gradient * limit / norm(gradient), gradient)
            np.testing.assert_allclose(updates[name], -expected, rtol=1e-5)

    def test_two_at_once_are_refused(self):
        with pytest.raises(ConfigError, match=r"only one of .* \(got global_norm: 1.0, adaptive: 0.1\)"):
            ClipConfig(global_norm=1.0, adaptive=0.1)


class TestWeightDecay:
    def test_decays_kernels_and_not_biases(self):
        zeros = jax.tree.map(jnp.zeros_like, PARAMS)
        updates, _ = one_update(OptimizerConfig(name="adamw", learning_rate=0.5, weight_decay=0.1), zeros)
        np.testing.assert_allclose(updates["kernel"], -0.5 * 0.1 * np.asarray(PARAMS["kernel"]), rtol=1e-6)
        np.testing.assert_array_equal(updates["bias"], 0.0)

    def test_decays_everything_where_asked(self):
        zeros = jax.tree.map(jnp.zeros_like, PARAMS)
        config = OptimizerConfig(name="adamw", learning_rate=0.5, weight_decay=0.1, weight_decay_on="all")
        updates, _ = one_update(config, zeros)
        np.testing.assert_allclose(updates["bias"], -0.5 * 0.1 * np.asarray(PARAMS["bias"]), rtol=1e-6)

    @pytest.mark.parametrize("name", ["adamw", "lion", "lars", "adafactor"])
    def test_the_mask_reaches_every_spelling_of_it(self, name):
        zeros = jax.tree.map(jnp.zeros_like, PARAMS)
        updates, _ = one_update(OptimizerConfig(name=name, learning_rate=0.5, weight_decay=0.1), zeros)
        assert np.abs(updates["kernel"]).max() > 0
        np.testing.assert_array_equal(updates["bias"], 0.0)

    def test_an_optimiser_without_it_names_those_that_have_it(self):
        assert refusal(OptimizerConfig(name="adam", weight_decay=0.1)) == (
            "optimizer.weight_decay - adam has none; did you mean 'adamw'? (got 0.1)"
        )

    def test_an_optimiser_without_a_mask_says_so(self):
        message = refusal(OptimizerConfig(name="novograd", weight_decay=0.1))
        assert message.startswith("optimizer.weight_decay_on - novograd can only decay everything; set it to 'all'")


class TestSchedules:
    def rate(self, step, name, learning_rate=0.8, steps=STEPS, **options):
        config = OptimizerConfig(learning_rate=learning_rate, schedule=ScheduleConfig(name=name, options=options))
        return learning_rate_at(config, steps, step)

    def test_constant_without_a_schedule(self):
        assert learning_rate_at(OptimizerConfig(learning_rate=0.3), STEPS, 17) == 0.3
        assert self.rate(17, "constant_schedule") == pytest.approx(0.8)

    @pytest.mark.parametrize("step", [0, 25, 50, 100, 200])
    def test_cosine_decay_ends_with_the_training(self, step):
        expected = 0.8 * 0.5 * (1 + np.cos(np.pi * min(step, STEPS) / STEPS))
        assert self.rate(step, "cosine_decay_schedule") == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (5, 0.4), (10, 0.8), (55, 0.4), (100, 0.0)])
    def test_warmup_and_cosine(self, step, expected):
        assert self.rate(step, "warmup_cosine_decay_schedule", warmup_steps=10) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize(("step", "expected"), [(0, 0.8), (20, 0.8), (60, 0.5), (100, 0.2), (150, 0.2)])
    def test_linear_after_a_delay_ends_with_the_training(self, step, expected):
        rate = self.rate(step, "linear_schedule", end_value=0.2, transition_begin=20)
        assert rate == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (10, 0.8), (55, 0.8 * 0.5**0.5), (100, 0.4)])
    def test_warmup_and_exponential_decay_ends_with_the_training(self, step, expected):
        rate = self.rate(step, "warmup_exponential_decay_schedule", warmup_steps=10, decay_rate=0.5)
        assert rate == pytest.approx(expected, abs=1e-6)

    def test_options_override_what_is_filled_in(self):
        assert self.rate(50, "cosine_decay_schedule", decay_steps=50, alpha=0.25) == pytest.approx(0.2)
        assert self.rate(0, "warmup_cosine_decay_schedule", warmup_steps=10, init_value=0.1) == pytest.approx(0.1)

    def test_boundaries_may_be_text_as_in_json(self):
        for key in (30, "30"):
            rates = [
                self.rate(step, "piecewise_constant_schedule", boundaries_and_scales={key: 0.5}) for step in (29, 31)
            ]
            assert rates == pytest.approx([0.8, 0.4])

    @pytest.mark.parametrize("name", schedule_names())
    def test_every_schedule_peaks_at_the_learning_rate(self, name):
        needed = {
            "exponential_decay": {"decay_rate": 0.5},
            "linear_schedule": {"end_value": 0.0},
            "polynomial_schedule": {"end_value": 0.0, "power": 2},
            "piecewise_interpolate_schedule": {"interpolate_type": "linear", "boundaries_and_scales": {50: 0.5}},
            "sgdr_schedule": {"cosine_kwargs": [{"decay_steps": 50, "warmup_steps": 10}] * 2},
            "warmup_constant_schedule": {"warmup_steps": 10},
            "warmup_cosine_decay_schedule": {"warmup_steps": 10},
            "warmup_exponential_decay_schedule": {"warmup_steps": 10, "decay_rate": 0.5},
        }
        rates = [self.rate(step, name, **needed.get(name, {})) for step in range(STEPS)]
        assert max(rates) == pytest.approx(0.8, rel=1e-5)
        assert min(rates) >= 0.0

    def test_the_optimiser_follows_it(self):
        schedule = ScheduleConfig(name="linear_schedule", options={"end_value": 0.0})
        config = OptimizerConfig(name="sgd", learning_rate=0.5, schedule=schedule)
        transformation = optimizer(config, 4)
        state, ones = transformation.init(jnp.zeros(())), jnp.ones(())
        taken = []
        for _ in range(4):
            update, state = transformation.update(ones, state)
            taken.append(-np.asarray(update))
        assert taken == pytest.approx([learning_rate_at(config, 4, step) for step in range(4)])
        assert taken == pytest.approx([0.5, 0.375, 0.25, 0.125])


class TestRefusals:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            (
                OptimizerConfig(name="adm"),
                "optimizer.name - Optax has no optimiser of this name; did you mean 'adam'? (got 'adm')",
            ),
            (
                OptimizerConfig(options={"esp": 0.5}),
                "optimizer.options.esp - adam takes no such option; did you mean 'eps'? (got 0.5)",
            ),
            (
                OptimizerConfig(options={"zzz": 0.5}),
                "optimizer.options.zzz - adam takes no such option; "
                "known are b1, b2, eps, eps_root, mu_dtype, nesterov (got 0.5)",
            ),
            (OptimizerConfig(options={"b1": "x"}), "optimizer.options.b1 - must be a number (got 'x')"),
            (OptimizerConfig(options={"b1": True}), "optimizer.options.b1 - must be a number (got true)"),
            (OptimizerConfig(options={"nesterov": 1}), "optimizer.options.nesterov - must be true or false (got 1)"),
            (
                OptimizerConfig(name="adamw", options={"weight_decay": 1.0}),
                "optimizer.options.weight_decay - adamw takes no such option; set optimizer.weight_decay (got 1.0)",
            ),
            (
                OptimizerConfig(options={"learning_rate": 1.0}),
                "optimizer.options.learning_rate - adam takes no such option; set optimizer.learning_rate (got 1.0)",
            ),
            (
                OptimizerConfig(schedule=ScheduleConfig(name="zzz")),
                "optimizer.schedule.name - Optax has no schedule of this name; known are "
                + ", ".join(schedule_names())
                + " (got 'zzz')",
            ),
            (
                OptimizerConfig(schedule=ScheduleConfig(name="linear_schedule")),
                "optimizer.schedule.options - linear_schedule needs end_value as well "
                "(got ['init_value', 'transition_steps'])",
            ),
            (
                OptimizerConfig(schedule=ScheduleConfig(name="cosine_decay_schedule", options={"alhpa": 1})),
                "optimizer.schedule.options.alhpa - cosine_decay_schedule takes no such option; "
                "did you mean 'alpha'? (got 1)",
            ),
            (
                OptimizerConfig(name="sm3", schedule=ScheduleConfig(name="cosine_decay_schedule")),
                "optimizer.schedule - sm3 takes only a constant learning rate; remove the schedule",
            ),
        ],
    )
    def test_one_line_says_where_what_and_what_to_do(self, config, message):
        assert refusal(config) == message

    def test_several_wrong_options_at_once(self):
        assert len(refusal(OptimizerConfig(options={"b3": 0.5, "nesterov": 1})).splitlines()) == 2

    def test_what_optax_itself_refuses(self):
        schedule = ScheduleConfig(name="warmup_cosine_decay_schedule", options={"warmup_steps": STEPS + 1})
        assert refusal(OptimizerConfig(schedule=schedule)).startswith(
            "optimizer.schedule.options - warmup_cosine_decay_schedule refuses them: "
        )

    def test_a_line_search_is_refused_unless_it_is_switched_off(self):
        assert "line search" in refusal(OptimizerConfig(name="lbfgs"))
        optimizer(OptimizerConfig(name="lbfgs", options={"linesearch": None}), STEPS).init(PARAMS)

    def test_options_that_are_no_plain_values(self):
        assert "plain numbers" in refusal(OptimizerConfig(options={"mu_dtype": jnp.bfloat16}))


class TestSkipping:
    CONFIG = OptimizerConfig(name="adam", learning_rate=0.1, clip=ClipConfig(global_norm=1.0), skip_nonfinite=2)

    def test_updates_that_are_not_finite_change_nothing_and_are_counted(self):
        transformation = optimizer(self.CONFIG, STEPS)
        update = jax.jit(transformation.update)
        params, state = PARAMS, transformation.init(PARAMS)
        bad = [GRADIENTS | {"bias": jnp.asarray([value, 1.0])} for value in (jnp.nan, jnp.inf, -jnp.inf)]
        seen = []
        for gradients in [GRADIENTS, bad[0], bad[1], GRADIENTS, bad[2], bad[0], bad[1], bad[2], GRADIENTS]:
            finite = gradients is GRADIENTS
            updates, after = update(gradients, state, params)
            moved = optax.apply_updates(params, updates)
            same = [np.array_equal(a, b) for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(params))]
            assert all(same) != finite
            moments = [optax.tree.get(s, "mu")["kernel"] for s in (state, after)]
            assert np.array_equal(*moments) != finite
            params, state = moved, after
            seen.append((skipped_updates(state), skipped_in_a_row(state)))
        # The limit of two in a row is the caller's to act on: past it, the parameters are still whole.
        assert seen == [(0, 0), (1, 1), (2, 2), (2, 0), (3, 1), (4, 2), (5, 3), (6, 4), (6, 0)]
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))

    def test_finite_updates_are_those_without_skipping(self):
        plain = OptimizerConfig(name="adam", learning_rate=0.1, clip=ClipConfig(global_norm=1.0))
        for name in PARAMS:
            np.testing.assert_allclose(one_update(self.CONFIG)[0][name], one_update(plain)[0][name], rtol=1e-6)

    def test_without_skipping_nothing_is_counted(self):
        _, state = one_update(OptimizerConfig())
        assert skipped_updates(state) == skipped_in_a_row(state) == 0

    def test_counts_inside_an_nnx_optimizer(self):
        model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        held = nnx.Optimizer(model, optimizer(self.CONFIG, STEPS), wrt=nnx.Param)
        before = np.asarray(model.kernel[...])
        held.update(model, jax.tree.map(lambda leaf: leaf * jnp.nan, nnx.state(model, nnx.Param)))
        np.testing.assert_array_equal(model.kernel[...], before)
        assert skipped_updates(held.opt_state) == skipped_in_a_row(held.opt_state) == 1


class TestIdentity:
    def test_equal_configs_give_the_same_object(self):
        def build(b1):
            return OptimizerConfig(options={"b1": b1}, clip=ClipConfig(global_norm=1.0))

        assert optimizer(build(0.5), STEPS) is optimizer(build(0.5), STEPS)
        assert optimizer(build(0.5), STEPS) is not optimizer(build(0.6), STEPS)
        schedule = ScheduleConfig(name="cosine_decay_schedule")
        scheduled = OptimizerConfig(schedule=schedule)
        assert optimizer(scheduled, STEPS) is not optimizer(scheduled, STEPS + 1)

    def test_a_second_call_compiles_nothing(self):
        traces = []

        @functools.partial(jax.jit, static_argnums=0)
        def step(transformation, gradients, state, params):
            traces.append(transformation)
            return transformation.update(gradients, state, params)

        for _ in range(2):
            transformation = optimizer(OptimizerConfig(options={"b1": 0.25}), STEPS)
            _, state = step(transformation, GRADIENTS, transformation.init(PARAMS), PARAMS)
            step(transformation, GRADIENTS, state, PARAMS)
        assert len(traces) == 1


class TestConvergence:
    def loss_after(self, config, steps):
        transformation = optimizer(config, steps)
        target = jax.tree.map(lambda leaf: leaf * 0 + 0.3, PARAMS)

        def loss(params):
            return sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(target)))

        def step(carry, _):
            params, state = carry
            updates, state = transformation.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        carry = (PARAMS, transformation.init(PARAMS))
        (params, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, length=steps))(carry)
        return float(loss(params)), float(loss(PARAMS))

    @pytest.mark.parametrize(
        ("name", "learning_rate"),
        [
            ("sgd", 0.1),
            ("adam", 0.1),
            ("adamw", 0.1),
            ("rmsprop", 0.05),
            ("lion", 0.1),
            ("adagrad", 1.0),
            ("muon", 0.1),
        ],
    )
    def test_a_quadratic_is_minimised(self, name, learning_rate):
        schedule = ScheduleConfig(name="linear_schedule", options={"end_value": 0.0})
        config = OptimizerConfig(name=name, learning_rate=learning_rate, schedule=schedule, skip_nonfinite=1)
        after, before = self.loss_after(config, 150)
        assert after < 1e-2 * before

    @pytest.mark.parametrize("name", optimizer_names())
    @pytest.mark.filterwarnings("ignore:.*optimistic_adam:DeprecationWarning")
    def test_every_named_optimiser_moves_on_gradients_alone(self, name):
        options = {"lbfgs": {"linesearch": None}, "noisy_sgd": {"key": 0}}.get(name, {})
        transformation = optimizer(OptimizerConfig(name=name, learning_rate=0.01, options=options), STEPS)
        state, moved = transformation.init(PARAMS), 0.0
        for _ in range(3):  # Some only look at the first gradient.
            updates, state = transformation.update(GRADIENTS, state, PARAMS)
            moved += sum(np.abs(leaf).max() for leaf in jax.tree.leaves(updates))
        assert np.isfinite(moved)
        assert moved > 0
