"""What people look at: the bar, the lines and the picture."""

import io
import re
import sys

import pytest

from seqjax.train.curves import Curves, draw_curves
from seqjax.train.progress import clock_text, comparison, progress

BASELINES = {"unigram": 4.68, "5-gram": 2.01, "zlib": 2.02}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def go_through(shown):
    for step in range(1, 5):
        shown.advance(step)
    shown.evaluating(0, 2)
    shown.evaluating(2, 2)
    shown.row("loss 1.234", 5678.9, important=True)
    shown.close()


def test_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    go_through(progress(0, 10, "character"))
    for words in ("compiling", "training", "4/10", "loss 1.234", "5,679 characters/s", "left"):
        assert words in terminal.getvalue(), words


def test_a_log_has_lines(capsys):
    shown = progress(0, 10, "byte")
    shown.row("nobody misses this", None, important=False)
    go_through(shown)
    assert re.fullmatch(r"step  4/10  loss 1\.234  5,679 bytes/s  0:00 left\n", capsys.readouterr().out)


def test_comparison_names_what_was_reached_and_what_was_not():
    assert comparison(3.0, BASELINES) == "below unigram 4.68; not below 5-gram 2.01, zlib 2.02"
    assert comparison(2.0, {"zlib": 2.02}) == "below zlib 2.02"
    assert comparison(2.02, {"zlib": 2.02}) == "not below zlib 2.02"
    assert comparison(0.9, {"majority": 0.5, "words": 0.95}, True) == "above majority 0.50; not above words 0.95"


BITS, LABEL = "heldout_bits_per_character", "bits per character"
CURVES = Curves("character", "bits_per_character", BITS, BITS, LABEL, LABEL, BASELINES)


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (62, "1:02"), (3723, "1:02:03")])
def test_clock(seconds, shown):
    assert clock_text(seconds) == shown


def test_the_picture_shows_curves_and_baselines(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        {
            "step": 10 * n,
            "tokens": 1000 * n,
            "bits_per_character": 5 / n,
            **({"heldout_bits_per_character": 5.1 / n} if n % 2 else {}),
        }
        for n in range(1, 6)
    ]
    png, svg = draw_curves(tmp_path, rows, CURVES, name="cats")
    assert png.read_bytes().startswith(b"\x89PNG")
    drawn = svg.read_text()
    for words in (
        "training",
        "held out",
        "unigram 4.68",
        "5-gram 2.01",
        "zlib 2.02",
        "1.020 bits per character",
    ):
        assert words in drawn, words
    draw_curves(tmp_path, rows, CURVES, name="cats")
    assert svg.read_text() == drawn
    assert {path.name for path in tmp_path.iterdir()} == {"loss_curve.png", "loss_curve.svg"}


def test_no_rows_no_picture(tmp_path):
    assert draw_curves(tmp_path, [], CURVES, name="cats") == []
    assert not list(tmp_path.iterdir())
