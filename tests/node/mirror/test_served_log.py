"""A log of 70,000 entries as the node's HTTP surface serves it: byte for byte what a naive writer makes of them."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.errors import NotAllowedError
from ledger.evidence.tiles import Tile, tiles_of
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyRole
from node.city.ports import free_ports
from node.context import Published
from node.web.https import public_app
from node.web.webserver import WebServer
from tests.ledger.log import naive_tiles
from tests.ledger.log.conftest import ORIGIN, record

SIZE = 70_000
_ONE = record(1)


def some(number: int) -> bytes:
    """As ``record`` makes them, many at a time."""
    return _ONE.replace(b"0.1.1", b"0.1.%d" % number)


@dataclass
class OnePublished:
    """A publisher with one checkpoint, below the log's own size."""

    published: Published

    def newest(self) -> Published:
        return self.published

    witnessed = newest


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DepartmentLog]:
    signer = Ed25519Signer(KeyRole.LOG, b"\7" * 32)
    folder = tmp_path_factory.mktemp("served") / "log"
    with DepartmentLog.open(folder, origin=ORIGIN, signer=signer, clock=lambda: 1_790_000_000_000) as made:
        made.guard(())
        for start in range(0, SIZE, 10_000):
            made.append([some(number) for number in range(start, start + 10_000)])
        yield made


@pytest.fixture(scope="module")
def connection(log: DepartmentLog) -> Iterator[http.client.HTTPConnection]:
    published = Published(size=SIZE, root=log.root(SIZE), note=log.publish(), cosignatures=1, quorum=1)
    # What lies beyond the published checkpoint is not shown.
    log.append([some(number) for number in range(SIZE, SIZE + 1_000)])

    def may_read(pem: bytes | None, owner: str) -> None:
        if owner != "owner":
            raise NotAllowedError("auth.role", f"{owner} {pem!r}")

    app = public_app(
        log,
        OnePublished(published),
        None,
        dict,
        member="owner",
        mirrors=None,
        may_read=may_read,  # type: ignore[arg-type]
    )
    server = WebServer(app, "127.0.0.1", free_ports(1)[0], None, name="served")
    server.start()
    made = http.client.HTTPConnection("127.0.0.1", server.port, timeout=180)
    yield made
    made.close()
    server.close()


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_every_path_of_a_log_of_70_000(
    log: DepartmentLog, connection: http.client.HTTPConnection, tmp_path: Path
) -> None:
    naive_tiles.write([some(number) for number in range(SIZE)], tmp_path)
    expected = {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    # The worked example of the specification.
    assert {"tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"} <= set(
        expected
    )
    assert {tile.path for tile in tiles_of(SIZE)} == set(expected)
    for path, data in expected.items():
        assert get(connection, "/" + path) == (200, data), path
    assert get(connection, "/checkpoint") == (200, log.published)


def test_nothing_beyond_the_checkpoint_is_served(connection: http.client.HTTPConnection) -> None:
    beyond = [
        Tile(level=0, index=273, width=113),
        Tile(level=0, index=273),
        Tile(level=0, index=274, width=1),
        Tile(level=None, index=273, width=113),
        Tile(level=None, index=273),
        Tile(level=1, index=1, width=18),
        Tile(level=1, index=1),
        Tile(level=2, index=0, width=2),
        Tile(level=3, index=0, width=1),
    ]
    for tile in beyond:
        assert get(connection, "/" + tile.path)[0] == 404, tile.path
