"""What a run writes down: JSON lines, the record of truth, and TensorBoard events beside them."""

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqjax.errors import ConfigError
from seqjax.train.files import write_atomically


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The complete rows of a file of JSON lines; a last line that a killed process left unfinished is not one."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Rows:
    """A file of JSON lines, one row a step.

    Args:
        path: the file.
        last_step: rows of later steps, from before the run was resumed, are taken out, or the curve would
            double back.
    """

    def __init__(self, path: Path, *, last_step: int) -> None:
        if path.exists():
            kept = [row for row in read_rows(path) if row["step"] <= last_step]
            write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = path.open("a")

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def synchronize(self) -> None:
        """Make sure that no row is lost, as a checkpoint counts on those before it."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Events:
    """TensorBoard events, where they are wanted and tensorboardX is installed.

    Args:
        directory: where the event files go.
        wanted: ``None`` writes them if tensorboardX is there.
        last_step: later events, from before the run was resumed, are hidden.

    Raises:
        ConfigError: if events are wanted and tensorboardX is not installed.
    """

    def __init__(self, directory: Path, wanted: bool | None, *, last_step: int) -> None:
        self._writer: Any = None
        if wanted is False:
            return
        if importlib.util.find_spec("tensorboardX") is None:
            if wanted:
                raise ConfigError(
                    "train.tensorboard - tensorboardX is not installed; "
                    "pip install 'seqjax[tensorboard]', or set it to false"
                )
            return
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(directory), purge_step=last_step + 1)

    def append(self, row: Mapping[str, Any]) -> None:
        """Write every number and every word of a row."""
        if self._writer is not None:
            for name, value in row.items():
                if isinstance(value, str):
                    self._writer.add_text(name, value, row["step"])
                elif name != "step":
                    self._writer.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Write what is still held back."""
        if self._writer is not None:
            self._writer.close()
