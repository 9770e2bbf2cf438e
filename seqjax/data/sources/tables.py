"""Records from a person's own files: inputs and targets with a tab between, line by line."""

from pathlib import Path
from typing import Any, Literal

from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import divide
from seqjax.errors import DataError


def tab_separated(
    train: str = "",
    validation: str = "",
    test: str = "",
    inputs: Literal["words", "characters"] = "words",
    targets: Literal["class", "words", "characters", "tags"] = "class",
    share: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """UTF-8 text files whose lines are an input, a tab and a target.

    ``train``, ``validation`` and ``test`` are paths; of what is not given, ``share`` of the lines of ``train`` is held
    out. Words stand between spaces; ``tags`` are as many as the words of the input. Empty lines are left out, and
    ``details`` counts them.

    Raises:
        DataError: a file that is missing or not UTF-8, or a line without an input, a tab or a target, or with another
            number of tags than words; the message has the number of the line.
    """
    if not train:
        raise DataError(
            "tab-separated needs the option train, the path of a file with an input, a tab and a target a line"
        )
    details = {"empty_lines": 0}

    def read(path: str) -> Records:
        return _read(Path(path).expanduser(), inputs, targets, details)

    records = read(train)
    given = {part: read(path) for part, path in (("test", test), ("validation", validation)) if path}
    missing = [part for part in ("test", "validation") if part not in given]
    if missing:
        keys = [str(each) for each in records.inputs]
        kept, *heldout = divide(keys, [share] * len(missing), seed)
        given |= {part: records.take(indices) for part, indices in zip(missing, heldout)}
        records = records.take(kept)
    return Dataset("tab-separated", records, given["validation"], given["test"], details=details)


def _read(path: Path, inputs: str, targets: str, details: dict[str, int]) -> Records:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror}; check the path") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.object[error.start]:#04x} at position {error.start} is not UTF-8; "
            "save the file as UTF-8, for example with `iconv -f LATIN1 -t UTF-8`"
        ) from None
    found: list[tuple[Any, Any, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        line, name = line.removesuffix("\r"), f"line {number} of {path}"
        if not line.strip():
            # What follows the last line break is no line.
            details["empty_lines"] += number <= text.count("\n")
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 2 or not all(fields):
            raise DataError(f"{name}: {line[:60]!r}; expected an input, one tab and a target")
        sequence = fields[0].split() if inputs == "words" else fields[0]
        target = fields[1].split() if targets in ("words", "tags") else fields[1]
        if targets == "tags" and len(target) != len(sequence):
            raise DataError(f"{name}: {len(target)} tags for {len(sequence)} words; expected one each")
        found.append((sequence, target, name))
    if not found:
        raise DataError(f"{path} has no records; expected lines of an input, a tab and a target")
    sequences, answers, names = zip(*found, strict=True)
    return Records(list(sequences), list(answers), names=list(names))
