"""Cells by family, oldest paper first."""

import functools
import inspect
import re
from collections.abc import Iterable

from seqjax.cards.documentation import inline
from seqjax.cells import Cell

# The files of the cells under few headings; a file that is not named here has a heading of its own.
FAMILIES: dict[str, tuple[str, ...]] = {
    "Plain": (
        "copied_context",
        "elman",
        "fast",
        "jordan",
        "leaky",
        "multiplicative",
        "rectified",
        "reservoir",
        "shuffling",
        "structurally_constrained",
    ),
    "Gated, with one state": (
        "additive",
        "bistable",
        "gru",
        "highway",
        "input_candidate",
        "light_gated",
        "minimal_gated",
        "minion",
        "mutated",
        "simple_gated",
        "update_gate",
    ),
    "Long short-term memory": (
        "exponential_lstm",
        "hyper",
        "lstm",
        "lstm_connections",
        "lstm_gates",
        "lstm_normalized",
        "lstm_variants",
        "nested",
        "ordered",
    ),
    "Element by element": ("elementwise", "independent", "strongly_typed"),
    "Stable by construction": ("antisymmetric", "lipschitz", "orthogonal", "unitary"),
    "Differential equations": (
        "liquid",
        "long_expressive",
        "oscillators",
        "piecewise_linear",
        "time_delay",
    ),
    "Clocks and elapsed time": ("clockwork", "elapsed_time"),
    "Memories of orthogonal polynomials": ("polynomial_memory",),
    "Images": ("convolutional",),
}
_FAMILY_OF = {module: family for family, modules in FAMILIES.items() for module in modules}


def family_of(cell_type: type[Cell]) -> str:
    """The family of a cell; for one of a file that is in none, what the first line of the file says."""
    module = cell_type.__module__
    if module.startswith("seqjax.cells.") and (family := _FAMILY_OF.get(module.rpartition(".")[2])):
        return family
    first = (inspect.getdoc(inspect.getmodule(cell_type)) or module.rpartition(".")[2]).splitlines()[0]
    return re.split(r"[.:;,(]", first)[0].strip()


def families(cells: Iterable[type[Cell]]) -> dict[str, list[type[Cell]]]:
    """The cells of each family, oldest first; families as above, then the others."""
    found: dict[str, list[type[Cell]]] = {family: [] for family in FAMILIES}
    for cell_type in sorted(cells, key=lambda each: (year_of(each) or 9999, each.__name__)):
        found.setdefault(family_of(cell_type), []).append(cell_type)
    return {family: members for family, members in found.items() if members}


def year_of(cell_type: type[Cell]) -> int | None:
    """When the cell's first paper appeared."""
    year = re.search(r"\b(?:19|20)\d\d\b", cell_type.paper)
    return int(year[0]) if year else None


@functools.cache
def summary_of(cell_type: type[Cell]) -> str:
    """The first sentence of a class's documentation, without its full stop and without the papers."""
    first = " ".join(own_documentation(cell_type).partition("\n\n")[0].split())
    without = re.sub(r" \([^()]*\b(?:19|20)\d\d\b[^()]*\)", "", inline(first))
    return re.split(r"(?<!\bal)\.(?: (?=[A-Z])|$)", without)[0]


def own_documentation(cell_type: type) -> str:
    """The documentation that a class was given; empty for one that has only its bases' or its signature."""
    text = inspect.getdoc(cell_type) if cell_type.__dict__.get("__doc__") else None
    return "" if text is None or text.startswith(f"{cell_type.__name__}(") else text
