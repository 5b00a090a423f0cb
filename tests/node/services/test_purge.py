"""What is older than a day goes for good; records, proofs and receipts stay, and the trail says what was erased."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from services_city import City, eventually, refused
from services_exchange import CONTENT

from ledger.codec import encode_record
from ledger.errors import UnavailableError
from ledger.evidence.receipt import verify_receipt
from ledger.evidence.request import decode_request
from ledger.model import KeyRole, Record
from ledger.storage.openings import Opening
from ledger.v1 import department_pb2, department_pb2_grpc, node_pb2, node_pb2_grpc
from node import erasure

ROOT = Path(__file__).resolve().parents[3]


def purge(city: City, at: str, *, execute: bool = True) -> department_pb2.PurgeResponse:
    stub = city.stub(department_pb2_grpc.RecordServiceStub, at)
    request = department_pb2.PurgeRequest(before=city.context(at).clock(), basis="PIPL/47", execute=execute)
    return stub.Purge(request, timeout=300)


def counts(done: department_pb2.PurgeResponse) -> tuple[int, int, int, int]:
    return done.openings, done.exchanges, done.operators, done.payloads


def keep_opening(city: City, at: str) -> Opening:
    """A record about a subject, and the opening of its commitment."""
    context = city.context(at)
    made = Opening(index=context.log.size, salt=os.urandom(32), subject="resident-4711")
    body = {
        "system": "portal",
        "matter": "M-1",
        "purpose": "social-aid",
        "operator": "0" * 64,
        "commitment": made.commitment().hex(),
    }
    stub = city.stub(department_pb2_grpc.RecordServiceStub, at)
    entry = encode_record(Record(type="access.used", member=context.member, time_ms=context.clock(), body=body))
    index = stub.Append(department_pb2.AppendRequest(records=[entry]), timeout=180).first
    kept = Opening(index=index, salt=made.salt, subject=made.subject)
    request = department_pb2.Opening(index=index, salt=kept.salt, subject=kept.subject)
    stub.KeepOpenings(department_pb2.KeepOpeningsRequest(openings=[request]), timeout=180)
    return kept


def on_disk(folder: Path, data: bytes) -> list[str]:
    return [str(file) for file in folder.rglob("*") if file.is_file() and data in file.read_bytes()]


def test_what_is_old_goes_and_what_proves_it_stays(city: City) -> None:
    purge(city, "labour")
    purge(city, "civil")
    # A content of its own: one that another dataset has as well is not replaced.
    dataset = city.publish(CONTENT + b"\n", code="purge/1")
    grant = city.grant(dataset.id)
    _, receipt = city.pull(grant.id, operator_pseudonym="clerk-17")
    city.publish(CONTENT + b" ", code="purge/1")
    opening = keep_opening(city, "labour")
    labour, civil = city.context("labour"), city.context("civil")
    before = labour.exchanges.get(receipt.exchange, "consumer")
    operator = decode_request(before.request).operator

    assert counts(purge(city, "labour", execute=False)) == (1, 1, 1, 0)
    assert counts(purge(city, "civil", execute=False)) == (0, 1, 0, 1)
    assert labour.exchanges.get(receipt.exchange, "consumer") == before, "a look deletes nothing"

    done = purge(city, "labour")
    assert (counts(done), done.records) == ((1, 1, 1, 0), 4)
    assert counts(purge(city, "civil")) == (0, 1, 0, 1)
    after = labour.exchanges.get(receipt.exchange, "consumer")
    assert (after.salt, after.receipt, after.state) == (b"", before.receipt, "complete")
    assert labour.openings.get(opening.commitment()) is None
    assert labour.store.sub(b"exchange/operator/").get(receipt.exchange) is None
    assert civil.exchanges.get(receipt.exchange, "provider").salt == b""
    assert civil.payloads.stat(dataset.versions[-1].content_digest) is None, "the replaced content"
    for context in (labour, civil):
        assert on_disk(context.config.folder / "store", before.salt) == []
        assert on_disk(context.config.folder / "payloads", opening.salt) == []

    # Both sides' receipt, the record and its proof are what they were; the trail has every commitment and the counts.
    keys = [city.context(handle).signers[KeyRole.RECEIPT].public for handle in ("civil", "labour")]
    commitment = verify_receipt(after.receipt, *keys).receipt.commitment
    proof = city.stub(node_pb2_grpc.ProofServiceStub, "labour").ProveInclusion(
        node_pb2.ProveInclusionRequest(index=receipt.log_index), timeout=60
    )
    assert proof.hashes
    for name in (opening.commitment(), operator, commitment):
        (erased,) = city.records("labour", "erasure.done", commitment=name.hex())
        assert erased.body == {"basis": "PIPL/47", "commitment": name.hex()}
    purged = city.records("labour", "erasure.purged")[-1].body
    assert (purged["openings"], purged["exchanges"], purged["operators"], purged["payloads"]) == (1, 1, 1, 0)
    # The replaced version cannot be had any more, the present one can.
    assert json.loads(city.pull(grant.id)[0])
    again = purge(city, "civil", execute=False)
    assert counts(again) == (0, 1, 0, 0)


def test_a_withdrawn_content_ages_from_its_withdrawal(city: City) -> None:
    content = CONTENT + b"\n\n"
    dataset = city.publish(content, code="purge/2")
    context = city.context("civil")
    digest = dataset.versions[-1].content_digest
    published_ms = context.clock()
    eventually(lambda: context.clock() > published_ms + 1_000, "a second passed: versions are dated in seconds")
    stub = city.stub(department_pb2_grpc.DatasetServiceStub, "civil")
    stub.Withdraw(department_pb2.WithdrawDatasetRequest(id=dataset.id), timeout=180)
    erasure.purge(context, published_ms)
    assert context.payloads.stat(digest) is not None, "what was withdrawn later is not older"
    eventually(lambda: context.index.indexed_size == context.log.size, "the index has the withdrawal")
    eventually(lambda: erasure.look(context, context.clock()).payloads >= 1, "the withdrawal is in the past")
    erasure.purge(context, context.clock())
    assert context.payloads.stat(digest) is None


def test_an_exchange_whose_salt_is_gone_is_not_repeated(city: City) -> None:
    grant = city.grant(city.publish(CONTENT).id)
    nonce = os.urandom(32)
    city.pull(grant.id, nonce=nonce)
    purge(city, "civil")
    assert refused(lambda: city.pull(grant.id, nonce=nonce)).code == "exchange.erased"


def test_an_erasure_cut_short_is_carried_out_later(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    context = city.context("labour")
    openings = [keep_opening(city, "labour") for _ in range(3)]

    def fail(*_: object) -> None:
        raise UnavailableError("log.saturated", "the log is saturated")

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "_append", fail)
        with pytest.raises(UnavailableError):
            erasure.purge(context, context.clock())
    assert [context.openings.get(one.commitment()) for one in openings] == [None] * 3
    assert erasure.finish(context) >= 3
    assert erasure.finish(context) == 0
    for one in openings:
        assert len(city.records("labour", "erasure.done", commitment=one.commitment().hex())) == 1


def test_only_the_past_is_deleted_and_a_basis_is_a_label(city: City) -> None:
    stub = city.stub(department_pb2_grpc.RecordServiceStub, "labour")
    keep_opening(city, "labour")
    now = city.context("labour").clock()
    for request, code in (
        (department_pb2.PurgeRequest(before=now + 3_600_000, execute=True), "erasure.before"),
        (department_pb2.PurgeRequest(before=0, execute=True), "input.field"),
        (department_pb2.PurgeRequest(before=now, basis="not a label", execute=True), "record.body"),
    ):
        assert refused(lambda request=request: stub.Purge(request, timeout=180)).code == code
    assert purge(city, "labour", execute=False).openings >= 1, "nothing was deleted"


def test_the_command_counts_and_deletes_only_when_told(city: City) -> None:
    def run(*words: str, status: int = 0) -> str:
        folder = str(city.context("plain").config.folder)
        done = subprocess.run(
            [sys.executable, "-m", "node.cli.main", "record", "purge-payloads", *words, "--node", folder],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "CIVICLEDGER_LANG": "en", "PYTHONPATH": str(ROOT)},
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    # Records of other tests of this city may be older than a day; one of now is not.
    older = json.loads(run("--older-than", "1", "--json"))
    keep_opening(city, "plain")
    looked = json.loads(run("--older-than", "1", "--json"))
    assert (looked["executed"], looked["openings"], looked["records"]) == (False, older["openings"], older["records"])
    assert json.loads(run("--before", "2026-01-01", "--json"))["before"] == "2025-12-31T16:00:00.000Z", (
        "China's midnight"
    )
    assert json.loads(run("--before", "2026-13-01", "--json", status=1))["error"]["code"] == "input.day"
    run("--before", "2026-01-01", "--older-than", "3", status=2)
