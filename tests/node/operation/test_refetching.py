"""A log that was lost comes back from a member that mirrors it, entry for entry, and the node opens again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import msgspec

from ledger.codec import encode_record
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.log import fsck
from ledger.log.backup import back_up
from ledger.log.restore import restore
from node.config import MirrorSection, decode_config, encode_config
from node.identity.pinned import PinnedClient
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually
from tests.node.operation.test_backup_commands import civicledger


def set_mirrors(folder: Path, section: MirrorSection) -> None:
    file = folder / "node.toml"
    config = decode_config(file.read_bytes(), folder)
    file.write_bytes(encode_config(msgspec.structs.replace(config, mirror=section)))


def mirrored_size(city: City, at: int, origin: str) -> int:
    client = PinnedClient(city[0].core.peers[city.founded.members[at]], 180)
    try:
        answer = client.get(f"/mirror/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
    finally:
        client.close()
    return parse_checkpoint(parse_note(answer.body).text).size if answer.status == 200 else 0


def test_a_lost_log_comes_back_from_its_mirror(tmp_path: Path) -> None:
    founded = found(tmp_path / "city", 3)
    folder, copy = founded.folders[1], tmp_path / "copy"
    node = ("--node", str(folder), "--json")
    set_mirrors(founded.folders[2], MirrorSection(members=(founded.members[1],), interval=1))
    with City(founded) as city:
        city.start()
        log = city[1].core.log
        log.append([_entry(city, number) for number in range(300)])
        assert city[1].publisher.publish_now(wait_witnessed_s=180)
        back_up(log.path, copy)
        log.append([_entry(city, number) for number in range(300, 700)])
        published = city[1].publisher.publish_now(wait_witnessed_s=180)
        assert published is not None
        assert published.witnessed
        eventually(lambda: mirrored_size(city, 2, log.origin) == log.size == published.size, 300)
        size, root, origin = log.size, log.root(), log.origin
        error = json.loads(civicledger("log", "restore", "--from-peers", *node, status=1))["error"]
        assert error["code"] == "store.locked", "a running node is not refilled"
        city.stop(1)

        # Everything is lost; then, once more, all but an older backup.
        for older in (0, 1):
            shutil.rmtree(folder / "log")
            if older:
                restore(copy, folder / "log", origin=origin)
            answer = json.loads(civicledger("log", "restore", "--from-peers", *node))
            assert (answer["size"], answer["wanted"], answer["missing"]) == (size, size, 0)
            assert answer["before"] >= 300 * older
            assert [row["mirrored"] for row in answer["asked"] if row["member"] == founded.members[2]] == [size]
            report = fsck(folder / "log")
            assert (report.ok, report.size, report.root) == (True, size, root)
        city.start(1)
        again = city[1]
        assert again.core.log.origin == origin
        assert again.core.log.root(size) == root
        index = again.core.log.append_record(record(again, 1))
        assert again.anchors.parts(index, 180).size > index, "it is witnessed and anchored on"

        # A log nobody mirrors is not made up.
        city.stop(2)
        shutil.rmtree(founded.folders[2] / "log")
        other = ("--node", str(founded.folders[2]), "--json")
        answer = json.loads(civicledger("log", "restore", "--from-peers", *other, status=1))
        assert answer["missing"] == answer["wanted"] > 0
        assert (answer["error"]["code"], answer["error"]["actual"]) == ("restore.incomplete", 0)


def _entry(city: City, number: int) -> bytes:
    return encode_record(record(city[1], number))
