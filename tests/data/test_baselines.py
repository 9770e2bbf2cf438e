"""The n-gram models against their textbook definitions, written with dictionaries."""

import collections
import math
import random
import zlib

import pytest

from seqjax.data import baselines, load_corpus, ngram_bits
from seqjax.data.baselines import _jelinek_mercer, _kneser_ney, _symbols
from seqjax.data.config import TextConfig
from seqjax.errors import DataError

START = "<start>"


def tiny_text(seed, length, alphabet):
    generator = random.Random(seed)
    text = "".join(generator.choice(alphabet) for _ in range(5))
    while len(text) < length:
        text += text[-5] if generator.random() < 0.7 else generator.choice(alphabet)
    return text


def context_before(text, time, width):
    padded = [START] * width + list(text)
    return tuple(padded[time : time + width])


def counts_of(text, order):
    counts = [collections.Counter() for _ in range(order + 1)]
    for time, symbol in enumerate(text):
        for width in range(order):
            counts[width + 1][(*context_before(text, time, width), symbol)] += 1
    return counts


def relative_frequencies(counts, alphabet, context, symbol):
    """Of every order, from the uniform distribution upwards."""
    rows = [1 / len(alphabet)]
    for width in range(len(counts) - 1):
        tail = context[len(context) - width :]
        total = sum(counts[width + 1][(*tail, other)] for other in alphabet)
        rows.append(counts[width + 1][(*tail, symbol)] / total if total else rows[-1])
    return rows


def jelinek_mercer(train, heldout, order):
    alphabet, text = sorted(set(train + heldout)), train + heldout
    cut = len(train) * 9 // 10
    counts = counts_of(train[:cut], order)
    rows = [
        relative_frequencies(counts, alphabet, context_before(text, time, order - 1), text[time])
        for time in range(cut, len(train))
    ]
    weights = [1 / (order + 1)] * (order + 1)
    for _ in range(50):
        expected = [1.0] * (order + 1)
        for row in rows:
            shares = [weight * value for weight, value in zip(weights, row)]
            expected = [total + share / sum(shares) for total, share in zip(expected, shares)]
        weights = [total / sum(expected) for total in expected]
    counts = counts_of(train, order)
    probabilities = []
    for time in range(len(train), len(text)):
        row = relative_frequencies(counts, alphabet, context_before(text, time, order - 1), text[time])
        probabilities.append(sum(weight * value for weight, value in zip(weights, row)))
    return probabilities


def kneser_ney(train, heldout, order):
    alphabet, text = sorted(set(train + heldout)), train + heldout
    counts = counts_of(train, order)
    for width in range(1, order):
        counts[width] = collections.Counter(gram[1:] for gram in counts[width + 1])
    discounts = [None]
    for level in counts[1:]:
        number = collections.Counter(level.values())
        if number[1] and number[2] and number[3]:
            ratio = number[1] / (number[1] + 2 * number[2])
            values = [c - (c + 1) * ratio * number[c + 1] / number[c] for c in (1, 2, 3)]
            discounts.append([0, *(min(max(value, 0.01), limit) for value, limit in zip(values, (1, 2, 3)))])
        else:
            discounts.append([0, 0.5, 0.5, 0.5])

    def probability(width, context, symbol):
        if width < 0:
            return 1 / len(alphabet)
        level, discount = counts[width + 1], discounts[width + 1]
        tail = context[len(context) - width :]
        lower = probability(width - 1, context, symbol)
        seen = {other: level[(*tail, other)] for other in alphabet}
        if not sum(seen.values()):
            return lower
        reserved = sum(discount[min(count, 3)] for count in seen.values())
        here = seen[symbol] - discount[min(seen[symbol], 3)]
        return (here + reserved * lower) / sum(seen.values())

    return [
        probability(order - 1, context_before(text, time, order - 1), text[time])
        for time in range(len(train), len(text))
    ]


@pytest.mark.parametrize(("name", "reference"), [("jelinek-mercer", jelinek_mercer), ("kneser-ney", kneser_ney)])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngram_equals_its_definition(name, reference, order):
    train, heldout = tiny_text(0, 300, "abcd"), tiny_text(1, 60, "abcde")
    assert set(heldout) - set(train) == {"e"}
    expected = -sum(math.log2(p) for p in reference(train, heldout, order)[1:]) / (len(heldout) - 1)
    assert ngram_bits(train, heldout, order=order, smoothing=name) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", [_jelinek_mercer, _kneser_ney])
@pytest.mark.parametrize("context", ["", "abca", "eeee", "zzzz", "caz"])
def test_ngram_probabilities_sum_to_one(model, context):
    train, alphabet = tiny_text(3, 400, "abcde"), "abcdez"
    total = 0.0
    for symbol in alphabet:
        # The alphabet at the end makes every question have the same alphabet.
        symbols, start, size = _symbols(train, context + symbol + alphabet)
        assert size == len(alphabet)
        probability = model(symbols, start, size, 5)[len(context)]
        assert probability > 0
        total += probability
    assert total == pytest.approx(1, abs=1e-12)


def test_unigram_and_zlib_equal_their_definitions():
    train, heldout = tiny_text(5, 500, "abc"), tiny_text(6, 200, "abcx")
    counts = collections.Counter(train)
    size = len(set(train + heldout))
    unigram = -sum(math.log2((counts[c] + 1) / (len(train) + size)) for c in heldout[1:]) / (len(heldout) - 1)
    both, alone = len(zlib.compress((train + heldout).encode(), 9)), len(zlib.compress(train.encode(), 9))
    found = baselines(train, heldout)
    assert found["unigram"] == pytest.approx(unigram, rel=1e-12)
    assert found["zlib"] == pytest.approx(8 * (both - alone) / len(heldout))
    assert list(found) == ["unigram", "5-gram", "zlib"]


def test_bytes_are_counted_per_byte_over_256_symbols():
    train, heldout = b"\x00\xff" * 50, b"\x00\xfe\xff"
    expected = -(math.log2(1 / 356) + math.log2(51 / 356)) / 2
    assert baselines(train, heldout)["unigram"] == pytest.approx(expected, rel=1e-12)
    # Of characters that take three bytes each, a byte costs a third of a character.
    text = "漢字仮名" * 100
    assert baselines(text.encode(), text.encode())["zlib"] == pytest.approx(baselines(text, text)["zlib"] / 3)


def test_large_alphabets_do_not_overflow():
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 20_000)))
    assert ngram_bits(characters * 2, characters[:1000]) < ngram_bits(characters[::-1] * 2, characters[:1000])


def test_default_text_costs_about_what_is_published():
    corpus = load_corpus(TextConfig())
    found = baselines(corpus.train, corpus.heldout)
    assert 4.3 < found["unigram"] < 5.0
    assert 1.8 < found["5-gram"] < 2.2
    assert 2.0 < found["zlib"] < 2.4
    assert ngram_bits(corpus.train, corpus.heldout, smoothing="kneser-ney") < found["5-gram"]


def test_empty_parts_and_mixed_types_are_refused():
    with pytest.raises(DataError, match="at least 2 held-out symbols, got 3 and 1"):
        baselines("abc", "a")
    with pytest.raises(DataError, match="got 0 and 2"):
        baselines("", "ab")
    with pytest.raises(TypeError, match="both str or both bytes, got str and bytes"):
        baselines("abc", b"ab")
