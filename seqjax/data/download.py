"""The data root, the public files that are read from it, and their download."""

import hashlib
import http.client
import lzma
import os
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from seqjax.data.remote_files import REMOTE_FILES, RemoteFile, datasets
from seqjax.errors import DataError, nearest

Progress = Callable[[int, int | None], None]

# What unpacking a damaged file may raise.
_DAMAGE = (OSError, EOFError, ValueError, IndexError, KeyError, lzma.LZMAError, tarfile.TarError, zlib.error)

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of data files: ``root``, else the environment's ``SEQJAX_DATA``, else one in the user's cache."""
    chosen = root or os.environ.get("SEQJAX_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "seqjax" / "data"


def read_verified(name: str, root: str | os.PathLike[str] | None = None) -> bytes:
    """The unpacked content of a known file below the data root.

    Raises:
        DataError: if the file is not there, or is not the file that it should be.
    """
    remote = REMOTE_FILES[name]
    dataset = remote.dataset or name
    path = find(name, root)
    if path is None:
        raise DataError(
            f"{name}: no file {data_root(root) / remote.path}; fetch it with `seqjax download {dataset}`, "
            f"or set SEQJAX_DATA (or data.root) to the folder that has {remote.path}"
        )
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name}: cannot read {path}: {error.strerror}") from error
    content, found = _unpacked(remote, packed)
    if content is None:
        raise DataError(
            f"{name}: {path} has {found}, expected {remote.sha256}; "
            f"move the file away and run `seqjax download {dataset}`"
        )
    return content


def find(name: str, root: str | os.PathLike[str] | None = None) -> Path | None:
    """Where a known file is, in one of the forms that it may have; None if it is not there."""
    paths = (data_root(root) / place for place in REMOTE_FILES[name].places)
    return next((path for path in paths if path.exists()), None)


def _unpacked(remote: RemoteFile, packed: bytes) -> tuple[bytes | None, str]:
    """The content if it is the right one, and what was found of it in words."""
    try:
        content = remote.unpack(packed)
    except _DAMAGE as error:
        return None, f"bytes that cannot be unpacked ({error})"
    found = hashlib.sha256(content).hexdigest()
    return (content if found == remote.sha256 else None), f"sha256 {found}"


def download(name: str, root: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Path:
    """Fetches a known file into the data root, unless it is there already.

    The bytes arrive in a file that ends in ``.part``; a later call goes on from where an interrupted one stopped. The
    file takes its own name only once its checksum is right.

    Args:
        name: a key of :data:`REMOTE_FILES`.
        root: the data root; see :func:`data_root`.
        progress: called with the number of bytes that are there and the number expected.

    Returns:
        Where the file is.

    Raises:
        DataError: for an unknown name, no network, a connection that breaks, a wrong checksum, or a folder that cannot
            be written.
    """
    if name not in REMOTE_FILES:
        raise DataError(f"nothing to download by the name {name!r}; {nearest(name, sorted(REMOTE_FILES))}")
    remote = REMOTE_FILES[name]
    there = find(name, root)
    if there is not None:
        read_verified(name, root)
        return there
    path = data_root(root) / remote.path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise DataError(
            f"{name}: cannot write to {path.parent}: {error.strerror}; "
            "set SEQJAX_DATA to a folder that you may write to"
        ) from error

    failures = []
    for url in remote.urls:
        # A second attempt starts from nothing, in case the part that was found belongs to something else.
        for _ in range(2 if part.stat().st_size else 1):
            try:
                _fetch(url, part, remote.size, progress)
            except (OSError, http.client.HTTPException) as error:
                failures.append(f"{url}: {_reason(error)}")
                break
            content, found = _unpacked(remote, part.read_bytes())
            if content is not None:
                os.replace(part, path)
                return path
            failures.append(f"{url}: {found}, expected {remote.sha256}")
            part.write_bytes(b"")
    kept, expected = part.stat().st_size, "an unknown number of" if remote.size is None else remote.size
    if not kept:
        part.unlink()
    raise DataError(
        f"{name}: not downloaded. {'; '.join(failures)}. "
        + (f"{kept} of {expected} bytes are kept, and the same command goes on from there" if kept else "Try again")
        + f"; without a network, copy the file from elsewhere to {path}"
    )


def download_dataset(
    name: str, root: str | os.PathLike[str] | None = None, progress: Callable[[str], Progress] | None = None
) -> list[Path]:
    """Fetches the files of a data set into the data root, or one file by its own name; see :func:`download`.

    Args:
        name: a key of :func:`~seqjax.data.remote_files.datasets` or of :data:`REMOTE_FILES`.
        root: the data root; see :func:`data_root`.
        progress: makes the observer of the file of a name.

    Returns:
        Where the files are.

    Raises:
        DataError: as :func:`download` does.
    """
    known = datasets()
    if name not in known and name not in REMOTE_FILES:
        raise DataError(f"nothing to download by the name {name!r}; {nearest(name, sorted(known))}")
    files = known.get(name, (name,))
    return [download(file, root, None if progress is None else progress(file)) for file in files]


def _fetch(url: str, part: Path, size: int | None, progress: Progress | None) -> None:
    """Appends to ``part`` what it lacks; raises what urllib raises, and ``IncompleteRead`` for an early end."""
    have = part.stat().st_size
    if size is not None and have >= size:
        return
    # Compressed bytes could not be resumed.
    headers = {"Accept-Encoding": "identity", "User-Agent": "seqjax"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # The server has nothing more, so the checksum can tell.
            return
        raise
    with response:
        announced = response.headers.get("Content-Range", "")
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT and announced.startswith(f"bytes {have}-")
        have = have if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            # More than expected is a different file: its checksum shows it, so one chunk too many is enough.
            while (size is None or have <= size) and (chunk := response.read(_CHUNK)):
                file.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(have, size)
        # urllib returns a short body without a word, so the announced length is checked here.
        left = response.length
    if left and (size is None or have < size):
        raise http.client.IncompleteRead(b"", left)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, http.client.HTTPException):
        return "the connection broke"
    if isinstance(error, urllib.error.URLError):
        return f"no connection, is there a network? ({error.reason})"
    return f"stopped by {error}"
