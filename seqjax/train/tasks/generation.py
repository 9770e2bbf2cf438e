"""Sequences of a class: one to many."""

import collections
import importlib.util
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax.analysis import plots
from seqjax.analysis.image_plots import image_grid
from seqjax.data import Records, TokenVocabulary
from seqjax.data.baselines import unigram_bits
from seqjax.data.token_vocabulary import END
from seqjax.decoding import sample
from seqjax.errors import ConfigError, DataError
from seqjax.losses import bits_per_symbol, cross_entropy
from seqjax.nn import ConditionalGenerator
from seqjax.nn.functions import valid_positions
from seqjax.train.experiment import cell_maker
from seqjax.train.files import write_atomically
from seqjax.train.learner import Objective, TrainState
from seqjax.train.tasks.supervised import Answer, Outputs, SupervisedTask, mapped
from seqjax.train.tasks.tokens import Tokens


class TokensOfClass(Objective):
    """Cross-entropy of the tokens in nats; a batch has ``classes``, ``tokens`` with lengths, and ``valid``."""

    def loss(self, model: ConditionalGenerator, carry: Any, batch: Any, step: jax.Array) -> Any:
        """Nats, and how many tokens."""
        return carry, jnp.sum(self._losses(model, batch)), jnp.sum(batch["tokens_lengths"])

    def evaluate(self, model: ConditionalGenerator, carry: Any, batch: Any) -> Any:
        """Nats of each sequence."""
        return carry, {"loss": jnp.sum(self._losses(model, batch), axis=-1), "weight": batch["tokens_lengths"]}

    def _losses(self, model: ConditionalGenerator, batch: Any) -> jax.Array:
        tokens, lengths = batch["tokens"], batch["tokens_lengths"]
        logits = model(batch["classes"], tokens, target_lengths=lengths)
        return cross_entropy(logits, tokens, valid_positions(tokens.shape[1], lengths))


