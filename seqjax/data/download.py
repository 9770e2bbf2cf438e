"""The data root, the files that may stand in it, and their download; the standard library only."""

import dataclasses
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from seqjax.errors import DataError

Progress = Callable[[int, int], None]

_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A public file: where it stands below the data root, where it comes from, and what it must contain.

    Attributes:
        path: below the data root, with forward slashes.
        urls: addresses of the same bytes, tried in this order.
        sha256: checksum in hexadecimal digits.
        size: in bytes.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str
    size: int


REMOTE_FILES: dict[str, RemoteFile] = {
    "tiny-shakespeare": RemoteFile(
        path="tinyshakespeare/input.txt",
        urls=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        size=1_115_394,
    ),
}
"""What ``seqjax download`` knows, by name."""


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of data files: ``root``, else the environment's ``SEQJAX_DATA``, else one in the user's cache."""
    chosen = root or os.environ.get("SEQJAX_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "seqjax" / "data"


def read_verified(name: str, root: str | os.PathLike[str] | None = None) -> bytes:
    """The bytes of a known file below the data root.

    Raises:
        DataError: if the file is not there, or is not the file that it should be.
    """
    remote = REMOTE_FILES[name]
    path = data_root(root) / remote.path
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{name}: no file {path}; fetch it with `seqjax download {name}`, "
            f"or set SEQJAX_DATA (or data.root) to the folder that has {remote.path}"
        ) from None
    except OSError as error:
        raise DataError(f"{name}: cannot read {path}: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != remote.sha256:
        raise DataError(
            f"{name}: {path} has sha256 {found}, expected {remote.sha256}; "
            f"move the file away and run `seqjax download {name}`"
        )
    return content


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
        raise DataError(f"nothing to download by the name {name!r}; known: {', '.join(sorted(REMOTE_FILES))}")
    remote = REMOTE_FILES[name]
    path = data_root(root) / remote.path
    if path.exists():
        read_verified(name, root)
        return path
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
            found = hashlib.sha256(part.read_bytes()).hexdigest()
            if found == remote.sha256:
                os.replace(part, path)
                return path
            failures.append(f"{url}: sha256 {found}, expected {remote.sha256}")
            part.write_bytes(b"")
    kept = part.stat().st_size
    if not kept:
        part.unlink()
    raise DataError(
        f"{name}: not downloaded. {'; '.join(failures)}. "
        + (f"{kept} of {remote.size} bytes are kept, and the same command goes on from there" if kept else "Try again")
        + f"; without a network, copy the file from elsewhere to {path}"
    )


def _fetch(url: str, part: Path, size: int, progress: Progress | None) -> None:
    """Appends to ``part`` what it lacks; raises what urllib raises, and ``IncompleteRead`` for an early end."""
    have = part.stat().st_size
    if have >= size:
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
            while have <= size and (chunk := response.read(_CHUNK)):
                file.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(have, size)
        # urllib returns a short body without a word, so the announced length is checked here.
        left = response.length
    if left and have < size:
        raise http.client.IncompleteRead(b"", left)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, http.client.HTTPException):
        return "the connection broke"
    if isinstance(error, urllib.error.URLError):
        return f"no connection, is there a network? ({error.reason})"
    return f"stopped by {error}"
