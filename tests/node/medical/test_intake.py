"""Reports that are taken in together: one work, each its own fate, and nothing lost or doubled at any write."""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from ledger.v1 import reports_pb2 as pb
from ledger.v1 import reports_pb2_grpc as rpc
from node.compose import Node
from node.identity.peers import PeerBook
from node.medical.incoming import Ingested
from node.medical.reports import Reports
from tests.ledger.medical.bundles import Person, encode, identity_number, resource
from tests.ledger.storage.vault_town import Disk, Killed
from tests.node.medical.report_city import bundle, codes, records


def somebody(number: str, place: int) -> Person:
    """A patient of one test alone: the same for the same."""
    months, day = divmod(zlib.crc32(number.encode()) % (40 * 12 * 28), 28)
    born = f"{1950 + months // 12}{1 + months % 12:02d}{1 + day:02d}"
    return Person(local=record_number(number, place), identity=identity_number(place, born=born))


def record_number(number: str, place: int) -> str:
    """Under which the hospital files somebody of a test: it is a FHIR id, too."""
    return f"{zlib.crc32(number.encode()):08x}-{place}"


def made(node: Node, number: str, place: int, **changes: Any) -> bytes:
    return encode(bundle(node, f"{number}-{place}", **({"person": somebody(number, place)} | changes)))


def fresh(node: Node, enrolment: Any = None) -> Reports:
    """As after a restart: nothing but what is on disk."""
    medical = node.medical
    return Reports(
        node.context,
        lambda: medical.vault,
        medical.rules,
        enrolment or medical.pseudonyms,
        lambda: True,
        lambda error: None,
    )


def states(done: Sequence[Ingested | Exception]) -> list[str]:
    return [one.state if isinstance(one, Ingested) else type(one).__name__ for one in done]


def test_each_of_a_group_has_its_own_fate(node: Node, reports: Reports, number: str) -> None:
    now_s = node.core.clock() // 1_000
    first = made(node, number, 0, issued_s=now_s - 500)
    second, last = made(node, number, 1, person=somebody(number, 0)), made(node, number, 4)
    # A record number that FHIR allows, and that is no name in the vault.
    unkept = bundle(node, f"{number}-3", person=somebody(number, 3))
    resource(unkept, "Patient")["identifier"][0]["value"] = "名" * 170
    done = reports.ingest_all(
        [
            first,
            b'{"resourceType":"Patient"}',
            second,
            made(node, number, 2, person=Person(local=record_number(number, 0), identity=identity_number(501))),
            made(node, number, 0, issued_s=now_s - 100, status="corrected"),
            first,
            encode(unkept),
            last,
        ],
        "test",
    )
    assert states(done) == [
        "offered",
        "refused",
        "offered",
        "refused",
        "corrected",
        "refused",
        "InvalidInputError",
        "offered",
    ]
    assert [codes(done[place]) for place in (1, 3, 5)] == [
        {"fhir.resource-type"},
        {"report.patient-conflict"},
        {"report.older"},
    ]
    # What came together of one patient is one patient's.
    kept = [reports.get(one.report) for one in (done[0], done[2]) if isinstance(one, Ingested)]
    assert None not in kept
    assert len({one.subject for one in kept if one is not None}) == 1
    assert [item.byte_count for item in reports.store.refusals(3)][-1] == 26
    # The very bytes: made again they would bear the time of now.
    again = reports.ingest_all([last, second], "test")
    assert states(again) == ["known", "known"]


