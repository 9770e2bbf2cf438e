import dataclasses
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp

from seqjax.config import ExperimentConfig

SENTENCE = "the cat sat on the mat, and the dog lay by the door. "


def changed(config: ExperimentConfig, section: str, **changes) -> ExperimentConfig:
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **changes)})


def saved_arrays(run_dir: Path, step: int) -> dict[str, np.ndarray]:
    """What Orbax finds in a checkpoint, read without the code under test."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), ocp.StandardCheckpointer() as checkpointer:
        warnings.simplefilter("ignore")
        return checkpointer.restore((run_dir / "checkpoints" / str(step) / "state").absolute())


def damage(step: Path) -> None:
    """Flip a bit in what a checkpoint holds, in each of the two copies that Orbax may keep."""
    for folder in (step / "state").rglob("d"):
        largest = max(folder.iterdir(), key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        content[len(content) // 2] ^= 4
        largest.write_bytes(content)


def rows(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def assert_same_end(run_dir: Path, reference: Path, step: int) -> None:
    expected, arrays = saved_arrays(reference, step), saved_arrays(run_dir, step)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert np.asarray(arrays[name]).tobytes() == np.asarray(array).tobytes(), name
    assert (run_dir / "metrics.jsonl").read_bytes() == (reference / "metrics.jsonl").read_bytes()
    assert (run_dir / "sample.txt").read_bytes() == (reference / "sample.txt").read_bytes()
    summaries = [json.loads((path / "summary.json").read_text()) for path in (run_dir, reference)]
    assert summaries[0]["value"] == summaries[1]["value"]
