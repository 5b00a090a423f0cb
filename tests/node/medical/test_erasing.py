"""A patient erased at a real node: nothing left here, in its backups, or readable in older ones; log and proof hold."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import codec
from ledger._native import log_fsck
from ledger.codec import commitment
from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.evidence.bundle import assemble
from ledger.evidence.erasing import decode_proof
from ledger.log import open_reader
from ledger.storage.keyfolder import KeyFolder
from ledger.storage.queries import RecordFilter
from ledger.verifyerasure import verify_erasure
from node.compose import Node
from node.drain import Closing
from node.identity.keyfiles import read_passphrase
from node.medical.keeping import Keeping, restore_keys
from tests.node.core.city import City, found

VALUE = b'{"resourceType":"Bundle","of":"anna","haemoglobin":"131.50"}' * 10
BASIS = "PIPL/47"


def refused(kind: type[LedgerError], code: str) -> pytest.RaisesExc[LedgerError]:
    return pytest.raises(kind, check=lambda error: error.code == code)


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    """One member; its key store is backed up."""
    founded = found(tmp_path / "city", 2)
    (tmp_path / "key-backup").mkdir()
    config = founded.folders[0] / "node.toml"
    text = config.read_text()
    assert 'key_backup = ""' in text
    config.write_text(text.replace('key_backup = ""', f'key_backup = "{tmp_path / "key-backup"}"'))
    with City(founded) as running:
        running.start()
        yield running


def keep(node: Node, patient: bytes, report: bytes) -> bytes:
    """A report of a patient, and its commitment in the vault; the latter."""
    vault = node.context.medical.vault
    subject = vault.subject_of(patient)
    salt = report * 32
    told = commitment("medical.offered/report", salt, VALUE)
    vault.put_all(subject, {b"report/" + report: VALUE, b"salt/" + report: salt}, {b"report/" + report: told})
    vault.link(b"pseudonym", pseudonym(report), subject, 2026)
    return told


def pseudonym(report: bytes) -> bytes:
    """What leads to the patient of a report."""
    return hashlib.sha256(b"pseudonym of " + report).digest()


def everything(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_erased_here_and_in_backups_with_a_proof(city: City, tmp_path: Path) -> None:
    node = city[0]
    medical, member = node.context.medical, node.core.member
    passphrase = read_passphrase(node.core.config.folder, "", {})
    told = keep(node, b"anna", b"A")
    kept = keep(node, b"bodo", b"B")
    consent = node.context.medical.consents
    subject = medical.vault.subject_of(b"anna")
    consent.change(subject, permit=False)
    key, sealed = medical.vault.book.get(b"key", subject), medical.vault._store.get(b"dreport/A")
    assert key is not None
    assert sealed is not None
    medical.keeping.back_up()
    # What a disk of today holds, kept aside by somebody: all rows, and all keys but under the passphrase.
    old = tmp_path / "old"
    shutil.copytree(node.core.config.medical_folder, old / "medical", ignore=shutil.ignore_patterns("OWNER", "LOCK"))
    shutil.copytree(tmp_path / "key-backup", old / "key-backup")
    told_parts: list[tuple[tuple[bytes, ...], tuple[bytes, ...]]] = []
    medical.erasing.on_erase(lambda subjects, names: told_parts.append((subjects, names)))

    erased = medical.erasing.erase([b"anna"], BASIS)

    assert erased.patients == 1
    assert erased.backup
    assert told in erased.statement.commitments
    assert len(erased.statement.commitments) == 2  # the report's and the consent's
    assert kept not in erased.statement.commitments
    assert told_parts[0][0] == (subject,)
    assert b"report/A" in told_parts[0][1]
    assert medical.vault.get(b"report/B") == VALUE
    assert consent.allows(subject, "somebody", 0)
    with refused(NotFoundError, "vault.no-patient"):
        medical.erasing.erase([b"anna"], BASIS)
    with refused(InvalidInputError, "erasure.basis"):
        medical.erasing.erase([b"bodo"], "because he said so")

    # The trail: the erasure, and each commitment that means nothing any more.
    records = [json.loads(entry) for entry in node.core.log.read(erased.index, 3)]
    assert [record["type"] for record in records] == ["medical.erased", "erasure.done", "erasure.done"]
    assert {record["body"]["commitment"] for record in records[1:]} == {
        one.hex() for one in erased.statement.commitments
    }

    # The proof, offline.
    proof = medical.erasing.prove(erased.statement.digest(), 120.0).encode()
    policy = node.context.anchors.policy()
    found_ = verify_erasure(proof, policy, commitment=told)
    assert found_.verdict.verdict == "verified"
    assert found_.statement == erased.statement
    assert found_.statement.member == member
    with refused(UntrustedError, "erasure.not-among"):
        verify_erasure(proof, policy, commitment=kept)
    given = json.loads(proof)
    given["statement"]["commitments"] = given["statement"]["commitments"][:1]
    with refused(UntrustedError, "erasure.other-statement"):
        verify_erasure(codec.encode(given), policy)
    with refused(InvalidInputError, "erasure.proof"):
        verify_erasure(proof + b"\n", policy)
    with refused(NotFoundError, "erasure.unknown"):
        medical.erasing.prove(bytes(32), 1.0)
    other = json.loads(proof)
    anchor = node.context.anchors.parts(0, 60.0)
    bundle = assemble(node.core.log.read(0, 1)[0], 0, node.core.log.prove_inclusion(0, anchor.size), anchor.parts)
    other["bundle"] = base64.b64encode(bundle).decode()
    with refused(UntrustedError, "erasure.other-record"):
        verify_erasure(codec.encode(other), policy)
    assert (
        given["statement"] | {"commitments": [one.hex() for one in erased.statement.commitments]}
        == decode_proof(proof).statement.to_dict()
    )

    # Nothing is left: no old key here or in the backup, no note of the erasure, no value.
    city.stop(0)
    medical_folder = node.core.config.medical_folder
    assert KeyFolder(medical_folder / "keys", passphrase).names() == ("epoch-2",)
    assert sorted(path.name for path in (tmp_path / "key-backup").glob("*.key")) == ["epoch-2.key"]
    assert log_fsck(str(node.core.config.log_folder))["problems"] == []
    for folder in (node.core.config.folder, tmp_path / "key-backup"):
        kept_bytes = everything(folder)
        assert VALUE[:40] not in kept_bytes
        for gone in (sealed, key, pseudonym(b"A"), pseudonym(b"A").hex().encode()):
            assert gone not in kept_bytes
    shutil.rmtree(old / "key-backup")
    shutil.copytree(tmp_path / "key-backup", old / "key-backup")

    # Old data and old rows with the keys that are left: nothing of anna opens, in the folder or by a restore.
    for name in (old / "medical" / "keys").glob("epoch-*.key"):
        name.unlink()
    closing = Closing()
    try:
        with pytest.raises(LedgerError) as caught:
            Keeping(old / "medical", passphrase, member, None, closing).vault.get(b"report/A")
    finally:
        closing.run()
    assert caught.value.code == "vault.key-missing"
    shutil.rmtree(old / "medical" / "keys")
    restored = restore_keys(old / "medical", passphrase, member, old / "key-backup")
    assert restored.epoch == 2
    closing = Closing()
    vault = Keeping(old / "medical", passphrase, member, None, closing).vault
    try:
        assert vault.get(b"report/B") == VALUE
        assert vault.find(b"anna") is None
        assert vault.linked(b"pseudonym", pseudonym(b"A")) is None
        with refused(NotFoundError, "vault.missing"):
            vault.get(b"report/A")
    finally:
        closing.run()

    # And the log still holds together: the node starts over it, and its records are the same.
    city.start(0)
    assert [json.loads(entry) for entry in city[0].core.log.read(erased.index, 3)] == records
    assert city[0].context.medical.vault.get(b"report/B") == VALUE


def test_a_backup_that_is_away_is_no_erasure_and_a_crash_in_between_is_finished(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = city[0]
    medical = node.context.medical
    told = keep(node, b"anna", b"A")
    medical.keeping.back_up()
    backup = tmp_path / "key-backup"
    backup.rename(tmp_path / "away")
    with refused(UnavailableError, "vault.copies-away"):
        medical.erasing.erase([b"anna"], BASIS)
    assert medical.vault.get(b"report/A") == VALUE
    (tmp_path / "away").rename(backup)

    class PowerCut(BaseException):
        """The node ends between forgetting and telling."""

    def cut(*_: object) -> None:
        raise PowerCut

    medical.erasing.on_erase(cut)
    with pytest.raises(PowerCut):
        medical.erasing.erase([b"anna"], BASIS)
    size = node.core.log.size
    city.stop(0)
    assert not any(json.loads(entry)["type"] == "medical.erased" for entry in _all(city, tmp_path, size))
    city.start(0)
    wanted = RecordFilter(type="medical.erased")
    done = threading.Event()
    for _ in range(3_000):
        if city[0].context.index.query(wanted, 2).rows:
            break
        done.wait(0.1)
    rows = city[0].context.index.query(wanted, 2).rows
    assert len(rows) == 1
    body = json.loads(city[0].core.log.read(rows[0].index, 1)[0])["body"]
    assert (body["epoch"], body["count"], body["basis"]) == (2, 1, BASIS)
    assert json.loads(city[0].core.log.read(rows[0].index + 1, 1)[0])["body"]["commitment"] == told.hex()
    assert sorted(path.name for path in backup.glob("*.key")) == ["epoch-2.key"]


def _all(city: City, tmp_path: Path, size: int) -> list[bytes]:
    folder = city.founded.folders[0] / "log"
    return list(open_reader(folder, size).read(0, size))


def test_who_changes_his_mind_often_loses_nothing_that_was_said(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    from node.medical import consents as module

    consents, vault = city[0].context.medical.consents, city[0].context.medical.vault
    subject, asker = vault.subject_of(b"otto"), city.founded.members[1]
    # Only the changes of this patient come near it here.
    monkeypatch.setattr(module, "MAX_RULES", 6)
    consents.change(subject, permit=False, asker=asker)
    for permit in (False, True) * 6:
        consents.change(subject, permit=permit)
    assert len(consents.rules(subject)) <= 6
    now = city[0].context.clock() // 1_000 + 1
    assert not consents.allows(subject, asker, now), "an older word about one body stands"
    assert consents.allows(subject, "11100000000013338W", now)
    assert {who: rule.permit for who, rule in consents.standing(subject, now).items()} == {asker: False, "*": True}


def test_consents_act_at_once_and_are_on_record(city: City) -> None:
    context = city[0].context
    consents, vault = context.medical.consents, context.medical.vault
    subject, asker, other = vault.subject_of(b"anna"), city.founded.members[1], "11100000000013338W"
    now = context.clock() // 1_000
    assert consents.allows(subject, asker, now)
    index = consents.change(subject, permit=False)
    assert not consents.allows(subject, asker, now + 1)
    assert consents.allows(subject, context.member, now + 1), "a hospital's own use is not sharing"
    consents.change(subject, permit=True, asker=asker, until_s=now + 1_000)
    assert consents.allows(subject, asker, now + 999)
    assert not consents.allows(subject, asker, now + 1_000)
    assert not consents.allows(subject, other, now + 1)
    consents.change(subject, permit=False, asker=asker)
    assert not consents.allows(subject, asker, now + 1)
    consents.change(subject, permit=True)
    assert consents.allows(subject, other, now + 1)
    assert not consents.allows(subject, asker, now + 1), "what names a body goes before what names all"
    with refused(InvalidInputError, "consent.time"):
        consents.change(subject, permit=True, until_s=now - 1)
    with refused(InvalidInputError, "identifier.uscc"):
        consents.change(subject, permit=True, asker="hospital")
    records = [json.loads(entry) for entry in city[0].core.log.read(index, 4)]
    told = [record["body"]["commitment"] for record in records if record["type"] == "medical.consent-changed"]
    assert [record["body"].keys() for record in records if record["type"] == "medical.consent-changed"] == [
        {"commitment"}
    ] * len(told)
    assert len(set(told)) == len(told) >= 2
    assert [rule.permit for rule in consents.rules(subject)] == [False, True, False, True]
