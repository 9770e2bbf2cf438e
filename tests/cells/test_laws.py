"""Every registered cell obeys every law of :mod:`seqjax.laws`; that the equations are the paper's is not their matter.

A few cells of different structure are tried in every case, the others in cases that share compiled programs. A cell
that cannot obey a law says so itself, with the reason: ``law_exceptions = {"causality": "reads the whole sequence"}``.
"""

import pytest

from seqjax.cells import Cell, registry
from seqjax.laws import LAWS, Law, LawBroken, Subject
from tests.cells.variants import FULL, all_cells

CELLS = all_cells()
# What the engine's choices can change: where they are forced on or off, cells tried in brief need no other laws. Nor do
# the options of a cell that has obeyed all of them.
OF_THE_ENGINE = (
    "scan_equals_the_python_loop",
    "gradients_equal_those_of_the_plain_scan",
    "gradients_equal_finite_differences",
    "padding_changes_nothing",
    "a_sequence_of_length_zero_is_its_carry",
    "a_reset_equals_a_fresh_run",
    "causality",
    "reverse_equals_flip",
    "two_chunks_equal_the_whole",
)
OF_OPTIONS = (*OF_THE_ENGINE, "bfloat16_in_bfloat16_out", "parameters_carry_and_outputs_have_the_promised_shapes")


def is_tried(law: Law, name: str, forced: bool) -> bool:
    """Whether a law is tried on the cell of that name, which is not tried in full."""
    if name in registry():
        return not forced or law.name in OF_THE_ENGINE
    return not forced and law.name in OF_OPTIONS


def test_the_names_above_exist() -> None:
    assert FULL.keys() <= CELLS.keys()
    assert set(OF_OPTIONS) <= LAWS.keys()


def test_declared_exceptions_name_laws_and_reasons() -> None:
    for name, cell in registry().items():
        for law, reason in cell.law_exceptions.items():
            assert law in LAWS, f"{name} declares an exception to {law!r}, which is no law"
            assert len(reason.split()) >= 3, f"{name} gives no reason for its exception to {law!r}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "law" not in metafunc.fixturenames:
        return
    forced = metafunc.config.getoption("--choices") != "platform"
    few = metafunc.config.getoption("--breadth") == "representative"
    trials = [
        pytest.param(law, cell, name in FULL, id=f"{name}-{law.name}")
        for name, cell in CELLS.items()
        for law in LAWS.values()
        if name in FULL or (not few and is_tried(law, name, forced))
    ]
    metafunc.parametrize(("law", "cell", "full"), trials)


def test_law(law: Law, cell: Cell, full: bool) -> None:
    reason = cell.law_exceptions.get(law.name)
    if reason is None:
        law.check(Subject(cell, full=full))
        return
    with pytest.raises(LawBroken):
        law.check(Subject(cell, full=full))
    pytest.skip(f"declared by {type(cell).__name__}: {reason}")
