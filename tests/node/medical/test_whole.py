"""Whole nodes: from a report's arrival at one hospital to its recognition at another, its correction, the patient's
word against it, and his erasure. Every part is the node's own."""

from __future__ import annotations

from medical_city import USCC, City, eventually, refused
from whole_city import ITEMS, ingest, now_s, search, sent

from ledger.v1 import medical_pb2 as pb
from ledger.v1 import reports_pb2
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from tests.ledger.medical.bundles import Person, identity_number


def test_from_arrival_to_erasure(whole: City) -> None:
    west = whole.nodes["west"].context.medical
    person = Person(local="P0417", identity=identity_number(417))
    data = sent("R-417", person)
    taken = ingest(whole, data)
    assert taken.state == "offered"
    eventually(lambda: west.pseudonyms.waiting() == 0, "the commission derived the pseudonym")
    (found,) = search(whole, person)
    assert bytes(found.report) == bytes(taken.report)
    fit = {item.item: item.place for item in found.items if item.recognisable}
    assert set(ITEMS) <= set(fit)
    assert all(item.label == "市HR" for item in found.items if item.recognisable)
    # Another identity finds nothing.
    assert search(whole, Person(local="X", identity=identity_number(418))) == []

    east = whole.service("east")
    request = pb.OpenReportRequest(
        institution=USCC["west"], report=found.report, version=1, purpose="treatment", course="chronic"
    )
    opened = east.Open(request, timeout=180)
    assert opened.data == data
    step = bytes(opened.step.step)
    east.Decide(pb.DecideRequest(opening=step, kind="recognise", places=[fit["wbc"]]), timeout=180)
    retest = pb.DecideRequest(opening=step, kind="retest", places=[fit["platelets"]], reason="fast-changing")
    east.Decide(retest, timeout=180)
    for kind in ("medical.opened", "medical.recognised", "medical.retested"):
        (here,), (there,) = (whole.records(handle, kind, bytes(found.report)) for handle in ("east", "west"))
        assert here.body["receipt"] == there.body["receipt"]
    for handle in ("east", "west"):
        checked = whole.service(handle).Statistics(pb.MedicalStatisticsRequest(check_records=True), timeout=180)
        assert checked.records == "same"

    # Corrected: a new version, of which east is told.
    corrected = ingest(whole, sent("R-417", person, status="corrected", updated_s=now_s() - 60, issued_s=now_s() - 60))
    assert (corrected.state, corrected.version) == ("corrected", 2)
    eventually(lambda: whole.records("east", "medical.told", bytes(found.report)), "east hears of the correction")
    decide = pb.DecideRequest(opening=step, kind="recognise", places=[fit["rbc"]])
    assert refused(lambda: east.Decide(decide, timeout=180)).code == "medical.changed"

    # Forbidden: neither offered nor opened, at once; and allowed again.
    kept = west.reports.get(bytes(found.report))
    assert kept is not None
    west.consents.change(kept.subject, permit=False, via="desk")
    assert search(whole, person) == []
    request.version = 2
    assert refused(lambda: east.Open(request, timeout=180)).code == "medical.forbidden"
    west.consents.change(kept.subject, permit=True, via="desk")
    assert len(search(whole, person)) == 1

    # Withdrawn: told, and recognised no more.
    ReportServiceStub(whole.channel("west")).Withdraw(
        reports_pb2.WithdrawReportRequest(report=found.report, reason="wrong-patient"), timeout=180
    )
    eventually(
        lambda: [
            one
            for one in whole.records("east", "medical.told", bytes(found.report))
            if one.body["change"] == "withdrawn"
        ],
        "east hears of the withdrawal",
    )
    assert refused(lambda: east.Open(request, timeout=180)).code == "medical.withdrawn"

    # Erased: nothing is found.
    (local,) = [b"urn:hospital:patients|P0417"]
    west.erasing.erase([local], "PIPL/47")
    assert west.reports.get(bytes(found.report)) is None
    assert search(whole, person) == []
