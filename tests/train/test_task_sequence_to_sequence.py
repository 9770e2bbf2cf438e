import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from seqjax.config import config_from_dict
from seqjax.config.tasks.sequence_to_sequence import DecodeConfig, ScheduledSamplingConfig
from seqjax.data import Dataset, Records
from seqjax.errors import ConfigError, DataError
from seqjax.train.tasks import build, supervised
from seqjax.train.tasks.target_sequences import TargetSequence, decoder_of, sampling_probability

MODEL = {"hidden_size": 4, "embedding_size": 3, "cell": "GRU"}
WORDS = Records(
    [["je", "suis"], ["tu"], ["il", "est", "la"], ["je"]],
    [["i", "am"], ["you"], ["he", "is", "there", "now"], ["i"]],
    references=[[["i", "am"]], [["you"], ["thou"]], [["he", "is", "there", "now"], ["he", "is"]], [["i"]]],
)


def made(records: Records = WORDS, *, data=None, **config):
    """A task on records in place of a source."""
    dataset = Dataset("made", records, records, records)
    data = {"batch_size": 3, "shapes": 1} | (data or {})
    values = {"task": "sequence_to_sequence", "model": MODEL, **config, "data": data}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervised, "load_dataset", lambda name, root=None, **options: dataset)
        return build(config_from_dict(values))


@pytest.fixture(scope="module")
def task():
    return made(target_unit="word")


@pytest.fixture(scope="module")
def state(task):
    return task.learner.initial_state()


@pytest.fixture(scope="module")
def greedy(task, state):
    return task.outputs(state, WORDS)


@functools.partial(jax.jit, static_argnums=0)
def _logits(graph, state, *arguments):
    return nnx.merge(graph, state)(*arguments)


def log_probabilities(model, inputs, targets):
    """Of every token after those before it, [len(targets), vocabulary], by one program for all lengths."""
    lengths = [np.array([len(inputs)]), np.array([len(targets)])]
    padded = [np.pad(np.asarray(each), (0, most - len(each)))[None] for each, most in ((inputs, 4), (targets, 10))]
    return log_softmax(_logits(*nnx.split(model), *padded, *lengths))[0, : len(targets)]


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def encoded(task, *sentences):
    numbers = [[task.targets.vocabulary.number(token) for token in sentence] + [1] for sentence in sentences]
    length = max(map(len, numbers))
    return {
        "tokens": np.array([each + [1] * (length - len(each)) for each in numbers]),
        "lengths": np.array([len(each) for each in numbers]),
        "scores": -np.arange(1.0, 1 + len(numbers)),
    }


class TestObjective:
    def test_loss_of_each_target_with_its_end(self, task, state, greedy):
        model, columns = task.learner.model(state), task.columns(WORDS)
        for index, output in enumerate(greedy):
            target = columns["targets"][index]
            assert target[-1] == task.targets.vocabulary.number("<end>") == 1
            scores = log_probabilities(model, columns["inputs"][index], target)
            nats = -scores[np.arange(target.size), target]
            assert output["loss"] == pytest.approx(nats.sum(), rel=1e-5)
            assert output["weight"] == target.size == len(WORDS.targets[index]) + 1
        _, total, weight = task.objective().loss(model, (), task.batches[0] | task.batches[0], jnp.array(0))
        rows = task.batches.indices(0)
        assert weight == sum(greedy[row]["weight"] for row in rows)
        assert total == pytest.approx(sum(greedy[row]["loss"] for row in rows), rel=1e-5)

    def test_greedy_tokens_one_by_one(self, task, state, greedy):
        model, columns = task.learner.model(state), task.columns(WORDS)
        for inputs, output in zip(columns["inputs"], greedy, strict=True):
            said, score = [], 0.0
            while len(said) < 9 and said[-1:] != [1]:
                # Teacher forcing on what was said so far: the logits after the last token.
                scores = log_probabilities(model, inputs, [*said, 0])[-1]
                scores[task.targets.unknown_number] = -np.inf
                said.append(int(scores.argmax()))
                score += scores.max()
            assert output["tokens"][0, : output["lengths"][0]].tolist() == said
            assert output["scores"][0] == pytest.approx(score, rel=1e-4)

    def test_coverage_loss(self):
        task = made(model={**MODEL, "attention": "coverage"}, coverage_loss=0.5)
        plain = TargetSequence(lambda *arguments: None)
        model, batch = task.learner.model(task.learner.initial_state()), task.batches[0]
        _, with_coverage, _ = task.objective().loss(model, (), batch, jnp.array(0))
        _, without, _ = plain.loss(model, (), batch, jnp.array(0))
        _, weights = model(
            batch["inputs"], batch["targets"], batch["inputs_lengths"], batch["targets_lengths"], return_weights=True
        )
        again = 0.0
        for row, length in zip(np.asarray(weights, np.float64), batch["targets_lengths"], strict=True):
            for step in range(length):
                again += np.minimum(row[step], row[:step].sum(axis=0)).sum()
        assert again > 0.1
        assert with_coverage - without == pytest.approx(0.5 * again, rel=1e-4)

    def test_scheduled_sampling_rises(self):
        ramp = ScheduledSamplingConfig(probability=0.4, start=10, ramp=20)
        steps = jnp.array([0, 10, 20, 30, 99])
        np.testing.assert_allclose(sampling_probability(ramp, steps), [0, 0, 0.2, 0.4, 0.4], rtol=1e-6)
        at_once = ScheduledSamplingConfig(probability=0.4, start=10)
        np.testing.assert_allclose(sampling_probability(at_once, steps), [0, 0.4, 0.4, 0.4, 0.4], rtol=1e-6)

    def test_scheduled_sampling_acts_from_its_start(self):
        task = made(scheduled_sampling={"probability": 1.0, "start": 5})
        model, batch = task.learner.model(task.learner.initial_state()), task.batches[0]
        loss = jax.jit(lambda step: task.objective().loss(model, (), batch, step)[1])
        forced = float(TargetSequence(lambda *arguments: None).loss(model, (), batch, jnp.array(0))[1])
        assert loss(4) == pytest.approx(forced, rel=1e-5)
        assert abs(loss(5) - forced) > 1e-4
        assert loss(5) != loss(6)


