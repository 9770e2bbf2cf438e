"""The equations: one pure textbook step a cell, one family a file.

To add a cell, write its class in a file of this folder and add one line here: ``from seqjax.cells.file import Name as
Name``. The registry is computed from these lines, and tests, benchmarks, command line and docs pick the cell up.
"""

from seqjax.cells.base import Cell as Cell
from seqjax.cells.convolutional import ConvGRU as ConvGRU
from seqjax.cells.convolutional import ConvLSTM as ConvLSTM
from seqjax.cells.copied_context import ElmanOriginal as ElmanOriginal
from seqjax.cells.copied_context import JordanOriginal as JordanOriginal
from seqjax.cells.elapsed_time import GRUD as GRUD
from seqjax.cells.elapsed_time import PhasedLSTM as PhasedLSTM
from seqjax.cells.elapsed_time import TimeAwareLSTM as TimeAwareLSTM
from seqjax.cells.elman import Elman as Elman
from seqjax.cells.gru import GRU as GRU
from seqjax.cells.hyper import HyperLSTM as HyperLSTM
from seqjax.cells.independent import IndRNN as IndRNN
from seqjax.cells.jordan import Jordan as Jordan
from seqjax.cells.leaky import ContinuousTimeRNN as ContinuousTimeRNN
from seqjax.cells.leaky import LeakyRNN as LeakyRNN
from seqjax.cells.leaky import WilsonCowan as WilsonCowan
from seqjax.cells.liquid import CfC as CfC
from seqjax.cells.liquid import LTC as LTC
from seqjax.cells.long_expressive import LEM as LEM
from seqjax.cells.lstm import LSTM as LSTM
from seqjax.cells.lstm_connections import WMCLSTM as WMCLSTM
from seqjax.cells.lstm_connections import MultiplicativeLSTM as MultiplicativeLSTM
from seqjax.cells.lstm_connections import ResidualLSTM as ResidualLSTM
from seqjax.cells.lstm_gates import ELSTM as ELSTM
from seqjax.cells.lstm_gates import JANET as JANET
from seqjax.cells.lstm_gates import NAS as NAS
from seqjax.cells.lstm_gates import URLSTM as URLSTM
from seqjax.cells.lstm_variants import CoupledLSTM as CoupledLSTM
from seqjax.cells.lstm_variants import OriginalLSTM as OriginalLSTM
from seqjax.cells.lstm_variants import PeepholeLSTM as PeepholeLSTM
from seqjax.cells.lstm_variants import ProjectedLSTM as ProjectedLSTM
from seqjax.cells.nested import NestedLSTM as NestedLSTM
from seqjax.cells.ordered import ONLSTM as ONLSTM
from seqjax.cells.oscillators import CoRNN as CoRNN
from seqjax.cells.oscillators import UnICORNN as UnICORNN
from seqjax.cells.rectified import IRNN as IRNN
from seqjax.cells.rectified import NPRNN as NPRNN

_REGISTRY: dict[str, type[Cell]] = {
    name: value
    for name, value in sorted(globals().items())
    if isinstance(value, type) and issubclass(value, Cell) and value is not Cell
}


def registry() -> dict[str, type[Cell]]:
    """Every exported cell, by name."""
    return dict(_REGISTRY)
