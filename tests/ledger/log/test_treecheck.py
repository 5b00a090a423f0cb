"""A log of others is checked tile by tile: clean ones pass, the first difference of any other is named."""

from __future__ import annotations

import gzip
import http.server
import random
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger._native import LogEngine
from ledger.errors import LedgerError
from ledger.evidence.checkpoint import Checkpoint
from ledger.log.check import fsck
from ledger.log.source import FolderSource, HttpSource
from ledger.log.treecheck import check_tree
from tests.ledger.log import naive_tiles

SIZES = [1, 2, 255, 256, 257, 512, 700, 65_536, 66_000]


def entries_of(size: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(size)]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, Checkpoint]]:
    made = {}
    for size in SIZES:
        folder = tmp_path_factory.mktemp(f"export-{size}")
        entries = entries_of(size)
        naive_tiles.write(entries, folder)
        root = naive_tiles.root([naive_tiles.leaf(entry) for entry in entries])
        made[size] = (folder, Checkpoint(origin="log", size=size, root=root))
    return made


@pytest.mark.parametrize("size", SIZES)
def test_a_clean_log_is_clean(exports: dict[int, tuple[Path, Checkpoint]], size: int) -> None:
    folder, head = exports[size]
    told: list[tuple[int, int]] = []
    report = check_tree(FolderSource(folder), head, progress=lambda *at: told.append(at))
    assert (report.difference, report.entries) == (None, size)
    assert told[-1] == (size, size)
    assert check_tree(FolderSource(folder), head, entries=False).entries == 0


def test_every_flipped_byte_is_noticed_and_its_file_named(
    exports: dict[int, tuple[Path, Checkpoint]], tmp_path: Path
) -> None:
    folder, head = exports[700]
    draw = random.Random(11)
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        name, data = str(file.relative_to(folder)), file.read_bytes()
        broken = tmp_path / name.replace("/", "_")
        shutil.copytree(folder, broken)
        at = draw.randrange(len(data))
        (broken / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = check_tree(FolderSource(broken), head).difference
        assert found is not None, name
        # A wrong leaf hash and a wrong entry disagree with each other: the entry's bundle is the name of both.
        same = {name, name.replace("tile/0/", "tile/entries/")}
        assert found.file in same, name
        (broken / name).write_bytes(data[:-1])
        found = check_tree(FolderSource(broken), head).difference
        assert found is not None
        assert found.file in same
        (broken / name).unlink()
        found = check_tree(FolderSource(broken), head).difference
        assert found is not None
        assert (found.file, found.index) == (name, -1)
        shutil.rmtree(broken)


def test_without_entries_the_level_above_tells(exports: dict[int, tuple[Path, Checkpoint]], tmp_path: Path) -> None:
    folder, head = exports[700]
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "tile/0/001").write_bytes(bytes(8192))
    found = check_tree(FolderSource(broken), head, entries=False).difference
    assert found is not None
    assert (found.file, found.index) == ("tile/1/000.p/2", 1)


def test_a_checkpoint_of_another_tree_is_named(exports: dict[int, tuple[Path, Checkpoint]]) -> None:
    folder, _ = exports[700]
    found = check_tree(FolderSource(folder), Checkpoint(origin="log", size=700, root=bytes(32))).difference
    assert found is not None
    assert found.file == "checkpoint"


def test_the_full_tile_serves_where_the_partial_is_gone(
    exports: dict[int, tuple[Path, Checkpoint]], tmp_path: Path
) -> None:
    grown = tmp_path / "grown"
    shutil.copytree(exports[700][0], grown)
    root = naive_tiles.root([naive_tiles.leaf(entry) for entry in entries_of(300)])
    source = FolderSource(grown)
    (grown / "tile/1/000.p/1").write_bytes((grown / "tile/1/000.p/2").read_bytes()[:32])
    assert check_tree(source, Checkpoint(origin="log", size=300, root=root)).difference is None


def test_a_log_folder_tells_how_far_its_check_is(tmp_path: Path) -> None:
    engine = LogEngine.open(str(tmp_path / "log"))
    try:
        for start in range(0, 5_000, 500):
            engine.append_batch(entries_of(5_000)[start : start + 500])
    finally:
        engine.close()
    told: list[tuple[int, int]] = []
    report = fsck(tmp_path / "log", progress=lambda *at: told.append(at))
    assert (report.ok, report.size) == (True, 5_000)
    assert told[-1] == (5_000, 5_000)
    assert told == sorted(told)
    (tmp_path / "log" / "commits.dat").unlink()
    with pytest.raises(LedgerError):
        fsck(tmp_path / "log", progress=lambda *at: told.append(at))


# --- over HTTP --------------------------------------------------------------------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    folder = Path()
    packed = False
    refused = ""
    status = 200


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        file = self.server.folder / self.path.removeprefix("/log/")
        status, data = self.server.status, b""
        if self.server.refused and self.server.refused in self.path:
            status = 403
        elif status == 200 and not file.is_file():
            status = 404
        elif status == 200:
            data = file.read_bytes()
        self.send_response(status)
        if self.server.packed and data:
            data = gzip.compress(data)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(exports: dict[int, tuple[Path, Checkpoint]]) -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    made.folder = exports[700][0]
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/log/"


@pytest.mark.parametrize("packed", [False, True])
def test_a_served_log_is_checked_the_same_way(
    exports: dict[int, tuple[Path, Checkpoint]], server: Server, packed: bool
) -> None:
    server.packed = packed
    report = check_tree(HttpSource(url(server)), exports[700][1])
    assert (report.difference, report.entries) == (None, 700)


def test_entries_that_are_not_shown_are_not_checked(
    exports: dict[int, tuple[Path, Checkpoint]], server: Server
) -> None:
    server.refused = "entries"
    report = check_tree(HttpSource(url(server)), exports[700][1])
    assert report.difference is None
    assert report.entries < 700


@pytest.mark.parametrize(("status", "code"), [(500, "source.answer"), (404, "source.absent"), (401, "source.refused")])
def test_what_a_server_refuses_has_a_code(server: Server, status: int, code: str) -> None:
    server.status = status
    with pytest.raises(LedgerError) as caught:
        HttpSource(url(server)).note()
    assert caught.value.code == code


def test_a_place_that_is_none_is_refused() -> None:
    for text in ("ftp://host/log", "https://", "http://host/log?x=1", "http:///log"):
        with pytest.raises(LedgerError) as caught:
            HttpSource(text)
        assert caught.value.code == "source.url"
    for text in ("http://a..b/", f"http://{'a' * 64}.invalid/"):
        with pytest.raises(LedgerError) as caught:
            HttpSource(text, timeout=5.0).note()
        assert caught.value.code == "source.unreachable"
    with pytest.raises(LedgerError) as caught:
        HttpSource("http://127.0.0.1:1/", timeout=5.0).note()
    assert caught.value.code == "source.unreachable"
