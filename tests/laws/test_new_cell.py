"""``seqjax new-cell``: what it writes is green, and in a checkout the cell is everywhere with no other edit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


def command(*arguments: str, root: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout


def test_in_a_checkout_it_is_everywhere(tmp_path: Path) -> None:
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("not a checkout")
    for folder in ("seqjax", "tests", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    out = command("-m", "seqjax", "new-cell", "BrandNewCell", root=tmp_path)
    assert "wrote seqjax/cells/brand_new_cell.py" in out
    assert "seqjax check-cell BrandNewCell" in out
    lines = (tmp_path / "seqjax/cells/__init__.py").read_text().splitlines()
    exports = [line for line in lines if line.startswith("from seqjax.cells.")]
    line = "from seqjax.cells.brand_new_cell import BrandNewCell as BrandNewCell"
    assert line in exports
    assert [each.split()[1] for each in exports] == sorted(each.split()[1] for each in exports)
    assert "BrandNewCell" in command("-m", "seqjax", "cells", root=tmp_path)
    assert "NumPy float64, from the paper" in command("-m", "seqjax", "cells", "BrandNewCell", root=tmp_path)
    assert "BrandNewCell(input_size=128" in command("-m", "seqjax", "explain", "BrandNewCell", root=tmp_path)
    assert "laws hold\n" in command("-m", "seqjax", "check-cell", "BrandNewCell", root=tmp_path)
    sizes = ("--shapes", "5,2,3,4", "--rounds", "2", "--warmup", "0", "--peers", "lax", "--passes", "training")
    assert "lax" in command("-m", "seqjax", "bench", "--cells", "BrandNewCell", *sizes, root=tmp_path)
    chosen = ("-k", "BrandNewCell and not law", "-q", "-p", "no:cacheprovider")
    tests = ("tests/cells/test_references.py", "tests/cells/test_ledger.py", "tests/cards/test_cards.py")
    assert "4 passed" in command("-m", "pytest", *tests, *chosen, root=tmp_path)
    laws = command("-m", "pytest", "tests/cells/test_laws.py", *chosen[:1], "BrandNewCell", "--co", "-q", root=tmp_path)
    assert "test_law[BrandNewCell-causality]" in laws


def test_elsewhere_it_writes_two_files(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("new-cell", "MyOwnGRU")
    assert code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_own_gru.py", "test_my_own_gru.py"]
    assert "python -m pytest test_my_own_gru.py" in out
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(tests, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:]
    # What is there is not overwritten.
    code, _, error = run("new-cell", "MyOwnGRU")
    assert code == 2
    assert error == "error: my_own_gru.py is there already; choose another name or move it away\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my-cell", "a cell's name is that of a Python class, as in MyCell; got 'my-cell'"),
        ("class", "as in MyCell; got 'class'"),
        ("7Up", "as in MyCell; got '7Up'"),
        ("my_cell", "a cell's name begins with a capital, as in MyCell; got 'my_cell'"),
        ("Lstm", "there is a cell LSTM already; `seqjax cells LSTM` shows it"),
        ("Random", "the file of Random would be random.py, which hides a module of that name"),
    ],
)
def test_names_that_cannot_be(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run("new-cell", name)
    assert code == 2
    assert words in error
    assert not list(tmp_path.iterdir())
