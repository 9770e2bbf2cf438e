"""``seqjax new-cell``."""

import datetime
import keyword
import re
import subprocess
import sys
from pathlib import Path
from string import Template
from typing import Any

from seqjax.cli.parser import Arguments, Parser, columns
from seqjax.config import cell_names
from seqjax.errors import ConfigError, SeqjaxError, shown

_CELL = '''\
"""$name: what it is for, in one line."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.cells.base import AffineCell, AffineParams, HiddenCarry
from seqjax.cells.gates import named, split_gates


@dataclasses.dataclass(frozen=True, kw_only=True)
class $name(AffineCell):
    r"""$name (authors $year).

    .. math::
        z_t &= \\sigma(x_t W_z + h_{t-1} U_z + b_z) \\\\
        n_t &= \\tanh(x_t W_n + h_{t-1} U_n + b_n) \\\\
        h_t &= z_t \\odot h_{t-1} + (1 - z_t) \\odot n_t

    The output is :math:`h_t`. ``gate_bias`` is the initial value of :math:`b_z`.
    """

    gate_bias: float = 1.0

    paper = "Authors $year, Title"
    conventions = ("Gates in the order z, n.",)
    carry_type = HiddenCarry

    def init(self, key: jax.Array, dtype: DTypeLike = jnp.float32) -> AffineParams:
        """Draw parameters; the bias is zero but for the gate's."""
        kernel_key, recurrent_key = jax.random.split(key)
        return AffineParams(
            kernel=self.draw_kernel(kernel_key, 2, dtype),
            recurrent_kernel=self.draw_recurrent_kernel(recurrent_key, 2, dtype),
            bias=jnp.zeros(2 * self.hidden_size, dtype).at[: self.hidden_size].set(self.gate_bias),
        )

    def __call__(self, params: AffineParams, carry: HiddenCarry, inputs: jax.Array) -> tuple[HiddenCarry, jax.Array]:
        """One step; see the class."""
        z, n = split_gates(inputs @ params.kernel + carry.hidden @ params.recurrent_kernel + params.bias, 2)
        z, n = named(jax.nn.sigmoid(z), "update_gate"), named(jnp.tanh(n), "candidate")
        hidden = z * carry.hidden + (1 - z) * n
        return HiddenCarry(hidden), hidden
'''

_REFERENCE = '''\
"""$name."""

from typing import Any

import numpy as np

from tests.cells.references.tools import Array, Step, gates, sigmoid


def $snake(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> tuple[tuple[Array, ...], Array]:
    """Authors $year, from the paper and not from the cell."""
    (h,) = carry
    w, u, b = (gates(part, "zn") for part in (p.kernel, p.recurrent_kernel, p.bias))
    z = sigmoid(w["z"].T @ x + u["z"].T @ h + b["z"])
    n = np.tanh(w["n"].T @ x + u["n"].T @ h + b["n"])
    h = z * h + (1 - z) * n
    return (h,), h


REFERENCES: dict[str, Step] = {"$name": $snake}
'''

_TEST = '''\
"""$name obeys every law, and is what its equations say when they are written a second time."""

import jax
import numpy as np
import pytest

import seqjax
from seqjax.laws import LAWS, Subject, arguments_of
from $snake import $name

CELL = $name(input_size=3, hidden_size=4)


@pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
def test_law(law):
    if law.name in CELL.law_exceptions:
        pytest.skip(CELL.law_exceptions[law.name])
    law.check(Subject(CELL))


def reference(p, h, x):
    """One step of one sequence in NumPy, from the paper and not from the cell."""
    (w_z, w_n), (u_z, u_n), (b_z, b_n) = (np.split(part, 2, axis=-1) for part in (p.kernel, p.recurrent_kernel, p.bias))
    z = 1 / (1 + np.exp(-(w_z.T @ x + u_z.T @ h + b_z)))
    n = np.tanh(w_n.T @ x + u_n.T @ h + b_n)
    return z * h + (1 - z) * n


def test_values():
    with jax.enable_x64(True):
        at = arguments_of(CELL, time=5, batch_shape=(), dtype=np.float64)
        outputs = seqjax.scan(CELL, at.params, at.inputs, at.carry)[1]
        h = at.carry.hidden
        for x, output in zip(at.inputs, outputs):
            h = reference(at.params, h, x)
            np.testing.assert_allclose(output, h, rtol=1e-12)
'''


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    new: Parser = commands.add_parser(
        "new-cell",
        help="write the files of a new cell, to start from",
        description="Write a cell with example equations and its test, all of it green; then edit the equations.\n"
        "In a checkout of seqjax the cell becomes one of its own; elsewhere two files are written here.",
        example="seqjax new-cell MyCell",
    )
    new.add_argument("name", metavar="NAME", help="the class, as in MyCell")
    new.set_defaults(run=_new_cell)


