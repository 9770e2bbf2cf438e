"""``seqjax cells``: the list, a card, and looking for a word."""

import json

import pytest

import seqjax
from seqjax.cells import GRU, LSTM, registry


def names_in(listing):
    lines = listing.splitlines()
    return [line.split()[0] for line in lines if line.startswith("  ")]


def test_the_list_has_every_cell_and_fits(run):
    code, out, _ = run("cells")
    assert code == 0
    assert sorted(names_in(out)) == list(registry())
    assert max(map(len, out.splitlines())) <= 100
    assert f"{len(registry())} cells." in out
    assert "Long short-term memory with a forget gate" in out


def test_a_name_shows_its_card(run):
    code, out, _ = run("cells", "LSTM")
    assert code == 0
    assert out == f"{seqjax.card(LSTM)}\n"
    out = run("cells", "GRU", "reset=before", "--input-size", 3, "--hidden-size", 5)[1]
    assert out == f"{seqjax.card(GRU(input_size=3, hidden_size=5, reset='before'))}\n"


def test_a_word_lists_what_fits(run):
    out = run("cells", "lstm")[1]
    assert {"LSTM", "PeepholeLSTM"} <= set(names_in(out))
    assert "Elman" not in names_in(out)
    assert "Jordan" in names_in(run("cells", "1986")[1])


def test_a_word_that_fits_one_cell_shows_its_card(run):
    assert run("cells", "lem")[1].startswith("LEM\n===\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["LSTN"], "error: there is no cell 'LSTN'; did you mean 'LSTM'?"),
        (["nothinglikeit"], "error: there is no cell 'nothinglikeit', nor one about it"),
        (["LSTM", "forgt_bias=1"], "did you mean 'forget_bias'?"),
        (["lstm", "forget_bias=1"], "error: options are for one cell; 'lstm' stands for"),
        (["forget_bias=1"], "error: there is no cell 'forget_bias=1'"),
        (["LSTM", "--hidden-size", "0"], "--hidden-size: must be at least 1"),
    ],
)
def test_errors(run, argv, message):
    code, _, error = run("cells", *argv)
    assert code == 2
    assert message in error


def test_json_of_one_and_of_some(run):
    record = json.loads(run("cells", "GRU", "--json")[1])
    assert record["name"] == "GRU"
    assert record["options"]["reset"] == "after"
    assert record["parameters"] == 3 * 128 * (64 + 128 + 1) + 128
    assert record["equations"][0].startswith("rₜ, zₜ")
    assert set(record["evidence"]) == {"reference", "options", "libraries"}
    names = [each["name"] for each in json.loads(run("cells", "minimal", "--json", "--hidden-size", 4)[1])]
    assert "MGU" in names


def test_json_of_all_has_what_a_reader_needs(run):
    records = json.loads(run("cells", "--json", "--input-size", 3, "--hidden-size", 4)[1])
    assert [record["name"] for record in records] == list(registry())
    assert len(records) >= 60
    for record in records:
        assert record["paper"], record["name"]
        assert record["equations"], record["name"]
        assert record["evidence"]["reference"], record["name"]
