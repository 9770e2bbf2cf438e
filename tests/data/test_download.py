"""Downloads from a server on this machine that misbehaves in every way we know of."""

import dataclasses
import gzip
import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest

from seqjax.data import REMOTE_FILES, RemoteFile, download
from seqjax.data.archives import LETTER, letters, recordings, recordings_by_name
from seqjax.data.download import download_dataset, read_verified
from seqjax.data.remote_files import datasets
from seqjax.errors import DataError

CONTENT = bytes(range(256)) * 1000


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content``; ``ranges`` and ``breaks_after`` say how well."""

    content = CONTENT
    ranges = True
    breaks_after = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requested_ranges = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.requested_ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        body = self.server.content[start:]
        if self.path != "/file":
            return self.send_error(404)
        if start and not body:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            size = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks_after])
        return None

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        register(monkeypatch, f"{address}/file")
        yield server
        server.shutdown()
        thread.join()


def register(monkeypatch, *urls):
    remote = RemoteFile(
        path="folder/file.bin", urls=urls, sha256=hashlib.sha256(CONTENT).hexdigest(), size=len(CONTENT)
    )
    monkeypatch.setitem(REMOTE_FILES, "file", remote)


@pytest.fixture
def part(tmp_path):
    path = tmp_path / "folder" / "file.bin.part"
    path.parent.mkdir()
    return path


def test_a_download_is_verified_and_takes_its_name_at_the_end(server, tmp_path):
    seen = []
    path = download("file", tmp_path, lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "folder" / "file.bin"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert download("file", tmp_path) == path
    assert server.requested_ranges == [None], "a file that is there is not fetched again"


def test_a_broken_connection_keeps_what_came_and_the_next_call_resumes(server, tmp_path):
    server.breaks_after = 100_000
    with pytest.raises(DataError, match=r"the connection broke.* 100000 of 256000 bytes are kept"):
        download("file", tmp_path)
    assert not (tmp_path / "folder" / "file.bin").exists()
    server.breaks_after = None
    seen = []
    assert download("file", tmp_path, lambda done, total: seen.append(done)).read_bytes() == CONTENT
    assert server.requested_ranges == [None, "bytes=100000-"]
    assert seen[0] > 100_000
    assert not (tmp_path / "folder" / "file.bin.part").exists()


def test_a_server_that_cannot_resume_is_read_from_the_start(server, tmp_path, part):
    server.ranges = False
    part.write_bytes(CONTENT[:1000])
    assert download("file", tmp_path).read_bytes() == CONTENT
    assert server.requested_ranges == ["bytes=1000-"]


def test_a_part_that_is_complete_is_not_fetched(server, tmp_path, part):
    part.write_bytes(CONTENT)
    assert download("file", tmp_path).read_bytes() == CONTENT
    assert server.requested_ranges == []


@pytest.mark.parametrize("length", [1000, len(CONTENT), len(CONTENT) + 5])
def test_a_part_of_something_else_is_fetched_anew(server, tmp_path, part, length):
    part.write_bytes(b"x" * length)
    assert download("file", tmp_path).read_bytes() == CONTENT
    assert server.requested_ranges[-1] is None


@pytest.mark.parametrize(
    "content", [b"x" * len(CONTENT), b"<html>", CONTENT + b"more", b""], ids=["same size", "page", "longer", "empty"]
)
def test_a_wrong_checksum_leaves_nothing_behind(server, tmp_path, content):
    server.content = content
    with pytest.raises(DataError, match="sha256 ") as caught:
        download("file", tmp_path)
    assert REMOTE_FILES["file"].sha256 in str(caught.value)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_range_that_the_server_does_not_have(server, tmp_path, part):
    server.content = CONTENT[:1000]
    part.write_bytes(CONTENT[:1000])
    with pytest.raises(DataError, match=f"sha256 {hashlib.sha256(CONTENT[:1000]).hexdigest()}"):
        download("file", tmp_path)
    assert server.requested_ranges == ["bytes=1000-", None]
    server.content = CONTENT
    assert download("file", tmp_path).read_bytes() == CONTENT


def test_the_second_address_serves_where_the_first_fails(server, tmp_path, monkeypatch):
    good = REMOTE_FILES["file"].urls[0]
    register(monkeypatch, good + "-not-here", good)
    assert download("file", tmp_path).read_bytes() == CONTENT
    register(monkeypatch, good + "-not-here")
    with pytest.raises(DataError, match="the server answered 404"):
        download("file", tmp_path / "other")


def test_no_network(server, tmp_path, monkeypatch):
    with Server() as closed:
        address = f"http://127.0.0.1:{closed.server_port}/file"
    register(monkeypatch, address)
    with pytest.raises(DataError, match=r"is there a network.*refused.*without a network, copy the file"):
        download("file", tmp_path)
    assert list((tmp_path / "folder").iterdir()) == []


def test_unknown_names_and_folders_that_cannot_be_written(server, tmp_path):
    with pytest.raises(DataError, match="nothing to download by the name 'fill'; did you mean 'file'"):
        download("fill", tmp_path)
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot write to .*set SEQJAX_DATA"):
        download("file", tmp_path)


def test_a_file_is_found_in_every_form_that_its_content_may_have(tmp_path, monkeypatch):
    packed = gzip.compress(CONTENT)
    for path in ("a.bin", "b.bin.gz"):
        remote = RemoteFile(path=path, urls=(), sha256=hashlib.sha256(CONTENT).hexdigest(), size=None, also=("c.bin",))
        monkeypatch.setitem(REMOTE_FILES, "file", remote)
        for place, content in (("a.bin", CONTENT), ("a.bin.gz", packed), ("c.bin", packed), ("b.bin", CONTENT)):
            folder = tmp_path / path / place
            folder.mkdir(parents=True)
            (folder / place).write_bytes(content)
            if place[0] in (path[0], "c"):
                assert read_verified("file", folder) == CONTENT
                assert download("file", folder) == folder / place
            else:
                with pytest.raises(DataError, match="no file"):
                    read_verified("file", folder)


@pytest.mark.parametrize(
    "content",
    [
        # A gzip file holds the time it was made: named by its bytes, the test would have a name for every worker.
        pytest.param(gzip.compress(CONTENT)[:-9], id="cut short"),
        pytest.param(b"\x1f\x8b" + b"x" * 50, id="not compressed"),
        pytest.param(gzip.compress(b"other"), id="of something else"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, content):
    register(monkeypatch, "no address")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.bin.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"file: .*file.bin.gz has (bytes that|sha256).*; move the file away"):
        read_verified("file", tmp_path)


def test_a_file_of_unknown_size_is_fetched_whole(server, tmp_path, monkeypatch):
    remote = dataclasses.replace(REMOTE_FILES["file"], size=None, dataset="several")
    monkeypatch.setitem(REMOTE_FILES, "file", remote)
    server.breaks_after = 100_000
    with pytest.raises(DataError, match=r"100000 of an unknown number of bytes are kept"):
        download("file", tmp_path)
    server.breaks_after = None
    seen = []
    paths = download_dataset("several", tmp_path, lambda name: lambda done, total: seen.append((name, done, total)))
    assert [path.read_bytes() for path in paths] == [CONTENT]
    assert seen[-1] == ("file", len(CONTENT), None)
    with pytest.raises(DataError, match="nothing to download by the name 'severel'; did you mean 'several'"):
        download_dataset("severel", tmp_path)


def test_every_known_file_has_addresses_and_a_checksum():
    assert {name for names in datasets().values() for name in names} == set(REMOTE_FILES)
    places = [place for remote in REMOTE_FILES.values() for place in remote.places]
    assert len(set(places)) == len(places)
    for remote in REMOTE_FILES.values():
        assert len(bytes.fromhex(remote.sha256)) == 32
        assert remote.urls
        assert all(url.startswith(("https://", "http://")) for url in remote.urls)


def test_archives_have_one_form():
    def packed(mode, *names):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as archive:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = 3
                archive.addfile(info, io.BytesIO(name[-7:-4].encode()))
        return stream.getvalue()

    one = recordings(packed("w:xz", "recordings/1_b.wav", "recordings/0_a.wav"))
    assert one == recordings(
        packed("w:gz", "top-level/recordings/0_a.wav", "readme.txt", "other/2_c.wav", "top-level/recordings/1_b.wav")
    )
    assert recordings_by_name(one) == {"0_a.wav": b"0_a", "1_b.wav": b"1_b"}


def test_letters_as_published_and_as_arrays_are_the_same():
    rng = np.random.default_rng(0)
    lengths, folds = np.array([2, 1, 3]), np.array([4, 0, 9])
    labels, pixels = rng.integers(0, 26, 6), rng.integers(0, 2, (6, 128))
    stream = io.BytesIO()
    np.savez(stream, lengths=lengths, folds=folds, labels=labels, pixels_packed=np.packbits(pixels, 1))
    rows, following = [], ["2", "-1", "-1", "5", "6", "-1"]
    for i in range(6):
        head = [i + 1, chr(97 + labels[i]), following[i], 7, 1, np.repeat(folds, lengths)[i]]
        rows.append("\t".join(map(str, [*head, *pixels[i]])) + "\t\n")
    expected = letters(stream.getvalue())
    assert letters("".join(rows).encode()) == expected
    assert letters(gzip.compress("".join(rows).encode())) == expected
    found = np.frombuffer(expected, LETTER)
    assert found["word"].tolist() == [0, 0, 1, 2, 2, 2]
    assert found["fold"].tolist() == [4, 4, 0, 9, 9, 9]
    np.testing.assert_array_equal(np.unpackbits(found["pixels"], axis=1), pixels)
