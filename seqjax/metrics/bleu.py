"""Corpus BLEU."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from seqjax.metrics.edits import listed

_ORDER = 4


@dataclasses.dataclass(frozen=True)
class Bleu:
    """What BLEU is made of; those of several batches are added.

    Attributes:
        matches: n-grams of the predictions that are in a reference, for n of 1 to 4, each at most as often as there.
        totals: n-grams of the predictions.
        length: tokens of the predictions.
        reference_length: tokens of the references that are nearest in length.
    """

    matches: tuple[int, ...] = (0,) * _ORDER
    totals: tuple[int, ...] = (0,) * _ORDER
    length: int = 0
    reference_length: int = 0

    @property
    def brevity_penalty(self) -> float:
        """What is left of the score of predictions that are shorter than their references."""
        if self.length >= self.reference_length:
            return 1.0
        return math.exp(1 - self.reference_length / self.length) if self.length else 0.0

    def score(self, smoothing: Literal["exp", "none"] = "exp") -> float:
        r"""BLEU, 0 to 100: the geometric mean of the n-gram precisions, times the brevity penalty.

        .. math:: 100 \min(1, e^{1 - r / c}) \Big(\prod_{n=1}^{4} p_n\Big)^{1/4}

        Args:
            smoothing: of precisions that are zero: ``exp`` takes a half of one match for the first, a quarter for the
                next, and so on (as NIST's mteval and sacrebleu do); with ``none`` the score is 0. Where nothing matches
                at all, or no prediction has four tokens, the score is 0 with either.
        """
        if smoothing not in ("exp", "none"):
            raise ValueError(f"smoothing must be 'exp' or 'none', got {smoothing!r}")
        if not any(self.matches) or not all(self.totals) or (smoothing == "none" and not all(self.matches)):
            return 0.0
        logs, zeros = 0.0, 0
        for matches, total in zip(self.matches, self.totals, strict=True):
            zeros += not matches
            logs += math.log((matches or 0.5**zeros) / total)
        return 100 * self.brevity_penalty * math.exp(logs / _ORDER)

    def __add__(self, other: "Bleu") -> "Bleu":
        return Bleu(
            tuple(map(sum, zip(self.matches, other.matches, strict=True))),
            tuple(map(sum, zip(self.totals, other.totals, strict=True))),
            self.length + other.length,
            self.reference_length + other.reference_length,
        )


def bleu(predictions: Sequence[Sequence[Any]], references: Sequence[Any], *, several: bool = False) -> Bleu:
    """BLEU-4 of a corpus, on tokens as they are; equal to sacrebleu's with ``tokenize="none"``.

    Args:
        predictions: the tokens of each sentence.
        references: the right tokens of each sentence.
        several: a sentence has a list of references, all with at least one.

    Raises:
        ValueError: sentences that do not pair up, or one without a reference.
        TypeError: a sentence that is a string.

    Source: Papineni et al. 2002, BLEU: a method for automatic evaluation of machine translation.

    Example:
        >>> import seqjax
        >>> said, right = "the cat sat on the mat".split(), "the cat sat on a mat".split()
        >>> round(seqjax.metrics.bleu([said], [right]).score(), 2)
        53.73
    """
    if len(predictions) != len(references):
        raise ValueError(f"there are {len(predictions)} predictions and {len(references)} references")
    matches: Counter[int] = Counter()
    totals: Counter[int] = Counter()
    length, reference_length = 0, 0
    for index, (said, right) in enumerate(zip(predictions, references, strict=True)):
        sentences = [said, *(right if several else [right])]
        if isinstance(right, str) or any(isinstance(sentence, str) for sentence in sentences):
            raise TypeError(f"sentence {index} is a string, expected a list of tokens; split it")
        said, *of_sentence = map(listed, sentences)
        if not of_sentence:
            raise ValueError(f"sentence {index} has no reference")
        allowed: Counter[tuple] = Counter()
        for sentence in of_sentence:
            allowed |= Counter(_ngrams(sentence))
        for ngram, count in Counter(_ngrams(said)).items():
            totals[len(ngram)] += count
            matches[len(ngram)] += min(count, allowed[ngram])
        length += len(said)
        reference_length += min((len(sentence) for sentence in of_sentence), key=lambda n: (abs(n - len(said)), n))
    orders = range(1, _ORDER + 1)
    return Bleu(tuple(matches[n] for n in orders), tuple(totals[n] for n in orders), length, reference_length)


def _ngrams(tokens: Sequence[Any]) -> Iterator[tuple]:
    for size in range(1, _ORDER + 1):
        yield from zip(*(tokens[start:] for start in range(size)), strict=False)
