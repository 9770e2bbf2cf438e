"""Downloads from a server on this machine that misbehaves in every way we know of."""

import hashlib
import http.server
import threading

import pytest

from seqjax.data import REMOTE_FILES, RemoteFile, download
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


@pytest.mark.parametrize("content", [b"x" * len(CONTENT), b"<html>", CONTENT + b"more", b""])
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
    with pytest.raises(DataError, match="nothing to download by the name 'fill'; known: file, tiny-shakespeare"):
        download("fill", tmp_path)
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot write to .*set SEQJAX_DATA"):
        download("file", tmp_path)
