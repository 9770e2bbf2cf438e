"""What importing costs: the functional rooms need neither Flax nor Optax, and naming the package needs nothing."""

import subprocess
import sys

import pytest


def modules_after(statement):
    code = f"{statement}\nimport sys; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_imports_no_jax():
    assert "jax" not in modules_after("import seqjax")


@pytest.mark.parametrize(
    "statement",
    [
        "import seqjax; seqjax.scan, seqjax.explain, seqjax.cells.LSTM",
        "import seqjax.losses, seqjax.decoding, seqjax.data, seqjax.parallel",
        "import jax, seqjax\n"
        "cell = seqjax.cells.LSTM(input_size=2, hidden_size=3)\n"
        "params, inputs = cell.init(jax.random.key(0)), jax.numpy.ones((4, 2))\n"
        "jax.grad(lambda p: seqjax.scan(cell, p, inputs)[1].sum())(params)",
    ],
)
def test_the_functional_rooms_import_neither_flax_nor_optax(statement):
    assert not modules_after(statement) & {"flax", "optax", "orbax", "matplotlib", "torch"}


def test_an_unknown_name_is_an_attribute_error():
    import seqjax

    with pytest.raises(AttributeError, match="has no attribute 'scann'"):
        seqjax.scann  # noqa: B018
    assert "scan" in dir(seqjax)
