"""What a text costs without a neural network: the numbers that a model must get below."""

import zlib
from typing import Literal

import numpy as np

from seqjax.errors import DataError

_EXPECTATION_MAXIMIZATION_STEPS = 50


def baselines(train: str | bytes, heldout: str | bytes) -> dict[str, float]:
    """Bits per symbol of the held-out part: per character if the parts are ``str``, per byte if they are ``bytes``.

    * ``unigram``: the symbols' frequencies in the training part, plus one for each (Laplace).
    * ``5-gram``: interpolated n-grams of orders 0 to 5; see :func:`ngram_bits`.
    * ``zlib``: what the held-out part adds to the training part's compressed size, at level 9. The held-out part alone
      costs more, for then the compressor starts from nothing. (Deflate looks back no further than 32 KiB.)

    The first two are given the same alphabet as the model: the characters of both parts, or the 256 bytes. As for the
    model, the first held-out symbol is context and is not counted.

    Raises:
        DataError: if a part is empty, or the held-out one has no second symbol.
    """
    return {
        "unigram": unigram_bits(train, heldout),
        "5-gram": ngram_bits(train, heldout, order=5),
        "zlib": _zlib_bits(train, heldout),
    }


def ngram_bits(
    train: str | bytes,
    heldout: str | bytes,
    *,
    order: int = 5,
    smoothing: Literal["jelinek-mercer", "kneser-ney"] = "jelinek-mercer",
) -> float:
    r"""Bits per symbol of the held-out part under an n-gram model of the training part.

    ``jelinek-mercer`` is the mixture of all orders up to ``order``,

    .. math:: p(x_t) = \lambda_0 / V + \sum_{k=1}^{n} \lambda_k \, c(x_{t-k+1} \dots x_t) / c(x_{t-k+1} \dots x_{t-1}),

    for an alphabet of V symbols, where an order that has not seen the context repeats the estimate of the order below
    (Jelinek and Mercer, 1980). The weights are fitted by expectation-maximization on the last tenth of the training
    part, with the counts of the other nine; the held-out part meets the counts of the whole training part.

    ``kneser-ney`` is interpolated modified Kneser-Ney smoothing (Chen and Goodman, 1999), the strongest of the
    classical ones: absolute discounts for counts of 1, 2, and 3 or more; below the highest order, the different symbols
    before an n-gram are counted instead of its occurrences.

    The held-out part is read as the continuation of the training part, so its first symbols have a context too.

    Raises:
        DataError: if a part is empty, or the held-out one has no second symbol.
    """
    symbols, start, size = _symbols(train, heldout)
    probabilities = {"jelinek-mercer": _jelinek_mercer, "kneser-ney": _kneser_ney}[smoothing]
    return float(-np.log2(probabilities(symbols, start, size, order)[1:]).mean())


def _symbols(train: str | bytes, heldout: str | bytes) -> tuple[np.ndarray, int, int]:
    """Both parts as numbers, where the second starts, and the size of the alphabet."""
    if not train or len(heldout) < 2:
        raise DataError(
            f"baselines need a training part and at least 2 held-out symbols, got {len(train)} and {len(heldout)}; "
            "take a longer text"
        )
    if isinstance(train, bytes) and isinstance(heldout, bytes):
        return np.frombuffer(train + heldout, np.uint8).astype(np.int64), len(train), 256
    if isinstance(train, str) and isinstance(heldout, str):
        code_points = np.frombuffer((train + heldout).encode("utf-32-le", "surrogatepass"), "<u4")
        alphabet, symbols = np.unique(code_points, return_inverse=True)
        return symbols, len(train), alphabet.size
    raise TypeError(
        f"the parts must be both str or both bytes, got {type(train).__name__} and {type(heldout).__name__}"
    )


def unigram_bits(train: str | bytes, heldout: str | bytes) -> float:
    """Bits per symbol of the held-out part under the frequencies of the training part; see :func:`baselines`."""
    symbols, start, size = _symbols(train, heldout)
    counts = np.bincount(symbols[:start], minlength=size) + 1
    return float(-np.log2(counts[symbols[start + 1 :]] / counts.sum()).mean())


