from functools import partial

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.losses import check_ctc_targets, ctc_alignable, ctc_best_alignment, ctc_loss, ctc_occupation
from tests.losses.ctc_paths import collapse, loss_and_gradient, path_log_probabilities, paths

TIME, CLASSES, LABELS, ROWS = 5, 4, 4, 1000
BLANKS = range(CLASSES)


@partial(jax.jit, static_argnames="blank")
def losses_and_gradient(logits, labels, lengths, label_lengths, blank=0):
    def total(logits):
        losses = ctc_loss(logits, labels, lengths=lengths, label_lengths=label_lengths, blank=blank)
        return jnp.sum(jnp.where(jnp.isinf(losses), 0, losses)), losses

    (_, losses), gradient = jax.value_and_grad(total, has_aux=True)(logits)
    return losses, gradient


def draw(generator, blank, time=TIME, classes=CLASSES, most=LABELS, rows=ROWS, scale=2.0):
    """Frames, labels that often repeat, and lengths from 0: some rows are impossible, some targets empty."""
    logits = generator.normal(size=(time, rows, classes)).astype(np.float32) * scale
    symbols = np.delete(np.arange(classes), blank)
    labels = generator.choice(symbols, size=(rows, most))
    repeated = generator.random((rows, most)) < 0.3
    for position in range(1, most):
        labels[:, position] = np.where(repeated[:, position], labels[:, position - 1], labels[:, position])
    return logits, labels, generator.integers(0, time + 1, rows), generator.integers(0, most + 1, rows)


def rows_of(logits, labels, lengths, label_lengths):
    for row, (length, label_length) in enumerate(zip(lengths, label_lengths)):
        yield logits[:length, row], tuple(labels[row, :label_length].tolist())


@pytest.fixture(scope="module", params=BLANKS)
def cases(request):
    """The cases of one blank, and what listing the paths gives."""
    blank = request.param
    case = draw(np.random.default_rng(blank), blank)
    losses, gradient = np.zeros(ROWS), np.zeros((TIME, ROWS, CLASSES))
    for row, (frames, target) in enumerate(rows_of(*case)):
        losses[row], gradient[: len(frames), row] = loss_and_gradient(frames, target, blank)
    return blank, case, losses, gradient


def test_all_paths(cases):
    blank, case, losses, gradient = cases
    impossible, empty = np.isinf(losses), case[3] == 0
    assert impossible.sum() > 100
    assert (empty & (case[2] == 0)).sum() > 10
    assert (empty & (case[2] > 0)).sum() > 50
    assert (~impossible & (case[3] > 1)).sum() > 100
    found, found_gradient = losses_and_gradient(*case, blank=blank)
    np.testing.assert_array_equal(np.isinf(found), impossible)
    np.testing.assert_allclose(found, losses, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found_gradient, gradient, atol=2e-6)
    assert not np.any(np.asarray(found_gradient)[:, impossible])
    assert np.all(np.asarray(found) >= 0)


def test_alignable(cases):
    blank, (_, labels, lengths, label_lengths), losses, _ = cases
    alignable = ctc_alignable(labels, lengths=lengths, label_lengths=label_lengths)
    np.testing.assert_array_equal(alignable, ~np.isinf(losses))
    del blank