class TestDecoders:
    def test_a_beam_gives_what_the_model_scores(self, state, greedy):
        task = made(decode={"method": "beam", "beam_size": 4, "n_best": 3, "maximum_length": 8})
        model, columns = task.learner.model(state), task.columns(WORDS)
        found = task.outputs(state, WORDS, final=True)
        for index, output in enumerate(found):
            assert output["tokens"].shape == (3, 9)
            assert (np.diff(output["scores"]) <= 0).all()
            assert output["scores"][0] >= greedy[index]["scores"][0] - 1e-5
            for tokens, length, score in zip(output["tokens"], output["lengths"], output["scores"], strict=True):
                scores = log_probabilities(model, columns["inputs"][index], tokens[:length])
                assert score == pytest.approx(scores[np.arange(length), tokens[:length]].sum(), abs=1e-4)

    @pytest.mark.parametrize(
        "options",
        [{"length_penalty": "average"}, {"length_penalty": "gnmt"}, {"coverage_penalty": 0.3}],
        ids=lambda options: next(iter(options.values())),
    )
    def test_penalties_change_scores_and_not_probabilities(self, task, state, options):
        model, batch = task.learner.model(state), task.batches[0]
        decode = decoder_of(DecodeConfig(method="beam", beam_size=3, **options), task.targets, 4)
        found = decode(model, batch["inputs"], batch["inputs_lengths"])
        assert found.tokens.shape == (3, 1, 9)
        if "coverage_penalty" in options:
            arguments = batch["inputs"], found.tokens[:, 0], batch["inputs_lengths"], found.lengths[:, 0]
            _, weights = model(*arguments, return_weights=True)
            rows = zip(np.asarray(weights), found.lengths[:, 0], batch["inputs_lengths"], strict=True)
            covered = [row[:length, :positions].sum(axis=0) for row, length, positions in rows]
            penalties = [0.3 * np.log(np.minimum(each, 1)).sum() for each in covered]
            assert min(penalties) < -0.1
            np.testing.assert_allclose(found.scores - found.log_probabilities, np.array(penalties)[:, None], atol=1e-5)
        else:
            divisor = found.lengths if options["length_penalty"] == "average" else ((5 + found.lengths) / 6) ** 0.6
            np.testing.assert_allclose(found.scores * divisor, found.log_probabilities, rtol=1e-5)

    @pytest.mark.parametrize("method", ["greedy", "beam"])
    def test_the_unknown_token_is_written_on_request_only(self, state, method):
        bias = state.parameters["decoder.head.bias"]
        sure = state._replace(parameters=state.parameters | {"decoder.head.bias": bias.at[0].set(50.0)})
        options = {"method": method, "beam_size": 2, "maximum_length": 3, "minimum_length": 2}
        for allowed in (False, True):
            task = made(decode={**options, "allow_unknown": allowed})
            assert task.targets.unknown_number == 0
            tokens = np.stack([output["tokens"][0] for output in task.outputs(sure, WORDS, final=True)])
            assert (tokens[:, 0] == 0).all() == allowed
            assert (tokens == 0).any() == allowed
            assert (tokens[:, :1] != task.targets.end).all()

    def test_results_are_long_enough_and_say_nothing_twice(self, task, state):
        model, batch = task.learner.model(state), task.batches[0]
        options = {"minimum_length": 5, "no_repeat_ngram": 1}
        decode = decoder_of(DecodeConfig(method="beam", beam_size=3, **options), task.targets, 4)
        found = decode(model, batch["inputs"], batch["inputs_lengths"])
        for tokens, length in zip(found.tokens[:, 0], found.lengths[:, 0], strict=True):
            said = tokens[:length].tolist()
            assert len(said) == len(set(said)) >= 5


