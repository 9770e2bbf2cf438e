"""The examples in the docstrings and in the README run, and give what they say."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import seqjax

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(seqjax.__path__, "seqjax.") if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    module = importlib.import_module(name)
    failures, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failures == 0


def test_there_are_docstring_examples():
    finder = doctest.DocTestFinder()
    examples = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert {"seqjax.engine.driver.scan", "seqjax.engine.explain.explain"} <= {test.name for test in examples}


def test_readme_examples_run_in_order(capsys):
    text = (Path(__file__).parent.parent / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 3
    namespace = {}
    for block in blocks:
        exec(block, namespace)
    assert "in the loop          1" in capsys.readouterr().out
