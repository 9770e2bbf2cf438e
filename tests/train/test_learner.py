"""Updates and their state, against the module and Optax called by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from seqjax.cells import LSTM
from seqjax.losses import cross_entropy, mean_cross_entropy
from seqjax.nn import LanguageModel
from seqjax.nn.functions import by_name
from seqjax.optim import skipped_in_a_row, skipped_updates
from seqjax.train.best import selected, with_selected
from seqjax.train.learner import Learner, from_arrays, to_arrays, without_totals
from seqjax.train.tasks.language_model import NextSymbol

TOKENS = np.random.default_rng(0).integers(0, 5, (2, 13)).astype(np.int32)
FIRST, SECOND = (TOKENS[:, :6], TOKENS[:, 1:7]), (TOKENS[:, 6:12], TOKENS[:, 7:13])


def language_model(dropout=0.0):
    return LanguageModel(5, LSTM, hidden_size=4, dropout=dropout, rngs=nnx.Rngs(0))


def loss_by_hand(model, inputs, targets, carry=None):
    _, logits = model(inputs, carry)
    return mean_cross_entropy(logits, targets)


@pytest.fixture(scope="module")
def learner():
    transformation = optax.apply_if_finite(optax.sgd(0.5), 1000)
    return Learner(language_model(), NextSymbol(), transformation, batch_size=2, allowed_failures=2)


def test_an_update_is_a_step_down_the_gradient(learner):
    model = language_model()
    loss, gradients = nnx.value_and_grad(loss_by_hand)(model, *FIRST)
    state, measured = learner.update(learner.initial_state(), FIRST, True)
    assert measured == pytest.approx(float(loss), rel=1e-6)
    np.testing.assert_allclose(
        state.parameters["head.kernel"], model.head.kernel[...] - 0.5 * gradients.head.kernel[...], rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(
        state.parameters["layers.layers.0.params.recurrent_kernel"],
        model.layers.layers[0].params.recurrent_kernel[...]
        - 0.5 * gradients.layers.layers[0].params.recurrent_kernel[...],
        rtol=1e-5,
        atol=1e-7,
    )
    norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradients)))
    assert (int(state.step), int(state.totals.weight), int(state.totals.updates)) == (1, 12, 1)
    assert float(state.totals.loss) == pytest.approx(12 * float(loss), rel=1e-6)
    assert float(state.totals.gradient_norm) == pytest.approx(float(norm), rel=1e-5)


def test_weight_noise_is_where_gradients_are_taken_and_nowhere_else():
    options = {"batch_size": 2, "weight_noise": 0.1, "noise_key": jax.random.key(3)}
    noisy = Learner(language_model(), NextSymbol(), optax.sgd(0.5), **options)
    before = {name: np.array(leaf) for name, leaf in noisy.initial_state().parameters.items()}
    keys = jax.random.split(jax.random.fold_in(jax.random.key(3), 0), len(before))
    noise = {name: 0.1 * jax.random.normal(key, leaf.shape) for key, (name, leaf) in zip(keys, sorted(before.items()))}
    assert np.std(np.concatenate([np.ravel(each) for each in noise.values()])) == pytest.approx(0.1, rel=0.2)

    def loss(parameters):
        moved = {name: leaf + noise[name] for name, leaf in parameters.items()}
        return loss_by_hand(noisy.model(noisy.initial_state()._replace(parameters=moved)), *FIRST)

    value, gradients = jax.value_and_grad(loss)(before)
    state, measured = noisy.update(noisy.initial_state(), FIRST, True)
    assert measured == pytest.approx(float(value), rel=1e-5)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(state.parameters[name], before[name] - 0.5 * gradient, rtol=1e-4, atol=1e-6)
    # Every update has its own, and an evaluation has none.
    _, second = noisy.update(noisy.initial_state()._replace(step=jnp.array(1)), FIRST, True)
    assert abs(second - measured) > 1e-5
    plain = Learner(language_model(), NextSymbol(), optax.sgd(0.5), batch_size=2)
    carry = plain.initial_carry(plain.initial_state().parameters)
    masked = (*FIRST, np.ones((2, 6), bool))
    _, expected = plain.evaluate(plain.initial_state(), carry, masked)
    _, got = noisy.evaluate(noisy.initial_state(), noisy.initial_carry(noisy.initial_state().parameters), masked)
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    with pytest.raises(ValueError, match="no noise_key"):
        Learner(language_model(), NextSymbol(), optax.sgd(0.5), batch_size=2, weight_noise=0.1)


def test_the_average_is_what_is_measured():
    learner = Learner(language_model(), NextSymbol(), optax.sgd(0.5), batch_size=2, average_decay=0.3)
    state = learner.initial_state()
    expected = {name: np.array(leaf, np.float64) for name, leaf in state.parameters.items()}
    for step in range(1, 6):
        state, _ = learner.update(state, FIRST, True)
        decay = min(0.3, step / (step + 9))
        expected = {
            name: decay * leaf + (1 - decay) * np.array(state.parameters[name]) for name, leaf in expected.items()
        }
    assert decay == 0.3
    for name, leaf in state.average.items():
        np.testing.assert_allclose(leaf, expected[name], rtol=1e-5, atol=1e-7)
        assert np.abs(leaf - state.parameters[name]).max() > 1e-5
    assert state.measured is state.average
    assert by_name(nnx.state(learner.model(state), nnx.Param)).keys() == expected.keys()
    np.testing.assert_array_equal(learner.model(state).head.kernel[...], state.average["head.kernel"])
    masked = (*FIRST, np.ones((2, 6), bool))
    _, got = learner.evaluate(state, learner.initial_carry(state.measured), masked)
    chosen = with_selected(state, selected(state))
    assert chosen.measured is chosen.parameters
    _, again = learner.evaluate(chosen, learner.initial_carry(chosen.measured), masked)
    jax.tree.map(np.testing.assert_array_equal, got, again)


def test_the_carry_is_handed_on_and_starts_anew_where_the_batch_says_so(learner):
    for fresh in (False, True):
        state, _ = learner.update(learner.initial_state(), FIRST, True)
        # The carry of the first batch was made by the parameters before the update.
        carry, _ = language_model()(FIRST[0])
        model = learner.model(jax.tree.map(jnp.copy, state))
        _, measured = learner.update(state, SECOND, fresh)
        assert measured == pytest.approx(float(loss_by_hand(model, *SECOND, None if fresh else carry)), rel=1e-5)


def test_what_is_not_finite_is_skipped_and_heals(learner):
    state, _ = learner.update(learner.initial_state(), FIRST, True)
    before = to_arrays(state)
    poisoned = state._replace(carry=jax.tree.map(lambda leaf: leaf * jnp.nan, state.carry))
    state, loss = learner.update(poisoned, SECOND, False)
    assert jnp.isnan(loss)
    after = to_arrays(state)
    assert (skipped_updates(state.optimizer), int(state.failures), int(state.failed_at)) == (1, 1, 0)
    for name in before:
        if name.startswith(("parameters", "totals")):
            np.testing.assert_array_equal(after[name], before[name])
    state, loss = learner.update(state, SECOND, False)
    assert jnp.isfinite(loss)
    assert (skipped_updates(state.optimizer), int(state.failures), int(state.totals.updates)) == (1, 0, 2)


def test_too_many_in_a_row_are_noted_once(learner):
    state = learner.initial_state()
    state = state._replace(parameters={name: leaf * jnp.nan for name, leaf in state.parameters.items()})
    for step, failed_at in ((1, 0), (2, 0), (3, 3), (4, 3)):
        state, _ = learner.update(state, FIRST, True)
        assert (int(state.step), int(state.failed_at)) == (step, failed_at)
    assert skipped_in_a_row(state.optimizer) == 4


def test_arrays_restore_the_state_with_its_random_keys():
    learner = Learner(language_model(dropout=0.5), NextSymbol(), optax.adam(0.1), batch_size=2)
    state, _ = learner.update(learner.initial_state(), FIRST, True)
    arrays = to_arrays(state)
    assert all(type(array) is np.ndarray for array in arrays.values())
    restored = from_arrays(learner.initial_state(), arrays)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    # Dropout draws anew at each update, so equal losses show that its random state came back.
    other, _ = learner.update(from_arrays(learner.initial_state(), arrays), SECOND, False)
    losses = [learner.update(each, SECOND, False)[1] for each in (state, restored, other)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("devices", [1, 2])
def test_updates_compile_once(learner, learner_of_two_devices, devices, compilations):
    learner = learner if devices == 1 else learner_of_two_devices
    state, _ = learner.update(learner.initial_state(), FIRST, True)
    state = learner.placed(without_totals(state))
    state = learner.placed(from_arrays(state, to_arrays(state)))
    compilations()
    for _ in range(3):
        state, _ = learner.update(state, SECOND, False)
    assert compilations() == 0


@pytest.fixture(scope="module")
def learner_of_two_devices():
    return Learner(language_model(dropout=0.5), NextSymbol(), optax.adam(0.1), batch_size=2, devices=2)


def test_two_devices_learn_what_one_does(learner_of_two_devices):
    one = Learner(language_model(dropout=0.5), NextSymbol(), optax.adam(0.1), batch_size=2)
    states, losses = [], []
    for each in (one, learner_of_two_devices):
        state, first = each.update(each.initial_state(), FIRST, True)
        state, second = each.update(state, SECOND, False)
        states.append(to_arrays(state))
        losses.append((float(first), float(second)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    for name, array in states[0].items():
        np.testing.assert_allclose(states[1][name], array, rtol=1e-4, atol=1e-6, err_msg=name)
    assert {shard.data.shape[0] for leaf in jax.tree.leaves(state.carry) for shard in leaf.addressable_shards} == {1}
    assert all(leaf.is_fully_replicated for leaf in jax.tree.leaves(state._replace(carry=None)))


def test_two_devices_evaluate_as_one_does(learner_of_two_devices):
    state = learner_of_two_devices.initial_state()
    mask = np.arange(12).reshape(2, 6) < 10
    carry, nats = learner_of_two_devices.evaluate(
        state, learner_of_two_devices.initial_carry(state.parameters), (*FIRST, mask)
    )
    model = language_model(dropout=0.5)
    model.eval()
    expected_carry, logits = model(FIRST[0])
    assert float(nats) == pytest.approx(float(jnp.sum(cross_entropy(logits, FIRST[1], mask))), rel=1e-6)
    jax.tree.map(lambda leaf, expected: np.testing.assert_allclose(leaf, expected, rtol=1e-6), carry, expected_carry)
