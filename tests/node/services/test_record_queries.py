"""Queries by every facet through gRPC, subjects by their openings, and erasures on the trail."""

from __future__ import annotations

import json
import os
from typing import Any

from services_city import USCC, City, refused

from ledger.codec import encode_record
from ledger.model import Record
from ledger.storage.openings import Opening
from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import RecordServiceStub

NOW = 1_763_784_000_000


def used(time_ms: int, **body: str) -> bytes:
    values = {"matter": "310100-AID-7", "operator": "0f" * 32, "purpose": "social-aid", "system": "aid-desk", **body}
    return encode_record(Record(type="access.used", member=USCC["labour"], time_ms=time_ms, body=values))


def pages(stub: Any, request: pb.QueryRequest) -> list[Any]:
    """Every row of a query."""
    rows = []
    while True:
        page = stub.Query(request)
        assert page.indexed_size <= page.log_size
        rows += page.rows
        if not page.next_page_token:
            return rows
        request.page_token = page.next_page_token


def test_newest_first_is_oldest_first_turned_round(city: City) -> None:
    stub = city.stub(RecordServiceStub, "labour")
    dataset = os.urandom(32)
    records = [used(NOW + n * 1_500, dataset=dataset.hex()) for n in range(30)]
    stub.Append(pb.AppendRequest(records=records))
    up = pages(stub, pb.QueryRequest(dataset=dataset, page_size=7))
    assert [row.record for row in up] == records
    down = pages(stub, pb.QueryRequest(dataset=dataset, page_size=7, newest_first=True))
    assert [row.record for row in down] == records[::-1]
    span = {"from": NOW + 1_500, "to": NOW + 6_000}
    day = pages(stub, pb.QueryRequest(dataset=dataset, type="access.used", newest_first=True, page_size=1, **span))
    assert [row.record for row in day] == records[3:0:-1]


def test_large_records_make_shorter_pages(city: City) -> None:
    stub = city.stub(RecordServiceStub, "audit")
    dataset = os.urandom(32)
    # Only the native door takes such a record: no body of the catalogue is that long. The log of "audit" is decoded by
    # no other test.
    body = {"dataset": dataset.hex(), "padding": "x" * 50_000}
    value = {"body": body, "member": USCC["audit"], "time": "2025-11-22T04:00:00.000Z", "type": "access.used", "v": 1}
    record = json.dumps(value, separators=(",", ":")).encode()
    city.context("audit").log.append([record] * 200)
    assert len(pages(stub, pb.QueryRequest(dataset=dataset, page_size=500))) == 200


def test_a_subject_is_found_by_its_pseudonym_until_it_is_erased(city: City) -> None:
    stub = city.stub(RecordServiceStub, "labour")
    subject = f"居民-{os.urandom(8).hex()}"
    made = [Opening(index=0, salt=os.urandom(32), subject=subject) for _ in range(3)]
    records = [used(NOW + n, commitment=opening.commitment().hex()) for n, opening in enumerate(made)]
    first = stub.Append(pb.AppendRequest(records=records)).first
    openings = [pb.Opening(index=first + n, salt=opening.salt, subject=subject) for n, opening in enumerate(made)]
    assert stub.KeepOpenings(pb.KeepOpeningsRequest(openings=openings)).count == 3
    assert stub.KeepOpenings(pb.KeepOpeningsRequest(openings=openings)).count == 0
    wanted = {"subject": subject, "type": "access.used", "page_size": 2}
    assert [row.record for row in pages(stub, pb.QueryRequest(**wanted))] == records
    # Auditors ask by subject, too; another pseudonym finds nothing.
    auditor = city.stub(RecordServiceStub, "labour", "audit")
    assert [row.index for row in pages(auditor, pb.QueryRequest(**wanted))] == [first, first + 1, first + 2]
    assert not pages(auditor, pb.QueryRequest(subject=subject + "x"))
    for record in records:
        assert subject.encode() not in record
    gone = [opening.commitment() for opening in made[:2]]
    answer = stub.EraseOpenings(pb.EraseOpeningsRequest(commitments=gone, basis="PIPL/47"))
    assert answer.count == 2
    assert [row.record for row in pages(stub, pb.QueryRequest(**wanted))] == records[2:]
    told = [json.loads(row.record) for row in stub.Read(pb.ReadRequest(first=answer.first, count=2))]
    assert [(one["type"], one["body"]["commitment"]) for one in told] == [("erasure.done", name.hex()) for name in gone]
    # The records themselves stay.
    assert [row.record for row in stub.Read(pb.ReadRequest(first=first, count=3))] == records


def test_bad_openings_and_erasures(city: City) -> None:
    stub = city.stub(RecordServiceStub, "labour")
    opening = Opening(index=0, salt=os.urandom(32), subject="resident")
    first = stub.Append(pb.AppendRequest(records=[used(NOW, commitment=opening.commitment().hex())])).first
    good = {"index": first, "salt": opening.salt, "subject": "resident"}
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"salt": b"short"}, "commitment.salt"),
        ({"salt": bytes(32)}, "opening.other"),
        ({"subject": "another"}, "opening.other"),
        ({"index": 0}, "opening.other"),
        ({"index": 2**60}, "record.range"),
        ({"subject": ""}, "input.field"),
        ({"subject": "x" * 129}, "input.field"),
    )
    for change, code in cases:
        request = pb.KeepOpeningsRequest(openings=[pb.Opening(**good), pb.Opening(**{**good, **change})])
        assert refused(lambda request=request: stub.KeepOpenings(request)).code == code
    assert city.context("labour").openings.get(opening.commitment()) is None
    assert refused(lambda: stub.KeepOpenings(pb.KeepOpeningsRequest())).code == "input.field"
    many = pb.KeepOpeningsRequest(openings=[pb.Opening(**good)] * 1_001)
    assert refused(lambda: stub.KeepOpenings(many)).code == "input.field"
    for request in (
        pb.EraseOpeningsRequest(basis="PIPL/47"),
        pb.EraseOpeningsRequest(commitments=[b"short"], basis="PIPL/47"),
        pb.EraseOpeningsRequest(commitments=[bytes(32)]),
        pb.EraseOpeningsRequest(commitments=[bytes(32)], basis="no label"),
    ):
        assert refused(lambda request=request: stub.EraseOpenings(request)).code == "input.field"
    assert refused(lambda: stub.Query(pb.QueryRequest(subject="x" * 129))).code == "input.field"


def test_an_index_that_was_dropped_answers_for_what_it_holds(city: City) -> None:
    stub = city.stub(RecordServiceStub, "labour")
    dataset = os.urandom(32)
    stub.Append(pb.AppendRequest(records=[used(NOW, dataset=dataset.hex())]))
    assert len(pages(stub, pb.QueryRequest(dataset=dataset))) == 1
    city.context("labour").index.renew()
    while True:
        page = stub.Query(pb.QueryRequest(dataset=dataset))
        assert page.indexed_size <= page.log_size
        if page.indexed_size == page.log_size:
            break
    assert len(page.rows) == 1
