"""Logs over HTTPS as tlog-tiles prescribes: the own log and mirrored ones, and entries to those who may read them."""

from __future__ import annotations

import hashlib
import http.client
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import NotAllowedError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.evidence.tiles import tiles_of
from ledger.model import KeyRole, Roles
from node.compose import Node
from node.config import MirrorSection, decode_config, encode_config
from node.identity.keyfiles import key_file
from node.identity.keyring import KeyRing
from node.identity.tls import client_context
from node.rpc.auth import Caller
from node.web import readers
from tests.ledger.log import naive_tiles
from tests.node.core.city import City, found, record
from tests.node.core.makers import PASSPHRASE, eventually, make_keys

RECORDS = 600


def set_mirrors(folder: Path, section: MirrorSection) -> None:
    import msgspec

    file = folder / "node.toml"
    config = decode_config(file.read_bytes(), folder)
    file.write_bytes(encode_config(msgspec.structs.replace(config, mirror=section)))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """Member 0 orders, 1 supervises, 2 audits, 3 is like any other; all mirror number 0's log."""
    founded = found(tmp_path_factory.mktemp("serving"), 4)
    owner = founded.members[0]
    for folder in founded.folders[1:]:
        set_mirrors(folder, MirrorSection(members=(owner,), interval=1))
    with City(founded) as running:
        running.start()
        for number in range(RECORDS):
            running[0].core.log.append_record(record(running[0], number))
        published = running[0].publisher.publish_now(wait_witnessed_s=180)
        assert published is not None
        assert published.witnessed
        yield running


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()


def ask(city: City, at: int, path: str, caller: KeyRing | None = None, method: str = "GET", **headers: str) -> Answer:
    node = city[at]
    peer = node.core.peers[node.core.member]
    own = None if caller is None else (caller.certificate_file, key_file(caller.folder, KeyRole.TLS), caller.passphrase)
    host, _, port = peer.https.rpartition(":")
    connection = http.client.HTTPSConnection(
        host, int(port), timeout=180, context=client_context(peer.certificate, own)
    )
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def prefix(node: Node) -> str:
    return "/mirror/" + hashlib.sha256(node.core.log.origin.encode()).hexdigest()


def mirrored(city: City, at: int) -> int:
    """Wait until the mirror holds the owner's newest witnessed head; its size."""
    witnessed = city[0].publisher.witnessed()
    assert witnessed is not None

    def there() -> bool:
        answer = ask(city, at, prefix(city[0]) + "/checkpoint")
        return answer.status == 200 and parse_checkpoint(parse_note(answer.body).text).size >= witnessed.size

    eventually(there, seconds=300)
    return parse_checkpoint(parse_note(ask(city, at, prefix(city[0]) + "/checkpoint").body).text).size


@pytest.mark.parametrize("at", [0, 1, 3])
def test_every_path_is_what_a_naive_writer_makes(city: City, at: int, tmp_path: Path) -> None:
    log = city[0].core.log
    base = prefix(city[0]) if at else ""
    size = mirrored(city, at) if at else parse_checkpoint(parse_note(ask(city, 0, "/checkpoint").body).text).size
    naive_tiles.write(log.read(0, size), tmp_path)
    reader = city[1].core.keys
    for tile in tiles_of(size):
        path = f"{base}/{tile.path}"
        if tile.level is None:
            # A member without a role keeps hashes only.
            if at != 3:
                eventually(lambda path=path: ask(city, at, path, reader).status == 200)
                assert ask(city, at, path, reader).body == (tmp_path / tile.path).read_bytes()
            continue
        answer = ask(city, at, path)
        assert answer.body == (tmp_path / tile.path).read_bytes()
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/009",
        "/tile/0/002",
        "/tile/0/002.p/255",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/0/x000/000",
        "/tile/0/000/../../checkpoint",
        "/tile/0/%2e%2e/%2e%2e/keys/log.pem",
        "/tile/entries/..%2f..%2f..%2fkeys%2flog.pem",
        "/tile/1/001.p/1",
        "/tile/63/000",
        "/tile/64/000",
        "/tile/0/000/",
        "/checkpoint/",
        "/tile/",
    ],
)
@pytest.mark.parametrize("at", [0, 1])
def test_what_does_not_exist_is_not_found_and_not_cached(city: City, at: int, path: str) -> None:
    if at:
        mirrored(city, at)
    answer = ask(city, at, (prefix(city[0]) if at else "") + path, city[1].core.keys)
    assert answer.status == 404
    assert answer.headers["cache-control"] == "no-store"


