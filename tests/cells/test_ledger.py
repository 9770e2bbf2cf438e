"""The ledger of evidence and the README's table are what the command writes, and no cell is without a reference."""

import json
import re
import subprocess
import sys

import pytest

from seqjax.cards.evidence import LEDGER, evidence_of
from seqjax.cells import registry
from tests.cells import ledger


def test_the_ledger_and_the_readme_are_up_to_date():
    command = [sys.executable, "-m", "tests.cells.ledger", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ledger.ROOT, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_cell_has_an_independent_reference(name):
    assert (ledger.ROOT / evidence_of(name).reference).is_file()


def test_the_readme_counts_the_registry():
    text = ledger.README.read_text("utf-8")
    counts = re.findall(r"\b(\d+) cells\b", text.partition(ledger.BEGIN)[2].partition(ledger.END)[0])
    assert counts
    assert set(counts) == {str(len(registry()))}
    assert list(json.loads(LEDGER.read_text("utf-8"))) == sorted(registry())


def collected(*marks, modules_skipped=False):
    collector = ledger.Collector()
    collector.marks, collector.modules_skipped = set(marks), modules_skipped
    return collector


BEFORE = {"LSTM": {"libraries": {"numpy": ["old"], "a library that nobody has": ["LSTM: values"]}}}


def test_entries_of_libraries_that_are_not_installed_stay():
    entries = ledger.ledger(collected(("LSTM", "numpy", "new")), BEFORE)
    assert entries["LSTM"]["libraries"] == {"a library that nobody has": ["LSTM: values"], "numpy": ["new"]}
    assert entries["LSTM"]["reference"] == "tests/cells/references/classic.py"


def test_entries_stay_where_test_files_could_not_be_collected():
    entries = ledger.ledger(collected(modules_skipped=True), BEFORE)
    assert entries["LSTM"]["libraries"] == BEFORE["LSTM"]["libraries"]


def test_what_is_written_is_sorted_and_read_again():
    entries = ledger.ledger(collected(("GRU", "torch", "b"), ("GRU", "torch", "a"), ("GRU", "Keras", "c")), {})
    text = ledger.as_json(entries)
    assert json.loads(text) == entries
    assert len(text.splitlines()) == len(registry()) + 2
    assert list(entries["GRU"]["libraries"]) == ["Keras", "torch"]
    assert entries["GRU"]["libraries"]["torch"] == ["a", "b"]


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        (pytest.mark.evidence("LSTM"), "is marked with cell=, library= and what="),
        (pytest.mark.evidence(cell="LSTN", library="torch", what="x"), "'LSTN', which is no registered cell"),
    ],
)
def test_marks_are_checked(mark, message):
    with pytest.raises(pytest.UsageError, match=message):
        ledger._entry("a test", mark.mark)


def test_the_section_stands_between_its_markers():
    readme = f"before\n{ledger.BEGIN}\nold\n{ledger.END}\nafter\n"
    assert ledger.with_section(readme, "new") == f"before\n{ledger.BEGIN}\n\nnew\n\n{ledger.END}\nafter\n"
    with pytest.raises(SystemExit, match="must hold the lines"):
        ledger.with_section("no markers", "new")
