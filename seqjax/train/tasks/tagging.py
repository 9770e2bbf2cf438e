"""The tag of every token, and perhaps the class of the whole: many to many of equal length."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax.data import Records, TokenVocabulary
from seqjax.errors import DataError
from seqjax.losses import cross_entropy
from seqjax.metrics import Mean, span_scores
from seqjax.nn import SequenceEncoder, SequenceTagger
from seqjax.nn.functions import valid_positions
from seqjax.train.experiment import cell_maker
from seqjax.train.learner import Objective
from seqjax.train.tasks.inputs import Inputs
from seqjax.train.tasks.supervised import Outputs, SupervisedTask, mapped


class TagsOfSequence(Objective):
    """Cross-entropy of tags in nats, and of the whole sequence's class where there is one.

    A batch has ``inputs``, ``tags`` (-1 where a step does not count), both with lengths, and ``valid``; where they are
    read, ``characters`` and ``spelling`` (how many characters each word has); where there is one, ``labels``.
    """

    def __init__(self, label_weight: float = 1.0, label_smoothing: float = 0.0) -> None:
        self._label_weight, self._label_smoothing = label_weight, label_smoothing

    def loss(self, model: SequenceTagger, carry: Any, batch: Any, step: jax.Array) -> Any:
        """Nats, and how many tokens."""
        tags, labels, counts, _ = self._losses(model, batch, self._label_smoothing)
        return carry, jnp.sum(tags) + self._label_weight * jnp.sum(labels), jnp.sum(counts)

    def evaluate(self, model: SequenceTagger, carry: Any, batch: Any) -> Any:
        """Losses without smoothing, and the most probable tags and class."""
        tags, labels, counts, (logits, label_logits) = self._losses(model, batch, 0.0)
        losses = jnp.sum(tags, axis=-1) + self._label_weight * labels
        found = {"loss": losses, "weight": jnp.sum(counts, axis=-1), "tags": jnp.argmax(logits, axis=-1)}
        if label_logits is not None:
            found["label"] = jnp.argmax(label_logits, axis=-1)
        return carry, found

    def _losses(self, model: SequenceTagger, batch: Any, smoothing: float) -> Any:
        lengths = batch["inputs_lengths"]
        logits = model(
            batch["inputs"], lengths, characters=batch.get("characters"), character_lengths=batch.get("spelling")
        )
        logits, label_logits = logits if "labels" in batch else (logits, None)
        mask = valid_positions(logits.shape[1], lengths) & (batch["tags"] >= 0)
        tags = cross_entropy(logits, batch["tags"], mask, label_smoothing=smoothing)
        labels = jnp.zeros(lengths.shape)
        if label_logits is not None:
            labels = cross_entropy(label_logits, batch["labels"], batch["valid"], label_smoothing=smoothing)
        return tags, labels, mask, (logits, label_logits)


class TaggingTask(SupervisedTask):
    """Sequences of tokens and of tags, perhaps with a class of the whole."""

    higher_is_better = True
    target_steps = "inputs"
    labels: TokenVocabulary | None = None
    characters: TokenVocabulary | None = None

    def learn_symbols(self, records: Records) -> None:
        """Tokens, tags, the characters of words, and the classes of the whole.

        Raises:
            DataError: no tag counts.
        """
        ignored = self.config.ignored_tag
        if all(tag == ignored for tags in records.targets for tag in tags):
            cut = f"; {', '.join(self.truncated)} are truncated" if self.truncated else ""
            raise DataError(
                f"{self.config.data.source}: no tag of the training part counts, all are ignored_tag={ignored!r}{cut}; "
                "choose another ignored_tag, or a greater data.maximum_length"
            )
        self.inputs = Inputs.learn(records.inputs, self.config.data)
        self.tags = TokenVocabulary.learn(records.targets, special=())
        if records.labels is not None:
            self.labels = TokenVocabulary.learn([records.labels], special=())
        if self.config.model.characters is not None:
            self.characters = TokenVocabulary.learn(token for sequence in records.inputs for token in sequence)

    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """As stored."""
        self.inputs, self.tags = Inputs.from_json(symbols["inputs"]), TokenVocabulary.from_json(symbols["tags"])
        for name in ("labels", "characters"):
            if symbols[name] is not None:
                setattr(self, name, TokenVocabulary.from_json(symbols[name]))

    def symbols(self) -> dict[str, Any]:
        """Tokens, tags, characters and classes."""
        named = {"inputs": self.inputs, "tags": self.tags, "labels": self.labels, "characters": self.characters}
        return {name: None if value is None else value.to_json() for name, value in named.items()}

    @property
    def unit(self) -> str:
        """Token or frame."""
        return self.inputs.unit

    @property
    def metric(self) -> str:
        """The share of right tags, or the F1 of spans."""
        return f"validation_{self.config.metric}"

    @property
    def baselines(self) -> Mapping[str, float]:
        """Each token's most frequent tag of the training part, and for new tokens the most frequent tag of all."""
        if self.inputs.tokens is None:
            return {}
        train, validation = self.dataset.train, self.dataset.validation
        counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        for tokens, tags in zip(train.inputs, train.targets, strict=True):
            for token, tag in zip(tokens, tags, strict=True):
                counts[token][tag] += 1
        usual = sum(counts.values(), collections.Counter()).most_common(1)[0][0]
        likely = {token: each.most_common(1)[0][0] for token, each in counts.items()}
        said = [[likely.get(token, usual) for token in tokens] for tokens in validation.inputs]
        return {"most frequent tag of the word": self._tag_measures(said, validation)[self.config.metric]}

    def columns(self, records: Records) -> dict[str, Any]:
        """Tokens, tags, characters, classes.

        Raises:
            DataError: not as many tags as tokens.
        """
        for index, (tokens, tags) in enumerate(zip(records.inputs, records.targets, strict=True)):
            if len(tokens) != len(tags):
                raise DataError(f"{records.name(index)}: {len(tokens)} tokens and {len(tags)} tags; expected as many")
        columns: dict[str, Any] = {
            "inputs": self.inputs.encode(records.inputs),
            "tags": [self._numbers(tags) for tags in records.targets],
        }
        if self.characters is not None:
            spelled = [[self._spelled(token) for token in tokens] for tokens in records.inputs]
            columns["characters"] = [self._table(words) for words in spelled]
            columns["spelling"] = [np.array([len(word) for word in words], np.int32) for words in spelled]
        if self.labels is not None:
            assert records.labels is not None
            columns["labels"] = self.labels.encode(list(records.labels))
        return columns

    def _numbers(self, tags: Sequence[str]) -> np.ndarray:
        # A tag that only a held-out part has can be said by no model: it counts as wrong, without an infinite loss.
        ignored = self.config.ignored_tag
        known = [-1 if tag == ignored or tag not in self.tags else self.tags.number(tag) for tag in tags]
        return np.array(known, np.int32)

    def _spelled(self, token: str) -> np.ndarray:
        assert self.characters is not None
        width = self.config.model.characters.maximum_length
        if len(token) > width:
            token = token[: width // 2] + token[-(width - width // 2) :]
        return self.characters.encode(token)

    def _table(self, words: list[np.ndarray]) -> np.ndarray:
        table = np.zeros((len(words), self.config.model.characters.maximum_length), np.int32)
        for row, word in zip(table, words, strict=True):
            row[: len(word)] = word
        return table

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """Embedding, characters, recurrent layers, heads."""
        model = self.config.model
        characters = None
        if self.characters is not None:
            reader = model.characters
            characters = SequenceEncoder(
                cell_maker(reader),
                vocabulary_size=self.characters.size,
                embedding_size=reader.embedding_size,
                bidirectional=True,
                rngs=rngs,
                **self.stack_options(reader),
            )
        return SequenceTagger(
            self.tags.size,
            cell_maker(model),
            sequence_label_size=None if self.labels is None else self.labels.size,
            characters=characters,
            **self.inputs.model_options,
            embedding_size=model.embedding_size,
            bidirectional=model.bidirectional,
            pooling=model.pooling,
            rngs=rngs,
            **self.stack_options(model),
        )

    def objective(self) -> Objective:
        """Cross-entropy."""
        return TagsOfSequence(self.config.label_weight, self.config.label_smoothing)

    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Tags, spans, classes, and sequences with nothing wrong."""
        said = self._said(records, outputs)
        measures = self._tag_measures(said, records)
        right = [all(pairs) for pairs in self._right(said, records)]
        if self.labels is not None:
            assert records.labels is not None
            labels = [self.labels.tokens[int(output["label"])] for output in outputs]
            agree = [one == other for one, other in zip(labels, records.labels, strict=True)]
            measures["label_accuracy"] = Mean.of(agree).value
            right = [one and other for one, other in zip(right, agree, strict=True)]
        return {**measures, "exact_match": Mean.of(right).value}

    def unlabelled(self, inputs: Sequence[Any]) -> Records:
        """With tags and a class that mean nothing."""
        labels = None if self.labels is None else [self.labels.tokens[0]] * len(inputs)
        return Records(inputs, [[self.tags.tokens[0]] * len(tokens) for tokens in inputs], labels=labels)

    def texts(self, records: Records, outputs: Outputs) -> list[str]:
        """Each token with its tag, and the class."""
        lines = []
        for tokens, tags, output in zip(records.inputs, self._said(records, outputs), outputs, strict=True):
            pairs = " ".join(
                tag if self.inputs.tokens is None else f"{token}/{tag}" for token, tag in zip(tokens, tags)
            )
            lines.append(pairs if self.labels is None else f"{self.labels.tokens[int(output['label'])]}: {pairs}")
        return mapped([self.inputs.text(sequence) for sequence in records.inputs], lines)

    def _said(self, records: Records, outputs: Outputs) -> list[list[str]]:
        return [
            self.tags.decode(output["tags"][: len(tokens)])
            for tokens, output in zip(records.inputs, outputs, strict=True)
        ]

    def _right(self, said: list[list[str]], records: Records) -> list[list[bool]]:
        """Whether each tag that counts is right, sequence by sequence."""
        ignored = self.config.ignored_tag
        return [
            [one == other for one, other in zip(tags, wanted, strict=True) if other != ignored]
            for tags, wanted in zip(said, records.targets, strict=True)
        ]

    def _tag_measures(self, said: list[list[str]], records: Records) -> dict[str, float]:
        measures = {"accuracy": Mean.of([each for pairs in self._right(said, records) for each in pairs]).value}
        if self.config.metric == "span_f1":
            measures["span_f1"] = span_scores(said, list(records.targets)).total.f1
        return measures
