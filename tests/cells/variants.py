"""The cells that the laws run over: every registered cell with its defaults, and options that change the equations.

A newly registered cell is picked up with no edit here; its options stand beside its reference.
"""

from seqjax.cells import Cell, registry
from tests.cells.references import OPTIONS

INPUT_SIZE, HIDDEN_SIZE = 3, 4

# Cells of different structure, and what sets each apart: tried by every law in every case, mode and size.
FULL = {
    "Elman": "one product, one leaf of carry",
    "Jordan": "the output is a second layer, and is what is carried",
    "LSTM": "two leaves of carry, gates that share their products",
    "GRU": "one product in the loop for three gates",
    "GRU-before": "a product of a product inside the loop",
    "Clockwork": "a counter of steps in the carry",
    "ConvLSTM": "convolutions, inputs and carry with axes of space",
    "GRUD": "inputs of several leaves, of which one is a mask",
    "EchoState": "parameters that no gradient reaches",
}


def default_cells() -> dict[str, Cell]:
    return {name: cell(input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE) for name, cell in registry().items()}


def all_cells() -> dict[str, Cell]:
    options = {
        name: registry()[base](input_size=INPUT_SIZE, hidden_size=HIDDEN_SIZE, **kwargs)
        for name, (base, kwargs) in OPTIONS.items()
    }
    return default_cells() | options