class TestScores:
    def test_the_nearest_of_several_references(self, task):
        said = [
            encoded(task, ["i", "am"]),
            encoded(task, ["you", "is"]),
            encoded(task, ["he", "is"]),
            encoded(task, []),
        ]
        measured = task.score(WORDS, said)
        # One insertion against "you", nothing against "he is", one deletion; right tokens 2 + 1 + 2 + 1.
        assert measured == {"exact_match": 0.5, "word_error_rate": pytest.approx(2 / 6)}
        assert task.texts(WORDS, said)[1:] == ["tu\tyou is\tyou", "il est la\the is\the is there now", "je\t\ti"]
        several = encoded(task, ["i"], ["you"])
        assert [tuple(answer) for answer in task.answers(WORDS.take([3]), [several])[0]] == [("i", -1.0), ("you", -2.0)]
        several["scores"][1] = -np.inf
        assert len(task.answers(WORDS.take([3]), [several])[0]) == 1

    def test_what_has_no_end_is_said_whole(self, task):
        unfinished = {"tokens": np.array([[3, 4]]), "lengths": np.array([2]), "scores": np.array([-1.0])}
        assert task.answers(WORDS, [unfinished])[0][0].text == " ".join(task.targets.vocabulary.decode([3, 4]))

    def test_bleu(self):
        sacrebleu = pytest.importorskip("sacrebleu")
        task = made(metric="bleu")
        said = [target if index != 2 else ["he", "is", "now", "there"] for index, target in enumerate(WORDS.targets)]
        references = [[" ".join(each[min(index, len(each) - 1)]) for each in WORDS.references] for index in range(2)]
        expected = sacrebleu.corpus_bleu([" ".join(each) for each in said], references, tokenize="none").score
        found = [encoded(task, each) for each in said]
        assert task.score(WORDS, found)["bleu"] == pytest.approx(expected)
        assert task.metric == "validation_bleu"
        assert task.higher_is_better

    def test_baselines(self):
        task = made(metric="error_rate", target_unit="phone")
        assert task.metric == "validation_phone_error_rate"
        assert not task.higher_is_better
        # "i am" against: itself, "thou" or "you", "he is", "i"; right tokens 2 + 1 + 2 + 1.
        most = {"most frequent target": pytest.approx((0 + 2 + 2 + 1) / 6)}
        assert {"most frequent target": task.baselines["most frequent target"]} == most
        assert set(task.baselines) == {"most frequent target", "the input itself"}


class TestData:
    def test_symbols_are_enough_to_go_on(self, task):
        again = build(task.config, task.symbols())
        assert again.symbols() == task.symbols()
        assert "dataset" not in vars(again)
        assert again.longest == 4

    def test_an_autoencoder_says_its_input(self):
        task = made(autoencode=True, model={**MODEL, "attention": None})
        columns = task.columns(task.dataset.train)
        for inputs, targets in zip(columns["inputs"], columns["targets"], strict=True):
            assert task.inputs.tokens.vocabulary.decode(inputs) == task.targets.vocabulary.decode(targets[:-1])
        assert task.dataset.test.references is None

    def test_characters(self):
        task = made(Records(["ab", "c"], ["x", "yz"]))
        assert task.columns(Records(["ac"], ["zq"]))["targets"][0].tolist() == [4, 0, 1]
        assert task.texts(Records(["ac"], ["zx"]), [encoded(task, "zx")]) == ["ac\tzx"]

    def test_targets_that_are_no_tokens(self):
        with pytest.raises(DataError, match=r"targets are arrays \[1\], and a sequence_to_sequence writes tokens"):
            made(Records([np.ones((3, 2))], [np.ones(1)]))

    def test_features_are_read(self):
        task = made(Records([np.ones((3, 2), np.float32), np.zeros((2, 2), np.float32)], ["ab", "c"]))
        assert task.inputs.size == 2
        assert "embedding.table.embedding" not in task.learner.initial_state().parameters
        assert set(task.baselines) == {"most frequent target"}

    def test_what_is_too_long(self):
        with pytest.raises(DataError, match=r"record 2: train target of 4 steps, over the maximum of 3"):
            made(data={"maximum_length": 3})
        task = made(data={"maximum_length": 3, "longer": "truncate"})
        assert [len(target) for target in task.training_arrays["targets"]] == [3, 2, 4, 2]
        assert any(line.endswith("=3: 1 of 4 train targets") for line in task.description())


