"""The cells that the laws run over: every registered cell with its defaults, and options that change the equations.

A newly registered cell is picked up with no edit here; its options stand beside its reference.
"""

from seqjax.cells import Cell, registry
from tests.cells.references import OPTIONS

INPUT_SIZE, HIDDEN_SIZE = 3, 4


def default_cells() -> dict[str, Cell]:
    return {name: cell(input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE) for name, cell in registry().items()}


def all_cells() -> dict[str, Cell]:
    options = {
        name: registry()[base](input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE, **kwargs)
        for name, (base, kwargs) in OPTIONS.items()
    }
    return default_cells() | options