def test_who_may_read_entries(city: City, tmp_path: Path) -> None:
    for at in (0, 1):
        if at:
            mirrored(city, at)
        path = (prefix(city[0]) if at else "") + "/tile/entries/000"
        eventually(lambda at=at, path=path: ask(city, at, path, city[1].core.keys).status == 200)
        for caller, status in ((0, 200), (1, 200), (2, 200), (3, 403)):
            answer = ask(city, at, path, city[caller].core.keys)
            assert answer.status == status, (at, caller)
            if status == 200:
                assert answer.headers["cache-control"].startswith("private")
        nobody = ask(city, at, path)
        assert nobody.status == 403
        assert b"auth.no-certificate" in nobody.body
    # Whose node has a mirror may not for that reason read what is in it.
    refused = ask(city, 3, prefix(city[0]) + "/tile/entries/000", city[3].core.keys)
    assert refused.status == 403
    assert b"auth.role" in refused.body
    # A certificate that the chain does not know ends in the handshake.
    make_keys(tmp_path, city.founded.members[0], seed="a stranger")
    with pytest.raises(OSError):
        ask(city, 0, "/tile/entries/000", KeyRing(tmp_path, city.founded.members[0], PASSPHRASE))


@pytest.mark.parametrize(
    ("roles", "passes"), [(Roles.SUPERVISOR, True), (Roles.AUDITOR, True), (Roles(0), False), (Roles.QUALITY, False)]
)
def test_a_lost_role_ends_reading_from_the_own_mirror(
    city: City, monkeypatch: pytest.MonkeyPatch, roles: Roles, passes: bool
) -> None:
    node = city[2]
    info = replace(node.core.rosters.current().members[node.core.member], roles=roles)
    monkeypatch.setattr(readers, "identify", lambda *_: Caller(info=info, own=True))
    readers.check_entries(node.context, None, info.uscc)
    if passes:
        readers.check_entries(node.context, None, city[0].core.member)
        return
    with pytest.raises(NotAllowedError) as caught:
        readers.check_entries(node.context, None, city[0].core.member)
    assert caught.value.code == "auth.role"


def test_the_rules_of_http(city: City) -> None:
    reader = city[1].core.keys
    whole = ask(city, 0, "/tile/0/000")
    assert whole.headers["content-length"] == str(len(whole.body)) == "8192"
    head = ask(city, 0, "/tile/0/000", method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "8192")
    assert ask(city, 0, "/tile/0/000", If_None_Match=whole.headers["etag"]).status == 304
    part = ask(city, 0, "/tile/0/000", Range="bytes=32-63")
    assert (part.status, part.body) == (206, whole.body[32:64])
    assert ask(city, 0, "/tile/0/000", Range="bytes=8192-").status == 416
    checkpoint = ask(city, 0, "/checkpoint")
    assert checkpoint.headers["cache-control"] == "no-cache"
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    assert ask(city, 0, "/checkpoint", If_None_Match=checkpoint.headers["etag"]).status == 304
    packed = ask(city, 0, "/tile/entries/000", reader, Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(ask(city, 0, "/tile/entries/000", reader).body)
    assert ask(city, 0, "/tile/0/000", method="POST").status == 405


def test_a_log_that_is_not_mirrored_is_unknown(city: City) -> None:
    answer = ask(city, 1, prefix(city[2]) + "/checkpoint")
    assert answer.status == 404
    assert b"mirror.unknown" in answer.body


def test_a_mirror_is_served_after_a_restart(city: City) -> None:
    size = mirrored(city, 3)
    city.stop(3)
    city.start(3)
    note = ask(city, 3, prefix(city[0]) + "/checkpoint")
    assert parse_checkpoint(parse_note(note.body).text).size >= size
    assert ask(city, 3, prefix(city[0]) + "/tile/0/000").status == 200


def test_a_damaged_mirror_is_put_aside_and_begun_anew_while_the_node_runs(city: City) -> None:
    mirrored(city, 2)
    folder = city[2].core.config.mirror_folder / prefix(city[0]).removeprefix("/mirror/")
    with (folder / "level-0.dat").open("r+b") as file:
        file.truncate(100)
    aside = folder.with_name(folder.name + ".damaged")
    eventually(aside.is_dir, seconds=300)
    assert (aside / "level-0.dat").stat().st_size == 100
    tile = ask(city, 0, "/tile/0/000").body
    eventually(lambda: ask(city, 2, prefix(city[0]) + "/tile/0/000").body == tile, seconds=300)
    mirrored(city, 2)
    eventually(lambda: not (folder / "before").exists(), seconds=300)
    # The doctor says so until somebody has looked at what was put aside.
    findings = eventually(
        lambda: [found for found in city[2].context.diagnose() if found.code == "mirror.put-aside"], seconds=300
    )
    assert str(aside) in findings[0].message
    shutil.rmtree(aside)
    eventually(lambda: all(found.code != "mirror.put-aside" for found in city[2].context.diagnose()), seconds=300)
