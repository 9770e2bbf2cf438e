"""Modules store parameters and call pure functions: checked on their source."""

import ast
from pathlib import Path

import pytest

import seqjax

FOLDER = Path(seqjax.__file__).parent / "nn"
PURE = ("functions.py", "sequences.py")
MODULES = sorted(path for path in FOLDER.glob("*.py") if path.name not in (*PURE, "__init__.py"))
LIBRARIES = {"jax", "jnp", "lax", "np", "optax"}
# Shapes and types, trees, compilation, and arrays made from what a person passed; nothing that computes.
ALLOWED_CALLS = {
    "jax.eval_shape",
    "jax.jit",
    "jax.tree.flatten",
    "jax.tree.leaves",
    "jax.tree.map",
    "jax.tree.unflatten",
    "jax.tree_util.Partial",
    "jnp.asarray",
    "jnp.issubdtype",
    "jnp.result_type",
    "jnp.shape",
    "np.asarray",
    "np.broadcast_to",
    "np.pad",
}
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)


def is_text(node: ast.AST) -> bool:
    """Text is put together with + too."""
    return any(isinstance(part, ast.JoinedStr) for part in ast.walk(node))


def maths(source: str) -> list[str]:
    """Array computations in a source: library calls that are not allowed, and arithmetic inside classes."""
    tree = ast.parse(source)
    found = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func)).split(".")[0] in LIBRARIES
        and name not in ALLOWED_CALLS
    ]
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        found += [
            ast.unparse(node)
            for node in ast.walk(scope)
            if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ARITHMETIC) and not is_text(node)
        ]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_modules_hold_no_maths(path):
    assert maths(path.read_text()) == []


@pytest.mark.parametrize("name", PURE)
def test_the_pure_functions_hold_no_modules(name):
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse((FOLDER / name).read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not [name for name in imported if name.split(".")[0] == "flax"]


@pytest.mark.parametrize(
    "line",
    [
        "return 2 * x",
        "return jnp.tanh(x)",
        "return x @ self.kernel",
        "x += carry",
        "return jax.nn.relu(x)",
        "return lax.add(x, x)",
    ],
)
def test_the_check_sees_maths(line):
    assert maths(f"class Layer:\n    def __call__(self, x, carry):\n        {line}\n") != []


def test_there_are_modules_to_check():
    assert {"recurrent", "bidirectional", "stacked", "language_model", "layer", "generation"} <= {
        p.stem for p in MODULES
    }
