import os
import subprocess
import sys
from pathlib import Path

import seqjax
from seqjax.nn.compatibility import pair_message


def test_message_names_both_versions_and_the_remedy():
    message = pair_message("0.12.8", "0.12.0.1")
    assert "flax 0.12.8 cannot be imported with jax 0.12.0.1" in message
    assert 'pip install "jax>=' in message
    assert '"flax>=' in message


def test_a_broken_pair_is_told_in_words(tmp_path):
    """A stand-in for flax that fails as flax 0.12.8 does on jax 0.12: at a name that jax no longer has."""
    package, information = tmp_path / "flax", tmp_path / "flax-0.12.8.dist-info"
    package.mkdir()
    information.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nnx.py").write_text("import jax\njax.experimental_name_that_is_gone.HiPrimitive\n")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: flax\nVersion: 0.12.8\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(seqjax.__file__).parent.parent}"}
    result = subprocess.run(
        [sys.executable, "-c", "import seqjax.cells, seqjax.nn"], env=environment, capture_output=True, text=True
    )
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: flax 0.12.8 cannot be imported with jax ")
    assert "pip install" in last
