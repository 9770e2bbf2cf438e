"""The recurrent layers of speechbrain, read alone: importing the package needs much more than they do."""

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest


def speechbrain_rnn(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module with the authors' own cells; of its package it needs an attention and a logger for others."""
    found = importlib.util.find_spec("speechbrain")
    if found is None or found.origin is None:
        pytest.skip("speechbrain is not installed")
    for name, needs in {
        "speechbrain": (),
        "speechbrain.nnet": (),
        "speechbrain.utils": (),
        "speechbrain.nnet.attention": ("ContentBasedAttention", "KeyValueAttention", "LocationAwareAttention"),
        "speechbrain.utils.logger": ("get_logger",),
    }.items():
        module = types.ModuleType(name)
        for attribute in needs:
            setattr(module, attribute, lambda *args: None)
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("rnn_of_speechbrain", Path(found.origin).parent / "nnet" / "RNN.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