@pytest.mark.parametrize("vocabulary", ["bytes", "byte_pairs"])
class TestPieces:
    def make(self, vocabulary, **data):
        if vocabulary == "byte_pairs":
            pytest.importorskip("tokenizers")
        return made(data={"vocabulary": vocabulary, "vocabulary_size": 270, **data})

    def test_targets_are_written_in_pieces_and_measured_in_words(self, vocabulary):
        task = self.make(vocabulary)
        columns = task.columns(WORDS)
        inputs, targets = columns["inputs"][0], columns["targets"][2]
        assert "".join(task.inputs.tokens.steps(inputs)) == "je suis"
        assert targets[-1] == task.targets.end
        assert task.targets.decode(targets[:-1]) == ["he", "is", "there", "now"]
        assert task.longest == len(targets) - 1
        found = [
            {"tokens": target[None], "lengths": np.array([len(target)]), "scores": np.zeros(1)}
            for target in columns["targets"]
        ]
        assert task.score(WORDS, found) == {"exact_match": 1.0, "token_error_rate": 0.0}
        assert task.texts(WORDS, found)[1] == "tu\tyou"

    def test_nothing_is_unknown(self, vocabulary):
        task = self.make(vocabulary)
        assert task.targets.decode(task.targets.encode(["naïve", "Ω"])) == ["naïve", "Ω"]
        assert task.inputs.tokens.unknown(["naïve"]) == []
        assert sum("; 0 tokens" in line for line in task.description()) == 2

    def test_a_run_goes_on_with_its_pieces(self, vocabulary):
        task = self.make(vocabulary)
        again = build(task.config, task.symbols())
        np.testing.assert_array_equal(again.columns(WORDS)["targets"][2], task.columns(WORDS)["targets"][2])

    @pytest.mark.parametrize("name", ["tagging", "multi_label", "ctc"])
    def test_steps_with_targets_of_their_own_are_refused(self, vocabulary, name):
        with pytest.raises(ConfigError, match=f"data.vocabulary={vocabulary} - .*set it to tokens"):
            config_from_dict({"task": name, "data": {"vocabulary": vocabulary}})


class TestCodes:
    def test_codes_are_all_that_the_decoder_reads(self):
        task = made(autoencode=True, model={**MODEL, "attention": None, "bidirectional": False})
        state = task.learner.initial_state()
        codes = task.codes(state, WORDS)
        assert codes.shape == (4, 4)
        # Each alone, without padding, and through the module by hand.
        model = task.learner.model(state)
        for inputs, code in zip(task.columns(WORDS)["inputs"], codes, strict=True):
            carry, source = model.source(inputs[None])
            assert source.memory is None
            np.testing.assert_allclose(jax.tree.leaves(carry)[0][0], code, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"attention": None, "input_feeding": True}}, "options of attention"),
        ({"model": {"input_feeding": True, "query": "previous"}}, "the context is fed already"),
        ({"model": {"attention": "dot"}}, "use general, or set model.bidirectional to false"),
        ({"model": {"tied_embeddings": True}}, "needs model.embedding_size equal to model.hidden_size, got 64 and 256"),
        ({"decode": {"n_best": 2}}, "a greedy decoder gives at most 1"),
        ({"decode": {"coverage_penalty": 0.1}}, "set decode.method to beam"),
        ({"decode": {"no_repeat_ngram": 2}}, "decode.no_repeat_ngram - is an option of the beam search"),
        ({"decode": {"method": "beam", "minimum_length": 3, "maximum_length": 2}}, "is over decode.maximum_length=2"),
        ({"model": {"attention": None}, "coverage_loss": 1.0}, "are about attention"),
        ({"metric": "blue"}, "metric"),
    ],
)
def test_what_excludes_each_other(changes, message):
    with pytest.raises(ConfigError, match=message):
        config_from_dict({"task": "sequence_to_sequence", **changes})


def test_attention_with_a_state_trains():
    task = made(model={**MODEL, "attention": "location"})
    _, loss = task.learner.update(task.learner.initial_state(), task.batch(0).arrays)
    assert np.isfinite(loss)


def test_tied_and_fed():
    options = {"hidden_size": 3, "tied_embeddings": True, "input_feeding": True, "summary": True, "dropout": 0.2}
    task = made(model={**MODEL, **options})
    assert "decoder.head.kernel" not in task.learner.initial_state().parameters
    _, loss = task.learner.update(task.learner.initial_state(), task.batch(0).arrays)
    assert np.isfinite(loss)
