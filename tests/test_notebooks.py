"""Every notebook runs from top to bottom; its own assertions are the test."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    if importlib.util.find_spec("IPython") is None:
        # A notebook always has it; here it would only play sound to nobody.
        display = types.ModuleType("IPython.display")
        display.Audio = lambda samples, rate: (samples, rate)
        monkeypatch.setitem(sys.modules, "IPython.display", display)
    pyplot.switch_backend("Agg")
    namespace = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(path.read_text())["cells"]):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), namespace)
    pyplot.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_was_saved_with_its_outputs(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    numbers = [cell["execution_count"] for cell in cells]
    assert numbers == list(range(1, len(cells) + 1)), "run the notebook from top to bottom, then save it"
    assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])
