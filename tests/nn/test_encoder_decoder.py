"""Sequence to sequence: teacher forcing against decoding step by step, the fast path against the slow one, padding."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from seqjax import decoding
from seqjax.cells import GRU, LSTM, Clockwork, transforms
from seqjax.losses import mean_cross_entropy
from seqjax.nn import Bidirectional, Decoder, DotAttention, EncoderDecoder, MonotonicAttention, Recurrent

BATCH, TIME, POSITIONS, HIDDEN, VOCABULARY, INPUTS = 3, 4, 5, 6, 7, 8
KEY = jax.random.key(0)
INPUT_LENGTHS, TARGET_LENGTHS = jnp.array([5, 3, 0]), jnp.array([4, 0, 2])

VARIANTS = {
    "none": {},
    "none, summary, two layers": {"summary": True, "num_layers": 2, "residual": True, "normalization": "layer"},
    "dot": {"attention": "scaled_dot"},
    "general, fed": {"attention": "general", "input_feeding": True, "bidirectional": True, "tied_embeddings": True},
    "additive, before": {"attention": "additive", "query": "previous", "bidirectional": True, "num_layers": 2},
    "coverage": {"attention": "coverage"},
    "location, before": {"attention": "location", "query": "previous", "cell": LSTM, "summary": True},
    "monotonic": {"attention": MonotonicAttention},
    "monotonic, fed": {"attention": "monotonic", "input_feeding": True, "num_layers": 2, "normalization": "rms"},
}
FREE = [name for name, options in VARIANTS.items() if not {"query", "input_feeding"} & options.keys()]


def build(seed=0, cell=GRU, **options):
    sizes = {"input_vocabulary_size": INPUTS, "embedding_size": HIDDEN, "hidden_size": HIDDEN}
    return EncoderDecoder.from_cell(VOCABULARY, cell, **sizes, start_token=1, **options, rngs=nnx.Rngs(seed))


@pytest.fixture(scope="module")
def batch():
    keys = jax.random.split(jax.random.key(3))
    inputs = jax.random.randint(keys[0], (BATCH, POSITIONS), 0, INPUTS)
    return inputs, jax.random.randint(keys[1], (BATCH, TIME), 0, VOCABULARY)


@pytest.mark.parametrize("name", VARIANTS)
def test_teacher_forcing_is_decoding_step_by_step(name, batch):
    model = build(**VARIANTS[name])
    model.eval()
    inputs, targets = batch
    logits, weights = model(inputs, targets, INPUT_LENGTHS, return_weights=True)
    step, carry, token = model.decoder_step(inputs, INPUT_LENGTHS, coverage=True)
    step, covered = jax.jit(step), []
    assert token.tolist() == [1] * BATCH
    for time in range(TIME):
        carry, one = step(carry, token)
        np.testing.assert_allclose(one, logits[:, time], rtol=1e-4, atol=1e-5)
        token = targets[:, time]
        covered.append(carry.coverage)
    assert (weights is None) == (VARIANTS[name].get("attention") is None)
    if weights is not None:
        assert weights.shape == (BATCH, TIME, POSITIONS)
        assert not np.any(weights[1, :, 3:])
        assert not np.any(weights[2])
        padding = np.arange(POSITIONS) >= INPUT_LENGTHS[:, None]
        np.testing.assert_allclose(covered[-1], weights.sum(1) + padding, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FREE)
def test_the_fast_path_is_the_slow_one(name, batch):
    """Scheduled sampling that never samples runs the whole decoder in one loop; dropout and noise are the same."""
    options = {**VARIANTS[name], "dropout": 0.5}

    def run(model, **sampling):
        return model(*batch, INPUT_LENGTHS, TARGET_LENGTHS, return_weights=True, **sampling)

    fast, slow = nnx.jit(run)(build(**options)), nnx.jit(run)(build(**options), sampling_probability=0.0, key=KEY)
    for one, other in zip(jax.tree.leaves(fast), jax.tree.leaves(slow), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_noise_of_cells_is_the_same_in_both_paths(batch):
    cell = lambda **sizes: transforms.zoneout(GRU(**sizes), hidden=0.5)
    fast = build(cell=cell)(*batch)
    np.testing.assert_allclose(fast, build(cell=cell)(*batch, sampling_probability=0.0, key=KEY), rtol=1e-4, atol=1e-5)
    quiet = build(cell=cell)
    quiet.eval()
    assert not np.allclose(fast, quiet(*batch), atol=1e-3)


def loss_and_gradient(model, inputs, targets, input_lengths, target_lengths):
    def loss(model):
        logits = model(inputs, targets, input_lengths, target_lengths)
        mask = None if target_lengths is None else jnp.arange(targets.shape[1]) < target_lengths[:, None]
        return mean_cross_entropy(logits, jnp.where(mask, targets, 0) if mask is not None else targets, mask)

    return nnx.value_and_grad(loss)(model)


compiled = nnx.jit(loss_and_gradient)


def padded(tokens, lengths, filler):
    return jnp.where(jnp.arange(tokens.shape[1]) < lengths[:, None], tokens, filler)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_padding_holds_changes_nothing(name, batch):
    """Neither loss nor gradients, all of which are finite; nothing to read and nothing to write are legal."""
    model, lengths = build(**VARIANTS[name]), (INPUT_LENGTHS, TARGET_LENGTHS)
    model.eval()
    one, other = (
        compiled(model, *(padded(*pair, filler) for pair in zip(batch, lengths, strict=True)), *lengths)
        for filler in (-1, 10**6)
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["none, summary, two layers", "location, before", "monotonic"])
def test_how_much_padding_there_is_changes_nothing(name, batch):
    inputs, targets = batch
    model, lengths = build(**VARIANTS[name]), (jnp.array([4, 3, 0]), jnp.array([3, 0, 2]))
    model.eval()
    one, other = compiled(model, *batch, *lengths), compiled(model, inputs[:, :4], targets[:, :3], *lengths)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["general, fed", "location, before"])
def test_gradients_are_those_of_the_plain_loop(name, batch):
    models = build(**VARIANTS[name]), build(**VARIANTS[name], mode="lax")
    planned, plain = (compiled(model, *batch, INPUT_LENGTHS, TARGET_LENGTHS) for model in models)
    for a, b in zip(jax.tree.leaves(planned), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def count(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def gru(inputs, hidden):
    return 3 * hidden * (inputs + hidden + 1) + hidden


def test_parameter_counts():
    embeddings, head = (INPUTS + VOCABULARY) * HIDDEN, (HIDDEN + 1) * VOCABULARY
    layer = gru(HIDDEN, HIDDEN)
    assert count(build()) == embeddings + 2 * layer + head
    both = embeddings + 2 * layer + head + (2 * HIDDEN + 1) * HIDDEN
    assert count(build(bidirectional=True)) == both + layer
    general = 2 * HIDDEN * HIDDEN + 3 * HIDDEN * HIDDEN
    assert count(build(bidirectional=True, attention="general")) == both + layer + general
    fed = both + layer + general + 3 * HIDDEN * HIDDEN
    assert count(build(bidirectional=True, attention="general", input_feeding=True)) == fed
    tied = count(build(bidirectional=True, attention="general", input_feeding=True, tied_embeddings=True))
    assert tied == fed - HIDDEN * VOCABULARY
    additive = HIDDEN * HIDDEN + HIDDEN + 2 * HIDDEN * HIDDEN + HIDDEN + 3 * HIDDEN * HIDDEN
    assert count(build(bidirectional=True, attention="additive", query="previous")) == (
        both + layer + additive + 3 * HIDDEN * 2 * HIDDEN
    )


def test_the_carry_passes_where_it_fits(batch):
    """Encoder and decoder of one kind share the carry itself: an autoencoder's code is the encoder's last state."""
    model = build(cell=LSTM, num_layers=2)
    layers, source = model.source(batch[0], INPUT_LENGTHS)
    carry, _ = model.encoder(model.embedding(batch[0]), lengths=INPUT_LENGTHS)
    jax.tree.map(np.testing.assert_array_equal, layers, carry)
    assert source.memory is None
    assert len(model.bridge.heads) == 0


def test_the_bridge_reads_leaves_by_name(batch):
    rngs = nnx.Rngs(0)
    encoder = Bidirectional.from_cell(GRU(input_size=2, hidden_size=4), rngs=rngs)
    model = EncoderDecoder(encoder, VOCABULARY, LSTM, hidden_size=HIDDEN, num_layers=2, rngs=rngs)
    inputs = jax.random.normal(KEY, (BATCH, POSITIONS, 2))
    layers, _ = model.source(inputs)
    carry, _ = encoder(inputs)
    side_by_side = jnp.concatenate([carry.forward.hidden, carry.backward.hidden], -1)
    assert [head.kernel.shape for head in model.bridge.heads] == [(8, HIDDEN)] * 4
    for index, leaf in enumerate(jax.tree.leaves(layers)):
        head = model.bridge.heads[index]
        np.testing.assert_allclose(
            leaf, jnp.tanh(side_by_side @ head.kernel[...] + head.bias[...]), rtol=1e-4, atol=1e-5
        )


def test_counters_keep_their_start():
    rngs = nnx.Rngs(0)
    encoder = Recurrent(GRU(input_size=2, hidden_size=4), rngs=rngs)
    model = EncoderDecoder(encoder, VOCABULARY, Clockwork, hidden_size=HIDDEN, rngs=rngs)
    layers, _ = model.source(jnp.ones((BATCH, POSITIONS, 2)))
    start = model.decoder.layers.initial_carry(BATCH)
    assert layers[0]._fields == ("hidden", "step")
    np.testing.assert_array_equal(layers[0].step, start[0].step)
    assert np.any(layers[0].hidden)


def test_monotonic_attention_decides_in_evaluation(batch):
    model = build(**VARIANTS["monotonic"])
    model.decoder.attention.offset[...] = 0.5
    _, soft = model(*batch, INPUT_LENGTHS, return_weights=True)
    _, again = model(*batch, INPUT_LENGTHS, return_weights=True)
    assert not np.array_equal(soft, again)
    model.eval()
    _, hard = model(*batch, INPUT_LENGTHS, return_weights=True)
    assert set(np.unique(hard)) == {0, 1}
    where = hard[0].argmax(-1)
    assert np.all(np.diff(where) >= 0)


def sharp(**options):
    """A model so sure of itself that drawing is taking the most probable token."""
    model = build(**options)
    model.decoder.head.kernel[...] = 1e4 * model.decoder.head.kernel[...]
    return model


@pytest.mark.parametrize("name", ["dot", "location, before"])
def test_scheduled_sampling_reads_the_models_own_tokens(name, batch):
    model, (inputs, targets) = sharp(**VARIANTS[name]), batch
    step, carry, token = model.decoder_step(inputs, INPUT_LENGTHS)
    own = decoding.greedy(step, carry, token, TIME).tokens.T
    expected = model(inputs, own, INPUT_LENGTHS)
    sampled = model(inputs, targets, INPUT_LENGTHS, sampling_probability=1.0, key=KEY)
    np.testing.assert_allclose(sampled, expected, rtol=1e-3, atol=1e-1)
    assert not np.allclose(expected, model(inputs, targets, INPUT_LENGTHS), atol=1.0)
    half = model(inputs, targets, INPUT_LENGTHS, sampling_probability=0.5, key=KEY)
    np.testing.assert_allclose(half[:, 0], expected[:, 0], rtol=1e-3, atol=1e-1)


def test_beam_search_shares_the_memory_and_compiles_once(batch, compilations):
    """A beam of one is greedy decoding, and a wider one never scores lower; other parameters compile nothing."""
    for model in [build(seed, **VARIANTS["general, fed"]) for seed in (0, 1)]:
        compilations()
        step, carry, token = model.decoder_step(batch[0], INPUT_LENGTHS)
        search = partial(decoding.beam_search, step, carry, token, TIME, end_token=2)
        one, wide = search(beam_size=1), search(beam_size=3)
    assert compilations() == 0
    greedy = decoding.greedy(step, carry, token, TIME, end_token=2)
    np.testing.assert_array_equal(one.tokens[:, 0], greedy.tokens.T)
    assert np.all(wide.scores[:, 0] >= one.scores[:, 0] - 1e-5)
    with pytest.raises(ValueError, match=r"tokens of shape \(3, 2\) for sources of shape \(3,\)"):
        step(carry, jnp.zeros((BATCH, 2), int))


def test_learns_to_reverse():
    """Two hundred steps of 32 short sequences: without attention this small model cannot."""
    model = EncoderDecoder.from_cell(
        10,
        GRU,
        input_vocabulary_size=10,
        hidden_size=24,
        embedding_size=16,
        bidirectional=True,
        attention="additive",
        query="previous",
        rngs=nnx.Rngs(0),
    )
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    optimizer = optax.adam(1e-2)

    def batches(key):
        inputs = jax.random.randint(key, (32, 6), 2, 10)
        return inputs, inputs[:, ::-1]

    @jax.jit
    def train(params, key):
        def step(state, key):
            params, optimizer_state = state
            inputs, targets = batches(key)
            loss = lambda params: mean_cross_entropy(nnx.merge(graph, params, rest)(inputs, targets), targets)
            value, gradient = jax.value_and_grad(loss)(params)
            updates, optimizer_state = optimizer.update(gradient, optimizer_state)
            return (optax.apply_updates(params, updates), optimizer_state), value

        return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(key, 250))

    (params, _), losses = train(params, KEY)
    nnx.update(model, params)
    inputs, targets = batches(jax.random.key(9))
    step, carry, token = model.decoder_step(inputs)
    tokens = decoding.greedy(step, carry, token, 6).tokens.T
    assert losses[0] > 2
    assert np.mean(np.all(tokens == targets, axis=1)) > 0.9
    _, weights = model(inputs, tokens, return_weights=True)
    assert np.mean(weights.argmax(-1) == np.arange(6)[::-1]) > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": "previous"}, "options of attention"),
        ({"input_feeding": True}, "options of attention"),
        ({"attention": "dot", "query": "next"}, "query must be"),
        ({"attention": "dot", "query": "previous", "input_feeding": True}, "input_feeding is for query='current'"),
        ({"attention": "general", "tied_embeddings": True, "vector_size": 4}, "vector_size equal"),
        ({"attention": "dots"}, "attention must be one of"),
        ({"attention": "dot", "bidirectional": True}, "or use score='general'"),
        ({"attention": "dot", "num_layers": 0}, "at least one layer"),
        ({"attention": partial(DotAttention, score="cosine")}, "score must be"),
        ({"input_size": 3}, "one of the two"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_a_decoder_has_one_direction():
    with pytest.raises(ValueError, match="no backward direction"):
        Decoder(VOCABULARY, hidden_size=HIDDEN, bidirectional=True, rngs=nnx.Rngs(0))


def test_errors_of_calls(batch):
    model = build(attention="dot")
    with pytest.raises(ValueError, match="needs both sampling_probability and key"):
        model(*batch, sampling_probability=0.5)
    with pytest.raises(ValueError, match="tokens must be whole numbers"):
        model(jnp.ones((BATCH, POSITIONS)), batch[1])
