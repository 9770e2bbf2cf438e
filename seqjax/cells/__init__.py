"""The equations: one pure textbook step a cell, one family a file.

To add a cell, write its class in a file of this folder and add one line here: ``from seqjax.cells.file import Name as
Name``. The registry is computed from these lines, and tests, benchmarks, command line and docs pick the cell up.
"""

import seqjax.cells.transforms as transforms  # noqa: F401
from seqjax.cells.additive import ATR as ATR
from seqjax.cells.additive import CFN as CFN
from seqjax.cells.additive import RAN as RAN
from seqjax.cells.additive import SGRN as SGRN
from seqjax.cells.antisymmetric import AntisymmetricRNN as AntisymmetricRNN
from seqjax.cells.antisymmetric import GatedAntisymmetricRNN as GatedAntisymmetricRNN
from seqjax.cells.base import Cell as Cell
from seqjax.cells.bistable import BRC as BRC
from seqjax.cells.bistable import NBRC as NBRC
from seqjax.cells.clockwork import Clockwork as Clockwork
from seqjax.cells.convolutional import ConvGRU as ConvGRU
from seqjax.cells.convolutional import ConvLSTM as ConvLSTM
from seqjax.cells.copied_context import ElmanOriginal as ElmanOriginal
from seqjax.cells.copied_context import JordanOriginal as JordanOriginal
from seqjax.cells.elapsed_time import GRUD as GRUD
from seqjax.cells.elapsed_time import PhasedLSTM as PhasedLSTM
from seqjax.cells.elapsed_time import TimeAwareLSTM as TimeAwareLSTM
from seqjax.cells.elementwise import QRNN as QRNN
from seqjax.cells.elementwise import SRU as SRU
from seqjax.cells.elman import Elman as Elman
from seqjax.cells.exponential_lstm import SLSTM as SLSTM
from seqjax.cells.fast import FastGRNN as FastGRNN
from seqjax.cells.fast import FastRNN as FastRNN
from seqjax.cells.gru import GRU as GRU
from seqjax.cells.highway import RHN as RHN
from seqjax.cells.hyper import HyperLSTM as HyperLSTM
from seqjax.cells.independent import IndRNN as IndRNN
from seqjax.cells.input_candidate import STAR as STAR
from seqjax.cells.input_candidate import LightRU as LightRU
from seqjax.cells.input_candidate import MinimalRNN as MinimalRNN
from seqjax.cells.jordan import Jordan as Jordan
from seqjax.cells.leaky import ContinuousTimeRNN as ContinuousTimeRNN
from seqjax.cells.leaky import LeakyRNN as LeakyRNN
from seqjax.cells.leaky import WilsonCowan as WilsonCowan
from seqjax.cells.light_gated import LiGRU as LiGRU
from seqjax.cells.light_gated import SLiGRU as SLiGRU
from seqjax.cells.lipschitz import LipschitzRNN as LipschitzRNN
from seqjax.cells.liquid import LTC as LTC
from seqjax.cells.liquid import CfC as CfC
from seqjax.cells.long_expressive import LEM as LEM
from seqjax.cells.lstm import LSTM as LSTM
from seqjax.cells.lstm_connections import WMCLSTM as WMCLSTM
from seqjax.cells.lstm_connections import MultiplicativeLSTM as MultiplicativeLSTM
from seqjax.cells.lstm_connections import ResidualLSTM as ResidualLSTM
from seqjax.cells.lstm_gates import ELSTM as ELSTM
from seqjax.cells.lstm_gates import JANET as JANET
from seqjax.cells.lstm_gates import NAS as NAS
from seqjax.cells.lstm_gates import URLSTM as URLSTM
from seqjax.cells.lstm_normalized import BatchNormLSTM as BatchNormLSTM
from seqjax.cells.lstm_normalized import LayerNormLSTM as LayerNormLSTM
from seqjax.cells.lstm_variants import CoupledLSTM as CoupledLSTM
from seqjax.cells.lstm_variants import OriginalLSTM as OriginalLSTM
from seqjax.cells.lstm_variants import PeepholeLSTM as PeepholeLSTM
from seqjax.cells.lstm_variants import ProjectedLSTM as ProjectedLSTM
from seqjax.cells.mass_conserving import MassConservingLSTM as MassConservingLSTM
from seqjax.cells.minimal_gated import MGU as MGU
from seqjax.cells.minimal_gated import MGU1 as MGU1
from seqjax.cells.minimal_gated import MGU2 as MGU2
from seqjax.cells.minimal_gated import MGU3 as MGU3
from seqjax.cells.minion import MiRU1 as MiRU1
from seqjax.cells.minion import MiRU2 as MiRU2
from seqjax.cells.multiplicative import MultiplicativeIntegrationRNN as MultiplicativeIntegrationRNN
from seqjax.cells.multiplicative import MultiplicativeRNN as MultiplicativeRNN
from seqjax.cells.mutated import MUT1 as MUT1
from seqjax.cells.mutated import MUT2 as MUT2
from seqjax.cells.mutated import MUT3 as MUT3
from seqjax.cells.nested import NestedLSTM as NestedLSTM
from seqjax.cells.ordered import ONLSTM as ONLSTM
from seqjax.cells.orthogonal import NNRNN as NNRNN
from seqjax.cells.orthogonal import ExpRNN as ExpRNN
from seqjax.cells.orthogonal import ScoRNN as ScoRNN
from seqjax.cells.oscillators import RON as RON
from seqjax.cells.oscillators import CoRNN as CoRNN
from seqjax.cells.oscillators import UnICORNN as UnICORNN
from seqjax.cells.piecewise_linear import PLRNN as PLRNN
from seqjax.cells.polynomial_memory import LMU as LMU
from seqjax.cells.polynomial_memory import HiPPORNN as HiPPORNN
from seqjax.cells.rectified import IRNN as IRNN
from seqjax.cells.rectified import NPRNN as NPRNN
from seqjax.cells.reservoir import ES2N as ES2N
from seqjax.cells.reservoir import EchoState as EchoState
from seqjax.cells.shuffling import ShufflingRNN as ShufflingRNN
from seqjax.cells.simple_gated import DSGU as DSGU
from seqjax.cells.simple_gated import SGU as SGU
from seqjax.cells.strongly_typed import StronglyTypedGRU as StronglyTypedGRU
from seqjax.cells.strongly_typed import StronglyTypedLSTM as StronglyTypedLSTM
from seqjax.cells.strongly_typed import StronglyTypedRNN as StronglyTypedRNN
from seqjax.cells.structurally_constrained import SCRN as SCRN
from seqjax.cells.time_delay import TauGRU as TauGRU
from seqjax.cells.unitary import EURNN as EURNN
from seqjax.cells.unitary import UnitaryRNN as UnitaryRNN
from seqjax.cells.update_gate import UGRNN as UGRNN
from seqjax.cells.update_gate import IntersectionRNN as IntersectionRNN

_REGISTRY: dict[str, type[Cell]] = {
    name: value
    for name, value in sorted(globals().items())
    if isinstance(value, type) and issubclass(value, Cell) and value is not Cell
}


def registry() -> dict[str, type[Cell]]:
    """Every exported cell, by name."""
    return dict(_REGISTRY)