def test_torch(cases):
    torch = pytest.importorskip("torch")
    blank, case, losses, _ = cases
    expected, gradient = torch_loss(torch, case, blank)
    found, found_gradient = losses_and_gradient(*case, blank=blank)
    np.testing.assert_allclose(found, np.where(np.isinf(losses), np.inf, expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found_gradient, gradient, atol=2e-6)


def torch_loss(torch, case, blank):
    logits, labels, lengths, label_lengths = map(torch.tensor, case)
    logits = logits.double().requires_grad_()
    losses = torch.nn.functional.ctc_loss(
        logits.log_softmax(-1), labels, lengths, label_lengths, blank, reduction="none", zero_infinity=True
    )
    losses.sum().backward()
    return losses.detach().numpy(), logits.grad.numpy()


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_torch_at_length(scale):
    torch = pytest.importorskip("torch")
    case = draw(np.random.default_rng(5), 2, time=60, classes=12, most=20, rows=32, scale=scale)
    expected, gradient = torch_loss(torch, case, 2)
    losses, found_gradient = losses_and_gradient(*case, blank=2)
    possible = np.isfinite(losses)
    assert possible.sum() > 16
    np.testing.assert_allclose(losses[possible], expected[possible], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found_gradient, gradient, atol=3e-5)


def test_optax(cases):
    optax = pytest.importorskip("optax")
    blank, (logits, labels, lengths, label_lengths), losses, _ = cases
    expected = optax.ctc_loss(
        np.moveaxis(logits, 0, 1),
        (np.arange(TIME) >= lengths[:, None]).astype(np.float32),
        labels,
        (np.arange(LABELS) >= label_lengths[:, None]).astype(np.float32),
        blank_id=blank,
    )
    compared = np.isfinite(losses) & (lengths > 0)
    found, _ = losses_and_gradient(logits, labels, lengths, label_lengths, blank=blank)
    np.testing.assert_allclose(found[compared], expected[compared], rtol=1e-4, atol=1e-4)


def test_best_alignment(cases):
    blank, case, losses, _ = cases
    logits, labels, lengths, label_lengths = case
    found = ctc_best_alignment(logits, labels, lengths=lengths, label_lengths=label_lengths, blank=blank)
    symbols, positions, scores = map(np.asarray, found)
    padding = np.arange(TIME)[:, None] >= lengths
    assert np.all(symbols[padding | np.isinf(losses)] == -1)
    assert np.all(positions[padding | np.isinf(losses)] == -1)
    np.testing.assert_array_equal(np.isneginf(scores), np.isinf(losses))
    for row, (frames, target) in enumerate(rows_of(*case)):
        if np.isinf(losses[row]):
            continue
        every, groups, path_scores = path_log_probabilities(frames, blank)
        path, where = symbols[: len(frames), row], positions[: len(frames), row]
        np.testing.assert_allclose(scores[row], path_scores[groups[target]].max(), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(path_scores[(every == path).all(1)], scores[row], rtol=1e-5, atol=1e-5)
        assert collapse(path, blank) == target
        np.testing.assert_array_equal(path, np.where(where < 0, blank, np.append(labels[row], blank)[where]))
        assert sorted(set(where[where >= 0])) == list(range(len(target)))
        assert np.all(np.diff(where[where >= 0]) >= 0)


def test_occupation(cases):
    blank, case, losses, gradient = cases
    logits, labels, lengths, label_lengths = case
    shares = np.asarray(ctc_occupation(logits, labels, lengths=lengths, label_lengths=label_lengths, blank=blank))
    there = (np.arange(TIME)[:, None] < lengths) & np.isfinite(losses)
    np.testing.assert_allclose(shares.sum(-1), there, atol=1e-6)
    # A label of a frame: the states of that label together.
    of_class = np.einsum("tns,nsk->tnk", shares[..., 1::2], labels[..., None] == np.arange(CLASSES))
    of_class[..., blank] += shares[..., ::2].sum(-1)
    expected = np.where(there[..., None], np.asarray(jax.nn.softmax(logits)) - gradient, 0)
    np.testing.assert_allclose(of_class, expected, atol=2e-6)


def test_padding_touches_nothing(cases):
    blank, (logits, labels, lengths, label_lengths), _, _ = cases
    damaged = np.where((np.arange(TIME)[:, None] < lengths)[..., None], logits, np.nan)
    junk = np.where(np.arange(LABELS) < label_lengths[:, None], labels, np.where(labels % 2, -1, 99))
    clean = losses_and_gradient(logits, labels, lengths, label_lengths, blank=blank)
    for found, expected in zip(losses_and_gradient(damaged, junk, lengths, label_lengths, blank=blank), clean):
        np.testing.assert_array_equal(found, expected)


def test_frames_and_labels_that_are_not_there_change_nothing(cases):
    blank, (logits, labels, lengths, label_lengths), losses, _ = cases
    longer = np.pad(logits, [(0, 3), (0, 0), (0, 0)]), np.pad(labels, [(0, 0), (0, 2)])
    found, gradient = losses_and_gradient(*longer, lengths, label_lengths, blank=blank)
    np.testing.assert_allclose(found, losses, rtol=1e-5, atol=1e-6)
    assert not np.any(gradient[TIME:])


def test_batch_axes_and_vmap():
    logits, labels, lengths, label_lengths = draw(np.random.default_rng(1), 0, rows=6)
    expected, _ = losses_and_gradient(logits, labels, lengths, label_lengths)
    by = {"lengths": lengths.reshape(2, 3), "label_lengths": label_lengths.reshape(2, 3)}
    square = ctc_loss(logits.reshape(TIME, 2, 3, CLASSES), labels.reshape(2, 3, LABELS), **by)
    np.testing.assert_allclose(square, expected.reshape(2, 3), rtol=1e-6)

    def one(logits, labels, length, label_length):
        return ctc_loss(logits, labels, lengths=length, label_lengths=label_length)

    mapped = jax.vmap(jax.value_and_grad(one), in_axes=(1, 0, 0, 0))(logits, labels, lengths, label_lengths)
    np.testing.assert_allclose(mapped[0], expected, rtol=1e-6)
    np.testing.assert_allclose(
        np.moveaxis(mapped[1], 0, 1), losses_and_gradient(logits, labels, lengths, label_lengths)[1], atol=1e-6
    )


def test_derivatives_of_any_order(float64):
    """Of all 8 paths that stand for the labels 1, 1 in 4 frames, against JAX's derivatives of their plain sum."""
    logits, labels = jax.random.normal(jax.random.key(0), (4, 3), jnp.float64), jnp.array([1, 1])
    every, groups = paths(4, 3, 0)
    chosen = every[groups[1, 1]]

    def listed(logits):
        return -jax.nn.logsumexp(jnp.sum(jax.nn.log_softmax(logits)[jnp.arange(4), chosen], axis=-1))

    def loss(logits):
        return ctc_loss(logits, labels)

    @partial(jax.jit, static_argnums=0)
    def derivatives(of, logits, tangent):
        slope = lambda logits: jnp.vdot(jax.grad(of)(logits), tangent)
        forward = jax.jvp(jax.grad(of), (logits,), (tangent,))[1]
        # Two uses of one loss, each with its own weight.
        twice = jax.grad(lambda logits: 3 * of(logits) + of(2 * logits))(logits)
        return jax.jvp(of, (logits,), (tangent,)), jax.grad(slope)(logits), forward, twice

    tangent = jax.random.normal(jax.random.key(1), (4, 3), jnp.float64)
    jax.tree.map(
        partial(np.testing.assert_allclose, atol=1e-12),
        derivatives(lambda logits: ctc_loss(logits, labels), logits, tangent),
        derivatives(listed, logits, tangent),
    )


def test_second_derivative_of_a_row_that_cannot_be_aligned_is_zero():
    slope = jax.grad(lambda logits: jnp.sum(jax.grad(lambda logits: ctc_loss(logits, jnp.array([1, 1])))(logits)[0, 0]))
    assert not np.any(jax.jit(slope)(jnp.ones((2, 3))))


def test_never_negative():
    """Frames that leave no doubt about the labels, some about where a label ends: the exact loss is next to 0."""
    generator = np.random.default_rng(0)
    labels = np.tile([1, 2, 1, 2, 2, 1], (500, 1))
    logits = np.full((18, 500, 3), -60, np.float32)
    for position, label in enumerate(labels[0]):
        logits[3 * position, :, label] = 0
        logits[3 * position + 1][:, [0, label]] = generator.normal(size=(500, 2))
        logits[3 * position + 2, :, 0] = 0
    losses = np.asarray(ctc_loss(logits, labels))
    assert np.all(losses >= 0)
    assert np.all(losses < 1e-5)
    assert np.mean(losses == 0) > 0.2


def test_long_rows_stay_exact(float64):
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(2000, 2, 8)).astype(np.float32) * 4
    labels = generator.integers(1, 8, (2, 100))
    by = np.array([2000, 1500]), np.array([100, 60])
    losses, gradient = losses_and_gradient(logits, labels, *by)
    exact, exact_gradient = losses_and_gradient(logits.astype(np.float64), labels, *by)
    np.testing.assert_allclose(losses, exact, rtol=1e-6)
    np.testing.assert_allclose(gradient, exact_gradient, atol=2e-4)


def test_wrong_and_certain_frames_keep_a_finite_loss():
    """The target's paths are some e^-1000 of the whole: the gradient still says where to go."""
    logits = jnp.zeros((10, 3)).at[:, 2].set(100.0)
    loss, gradient = jax.value_and_grad(ctc_loss)(logits, jnp.array([1]))
    np.testing.assert_allclose(loss, 1000 - np.log(55), rtol=1e-6)
    np.testing.assert_allclose(gradient[:, 2], 1, rtol=1e-6)
    np.testing.assert_allclose(gradient.sum(-1), 0, atol=1e-6)


def test_logits_of_minus_infinity():
    logits = jnp.zeros((3, 3)).at[0, 1].set(-jnp.inf)
    loss, gradient = jax.value_and_grad(ctc_loss)(logits, jnp.array([1, 2]))
    # Of the five paths only blank, 1, 2 does not begin with 1.
    np.testing.assert_allclose(loss, np.log(2 * 3 * 3), rtol=1e-6)
    assert np.all(np.isfinite(gradient))
    loss, gradient = jax.value_and_grad(ctc_loss)(jnp.zeros((3, 3)).at[:, 1].set(-jnp.inf), jnp.array([1]))
    assert loss == jnp.inf
    assert not np.any(gradient)


def test_nan_is_seen():
    assert jnp.isnan(ctc_loss(jnp.zeros((3, 3)).at[1].set(jnp.nan), jnp.array([1])))


@pytest.mark.parametrize("label", [0, -1, 3, 99])
def test_a_label_that_is_no_class_is_seen(label):
    labels = jnp.array([[1, label], [1, 2]])
    losses, gradient = losses_and_gradient(jnp.zeros((3, 2, 3)), labels, jnp.array([3, 3]), jnp.array([2, 2]))
    assert jnp.isnan(losses[0])
    assert jnp.isfinite(losses[1])
    assert np.all(np.isfinite(gradient))
    assert ctc_best_alignment(jnp.zeros((3, 2, 3)), labels).log_probability[0] == -jnp.inf
    assert np.all(np.isnan(ctc_occupation(jnp.zeros((3, 2, 3)), labels)[:, 0]))


def test_half_precision_is_summed_in_single():
    logits = (jax.random.normal(jax.random.key(0), (50, 2, 5)) * 3).astype(jnp.bfloat16)
    labels = jnp.array([[1, 2, 2], [4, 3, 1]])
    losses, gradient = losses_and_gradient(logits, labels, jnp.array([50, 40]), jnp.array([3, 2]))
    exact, exact_gradient = losses_and_gradient(
        logits.astype(jnp.float32), labels, jnp.array([50, 40]), jnp.array([3, 2])
    )
    assert losses.dtype == jnp.float32
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_array_equal(losses, exact)
    np.testing.assert_array_equal(gradient, exact_gradient.astype(jnp.bfloat16))


def test_narrow_whole_numbers():
    logits, labels = jnp.zeros((200, 1, 300)), jnp.full((1, 80), 250, jnp.uint8)
    losses = ctc_loss(logits, labels, lengths=jnp.array([200], jnp.uint8), label_lengths=jnp.array([80], jnp.uint8))
    np.testing.assert_array_equal(losses, ctc_loss(logits, labels.astype(jnp.int32)))
    assert jnp.isfinite(losses[0])


def test_no_frames_no_labels():
    losses = ctc_loss(jnp.zeros((0, 2, 3)), jnp.zeros((2, 0), int))
    np.testing.assert_array_equal(losses, [0, 0])
    assert not np.any(np.signbit(losses))
    np.testing.assert_array_equal(ctc_loss(jnp.zeros((0, 1, 3)), jnp.ones((1, 1), int)), [np.inf])
    assert ctc_best_alignment(jnp.zeros((0, 2, 3)), jnp.zeros((2, 0), int)).symbols.shape == (0, 2)
    assert ctc_occupation(jnp.zeros((4, 0, 3)), jnp.zeros((0, 2), int)).shape == (4, 0, 5)


def test_no_step_gathers():
    """What is looked up is looked up for all frames at once."""
    logits, labels = jnp.zeros((TIME, 2, CLASSES)), jnp.ones((2, LABELS), int)

    def loops(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "scan":
                yield equation.params["jaxpr"].jaxpr
            else:
                for inner in jax.extend.core.jaxprs_in_params(equation.params):
                    yield from loops(inner)

    found = list(loops(jax.make_jaxpr(jax.grad(lambda logits: ctc_loss(logits, labels).sum()))(logits).jaxpr))
    assert found
    for body in found:
        assert not {"gather", "scatter", "scatter-add", "sort"} & {equation.primitive.name for equation in body.eqns}


def test_rows_are_told():
    labels = np.array([[1, 2, 0], [3, 3, 3], [1, 1, 1]])
    check_ctc_targets(labels, lengths=[2, 5, 1], label_lengths=[2, 3, 1])
    with pytest.raises(
        ValueError, match=r"2 of 3 rows .* row 1 has 4 frames, its 3 labels \(2 repeated\) need 5; row 2"
    ):
        check_ctc_targets(labels, lengths=[2, 4, 0], label_lengths=[2, 3, 1])
    with pytest.raises(ValueError, match=r"7 of 7 rows.*row 4 has 1 .* need 5; and 2 more"):
        check_ctc_targets(np.ones((7, 3), int), lengths=np.ones(7, int))
    with pytest.raises(ValueError, match=r"labels\[0, 2\] is 0, expected a class of at least 0 that is not the blank"):
        check_ctc_targets(labels, lengths=[9, 9, 9])
    with pytest.raises(ValueError, match=r"1 of 1 rows cannot be aligned: row 0 has 3 frames"):
        check_ctc_targets([1, 1, 2], lengths=3)
    with pytest.raises(ValueError, match=r"row 1, 0 has 1 frames"):
        check_ctc_targets(np.tile([1, 2], (2, 1, 1)), lengths=[[2], [1]])
    with pytest.raises(ValueError, match=r"labels\[1, 0\] is 3, expected a class from 0 to 2"):
        check_ctc_targets(labels, lengths=[9, 9, 9], label_lengths=[2, 3, 1], classes=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros(3)}, "expected .time, .batch, classes. and"),
        ({"logits": np.zeros((5, 3, 4))}, r"logits have shape \(5, 3, 4\) and labels \(2, 3\)"),
        ({"labels": np.ones((2, 3))}, "labels must be whole numbers"),
        ({"labels": np.ones(2, int)}, "is time the first axis"),
        ({"blank": 4}, "blank must be one of the classes, 0 to 3, got 4"),
        ({"blank": -1}, "blank must be one of the classes"),
        ({"lengths": [5, 6]}, r"lengths\[1\] is 6, expected 0 to 5, the number of frames given"),
        ({"lengths": [5.0, 3.0]}, "lengths must be whole numbers of shape"),
        ({"lengths": [5]}, r"lengths must be whole numbers of shape \(2,\), got int32 of shape \(1,\)"),
        ({"label_lengths": [-1, 3]}, r"label_lengths\[0\] is -1, expected 0 to 3"),
    ],
)
def test_errors(change, message):
    arguments = {"logits": np.zeros((5, 2, 4)), "labels": np.ones((2, 3), int), **change}
    with pytest.raises(ValueError, match=message):
        ctc_loss(arguments.pop("logits"), arguments.pop("labels"), **arguments)
