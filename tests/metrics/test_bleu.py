"""BLEU against sacrebleu."""

import numpy as np
import pytest

from seqjax.metrics import Bleu, bleu

WORDS = np.array(["the", "cat", "dog", "sat", "on", "a", "mat"])


def drawn(rng, count, shortest=0):
    return [" ".join(rng.choice(WORDS, rng.integers(shortest, 12))) for _ in range(count)]


@pytest.mark.parametrize("smoothing", ["exp", "none"])
@pytest.mark.parametrize("references", [1, 3])
def test_equals_sacrebleu(smoothing, references, rng):
    """Corpora of 1 to 50 sentences: some without a single match of four, some without any sentence of four words."""
    sacrebleu = pytest.importorskip("sacrebleu")
    theirs = sacrebleu.BLEU(tokenize="none", smooth_method=smoothing, force=True)
    seen = set()
    for _ in range(100):
        count = int(rng.choice([1, 2, 5, 50]))
        right = [drawn(rng, count, 1) for _ in range(references)]
        said = drawn(rng, count)
        found = bleu(
            [text.split() for text in said],
            [[text.split() for text in texts] for texts in zip(*right)],
            several=True,
        )
        want = theirs.corpus_score(said, right)
        assert found.score(smoothing) == pytest.approx(want.score, abs=1e-9)
        assert found.brevity_penalty == pytest.approx(want.bp)
        assert (found.length, found.reference_length) == (want.sys_len, want.ref_len)
        seen.add((found.score(smoothing) > 0, all(found.matches), found.brevity_penalty < 1))
    assert len(seen) > 3


def test_batches_add_up(rng):
    said, right = ([text.split() for text in drawn(rng, 40)] for _ in range(2))
    parts = [bleu(said[i : i + 10], right[i : i + 10]) for i in range(0, 40, 10)]
    assert sum(parts, Bleu()) == bleu(said, right)


def test_a_corpus_that_is_right_has_a_hundred_and_an_empty_one_nothing():
    text = [["a", "b", "c", "d", "e"], [1, 2, 3, 4]]
    assert bleu(text, text).score("none") == pytest.approx(100)
    assert bleu(np.array([[1, 2, 3, 4]]), np.array([[1, 2, 3, 4]])).score() == pytest.approx(100)
    assert bleu([[]], [["a"]]).score() == bleu([], []).score() == 0


def test_bad_input_gets_a_clear_message():
    with pytest.raises(TypeError, match="sentence 0 is a string, expected a list of tokens; split it"):
        bleu(["a cat"], ["a cat"])
    with pytest.raises(TypeError, match="sentence 0 is a string"):
        bleu([["a"]], ["a"], several=True)
    with pytest.raises(ValueError, match="sentence 0 has no reference"):
        bleu([["a"]], [[]], several=True)
    with pytest.raises(ValueError, match="smoothing must be 'exp' or 'none', got 'floor'"):
        Bleu().score("floor")