def _new_cell(arguments: Arguments) -> None:
    name, root = arguments.name, _checkout()
    snake = _snake_case(name)
    _check_name(name, snake)
    texts = {"name": name, "snake": snake, "year": datetime.date.today().year}
    if root is None:
        files = {Path(f"{snake}.py"): (_CELL, "the cell"), Path(f"test_{snake}.py"): (_TEST, "its test")}
        cell, tests = f"{snake}.py", f"python -m pytest test_{snake}.py"
    else:
        files = {
            root / "seqjax" / "cells" / f"{snake}.py": (_CELL, "the cell"),
            root / "tests" / "cells" / "references" / f"{snake}.py": (_REFERENCE, "its equations again, in NumPy"),
        }
        cell, tests = name, f"python -m pytest tests/cells tests/cards -k {name}"
    for path in files:
        if path.exists():
            raise ConfigError(f"{_shown_path(path)} is there already; choose another name or move it away")
    rows = []
    for path, (text, what) in files.items():
        path.write_text(Template(text).substitute(texts), "utf-8")
        rows.append((f"wrote {_shown_path(path)}", what))
    if root is not None:
        rows.append((f"edited {_shown_path(_export(root, name, snake))}", "one line exports it"))
    print(columns(rows))
    if root is not None:
        _write_ledger(root)
    print("\nAll of it is green. Edit the equations in the cell, and write them a second time from the paper; then")
    commands = (
        (f"seqjax check-cell {cell}", "every law, in words"),
        (f"seqjax explain {cell}", "what is left inside the time loop"),
        (f"seqjax cells {cell}", "its card"),
        (tests, "laws and reference"),
    )
    print(columns([(f"  {command}", what) for command, what in commands]))


def _checkout() -> Path | None:
    """The root of the repository, if this seqjax is run from one and the current directory lies in it."""
    root = Path(__file__).resolve().parents[2]
    is_one = (root / "pyproject.toml").is_file() and (root / "tests" / "cells" / "references").is_dir()
    return root if is_one and Path.cwd().resolve().is_relative_to(root) else None


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _check_name(name: str, snake: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
        raise ConfigError(f"a cell's name is that of a Python class, as in MyCell; got {shown(name)}")
    if not name[0].isupper():
        meant = "".join(part[:1].upper() + part[1:] for part in name.split("_")) or "MyCell"
        raise ConfigError(f"a cell's name begins with a capital, as in {meant}; got {shown(name)}")
    taken = {known.lower(): known for known in cell_names()}
    if name.lower() in taken:
        raise ConfigError(
            f"there is a cell {taken[name.lower()]} already; `seqjax cells {taken[name.lower()]}` shows it"
        )
    if snake in sys.stdlib_module_names or snake in ("jax", "numpy", "seqjax", "cell"):
        raise ConfigError(f"the file of {name} would be {snake}.py, which hides a module of that name; choose another")


def _export(root: Path, name: str, snake: str) -> Path:
    """Add the export line, sorted by module."""
    path, module = root / "seqjax" / "cells" / "__init__.py", f"seqjax.cells.{snake}"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    exports = [(index, match[1]) for index, line in enumerate(lines) if (match := re.match(r"from (\S+) import", line))]
    later = [index for index, other in exports if other > module]
    lines.insert(later[0] if later else exports[-1][0] + 1, f"from {module} import {name} as {name}\n")
    path.write_text("".join(lines), "utf-8")
    return path


def _write_ledger(root: Path) -> None:
    command = [sys.executable, "-m", "tests.cells.ledger"]
    print("writing the ledger of evidence and the README's table of cells ...", flush=True)
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines()
        raise SeqjaxError(
            "the cell is written, but `python -m tests.cells.ledger` failed; run it in the checkout"
            + (f": {lines[-1]}" if lines else "")
        )


def _shown_path(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
