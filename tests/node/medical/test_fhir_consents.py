"""A patient's Consent in FHIR, as a hospital's system sends it: what it changes at a real node, and what is refused."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledger.v1 import reports_pb2 as pb
from ledger.v1 import reports_pb2_grpc as rpc
from node.city.roster import demo_uscc
from node.compose import Node
from node.identity.peers import PeerBook
from node.medical.reports import Reports
from tests.ledger.medical.bundles import Person, encode, identity_number, instant
from tests.ledger.medical.test_fhir_samples import EXPECTED
from tests.ledger.medical.test_fhirconsent import actor, consent
from tests.node.medical.report_city import bundle
from tests.node.medical.test_report_doors import post

OTHER = "12310000425006133Y"
THIRD = "123100004250061179"
_serial = iter(range(700, 999))
_lock = threading.Lock()


class Patient:
    """Somebody nobody has seen, and what is said of sharing his results."""

    def __init__(self, node: Node) -> None:
        with _lock:
            number = next(_serial)
        self.node = node
        self.person = Person(local=f"C{number}", identity=identity_number(number))

    def said(self, **changes: Any) -> bytes:
        """A Consent of his, by default a no to everybody."""
        made = consent(contained=[self.person.resource()], patient={"reference": f"#{self.person.local}"}, **changes)
        return json.dumps(made).encode()

    def allows(self, asker: str, at_s: int = 0) -> bool:
        medical = self.node.context.medical
        subject = medical.reports.identified(f"ric:{self.person.identity}")
        assert subject is not None
        return bool(medical.consents.allows(subject, asker, at_s or self.node.core.clock() // 1_000))


@pytest.fixture
def patient(node: Node) -> Patient:
    return Patient(node)


def changes(node: Node) -> int:
    log = node.core.log
    return sum(b'"medical.consent-changed"' in entry for entry in log.read(0, log.size))


def test_a_no_acts_at_once_and_the_next_version_takes_its_place(reports: Reports, node: Node, patient: Patient) -> None:
    before = changes(node)
    data = patient.said()
    assert reports.ingest(data, "grpc").state == "consented"
    assert not patient.allows(OTHER)
    # The same again changes nothing and is on no record.
    assert reports.ingest(data, "grpc").state == "known"
    assert changes(node) == before + 1
    one = patient.said(provision={"type": "permit", "actor": [actor(OTHER)]})
    assert reports.ingest(one, "grpc").state == "consented"
    assert (patient.allows(OTHER), patient.allows(THIRD)) == (True, False)
    ended = reports.ingest(patient.said(status="inactive"), "grpc")
    assert (ended.state, [item.code for item in ended.problems]) == ("consented", ["consent.not-active"])
    assert patient.allows(OTHER)
    assert patient.allows(THIRD)
    assert changes(node) == before + 3


def test_another_consent_stands_beside_it(reports: Reports, patient: Patient) -> None:
    reports.ingest(patient.said(), "grpc")
    other = patient.said(identifier=[{"system": "urn:hospital:consents", "value": "8"}], provision={"type": "permit"})
    reports.ingest(other, "grpc")
    # The newer before the older; taken back, the older counts again.
    assert patient.allows(OTHER)
    taken_back = json.loads(other) | {"status": "entered-in-error"}
    reports.ingest(json.dumps(taken_back).encode(), "grpc")
    assert not patient.allows(OTHER)


def test_times_bound_it_and_versions_have_an_order(reports: Reports, node: Node, patient: Patient) -> None:
    now_s = node.core.clock() // 1_000
    period = {"start": instant(now_s + 3_600), "end": instant(now_s + 7_200)}
    dated = {"dateTime": instant(now_s - 60)}
    assert (
        reports.ingest(patient.said(provision={"type": "deny", "period": period}, **dated), "grpc").state == "consented"
    )
    assert [patient.allows(OTHER, now_s + after) for after in (0, 3_600, 7_199, 7_202)] == [True, False, False, True]
    older = reports.ingest(patient.said(dateTime=instant(now_s - 600)), "grpc")
    assert (older.state, [item.code for item in older.problems]) == ("refused", ["consent.older"])
    past = {"start": instant(now_s - 7_200), "end": instant(now_s - 3_600)}
    over = reports.ingest(patient.said(provision={"type": "deny", "period": past}, dateTime=instant(now_s)), "grpc")
    assert (over.state, [item.code for item in over.problems]) == ("consented", ["consent.over"])
    assert patient.allows(OTHER, now_s + 3_600)


def test_whose_it_is_is_found_by_identity_and_a_contradiction_is_refused(
    reports: Reports, node: Node, patient: Patient, number: str
) -> None:
    report = reports.ingest(encode(bundle(node, number, person=patient.person)), "grpc")
    assert report.state == "offered"
    assert reports.ingest(patient.said(), "grpc").state == "consented"
    kept = reports.get(report.report)
    assert kept is not None
    assert not node.context.medical.consents.allows(kept.subject, OTHER, node.core.clock() // 1_000)
    other = Patient(node)
    reports.ingest(other.said(), "grpc")
    mixed = Patient(node)
    mixed.person = Person(local=patient.person.local, identity=other.person.identity)
    found = reports.ingest(mixed.said(), "grpc")
    assert [item.code for item in found.problems] == ["report.patient-conflict"]
    many = [actor(demo_uscc("310000", one)) for one in range(1, 52)]
    found = reports.ingest(patient.said(provision={"type": "permit", "actor": many}), "grpc")
    assert [item.code for item in found.problems] == ["fhir.too-many"]
    assert patient.person.identity not in str(found)


def test_every_door_takes_it(node: Node, patient: Patient, tmp_path: Path) -> None:
    from fhir.resources.R4B.operationoutcome import OperationOutcome
    from typer.testing import CliRunner

    from node.cli.main import build

    first = post(node, patient.said())
    assert (first.status, "location" in first.headers) == (200, False)
    assert not patient.allows(OTHER)
    bad = post(node, patient.said(scope={"text": "research"}))
    assert bad.status == 422
    for answer in (first, bad):
        OperationOutcome.model_validate_json(answer.content)
    core = node.core
    with closing(PeerBook(core.config.peers_file, core.keys.identity)) as book:
        request = pb.IngestReportRequest(fhir=patient.said(status="inactive"))
        done = rpc.ReportServiceStub(book.channel(core.member)).Ingest(request, timeout=180)
    assert (done.state, done.report, list(done.codes)) == ("consented", b"", ["consent.not-active"])
    assert patient.allows(OTHER)
    file = tmp_path / "consent.json"
    file.write_bytes(patient.said())
    words = ["medical", "ingest", str(file), "--node", str(core.config.folder), "--json"]
    run = CliRunner().invoke(build(["medical"]), words)
    assert run.exit_code == 0, run.output
    assert not patient.allows(OTHER)
    refused = [one for one in node.context.medical.reports.store.refusals(50) if "fhir.consent-scope" in one.codes]
    assert refused[0].via == "http"


@pytest.mark.parametrize("name", sorted(name for name in EXPECTED if name.startswith("Consent-")))
def test_the_samples_are_taken_or_refused_as_the_table_says(reports: Reports, vectors: Path, name: str) -> None:
    done = reports.ingest((vectors / "fhir-r4-examples" / f"{name}.json").read_bytes(), "grpc")
    expected = EXPECTED[name][0]
    if expected == "consent":
        # Both are over: they say nothing now, and a repeat of the test finds them known.
        assert (done.state in ("consented", "known"), [item.code for item in done.problems]) == (True, ["consent.over"])
    else:
        assert (done.state, done.problems[0].code) == ("refused", expected)
