"""Every registered cell obeys every law of :mod:`seqjax.laws`; that the equations are the paper's is not their matter.

A few cells of different structure are tried in every case, the others in cases that share compiled programs. A cell
that cannot obey a law says so itself, with the reason: ``law_exceptions = {"causality": "reads the whole sequence"}``.
"""

import pytest

from seqjax.cells import Cell, registry
from seqjax.laws import LAWS, Law, Subject
from tests.cells.variants import all_cells

CELLS = all_cells()

# Every law in every case, mode and size.
FULL = {
    "Elman": "one product, one leaf of carry",
    "Jordan": "the output is a second layer, and is what is carried",
    "LSTM": "two leaves of carry, gates that share their products",
    "GRU": "one product in the loop for three gates",
    "GRU-before": "a product of a product inside the loop",
}


def test_the_cells_tried_in_full_exist() -> None:
    assert FULL.keys() <= CELLS.keys()


def test_declared_exceptions_name_laws_and_reasons() -> None:
    for name, cell in registry().items():
        for law, reason in cell.law_exceptions.items():
            assert law in LAWS, f"{name} declares an exception to {law!r}, which is no law"
            assert len(reason.split()) >= 3, f"{name} gives no reason for its exception to {law!r}"


TRIALS = [
    pytest.param(law, cell, name in FULL, id=f"{name}-{law.name}")
    for name, cell in CELLS.items()
    for law in LAWS.values()
]


@pytest.mark.parametrize(("law", "cell", "full"), TRIALS)
def test_law(law: Law, cell: Cell, full: bool) -> None:
    reason = cell.law_exceptions.get(law.name)
    if reason:
        pytest.skip(f"declared by {type(cell).__name__}: {reason}")
    law.check(Subject(cell, full=full))
