"""``seqjax data`` and ``download``: what sequences there are, and where they come from."""

import argparse
import contextlib
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

from seqjax.cli.parser import Arguments, Parser, columns

_SHOWN = 3
_WIDTH = 100


def add_commands(commands: Any) -> None:
    """Add the parsers of this file's commands."""
    data: Parser = commands.add_parser(
        "data",
        help="list the data sets of sequences, or show one",
        description="List the data sets of sequences with targets, or say what one is and show its first records.",
        example="seqjax data\nseqjax data scan\nseqjax data scan split=length",
    )
    data.add_argument("name", metavar="NAME", nargs="?", help="of a data set, to show it")
    data.add_argument("settings", metavar="OPTION=VALUE", nargs="*", help="options of the data set")
    _add_root(data)
    data.set_defaults(run=_data)

    download: Parser = commands.add_parser(
        "download",
        help="fetch a data set and verify its checksums",
        description="Fetch a data set into the data root and verify its checksums; without a name, list them all. A "
        "broken download is gone on with.",
        example="seqjax download tiny-shakespeare\nseqjax download scan --root ~/data\nseqjax download",
    )
    download.add_argument("name", metavar="NAME", nargs="?", help="of the data set, such as tiny-shakespeare")
    _add_root(download)
    download.set_defaults(run=_download)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", metavar="DIR", help="the data root (default: the environment variable SEQJAX_DATA)")


def _data(arguments: Arguments) -> None:
    from seqjax.data import SOURCES

    if arguments.name is None:
        rows = [("name", "needs", "what it is")]
        for name, source in SOURCES.items():
            missing = source.download is not None and not _is_there(source.download, arguments.root)
            rows.append((name, f"seqjax download {source.download}" if missing else "", source.what))
        print(columns(rows))
        return
    _show(arguments.name, arguments.root, arguments.settings)


def _show(name: str, root: str | None, settings: list[str]) -> None:
    from seqjax.config import parse_overrides
    from seqjax.data import SOURCES, load_dataset
    from seqjax.errors import DataError, nearest

    if name not in SOURCES:
        raise DataError(f"there is no data set {name!r}; {nearest(name, list(SOURCES))}")
    source = SOURCES[name]
    options = source.options()
    print(f"{name}: {source.what}")
    print(f"licence: {source.licence or 'made by seqjax'}")
    print(f"parts: {source.split}")
    print("options: " + (", ".join(f"{option}={value}" for option, value in options.items()) or "none"))
    if source.download is not None and not _is_there(source.download, root):
        print(f"its files are not in the data root; `seqjax download {source.download}` fetches them")
        return
    dataset = load_dataset(name, root, **parse_overrides(settings))
    print(f"{len(dataset.train):,} to train on, {len(dataset.validation):,} to validate, {len(dataset.test):,} to test")
    print("\nthe first to train on:")
    for inputs, target in zip(dataset.train.inputs[:_SHOWN], dataset.train.targets[:_SHOWN]):
        print(f"  {_shown(inputs)}  ->  {_shown(target)}")


def _shown(value: Any) -> str:
    if hasattr(value, "shape"):
        return f"numbers of shape {list(value.shape)}"
    text = value if isinstance(value, str) else " ".join(value)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _is_there(dataset: str, root: str | None) -> bool:
    from seqjax.data.download import find
    from seqjax.data.remote_files import datasets

    return all(find(file, root) is not None for file in datasets()[dataset])


def _download(arguments: Arguments) -> None:
    from seqjax.data import download_dataset

    if arguments.name is None:
        print(_listed(arguments.root))
        return
    with _progress_lines() as progress:
        paths: list[Path] = download_dataset(arguments.name, arguments.root, progress)
    for path in paths:
        print(f"{path} is there, and its checksum is right")


def _listed(root: str | None) -> str:
    from seqjax.data import REMOTE_FILES, SOURCES
    from seqjax.data.remote_files import datasets

    rows = [("name", "MB", "", "what it is")]
    for name, files in sorted(datasets().items()):
        sizes = [REMOTE_FILES[file].size for file in files]
        megabytes = "?" if None in sizes else f"{max(sum(size or 0 for size in sizes) / 1e6, 0.1):.1f}"
        what = SOURCES[name].what if name in SOURCES else "a text"
        rows.append((name, megabytes, "there" if _is_there(name, root) else "", what))
    return columns(rows, right=(1,))


@contextlib.contextmanager
def _progress_lines() -> Generator[Any]:
    """What makes observers that say on a terminal how far a file is, each on a line of its own."""
    lines: list[_ProgressLine] = []

    def observer(name: str) -> "_ProgressLine":
        for line in lines:
            line.close()
        lines.append(_ProgressLine(name))
        return lines[-1]

    try:
        yield observer if sys.stderr.isatty() else None
    finally:
        for line in lines:
            line.close()


class _ProgressLine:
    def __init__(self, name: str) -> None:
        self._name, self._shown = name, False

    def __call__(self, there: int, expected: int | None) -> None:
        of = "" if expected is None else f" of {expected / 1e6:.1f}"
        print(f"\r{self._name}: {there / 1e6:.1f}{of} MB", end="", file=sys.stderr, flush=True)
        self._shown = True

    def close(self) -> None:
        if self._shown:
            print(file=sys.stderr)
        self._shown = False
