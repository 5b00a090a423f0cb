"""Worked examples of identifiers, records, logs, keys and the catalogue."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ledger import _native, codec, keys
from ledger.directory import catalogue, grants, scope
from ledger.evidence import checkpoint as cp
from ledger.evidence import fork, merkle, tlogpolicy
from ledger.evidence.tiles import tiles_of
from ledger.evidence.witness import format_request
from ledger.identifiers import dataset_id, member_bytes32, origin, witness_name
from ledger.keys import AccountSigner, Ed25519Signer, P256Signer
from ledger.log import DepartmentLog
from ledger.log.backup import back_up
from ledger.model import KeyRole, Record, parse_time
from ledger.storage.openings import Opening, Openings
from ledger.storage.store import Store
from tests.ledger.formats_page import Fields, example, raw


def leaves(given: Fields) -> list[bytes]:
    return [merkle.leaf_hash(entry.encode()) for entry in given["entries"].split()]


def head(given: Fields) -> cp.Checkpoint:
    hashes = leaves(given)
    return cp.Checkpoint(origin=given["origin"], size=len(hashes), root=merkle.root(hashes))


def note(given: Fields) -> bytes:
    signer = Ed25519Signer(KeyRole.LOG, raw(given["seed"]))
    return cp.sign_note(cp.format_checkpoint(head(given)), given["origin"], signer)


@example("member-id")
def member_id(given: Fields) -> Fields:
    return {"bytes32": member_bytes32(given["uscc"]).hex()}


@example("dataset-id")
def dataset_id_(given: Fields) -> Fields:
    return {"id": dataset_id(given["provider"], given["code"]).hex()}


@example("origin")
def origin_(given: Fields) -> Fields:
    region, handle = given["region"], given["handle"]
    return {"origin": origin(region, handle, int(given["generation"])), "witness": witness_name(region, handle)}


@example("canonical")
def canonical(given: Fields) -> Fields:
    return {"bytes": codec.encode(json.loads(given["json"])).decode()}


@example("domain-digest")
def domain_digest(given: Fields) -> Fields:
    return {"digest": codec.domain_digest(given["what"], given["data"].encode()).hex()}


@example("commitment")
def commitment(given: Fields) -> Fields:
    return {"commitment": codec.commitment(given["type"], raw(given["salt"]), given["value"].encode()).hex()}


@example("record")
def record(given: Fields) -> Fields:
    entry = Record(
        type=given["type"], member=given["member"], time_ms=parse_time(given["time"]), body=json.loads(given["body"])
    )
    data = codec.encode_record(entry)
    assert codec.decode_record(data) == entry
    return {"bytes": data.decode(), "leaf": merkle.leaf_hash(data).hex()}


@example("tree")
def tree(given: Fields) -> Fields:
    hashes = leaves(given)
    return {
        "root": merkle.root(hashes).hex(),
        "inclusion of two": " ".join(item.hex() for item in merkle.inclusion_proof(hashes, 1, 3)),
        "consistency from 2": " ".join(item.hex() for item in merkle.consistency_proof(hashes, 2, 3)),
    }


@example("log-files")
def log_files(given: Fields) -> Fields:
    with tempfile.TemporaryDirectory() as folder:
        engine = _native.LogEngine.open(folder)
        engine.append_batch([entry.encode() for entry in given["entries"].split()])
        engine.close()
        commits = (Path(folder) / "commits.dat").read_bytes()[:32]
        names = ("entries.dat", "level-0.dat")
        files = {name: (Path(folder) / name).read_bytes().hex() for name in names}
    return files | {"commits.dat": commits.hex()}


@example("log-backup")
def log_backup(given: Fields) -> Fields:
    signer = Ed25519Signer(KeyRole.LOG, raw(given["seed"]))
    with tempfile.TemporaryDirectory() as folder:
        log = DepartmentLog.open(Path(folder) / "log", origin=given["origin"], signer=signer, clock=lambda: 0)
        log.refill([entry.encode() for entry in given["entries"].split()])
        log.guard(())
        log.publish()
        back_up(log.path, Path(folder) / "copy")
        log.close()
        return {"manifest.json": (Path(folder) / "copy" / "manifest.json").read_text("utf-8")}


@example("index-rows")
def index_rows(given: Fields) -> Fields:
    record = Record(
        type=given["type"], member=given["member"], time_ms=parse_time(given["time"]), body=json.loads(given["body"])
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = _native.LogEngine.open(folder)
        engine.append_batch([codec.encode_record(record)])
        rows = engine.index_rows(0, 1)
        engine.close()
    return {chr(key[0]): f"{key.hex()} = {value.hex()}" for key, value in rows}


@example("opening")
def opening(given: Fields) -> Fields:
    made = Opening(index=0, salt=raw(given["salt"]), subject=given["subject"])
    with tempfile.TemporaryDirectory() as folder, Store.open(folder) as store:
        store.put(b"k", raw(given["key"]))
        digest = Openings(store).digest(given["subject"])
    return {"commitment": made.commitment().hex(), "subject in the index": digest.hex()}


@example("tiles")
def tiles(given: Fields) -> Fields:
    found = list(tiles_of(int(given["size"])))
    partial = " ".join(tile.path for tile in found if tile.width < 256)
    return {"partial": partial, "full of level 1": " ".join(t.path for t in found if (t.level, t.width) == (1, 256))}


@example("checkpoint")
def checkpoint(given: Fields) -> Fields:
    public = Ed25519Signer(KeyRole.LOG, raw(given["seed"])).public
    return {"vkey": cp.vkey(given["origin"], cp.ED25519_NOTE, public), "note": note(given).decode()}


@example("cosignature")
def cosignature(given: Fields) -> Fields:
    signer = Ed25519Signer(KeyRole.WITNESS, raw(given["seed"]))
    line = cp.cosign(cp.format_checkpoint(head(given)), given["name"], signer, int(given["time"]))
    return {"vkey": cp.vkey(given["name"], cp.ED25519_COSIGNATURE, signer.public), "line": line.rstrip("\n")}


@example("quorum")
def quorum(given: Fields) -> Fields:
    return {"quorum": " ".join(str(cp.quorum_of(int(active))) for active in given["active members"].split())}


@example("witness-request")
def witness_request(given: Fields) -> Fields:
    old, hashes = int(given["old"]), leaves(given)
    return {"body": format_request(old, merkle.consistency_proof(hashes, old, len(hashes)), note(given)).decode()}


@example("tlog-proof")
def tlog_proof(given: Fields) -> Fields:
    hashes, index = leaves(given), int(given["index"])
    return {"text": cp.format_proof(index, merkle.inclusion_proof(hashes, index, len(hashes)), note(given))}


@example("fork-evidence")
def fork_evidence(given: Fields) -> Fields:
    other = {**given, "entries": given["other entries"]}
    hashes, signer = leaves(other), Ed25519Signer(KeyRole.LOG, raw(given["seed"]))
    key = cp.VKey(name=given["origin"], type=cp.ED25519_NOTE, public=signer.public)
    path = merkle.consistency_proof(hashes, len(leaves(given)), len(hashes))
    found = fork.ForkEvidence.make(note(given), note(other), (key,), path)
    proven = found.verify((key,))
    return {"document": found.encode().decode(), "sizes": f"{proven.first.size} {proven.second.size}"}


@example("tlog-policy")
def tlog_policy(given: Fields) -> Fields:
    log = cp.VKey(name=given["origin"], type=cp.ED25519_NOTE, public=b"\x01" * 32)
    witnesses = [
        cp.VKey(name=name, type=cp.ED25519_COSIGNATURE, public=bytes([number]) * 32)
        for number, name in enumerate(given["witnesses"].split(), 2)
    ]
    return {"text": tlogpolicy.format_tlog_policy([log], witnesses, int(given["quorum"]))}


@example("key-material")
def key_material(given: Fields) -> Fields:
    secret = raw(given["secret"])
    return {
        "log": keys.material(KeyRole.LOG, Ed25519Signer(KeyRole.LOG, secret).public).hex(),
        "account": keys.material(KeyRole.ACCOUNT, AccountSigner(secret).public).hex(),
        "tls": keys.material(KeyRole.TLS, P256Signer(KeyRole.TLS, secret).spki).hex(),
    }


@example("metadata")
def metadata(given: Fields) -> Fields:
    data = given["json"].strip().encode()
    return {
        "dataset": catalogue.decode_metadata(data).id.hex(),
        "digest": catalogue.metadata_digest(data).hex(),
    }


@example("scope")
def scope_(given: Fields) -> Fields:
    return {"digest": scope.scope_digest(scope.decode_scope(given["json"].encode())).hex()}


@example("agreement")
def agreement(given: Fields) -> Fields:
    terms = grants.Terms(
        dataset=raw(given["dataset"]),
        provider=given["provider"],
        consumer=given["consumer"],
        purpose=given["purpose"],
        matter=given["matter"],
        scope=scope.decode_scope(given["scope"].encode()),
        ceiling=int(given["ceiling"]),
        valid_until=int(given["valid until"]),
    )
    data = grants.agreement(terms)
    return {"bytes": data.decode(), "digest": grants.agreement_digest(data).hex()}


@example("reasons")
def reasons(given: Fields) -> Fields:
    lines = (f"{code} {item.word} {item.zh}: {item.en}\n" for code, item in grants.REFUSAL_REASONS.items())
    return {"codes": "".join(lines)}
