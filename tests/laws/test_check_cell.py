"""``seqjax check-cell`` on files as people write them: right, wrong, and such that nothing can be tried."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seqjax.laws import LAWS

Run = Callable[..., tuple[int, str, str]]

HEAD = """
import dataclasses
import jax
import jax.numpy as jnp
from seqjax.cells.base import AffineCell, AffineParams, Cell, HiddenCarry
"""

CELL = """
@dataclasses.dataclass(frozen=True, kw_only=True)
class {name}(AffineCell):
    \"\"\"A cell of a test.\"\"\"

    scale: float = 1.0
    carry_type = HiddenCarry

    def init(self, key, dtype=jnp.float32):
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            self.draw_kernel(kernel_key, 1, dtype),
            self.draw_recurrent_kernel(recurrent_key, 1, dtype),
            jnp.zeros(self.hidden_size, dtype),
        )

    def __call__(self, params, carry, inputs):
        hidden = jnp.tanh(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias)
        return HiddenCarry(hidden), self.scale * hidden{more}
"""


@pytest.fixture(autouse=True)
def _in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Each test is a person who starts Python anew.
    for name in ("mine", "two"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def write(text: str, name: str = "mine.py") -> None:
    Path(name).write_text(HEAD + text)


def only(monkeypatch: pytest.MonkeyPatch, *laws: str) -> None:
    """All 32 laws of a cell take seconds; most of these tests are about words."""
    for name in LAWS.keys() - set(laws):
        monkeypatch.delitem(LAWS, name)


def test_a_sound_cell_with_a_declared_exception(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "output_field_is_the_output", "causality", "sizes_of_one_work")
    declared = '\n\n    law_exceptions = {"causality": "reads what it likes"}\n'
    write(CELL.format(name="Mine", more=declared))
    code, out, error = run("check-cell", "mine.py")
    assert (code, error) == (0, "")
    assert out.startswith("Mine(input_size=3, hidden_size=4")
    assert "  ok         output_field_is_the_output\n" in out
    assert "  declared   causality" in out
    assert "reads what it likes" in out
    assert "Mine: 2 of 3 laws hold, 1 declared as exceptions\n" in out


def test_a_broken_cell(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "output_field_is_the_output", "causality")
    write(CELL.format(name="Mine", more=""))
    code, out, error = run("check-cell", "mine.py:Mine", "scale=2.0")
    assert code == 1
    assert "  broken     output_field_is_the_output\n  not tried  causality\n" in out
    assert "Mine breaks the law output_field_is_the_output: " in out
    assert "next: write output_field = None in the class" in out
    assert "0 of 2 laws hold, 1 broken, 1 not tried, as they rest on what is broken" in out
    assert error == "error: Mine breaks 1 law; see above\n"


def test_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "output_field_is_the_output")
    write(CELL.format(name="Mine", more="") + CELL.format(name="Other", more=""))
    code, out, error = run("check-cell", "mine.py", "scale=2.0", "--json")
    assert code == 1
    records = json.loads(out)
    assert [record["cell"].partition("(")[0] for record in records] == ["Mine", "Other"]
    assert records[0]["file"] == "mine.py"
    assert records[0]["laws"][0]["law"] == "output_field_is_the_output"
    assert records[0]["laws"][0]["status"] == "broken"
    assert error == "error: Mine and Other break 2 laws\n"


def test_a_cell_of_ours(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "init_draws_any_floating_type")
    code, out, _ = run("check-cell", "GRU", "reset=before", "--hidden-size", "8")
    assert code == 0
    assert "hidden_size=8" in out
    assert "reset='before'" in out


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("", ["none.py"], ["there is no file none.py"]),
        ("x = 1", ["mine.py"], ["mine.py defines no cell", "seqjax new-cell", "plain step functions are not checked"]),
        ("def mine(:", ["mine.py"], ["mine.py, line 6: SyntaxError: invalid syntax\n"]),
        ("y = jnp.zeros(3)\nz = w", ["mine.py"], ["mine.py, line 7: NameError: name 'w'"]),
        (CELL.format(name="Mine", more=""), ["mine.py:Mina"], ["no cell Mina; did you mean 'Mine'?"]),
        (CELL.format(name="Mine", more=""), ["mine.py", "scal=2"], ["Mine has no option scal; did you mean 'scale'?"]),
        (
            "class Mine:\n    pass",
            ["mine.py:Mine"],
            ["Mine of mine.py is no cell; a cell is a subclass"],
        ),
        (
            "@dataclasses.dataclass\nclass Mine(AffineCell):\n    size: int = 3",
            ["mine.py"],
            ["mine.py, line", "non-frozen", "write @dataclasses.dataclass(frozen=True, kw_only=True) above the class"],
        ),
        (
            "@dataclasses.dataclass(frozen=True, kw_only=True)\nclass Mine(AffineCell):\n    sizes: list = [1]",
            ["mine.py"],
            ["mutable default", "a tuple for a list"],
        ),
        (
            "@dataclasses.dataclass(frozen=True, kw_only=True)\nclass Mine(AffineCell):\n    s: object = jnp.ones(3)",
            ["mine.py"],
            ["mutable default", "arrays belong in init or in the step"],
        ),
        (
            "@dataclasses.dataclass(frozen=True, kw_only=True)\nclass Mine(Cell):\n    pass",
            ["mine.py"],
            ["Mine is not finished: it has no __call__, init"],
        ),
        (
            CELL.format(
                name="Mine",
                more="\n\n    def __init__(self, input_size, hidden_size):\n        self.input_size = input_size",
            ),
            ["mine.py"],
            ["Mine cannot be built", "a cell is a frozen dataclass"],
        ),
        ("", ["LSTN"], ["there is no cell 'LSTN'; did you mean 'LSTM'?", "path.py:Name"]),
    ],
)
def test_what_cannot_be_tried(run: Run, text: str, arguments: list[str], words: list[str]) -> None:
    write(text)
    code, out, error = run("check-cell", *arguments)
    assert (code, out) == (2, "")
    for each in words:
        assert each in error


def test_a_cell_of_a_file_goes_wherever_a_cell_goes(run: Run) -> None:
    write(CELL.format(name="Mine", more=""))
    write(CELL.format(name="One", more="") + CELL.format(name="Another", more=""), "two.py")
    code, out, _ = run("explain", "mine.py", "--hidden-size", "5")
    assert code == 0
    assert out.startswith("Mine(input_size=128, hidden_size=5")
    code, out, _ = run("cells", "two.py:Another")
    assert code == 0
    assert out.startswith("Another\n")
    code, _, error = run("explain", "two.py")
    assert code == 2
    assert error == "error: two.py defines One, Another; write which, as in two.py:One\n"
    code, out, _ = run("config", "char_lm_small", "model.cell=mine.py:Mine")
    assert code == 0
    assert "mine.py:Mine" in out


def test_two_files_of_one_name_are_two_modules(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "equal_hashable_picklable_and_printed_as_code")
    for folder, scale in (("a", "1.0"), ("b", "3.0")):
        (tmp_path / folder).mkdir()
        text = CELL.format(name="Mine", more="").replace("scale: float = 1.0", f"scale: float = {scale}")
        write(text, f"{folder}/mine.py")
        code, out, _ = run("check-cell", f"{folder}/mine.py")
        assert code == 0
        assert f"scale={scale}" in out
