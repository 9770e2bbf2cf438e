"""Tasks that measure what a sequence model can remember, count and predict. NumPy only.

A batch is a pure function of the task, the part and a key of whole numbers: what is drawn for one key does not depend
on what was drawn before. Every task says what can be reached without memory (:meth:`Task.trivial`), computed.
"""

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from seqjax.data.baselines import unigram_bits
from seqjax.data.config import TextConfig
from seqjax.data.corpora import Corpus, load_corpus
from seqjax.data.records import PARTS, Part
from seqjax.data.vocabulary import Vocabulary, vocabulary_for
from seqjax.errors import DataError, nearest

Metric = Literal["squared error", "bits", "accuracy", "strings right"]


class TaskBatch(NamedTuple):
    """Sequences side by side, time first.

    Attributes:
        inputs: symbols ``[time, size]`` of a whole-number type, or numbers ``[time, size, features]``.
        targets: classes ``[time, size]`` int32, or numbers ``[time, size]`` float32; 0 where the mask is False.
        mask: True where the target counts, ``[time, size]``.
    """

    inputs: np.ndarray
    targets: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A supply of sequences with targets.

    Attributes:
        name: by which the command line knows it.
        metric: what is measured where the mask is True.
        asks: the task in a sentence.
        without_memory: who reaches :meth:`trivial`.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]
    asks: ClassVar[str]
    without_memory: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, int) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise DataError(f"{type(self).__name__}.{field.name} must be a positive whole number, got {value!r}")

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the metric is better."""
        return self.metric in ("accuracy", "strings right")

    @property
    @abstractmethod
    def input_size(self) -> int:
        """Number of features, or of different symbols."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Number of classes; 1 where targets are numbers."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """Time steps of the longest sequence of any part."""

    @abstractmethod
    def trivial(self) -> float:
        """The metric that the best predictor without memory reaches."""

    def batch(self, key: tuple[int, ...], size: int, part: Part = "train") -> TaskBatch:
        """``size`` sequences of a part; equal keys give equal batches.

        Raises:
            DataError: the part is not known.
        """
        if part not in PARTS:
            raise DataError(f"part must be one of {', '.join(map(repr, PARTS))}, got {part!r}")
        return self._draw(np.random.default_rng((PARTS.index(part), *key)), size, part)

    @abstractmethod
    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adding(Task):
    """Add two marked numbers (Hochreiter and Schmidhuber 1997, in the form of Le, Jaitly and Hinton 2015).

    Each step has a number from 0 to 1 and a mark, which is 1 at one step of each half and 0 elsewhere. The target, the
    sum of the two marked numbers, counts at the last step.
    """

    length: int = 60

    name = "adding"
    metric = "squared error"
    asks = "add the two marked numbers of a sequence"
    without_memory = "saying 1 always"
    input_size = 2
    output_size = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 2:
            raise DataError(f"Adding.length must be at least 2, one step for each number, got {self.length}")

    @property
    def longest(self) -> int:
        """The length."""
        return self.length

    def trivial(self) -> float:
        """The variance of the sum of two uniform numbers, 2 / 12 (papers often write 0.1767, which it is not)."""
        return 2 / 12

    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch:
        numbers, half, rows = rng.random((self.length, size), np.float32), self.length // 2, np.arange(size)
        marks = np.zeros_like(numbers)
        marks[rng.integers(0, half, size), rows] = 1
        marks[rng.integers(half, self.length, size), rows] = 1
        mask = np.zeros((self.length, size), bool)
        mask[-1] = True
        return TaskBatch(np.stack([numbers, marks], -1), np.where(mask, (numbers * marks).sum(0), 0), mask)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CopyMemory(Task):
    """Repeat some symbols after a delay (Hochreiter and Schmidhuber 1997, in the form of Arjovsky et al. 2016).

    ``items`` of 8 symbols, ``delay`` blanks of which the last is a sign to begin, then ``items`` blanks, during which
    the symbols are to be said in order; only these steps count.
    """

    items: int = 5
    delay: int = 30

    name = "copy"
    metric = "bits"
    asks = "repeat some symbols after a delay"
    without_memory = "all 8 symbols alike, log 8 = 3 bits"
    input_size = 10
    output_size = 8

    @property
    def longest(self) -> int:
        """Symbols, delay, and symbols again."""
        return 2 * self.items + self.delay

    def trivial(self) -> float:
        """The entropy of a symbol."""
        return math.log2(self.output_size)

    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch:
        blank, begin = 8, 9
        symbols = rng.integers(0, 8, (self.items, size))
        inputs = np.full((self.longest, size), blank, np.int32)
        inputs[: self.items] = symbols
        inputs[self.items + self.delay - 1] = begin
        targets, mask = np.zeros_like(inputs), np.zeros(inputs.shape, bool)
        targets[-self.items :], mask[-self.items :] = symbols, True
        return TaskBatch(inputs, targets, mask)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DelayedRecall(Task):
    """Say at every step the symbol, one of 8, that came ``lag`` steps before: memory as a conveyor belt."""

    lag: int = 10
    length: int = 40

    name = "recall"
    metric = "bits"
    asks = "say the symbol that came a fixed number of steps before"
    without_memory = "all 8 symbols alike, log 8 = 3 bits"
    input_size = 8
    output_size = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length <= self.lag:
            raise DataError(f"DelayedRecall.length must be above lag={self.lag}, got {self.length}")

    @property
    def longest(self) -> int:
        """The length."""
        return self.length

    def trivial(self) -> float:
        """The entropy of a symbol."""
        return math.log2(self.output_size)

    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch:
        inputs = rng.integers(0, 8, (self.length, size), np.int32)
        targets, mask = np.zeros_like(inputs), np.zeros(inputs.shape, bool)
        targets[self.lag :], mask[self.lag :] = inputs[: -self.lag], True
        return TaskBatch(inputs, targets, mask)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity(Task):
    """Say at every step whether the number of ones so far is odd: one bit of state that every one turns over."""

    length: int = 40

    name = "parity"
    metric = "accuracy"
    asks = "say whether the number of ones so far is odd"
    without_memory = "guessing, but for the first step, which is its own answer"
    input_size = 2
    output_size = 2

    @property
    def longest(self) -> int:
        """The length."""
        return self.length

    def trivial(self) -> float:
        """One half: a bit says nothing about the parity, once another came before it."""
        return 0.5 + 0.5 / self.length

    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch:
        inputs = rng.integers(0, 2, (self.length, size), np.int32)
        return TaskBatch(inputs, np.cumsum(inputs, axis=0, dtype=np.int32) % 2, np.ones(inputs.shape, bool))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TemporalOrder(Task):
    """Say in which order two symbols came, far apart and far before the end (Hochreiter and Schmidhuber 1997, task 6a).

    A sequence begins with E, ends with B, and has a, b, c and d at random between but for two steps, each of which is
    X or Y: one after a tenth to a fifth of the sequence, one after five to six tenths. The four classes XX, XY, YX and
    YY are to be told at the last step.
    """

    length: int = 60

    name = "temporal-order"
    metric = "accuracy"
    asks = "say in which order two symbols came"
    without_memory = "guessing one of 4 orders"
    input_size = 8
    output_size = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 10:
            raise DataError(f"TemporalOrder.length must be at least 10, for places in tenths of it, got {self.length}")

    @property
    def longest(self) -> int:
        """The length."""
        return self.length

    def trivial(self) -> float:
        """A quarter."""
        return 1 / self.output_size

    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch:
        x, begin, end = 4, 6, 7
        inputs = rng.integers(0, 4, (self.length, size), np.int32)
        inputs[0], inputs[-1] = begin, end
        answer = rng.integers(0, 4, size, np.int32)
        rows, tenth = np.arange(size), self.length // 10
        inputs[rng.integers(tenth, 2 * tenth, size), rows] = x + answer // 2
        inputs[rng.integers(5 * tenth, 6 * tenth, size), rows] = x + answer % 2
        mask = np.zeros(inputs.shape, bool)
        mask[-1] = True
        return TaskBatch(inputs, np.where(mask, answer, 0), mask)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counting(Task):
    """Say after every b of :math:`a^n b^n` whether a b follows or the end (Gers and Schmidhuber 2001).

    Training has :math:`n` from 1 to ``longest_trained``; validation and test have it up to twice that, so that who has
    learnt the strings by heart gets half of them right, and who has learnt to count gets all.
    """

    longest_trained: int = 16

    name = "anbn"
    metric = "strings right"
    asks = "predict the end of a^n b^n, also for n twice as large as in training"
    without_memory = "always 'the end', which is right for n = 1"
    input_size = 3
    output_size = 2

    @property
    def longest(self) -> int:
        """The longest string of the test."""
        return 4 * self.longest_trained

    def trivial(self) -> float:
        """The share of the test's strings that have one a."""
        return 1 / (2 * self.longest_trained)

    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch:
        largest = self.longest_trained * (1 if part == "train" else 2)
        n = rng.integers(1, largest + 1, size)
        step = np.arange(2 * largest)[:, None]
        a, b, padding = 0, 1, 2
        inputs = np.where(step < n, a, np.where(step < 2 * n, b, padding)).astype(np.int32)
        mask = inputs == b
        return TaskBatch(inputs, (step == 2 * n - 1).astype(np.int32), mask)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NextCharacter(Task):
    """Predict the next character of a text; every sequence is a window anywhere in it and starts with no memory.

    Attributes:
        length: time steps of a window.
        source: a text as in :class:`~seqjax.data.TextConfig`; the default one comes with Python. The end of its part
            for training, a tenth, is for validation.
    """

    length: int = 64
    source: str = "python-reference"

    name = "characters"
    metric = "bits"
    asks = "predict the next character of a text"
    without_memory = "how often each character occurs"

    @property
    def input_size(self) -> int:
        """Number of different characters."""
        return self._text()[1].size

    @property
    def output_size(self) -> int:
        """Number of different characters."""
        return self.input_size

    @property
    def longest(self) -> int:
        """The length."""
        return self.length

    def trivial(self) -> float:
        """Bits of the held-out text under the frequencies of the training text."""
        corpus = self._text()[0]
        return unigram_bits(corpus.train, corpus.heldout)

    def _text(self) -> tuple[Corpus, Vocabulary, dict[str, np.ndarray]]:
        return _load(TextConfig(source=self.source, batch_size=1, length=self.length))

    def _draw(self, rng: np.random.Generator, size: int, part: Part) -> TaskBatch:
        symbols = self._text()[2][part]
        if symbols.size <= self.length:
            raise DataError(f"{self.source}: {symbols.size} characters for {part}, expected more than {self.length}")
        starts = rng.integers(0, symbols.size - self.length, size)
        windows = symbols[np.arange(self.length + 1)[:, None] + starts]
        return TaskBatch(windows[:-1], windows[1:], np.ones((self.length, size), bool))


@functools.cache
def _load(config: TextConfig) -> tuple[Corpus, Vocabulary, dict[str, np.ndarray]]:
    corpus = load_corpus(config)
    vocabulary = vocabulary_for(config, corpus)
    train, test = vocabulary.encode(corpus.train), vocabulary.encode(corpus.heldout)
    cut = int(0.9 * train.size)
    return corpus, vocabulary, {"train": train[:cut], "validation": train[cut:], "test": test}


TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Adding, CopyMemory, DelayedRecall, TemporalOrder, Parity, Counting, NextCharacter)
}


def make_task(name: str, **options: Any) -> Task:
    """The task of that name.

    Raises:
        DataError: there is none.
    """
    if name not in TASKS:
        raise DataError(f"there is no task {name!r}; {nearest(name, list(TASKS))}")
    return TASKS[name](**options)