class GenerationTask(SupervisedTask):
    """A classification turned round: the class is read, the sequence is written."""

    metric = "validation_bits_per_token"
    unit = "token"

    def learn_symbols(self, records: Records) -> None:
        """Tokens and classes.

        Raises:
            ConfigError: the sequences are numbers, and ``levels`` is not given.
        """
        numbers = isinstance(records.inputs[0], np.ndarray)
        if numbers and self.config.levels is None:
            raise ConfigError("levels - the sequences are numbers; give to how many levels they are rounded (got null)")
        if numbers:
            self.tokens = Tokens(TokenVocabulary((*map(str, range(self.config.levels)), END)), words=True)
        else:
            self.tokens = Tokens.learn(records.inputs, self.config.data, ends=True)
        self.classes = sorted(set(records.targets))
        self.longest = max(map(len, self.training_arrays["tokens"])) - 1

    def read_symbols(self, symbols: Mapping[str, Any]) -> None:
        """As stored."""
        self.tokens = Tokens.from_json(symbols["tokens"])
        self.classes, self.longest = list(symbols["classes"]), symbols["longest"]

    def symbols(self) -> dict[str, Any]:
        """Tokens, classes, and the length of the longest sequence."""
        return {"tokens": self.tokens.to_json(), "classes": self.classes, "longest": self.longest}

    @property
    def baselines(self) -> Mapping[str, float]:
        """Each token as probable as it is often in the training part, whatever the class."""
        train, heldout = (
            "".join(chr(number) for tokens in self._numbers(part.inputs) for number in tokens)
            for part in (self.dataset.train, self.dataset.validation)
        )
        return {"unigram": unigram_bits(train, heldout)}

    def columns(self, records: Records) -> dict[str, Any]:
        """Tokens with the end, and numbers of classes.

        Raises:
            DataError: a class that the training part does not have.
        """
        classes = TokenVocabulary(tuple(self.classes)).encode(list(records.targets))
        return {"tokens": self._numbers(records.inputs), "classes": classes}

    def _numbers(self, sequences: Sequence[Any] | np.ndarray) -> list[np.ndarray]:
        """Those of the tokens of each sequence, and the end."""
        end = np.int32(self.tokens.end)
        if self.config.levels is None:
            return [np.append(self.tokens.encode(sequence), end) for sequence in sequences]
        top = self.config.levels - 1
        rounded = [np.rint(np.ravel(sequence) * top).astype(np.int32) for sequence in sequences]
        for number, levels in enumerate(rounded):
            if levels.size and not 0 <= levels.min() <= levels.max() <= top:
                raise DataError(f"sequence {number} has numbers that are not from 0 to 1, so that they have no levels")
        return [np.append(levels, end) for levels in rounded]

    def make_model(self, rngs: nnx.Rngs) -> nnx.Module:
        """A decoder that starts at the class."""
        model = self.config.model
        return ConditionalGenerator(
            self.tokens.size,
            cell_maker(model),
            classes=len(self.classes),
            class_embedding_size=model.class_embedding_size,
            starts=model.starts,
            every_step=model.every_step,
            start_token=self.tokens.end,
            embedding_size=model.embedding_size,
            rngs=rngs,
            **self.stack_options(model),
        )

    def objective(self) -> Objective:
        """Cross-entropy."""
        return TokensOfClass()

    def score(self, records: Records, outputs: Outputs) -> dict[str, float]:
        """Bits of a token, the end among them."""
        nats, tokens = (sum(float(output[name]) for output in outputs) for name in ("loss", "weight"))
        return {"bits_per_token": bits_per_symbol(nats / max(tokens, 1))}

    def texts(self, records: Records, outputs: Outputs) -> list[str]:
        """How probable each sequence is, in bits a token."""
        bits = [bits_per_symbol(float(output["loss"]) / max(int(output["weight"]), 1)) for output in outputs]
        names = [
            self.tokens.text(sequence) if self.config.levels is None else records.name(index)
            for index, sequence in enumerate(records.inputs)
        ]
        return mapped(names, [f"{target} {each:.3f}" for target, each in zip(records.targets, bits, strict=True)])

    def draw(self, state: TrainState, classes: Sequence[str], key: jax.Array) -> list[np.ndarray]:
        """A sequence of each class, as tokens without the end.

        Raises:
            DataError: a class that is not known.
        """
        wanted, decode = TokenVocabulary(tuple(self.classes)).encode(list(classes)), self.config.decode
        model = self.learner.model(state)
        drawn = sample(
            *model.decoder_step(jnp.asarray(wanted)),
            decode.maximum_length or self.longest + 1,
            key,
            decode.temperature,
            top_p=decode.top_p,
            end_token=self.tokens.end,
            allowed=self.tokens.known_only(),
        )
        rows = np.asarray(drawn.tokens).T
        return [row[: np.argmax(row == self.tokens.end)] if (row == self.tokens.end).any() else row for row in rows]

    def read(self, lines: Sequence[str]) -> Records:
        """Lines with a class each."""
        nothing = "" if self.config.levels is None else np.zeros(0)
        return Records([nothing] * len(lines), [line.strip() for line in lines])

    def predict(self, state: TrainState, records: Records) -> list[list[Answer]]:
        """A sequence of each class, drawn with the seed of the configuration."""
        drawn = self.draw(state, list(records.targets), jax.random.key(self.config.seed))
        return [[Answer(self._text(tokens))] for tokens in drawn]

    def finish(self, state: TrainState, run_directory: Path) -> tuple[dict[str, Any], str]:
        """Measure the test part, and draw samples of every class."""
        left, _ = super().finish(state, run_directory)
        count = self.config.decode.samples
        classes = [name for name in self.classes for _ in range(count)]
        drawn = self.draw(state, classes, jax.random.key(self.config.seed))
        by_class: dict[str, list[str]] = collections.defaultdict(list)
        for name, tokens in zip(classes, drawn, strict=True):
            by_class[name].append(self._text(tokens))
        lines = [f"{name}\t{text}" for name, texts in by_class.items() for text in texts]
        write_atomically(run_directory / "samples.txt", "".join(f"{line}\n" for line in lines))
        bits = left["test"]["test_bits_per_token"]
        shown = [f"{name}: {'  '.join(texts)}" for name, texts in by_class.items()]
        if self.config.levels is not None:
            shown = [f"{count} of each class in samples.txt, as levels from 0 to {self.config.levels - 1}"]
            picture = self._draw_images(drawn, run_directory)
            shown += [] if picture is None else [f"picture: {picture}"]
        return left, "\n".join([f"test bits per token: {bits:.4f}", "", "--- samples ---", *shown, "---"])

    def _draw_images(self, drawn: list[np.ndarray], directory: Path) -> Path | None:
        """Levels that make a square, as ``samples.png`` and ``.svg`` with a row for each class."""
        side = math.isqrt(self.longest)
        if side * side != self.longest or importlib.util.find_spec("matplotlib") is None:
            return None
        images = np.zeros((len(drawn), self.longest))
        for image, levels in zip(images, drawn, strict=True):
            image[: len(levels)] = levels[: self.longest]
        figure = image_grid(images.reshape(len(self.classes), -1, side, side), self.classes)
        return plots.save(figure, directory / "samples")[0]

    def _text(self, tokens: np.ndarray) -> str:
        return self.tokens.text(self.tokens.decode(tokens))
