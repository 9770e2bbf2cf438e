"""Writes the conformance ledger: which evidence there is for each cell that its equations are the paper's.

``python -m tests.cells.ledger`` collects the references of this folder and the marks of its tests,
``pytest.mark.evidence(cell=..., library=..., what=...)``, and writes ``seqjax/cells/evidence.json`` and the table in
README.md. With ``--check`` it writes nothing and fails where something else would be written; with ``--run`` it runs
the marked tests and fails where one is skipped or fails, so that no entry stands for a test that never ran.

Entries of a library that is not installed stay as they are.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import math
import pkgutil
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from seqjax.cards.card import HIDDEN_SIZE, INPUT_SIZE
from seqjax.cards.evidence import LEDGER
from seqjax.cards.families import families
from seqjax.cells import Cell, registry
from tests.cells import references

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- cells: written by python -m tests.cells.ledger -->", "<!-- cells: end -->"
COMMAND = "python -m tests.cells.ledger"
# Libraries whose module is not called as they are.
MODULES = {"ONNX": "onnx", "Flax nnx": "flax", "Flax linen": "flax", "TensorFlow Addons": "tensorflow_addons"}

Ledger = dict[str, dict[str, Any]]


class Collector:
    """A pytest plugin that notes the marks, what could not be collected, and how tests ended."""

    def __init__(self) -> None:
        self.marks: set[tuple[str, str, str]] = set()
        self.modules_skipped = False
        self.not_passed: list[str] = []
        self._marked: set[str] = set()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the marked tests."""
        for item in items:
            for mark in item.iter_markers("evidence"):
                self.marks.add(_entry(item.nodeid, mark))
                self._marked.add(item.nodeid)
        others = [item for item in items if item.nodeid not in self._marked]
        items[:] = [item for item in items if item.nodeid in self._marked]
        config.hook.pytest_deselected(items=others)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module without the library that it compares with is skipped as a whole."""
        self.modules_skipped |= report.skipped

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what did not pass."""
        if report.skipped or report.failed:
            self.not_passed.append(f"{report.outcome}: {report.nodeid}")


def _entry(test: str, mark: pytest.Mark) -> tuple[str, str, str]:
    if set(mark.kwargs) != {"cell", "library", "what"} or mark.args:
        raise pytest.UsageError(f"{test}: evidence is marked with cell=, library= and what=, got {mark}")
    if mark.kwargs["cell"] not in registry():
        raise pytest.UsageError(f"{test}: evidence for {mark.kwargs['cell']!r}, which is no registered cell")
    return mark.kwargs["cell"], mark.kwargs["library"], mark.kwargs["what"]


def collect(*, run: bool = False) -> Collector:
    """The marks of all tests of the cells.

    Raises:
        SystemExit: where a test file cannot be imported.
    """
    files = [
        str(file) for file in sorted(Path(__file__).parent.rglob("test_*.py")) if "mark.evidence" in file.read_text()
    ]
    collector, printed = Collector(), io.StringIO()
    with contextlib.nullcontext() if run else contextlib.redirect_stdout(printed):
        code = pytest.main([*files, "-q", *([] if run else ["--collect-only"])], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and not run:
        raise SystemExit(printed.getvalue())
    return collector


def installed(library: str) -> bool:
    """Whether the module of a library is there; it is called as the library if nothing else is known."""
    return importlib.util.find_spec(MODULES.get(library, library.replace("-", "_").lower())) is not None


def ledger(collector: Collector, before: Ledger) -> Ledger:
    """Every registered cell with its reference, the options that this covers, and agreeing libraries."""
    files = _reference_files()
    entries: Ledger = {}
    for name in sorted(registry()):
        found = {(library, what) for cell, library, what in collector.marks if cell == name}
        for library, whats in before.get(name, {}).get("libraries", {}).items():
            if collector.modules_skipped or not installed(library):
                found |= {(library, what) for what in whats}
        options = {key for cell, values in references.OPTIONS.values() if cell == name for key in values}
        entries[name] = {
            "reference": files.get(name, ""),
            "options": sorted(options),
            "libraries": {
                library: sorted(what for other, what in found if other == library)
                for library in sorted({library for library, _ in found}, key=str.lower)
            },
        }
    return entries


def _reference_files() -> dict[str, str]:
    files = {}
    for module in pkgutil.iter_modules(references.__path__, f"{references.__name__}."):
        for name in getattr(importlib.import_module(module.name), "REFERENCES", {}):
            files[name] = module.name.replace(".", "/") + ".py"
    return files


def as_json(entries: Ledger) -> str:
    """One cell a line: small, and a change of one cell is a change of one line."""
    lines = [f"  {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def section(entries: Ledger) -> str:
    """The README's table of cells."""
    compared = sum(bool(entry["libraries"]) for entry in entries.values())
    libraries = {library for entry in entries.values() for library in entry["libraries"]}
    lines = [
        f"**{len(entries)} cells.** Values and gradients of every one are compared with an independent NumPy float64 "
        "reference that was written from its paper,",
        f"and {compared} of them also with other libraries ({', '.join(sorted(libraries, key=str.lower))}).",
        "",
        "<details>",
        f"<summary>The {len(entries)} cells, with paper and evidence</summary>",
        "",
        f"Parameters are for {INPUT_SIZE} inputs and {HIDDEN_SIZE} hidden units.",
        "",
        "| cell | paper | parameters | agrees with |",
        "|---|---|--:|---|",
    ]
    for family, cells in families(registry().values()).items():
        lines.append(f"| **{family}** | | | |")
        for cell_type in cells:
            libraries = ", ".join(entries[cell_type.__name__]["libraries"])
            paper = cell_type.paper.partition("; ")[0].replace("|", "\\|")
            lines.append(f"| `{cell_type.__name__}` | {paper} | {parameters_of(cell_type):,} | {libraries} |")
    return "\n".join([*lines, "", "</details>"])


def parameters_of(cell_type: type[Cell]) -> int:
    """How many numbers the parameters are."""
    cell = cell_type(input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(cell.init, jax.random.key(0))))


def with_section(readme: str, text: str) -> str:
    """The README with this text between the markers."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md must hold the lines\n{BEGIN}\n{END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write the ledger of evidence for the cells.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where something else would be written"
    )
    parser.add_argument(
        "--run", action="store_true", help="run the tests that the ledger names; fail where one does not pass"
    )
    arguments = parser.parse_args(argv)
    collector = collect(run=arguments.run)
    if arguments.run:
        print("\n".join(collector.not_passed))
        return bool(collector.not_passed)
    entries = ledger(collector, json.loads(LEDGER.read_text("utf-8")) if LEDGER.exists() else {})
    readme = README.read_text("utf-8")
    wanted = {LEDGER: as_json(entries), README: with_section(readme, section(entries))}
    changed = [file for file, text in wanted.items() if not file.exists() or file.read_text("utf-8") != text]
    if arguments.check:
        for file in changed:
            print(f"{file.relative_to(ROOT)} is not up to date; run {COMMAND} and commit what it writes")
        return bool(changed)
    for file in changed:
        file.write_text(wanted[file], "utf-8")
    print(f"{len(entries)} cells; {', '.join(str(file.relative_to(ROOT)) for file in changed) or 'nothing'} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