def _zlib_bits(train: str | bytes, heldout: str | bytes) -> float:
    before, after = (
        part.encode(errors="surrogatepass") if isinstance(part, str) else part for part in (train, heldout)
    )
    return 8 * (len(zlib.compress(before + after, 9)) - len(zlib.compress(before, 9))) / len(heldout)


def _grams(symbols: np.ndarray, size: int, order: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each length up to ``order``: the n-gram that ends at each time, and its context (all but the last symbol).

    Both are dense numbers: these index counts, and cannot overflow however large the alphabet is. Before the text there
    is a symbol that is never predicted, so every time has an n-gram of every length.
    """
    context = np.zeros_like(symbols)
    grams = []
    for _ in range(order):
        _, gram = np.unique(context * size + symbols, return_inverse=True)
        grams.append((gram, context))
        context = np.concatenate(([gram.max() + 1], gram[:-1]))
    return grams


def _jelinek_mercer(symbols: np.ndarray, start: int, size: int, order: int) -> np.ndarray:
    """Probabilities of ``symbols[start:]``, learnt from those before."""
    grams = _grams(symbols, size, order)

    def estimates(first: int, last: int) -> np.ndarray:
        """Relative frequencies of every order for ``symbols[first:last]``, from those before, [order + 1, time]."""
        rows = [np.full(last - first, 1 / size)]
        for gram, context in grams:
            count = np.bincount(gram[:first], minlength=gram.max() + 1)[gram[first:last]]
            total = np.bincount(context[:first], minlength=context.max() + 1)[context[first:last]]
            rows.append(np.where(total > 0, count / np.maximum(total, 1), rows[-1]))
        return np.stack(rows)

    fitted_on = estimates(start * 9 // 10, start)
    weights = np.full(order + 1, 1 / (order + 1))
    for _ in range(_EXPECTATION_MAXIMIZATION_STEPS):
        shares = weights[:, None] * fitted_on
        # One imagined symbol for each order keeps the weights, and with them all probabilities, above zero.
        weights = (shares / shares.sum(axis=0)).sum(axis=1) + 1
        weights /= weights.sum()
    return weights @ estimates(start, symbols.size)


def _kneser_ney(symbols: np.ndarray, start: int, size: int, order: int) -> np.ndarray:
    """Probabilities of ``symbols[start:]``, learnt from those before."""
    grams = _grams(symbols, size, order)
    probabilities = np.full(symbols.size - start, 1 / size)
    for level, (gram, context) in enumerate(grams):
        context_of = np.zeros(gram.max() + 1, np.int64)
        context_of[gram] = context
        if level == order - 1:
            counts = np.bincount(gram[:start], minlength=context_of.size)
        else:
            longer = grams[level + 1][0][:start]
            _, first_times = np.unique(longer, return_index=True)
            counts = np.bincount(gram[first_times], minlength=context_of.size)
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        total = np.bincount(context_of, counts)
        reserved = np.bincount(context_of, discounts)
        here, before = gram[start:], context[start:]
        interpolated = (counts[here] - discounts[here] + reserved[before] * probabilities) / np.maximum(
            total[before], 1
        )
        probabilities = np.where(total[before] > 0, interpolated, probabilities)
    return probabilities


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken from counts of 0, 1, 2, and 3 or more."""
    once, twice, thrice, four_times = (np.count_nonzero(counts == count) for count in (1, 2, 3, 4))
    if not (once and twice and thrice):
        # The formula has no value; small texts, and the unigrams of most, have no such counts.
        return np.array([0, 0.5, 0.5, 0.5])
    ratio = once / (once + 2 * twice)
    formula = [1 - 2 * ratio * twice / once, 2 - 3 * ratio * thrice / twice, 3 - 4 * ratio * four_times / thrice]
    return np.concatenate(([0], np.clip(formula, 0.01, [1, 2, 3])))
