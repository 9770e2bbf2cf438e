"""Checkpoints that notice damage: Orbax writes them, a checksum per leaf guards them.

Orbax commits a checkpoint atomically and finds damage in its own bookkeeping, but not a flipped bit in the data of an
array, and a wrong shape or type it reports without the leaf's name, or not at all. Both are checked here.
"""

import json
import logging
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts

from seqjax.errors import CheckpointError

_SET_ASIDE = "damaged-checkpoints"


class Restored(NamedTuple):
    """A checkpoint that has been read and verified."""

    step: int
    arrays: dict[str, np.ndarray]
    record: dict[str, Any]


class _DamagedError(Exception):
    """A checkpoint that cannot be used, and why."""


def saved_steps(directory: Path) -> list[int]:
    """The steps that have a complete checkpoint, ascending; found without opening any."""
    return sorted(int(path.name) for path in directory.glob("*") if path.name.isdecimal())


class Checkpoints:
    """The checkpoints of a run, one folder a step.

    A checkpoint is a flat mapping from names to arrays, and a record of plain JSON values.

    Args:
        directory: where they are.
        keep: how many of them are kept.
        read_only: neither clean up what a killed process left, nor move what is damaged out of the way.
    """

    def __init__(self, directory: Path, *, keep: int = 2, read_only: bool = False) -> None:
        self.directory = directory.absolute()
        self._read_only = read_only
        self._loggers = {name: logging.getLogger(name).level for name in ("absl", "orbax")}
        for name in self._loggers:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(max_to_keep=None if read_only else keep, read_only=read_only),
            item_names=("state", "record"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing waits for what is still being written: without it the last checkpoint would be lost.
        self._manager.close()
        for name, level in self._loggers.items():
            logging.getLogger(name).setLevel(level)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        return sorted(self._manager.all_steps())

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is."""
        return self.directory / str(step)

    def save(self, step: int, arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> None:
        """Start to save a checkpoint; it counts once it is complete, which the next save and closing wait for."""
        self._manager.wait_until_finished()
        if step in self._manager.all_steps():
            return
        # Orbax refuses arrays without elements, and there is nothing in them to keep.
        arrays = {name: array for name, array in arrays.items() if array.size}
        leaves = {name: {**_type_of(array), "crc32": _checksum(array)} for name, array in arrays.items()}
        sealed = {**record, "leaves": leaves}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(arrays),
                record=ocp.args.JsonSave({**sealed, "crc32": _record_checksum(sealed)}),
            ),
            force=True,
        )

    def wait(self) -> None:
        """Until the last save is complete."""
        self._manager.wait_until_finished()

    def restore(self, expected: Mapping[str, np.ndarray], step: int | None = None) -> Restored:
        """Read a checkpoint: that of ``step``, or the newest that is not damaged.

        Args:
            expected: names, shapes and types of the model that the checkpoint is for.
            step: a step; if not given, damaged checkpoints are passed over with a line on the error stream.

        Raises:
            CheckpointError: if there is none, if it is that of another model, or if none is left undamaged.
        """
        steps = self.steps()
        if not steps:
            raise CheckpointError(f"no checkpoint in {self.directory}; start the run again")
        if step is not None:
            if step not in steps:
                found = ", ".join(map(str, steps))
                raise CheckpointError(
                    f"no checkpoint of step {step} in {self.directory}; there are those of steps {found}"
                )
            try:
                return self._read(step, expected)
            except _DamagedError as damage:
                others = ", ".join(str(other) for other in steps if other != step)
                mend = f"try those of steps {others}" if others else "there is no other; start the run again"
                raise CheckpointError(f"checkpoint {self.path(step)} is damaged ({damage}); {mend}") from None
        for candidate in reversed(steps):
            try:
                return self._read(candidate, expected)
            except _DamagedError as damage:
                before = [other for other in steps if other < candidate]
                mend = f"using the one before, of step {before[-1]}" if before else "and there is none before it"
                print(f"warning: checkpoint {self.path(candidate)} is damaged ({damage}); {mend}", file=sys.stderr)
                self._set_aside(candidate)
        raise CheckpointError(f"no checkpoint in {self.directory} is whole; start the run again in another directory")

    def _read(self, step: int, expected: Mapping[str, np.ndarray]) -> Restored:
        record = self._read_record(step)
        leaves: dict[str, Any] = record.pop("leaves")
        _check_leaves(step, leaves, {name: array for name, array in expected.items() if array.size})
        targets = {name: np.empty(leaf["shape"], leaf["dtype"]) for name, leaf in leaves.items()}
        try:
            _probe(self.path(step) / "state")
            restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(targets)))
            arrays = {name: np.asarray(array) for name, array in restored["state"].items()}
        except Exception as error:
            # What Orbax raises depends on which of its files is damaged, and runs to pages.
            raise _DamagedError(f"its arrays cannot be read: {type(error).__name__}") from None
        for name, leaf in leaves.items():
            if _checksum(arrays[name]) != leaf["crc32"]:
                raise _DamagedError(f"the values of {name} are not those that were saved")
        empty = {name: array for name, array in expected.items() if not array.size}
        return Restored(step, arrays | empty, record)

    def _read_record(self, step: int) -> dict[str, Any]:
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(record=ocp.args.JsonRestore()))
            record = dict(restored["record"])
            checksum = record.pop("crc32")
        except Exception as error:
            raise _DamagedError(f"its record cannot be read: {type(error).__name__}") from None
        if checksum != _record_checksum(record):
            raise _DamagedError("its record is not the one that was saved")
        return record

    def _set_aside(self, step: int) -> None:
        """Out of the way of the checkpoint that will be saved at the same step; nothing is deleted."""
        if self._read_only:
            return
        folder = self.directory.parent / _SET_ASIDE
        folder.mkdir(exist_ok=True)
        number = len(list(folder.glob(f"{step}-*")))
        os.replace(self.path(step), folder / f"{step}-{number}")
        self._manager.reload()


def _probe(directory: Path) -> None:
    """Read every stored value once.

    Where one cannot be read, Orbax prints a traceback for each leaf from threads of its own; this raises one exception.
    """
    store = ts.KvStore.open({"driver": "ocdbt", "base": {"driver": "file", "path": f"{directory}/"}}).result()
    keys = store.list().result()
    if not keys:
        raise FileNotFoundError(directory)
    for key in keys:
        store.read(key).result()


def _type_of(array: np.ndarray) -> dict[str, Any]:
    return {"shape": list(array.shape), "dtype": array.dtype.name}


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def _record_checksum(record: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _check_leaves(step: int, saved: Mapping[str, Any], expected: Mapping[str, np.ndarray]) -> None:
    differences = []
    for name in sorted({*saved, *expected}):
        if name not in expected:
            differences.append(f"{name}: saved {_shown(saved[name])}, the model has no such leaf")
        elif name not in saved:
            differences.append(f"{name}: not saved, the model has {_shown(_type_of(expected[name]))}")
        elif any(saved[name][key] != value for key, value in _type_of(expected[name]).items()):
            differences.append(f"{name}: saved {_shown(saved[name])}, the model has {_shown(_type_of(expected[name]))}")
    if differences:
        more = f" (and {len(differences) - 1} other leaves)" if len(differences) > 1 else ""
        raise CheckpointError(
            f"checkpoint of step {step} is of another model: {differences[0]}{more}; "
            "was the model or the optimizer of the configuration changed?"
        )


def _shown(leaf: Mapping[str, Any]) -> str:
    return f"{leaf['dtype']}{list(leaf['shape'])}"
