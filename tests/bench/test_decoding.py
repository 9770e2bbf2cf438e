"""Decoding side by side on tiny shapes. Times are never asserted; that torch's loop says what ours says, is."""

import dataclasses
import json

import numpy as np
import pytest

from seqjax.bench import translations
from seqjax.bench.translations import Translation

TINY = Translation(name="tiny", batch=3, positions=4, length=5, input_vocabulary=6, vocabulary=7, hidden=8, embedding=4)
BEAM = dataclasses.replace(TINY, beam_size=3)


def test_the_command(run, tmp_path, monkeypatch):
    monkeypatch.setattr("seqjax.bench.decoding.TRANSLATIONS", (TINY, BEAM))
    data = tmp_path / "decoding.json"
    code, out, error = run("bench", "--decoding", "--rounds", "2", "--warmup", "0", "--peers", "lax", "--json", data)
    assert (code, error) == (0, "")
    greedy = out.partition("decoding tiny, greedy: 5 tokens of 7 from 4 of 6, batch 3, LSTM of 8 units\n")[2]
    assert greedy.splitlines()[1].split()[0] == "seqjax"
    assert "decoding tiny, beam 3: " in out
    results = json.loads(data.read_text())["results"]
    # Compiled before the first round, and never again: the encoder, and the decoder's loop.
    assert all(0 < result["compilations"] < 12 for result in results)
    assert [result["failures"] for result in results] == [{}, {}]


@pytest.mark.parametrize("options", [["--streaming"], ["--memory"], ["--shapes", "A"], ["--passes", "forward"]])
def test_options_of_other_measurements(run, options):
    message = f"error: --decoding is about whole models of given sizes; leave out {options[0]}\n"
    assert run("bench", "--decoding", *options) == (2, "", message)


def test_nothing_is_compiled_again(compilations):
    decode = translations.ours(BEAM)
    first = decode()
    compilations()
    np.testing.assert_array_equal(decode(), first)
    assert compilations() == 0


@pytest.mark.parametrize("translation", [TINY, BEAM], ids=["greedy", "beam"])
def test_torch_says_the_same(translation):
    pytest.importorskip("torch")
    np.testing.assert_array_equal(translations.torch(translation)(), translations.ours(translation)())
