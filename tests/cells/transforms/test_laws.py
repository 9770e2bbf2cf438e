"""The laws of every cell, on cells that together have every mechanism: kernels, names, noise, parameters, gradients."""

from typing import Any

import pytest

from seqjax.cells import GRU, LSTM, Elman
from seqjax.cells import transforms as T
from seqjax.laws import judge

SIZES = {"input_size": 3, "hidden_size": 4}
CELLS = {
    "diagonal": T.diagonal(GRU(**SIZES)),
    "stack": T.zoneout(
        T.recurrent_dropout(T.layer_normalization(T.block_diagonal(LSTM(**SIZES), 2)), 0.2), hidden=0.1, cell_state=0.2
    ),
    "named": T.recurrent_dropout(T.cell_clip(LSTM(**SIZES), 0.8), 0.3, "semeniuta", per_step=True),
    "gates": T.recurrent_dropout(GRU(**SIZES, reset="before"), 0.3, per_gate=True),
    "integration": T.multiplicative_integration(T.low_rank(GRU(**SIZES), 2)),
    "learned": T.learned_initial_carry(T.skip(T.weight_normalization(GRU(**SIZES)))),
    "clipped": T.clip_gradient(Elman(**SIZES), norm=0.1),
    "batch": T.batch_normalization(Elman(**SIZES)),
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_laws(cell: Any) -> None:
    verdicts = list(judge(cell))
    broken = [verdict.reason for verdict in verdicts if verdict.status not in ("ok", "exception")]
    assert not broken, "\n".join(broken)
    assert {verdict.law.name for verdict in verdicts if verdict.status == "exception"} <= set(cell.law_exceptions)