def test_who_is_erased_at_this_moment_takes_no_other_along(node: Node, number: str) -> None:
    pseudonyms, medical = node.medical.pseudonyms, node.medical
    gone = made(node, number, 0)
    assert states(fresh(node).ingest_all([gone], "test")) == ["offered"]
    (subject,) = {
        one for one in [medical.vault.find(f"urn:hospital:patients|{record_number(number, 0)}".encode())] if one
    }

    class Erasing:
        """Erases the first one's patient between the looking and the writing, once."""

        enrol_in = pseudonyms.enrol_in
        done = False

        @contextlib.contextmanager
        def enrolling(self, subjects: Sequence[bytes]) -> Iterator[None]:
            if not self.done:
                self.done = True
                medical.vault.erase([subject])
            with pseudonyms.enrolling(subjects):
                yield

    now_s = node.core.clock() // 1_000
    corrected = made(node, number, 0, issued_s=now_s - 100, status="corrected")
    taking = fresh(node, Erasing())
    done = taking.ingest_all([corrected, made(node, number, 1), made(node, number, 2)], "test")
    assert states(done)[1:] == ["offered", "offered"]
    for one in done[1:]:
        assert isinstance(one, Ingested)
        assert len(records(node, "medical.offered", one.report)) == 1
    # It came again after the erasure: as of somebody new.
    assert isinstance(done[0], Ingested)
    assert medical.vault.find(f"urn:hospital:patients|{record_number(number, 0)}".encode()) not in (None, subject)
    assert not medical.vault.knows(subject)
    assert not taking.store.begun()


def test_killed_at_any_write_of_a_group_nothing_is_lost_or_doubled(
    node: Node, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is ended here are the writes of reports, not the making of the vault.
    assert node.medical.vault.book.epoch
    disk, at, survived = Disk(monkeypatch), -1, False
    while not survived:
        at += 1
        sent = [made(node, f"{number}-{at}", place) for place in range(3)]
        disk.arm(at)
        try:
            fresh(node).ingest_all(sent, "test")
            survived = True
        except Killed:
            pass
        disk.arm(-1)
        restarted = fresh(node)
        done = restarted.ingest_all(sent, "test")
        assert set(states(done)) <= {"offered", "known"}
        assert not restarted.store.begun()
        for one, data in zip(done, sent, strict=True):
            assert isinstance(one, Ingested)
            assert one.version == 1
            kept = restarted.get(one.report)
            assert kept is not None
            assert kept.data == data
            assert [offer.report for offer in restarted.offers(kept.subject)] == [one.report]
            assert len(records(node, "medical.offered", one.report)) == 1
    # Who is to be found, their keys and links, the versions begun, their data, and that they are offered.
    assert at >= 10


def test_many_who_send_at_once_each_have_their_own_answers(node: Node, reports: Reports, number: str) -> None:
    sent = {place: [made(node, f"{number}-{place}", other) for other in range(4)] for place in range(6)}
    done: dict[int, list[Ingested | Exception]] = {}

    def send(place: int) -> None:
        done[place] = reports.ingest_all(sent[place], "test")

    threads = [threading.Thread(target=send, args=(place,)) for place in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    for place, ones in done.items():
        assert states(ones) == ["offered"] * 4
        for one, data in zip(ones, sent[place], strict=True):
            assert isinstance(one, Ingested)
            kept = reports.get(one.report)
            assert kept is not None
            assert kept.data == data
    assert len(done) == 6


def test_a_stream_is_answered_in_order_also_one_that_waits_for_each_answer(node: Node, number: str) -> None:
    core = node.core
    with closing(PeerBook(core.config.peers_file, core.keys.identity)) as book:
        check_stream(rpc.ReportServiceStub(book.channel(core.member)), node, number)


def check_stream(stub: rpc.ReportServiceStub, node: Node, number: str) -> None:
    sent = [made(node, number, place) for place in range(5)]
    sent.insert(2, b"{")
    answered = threading.Semaphore(1)

    def one_by_one() -> Iterator[pb.IngestReportRequest]:
        for data in sent:
            assert answered.acquire(timeout=300)
            yield pb.IngestReportRequest(fhir=data)

    waited = []
    for answer in stub.IngestStream(one_by_one(), timeout=300):
        waited.append(answer)
        answered.release()
    assert [one.state for one in waited] == ["offered", "offered", "refused", "offered", "offered", "offered"]
    at_once = list(stub.IngestStream((pb.IngestReportRequest(fhir=data) for data in sent), timeout=300))
    assert [one.state for one in at_once] == ["known", "known", "refused", "known", "known", "known"]
    assert [one.report for one in at_once] == [one.report for one in waited]
