"""A copy of a hospital's whole node, made before an erasure: without the key that was destroyed it says nothing of the
patient, in no file, no row and under no key that is left, and lets nobody test a guess."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import plyvel
import pytest
from certify_town import FOOD, HOSPITAL, OFFICE, Town
from medical_city import USCC, WAIT_S, eventually
from whole_city import ingest, search, sent

from ledger.errors import NotFoundError
from ledger.evidence.medicalreceipt import decode_step_receipt, report_commitment
from ledger.evidence.receipt import decode_receipt
from ledger.v1 import department_pb2, department_pb2_grpc
from ledger.v1 import medical_pb2 as pb
from ledger.verifyerasure import verify_erasure
from node.drain import Closing
from node.identity.keyfiles import read_passphrase
from node.medical.certifying import filed_as
from node.medical.keeping import Keeping
from node.medical.sealing import derived_salt
from tests.city import traces
from tests.ledger.medical.bundles import Person, identity_number

LOCAL = "OLD-COPY-0933"
PHONE = "+8613900009331"


def everything(folder: Path, scratch: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a copy, and every store with its rows as they are before they are compressed."""
    yield from traces.files(folder, frozenset())
    for store in traces.stores(folder, frozenset()):
        yield f"rows of {store.relative_to(folder)}", b"\n".join(traces.rows(store, scratch))


def secrets_of(name: str, value: bytes) -> dict[bytes, str]:
    return {value: name, value.hex().encode(): f"{name} in hex"}


@pytest.fixture
def copied(town: Town, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a copy of the hospital's folder while its node is stopped."""

    def copy(name: str) -> Path:
        folder = town.city.foundings[HOSPITAL].folder
        town.city.stop(HOSPITAL)
        try:
            shutil.copytree(folder, tmp_path / name, ignore=shutil.ignore_patterns("LOCK", "OWNER", "*.sock"))
        finally:
            node = town.city.start(HOSPITAL)
        assert node.wait_open(WAIT_S)
        return tmp_path / name

    return copy


def test_a_copy_made_before_an_erasure_says_nothing_of_the_patient(
    town: Town, copied: Callable[[str], Path], tmp_path: Path
) -> None:
    city = town.city
    person = Person(local=LOCAL, identity=identity_number(933))
    other = Person(local="P934", identity=identity_number(934))
    town.examine(other, "E-934", "food-handler-fit")
    town.certify(FOOD, other, 934)
    examined = town.examine(person, "E-933", "food-handler-fit", "driver-fit")
    certified = town.certify(FOOD, person, 933)
    data = sent("R-933", person)
    report = bytes(ingest(city, data).report)
    medical = city.nodes[HOSPITAL].context.medical
    patient = medical.reports.identified(f"ric:{person.identity}")
    assert patient is not None
    medical.notices.set_contact(patient, PHONE)
    eventually(lambda: {bytes(one.report) for one in search(city, person)} == {examined, report}, "east finds both")
    request = pb.OpenReportRequest(
        institution=USCC[HOSPITAL], report=report, version=1, purpose="treatment", course="chronic"
    )
    opened = city.service("east").Open(request, timeout=180)
    step = bytes(opened.step.step)
    city.service("east").Decide(pb.DecideRequest(opening=step, kind="recognise", places=[0]), timeout=180)

    # The salts that open the two receipts; nothing else does.
    salts = {one: kept.salt for one in (examined, report) if (kept := medical.reports.get(one)) is not None}
    of_step = derived_salt(salts[report], b"step", step)
    receipt = decode_step_receipt(bytes(opened.step.receipt))[0]
    assert receipt.commitment == report_commitment(of_step, hashlib.sha256(data).digest())
    exchange = bytes(certified.receipt.exchange)
    at_office = city.nodes[OFFICE].context.exchanges.get(exchange, "consumer")
    assert at_office is not None
    of_exchange = derived_salt(salts[examined], b"exchange", exchange)
    assert at_office.salt == of_exchange
    commitment = decode_receipt(at_office.receipt)[0].commitment

    old = copied("old")
    context = city.nodes[HOSPITAL].context
    log = department_pb2_grpc.RecordServiceStub(city.channel(HOSPITAL))

    def found() -> list[bytes]:
        asked = department_pb2.QueryRequest(subject=person.identity)
        return [bytes(row.record) for row in log.Query(asked, timeout=180, wait_for_ready=True).rows]

    assert any(exchange.hex().encode() in record for record in found()), "the patient's question is answered"
    wanted = traces.needles({"identity": person.identity, "record number": LOCAL, "phone": PHONE})
    wanted |= {data: "the report"}
    for name, salt in {"step": of_step, "exchange": of_exchange, "report": salts[report], "E": salts[examined]}.items():
        wanted |= secrets_of(f"salt of {name}", salt)
    # Who has the payload folder has the key of the index's digests, and could look for each citizen's number.
    wanted |= secrets_of("what the index knows an identity by", context.openings.digest(person.identity))

    erased = context.medical.erasing.erase([f"urn:hospital:patients|{LOCAL}".encode()], "PIPL/47")

    (record,) = town.records(HOSPITAL, "medical.certified", exchange=exchange.hex())
    assert {commitment, bytes.fromhex(record.body["commitment"])} <= set(erased.statement.commitments)
    proof = context.medical.erasing.prove(erased.statement.digest(), WAIT_S).encode()
    assert verify_erasure(proof, context.anchors.policy(), commitment=commitment).verdict.verdict == "verified"
    eventually(lambda: not found(), "nothing leads to the record")
    assert filed_as(context, person.identity) is None

    # What others' reports say as well is in clear nowhere.
    values = [match[0].decode() for match in re.finditer(rb'"value":\s*[0-9.]+,\s*"unit":\s*"[^"]+"', data)]
    assert len(values) > 3
    said = traces.needles({f"value {place}": value for place, value in enumerate(values)} | {"finding": "血脂偏高"})
    new = copied("new")
    # The key that was destroyed; the rows under it are in the copy.
    for key in (old / "medical" / "keys").glob("epoch-*.key"):
        key.unlink()
    for folder in (old, new):
        looked_at = 0
        for name, held in everything(folder, tmp_path / "scratch"):
            assert traces.search(wanted | said, held) == [], f"{folder.name}: {name}"
            looked_at += 1
        assert looked_at > 20

    # The old data under every key that is left: what belongs to others opens, and nothing of the patient.
    shutil.rmtree(old / "medical" / "keys")
    shutil.copytree(new / "medical" / "keys", old / "medical" / "keys")
    shutil.copytree(old / "medical" / "vault", tmp_path / "sealed")
    with plyvel.DB(str(tmp_path / "sealed")) as db, db.iterator(prefix=b"d") as iterator:
        sealed = {key[1:]: row for key, row in iterator}
    passphrase, closing = read_passphrase(old, "", {}), Closing()
    vault = Keeping(old / "medical", passphrase, USCC[HOSPITAL], None, closing).vault
    opens: dict[bytes, bytes] = {}
    try:
        assert vault.find(f"urn:hospital:patients|{LOCAL}".encode()) is None
        for name in sealed:
            with contextlib.suppress(NotFoundError):
                opens[name] = vault.get(name)
    finally:
        closing.run()
    mine = {name for name, row in sealed.items() if row.startswith(patient)}
    assert {name[7:39] for name in mine if name.startswith(b"report/")} == {examined, report}
    assert not mine & opens.keys()
    assert any(other.identity.encode() in one for one in opens.values()), "others' data open"
    for name, one in opens.items():
        assert traces.search(wanted, one) == [], name
