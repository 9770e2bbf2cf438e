"""The equations: one pure textbook step a cell, one family a file.

To add a cell, write its class in a file of this folder and add one line here: ``from seqjax.cells.file import Name as
Name``. The registry is computed from these lines, and tests, benchmarks, command line and docs pick the cell up.
"""

from seqjax.cells.base import Cell as Cell
from seqjax.cells.convolutional import ConvGRU as ConvGRU
from seqjax.cells.convolutional import ConvLSTM as ConvLSTM
from seqjax.cells.elapsed_time import GRUD as GRUD
from seqjax.cells.elapsed_time import PhasedLSTM as PhasedLSTM
from seqjax.cells.elapsed_time import TimeAwareLSTM as TimeAwareLSTM
from seqjax.cells.elman import Elman as Elman
from seqjax.cells.gru import GRU as GRU
from seqjax.cells.hyper import HyperLSTM as HyperLSTM
from seqjax.cells.jordan import Jordan as Jordan
from seqjax.cells.long_expressive import LEM as LEM
from seqjax.cells.lstm import LSTM as LSTM
from seqjax.cells.nested import NestedLSTM as NestedLSTM
from seqjax.cells.ordered import ONLSTM as ONLSTM
from seqjax.cells.oscillators import CoRNN as CoRNN
from seqjax.cells.oscillators import UnICORNN as UnICORNN

_REGISTRY: dict[str, type[Cell]] = {
    name: value
    for name, value in sorted(globals().items())
    if isinstance(value, type) and issubclass(value, Cell) and value is not Cell
}


def registry() -> dict[str, type[Cell]]:
    """Every exported cell, by name."""
    return dict(_REGISTRY)
