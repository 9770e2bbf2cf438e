"""Several workers divide the tests so that what shares compiled programs stays together, which is easily lost."""

import collections
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import group_of

ROOT = Path(__file__).parents[1]


def test_groups() -> None:
    laws, notebooks = "tests/cells/test_laws.py::test_law[{}-causality]", "tests/test_notebooks.py::test_runs[{}]"
    assert group_of(laws.format("GRU-before")) == "tests/cells/test_laws.py::test_law[GRU-before"
    assert group_of(laws.format("GRU-before")) != group_of(laws.format("GRU"))
    assert group_of("tests/test_cli.py::TestCells::test_one[a::b]") == "tests/test_cli.py"
    assert group_of(notebooks.format(1)) != group_of(notebooks.format(2))


def test_a_group_has_one_worker() -> None:
    pytest.importorskip("xdist")
    files = ["tests/engine/test_flops.py", "tests/bench/test_arithmetic.py", "tests/metrics/test_edits.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup", *files]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    workers = collections.defaultdict(set)
    for worker, file in re.findall(r"^\[(gw\d)\].* PASSED (.*?)::", out, re.MULTILINE):
        workers[file].add(worker)
    assert {file: len(found) for file, found in workers.items()} == dict.fromkeys(files, 1), out
