"""Archives in one form, whatever they were packed by, so that their content has one checksum."""

import gzip
import io
import tarfile
import zipfile

import numpy as np

LETTER = np.dtype([("word", "<u2"), ("letter", "u1"), ("fold", "u1"), ("pixels", "u1", 16)])
"""A handwritten letter: the number of its word, its place in the alphabet, its fold, and 16 rows of 8 pixels."""


def recordings(content: bytes) -> bytes:
    """The sound files in the folder ``recordings`` of an archive, by name: of each its name, its size, and itself.

    Raises:
        tarfile.TarError: it is not an archive, or a damaged one.
    """
    files = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            *folders, name = member.name.split("/")
            wanted = "recordings" in folders and name.endswith(".wav")
            file = archive.extractfile(member) if wanted else None
            if file is not None:
                files[name] = file.read()
    return b"".join(f"{name} {len(files[name])}\n".encode() + files[name] for name in sorted(files))


def recordings_by_name(content: bytes) -> dict[str, bytes]:
    """The inverse of :func:`recordings`."""
    stream, files = io.BytesIO(content), {}
    while head := stream.readline():
        name, size = head.decode().split()
        files[name] = stream.read(int(size))
    return files


def letters(content: bytes) -> bytes:
    """Handwritten letters as an array of :data:`LETTER`, from the text file that was published or from NumPy arrays.

    Raises:
        ValueError: it is neither.
    """
    if content.startswith(b"PK"):
        with np.load(io.BytesIO(content)) as arrays:
            lengths = arrays["lengths"]
            found: np.ndarray = np.empty(lengths.sum(), LETTER)
            found["word"] = np.repeat(np.arange(lengths.size), lengths)
            found["fold"] = np.repeat(arrays["folds"], lengths)
            found["letter"], found["pixels"] = arrays["labels"], arrays["pixels_packed"]
        return found.tobytes()
    text = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    # Number, letter, number of the next (-1 at the end of a word), word, position, fold, 128 pixels.
    rows = [line.split() for line in text.decode("ascii").splitlines()]
    found: np.ndarray = np.empty(len(rows), LETTER)
    ends = np.array([row[2] == "-1" for row in rows])
    found["word"] = np.cumsum(ends) - ends
    found["letter"] = [ord(row[1]) - ord("a") for row in rows]
    found["fold"] = [int(row[5]) for row in rows]
    found["pixels"] = np.packbits(np.array([row[6:134] for row in rows], np.uint8), axis=1)
    return found.tobytes()


def zipped(content: bytes, name: str) -> bytes:
    """One file of a zip archive.

    Raises:
        zipfile.BadZipFile: it is not one, or a damaged one.
        KeyError: the archive has no such file.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)
