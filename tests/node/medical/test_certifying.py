"""One examination, two certificates: an office asks the hospital under a grant, issues, and is told of changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from certify_town import CLERK, DRIVER, FOOD, FORMS, HOSPITAL, OFFICE, Town
from medical_city import DAY_S, ROOT, USCC, eventually, refused
from test_commands import WORKER
from whole_city import now_s

from ledger import codec
from ledger.days import day_of
from ledger.errors import UnavailableError
from ledger.evidence.receipt import decode_receipt
from ledger.licences.sdjwt import open_claims, parse
from ledger.v1 import department_pb2, department_pb2_grpc, reports_pb2
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from node.citizens import results
from tests.ledger.medical.bundles import Person, identity_number


def test_one_examination_two_certificates_that_name_its_commitment(town: Town) -> None:
    person = Person(local="P1", identity=identity_number(501))
    taken_s = now_s() - 2 * DAY_S
    report = town.examine(person, "E-501", "food-handler-fit", "driver-fit", taken_s=taken_s)
    (offered,) = town.records(HOSPITAL, "medical.offered", report=report.hex())
    made = {type_: town.certify(type_, person, 501) for type_ in FORMS}
    for type_, done in made.items():
        claims = open_claims(parse(done.issued.sd_jwt)).claims
        # An auditor finds the hospital's record of the report by what the certificate says.
        assert claims["KZ_TJJGDM"] == USCC[HOSPITAL]
        assert claims["KZ_TJBGBS"] == report.hex()
        assert claims["KZ_TJBGCN"] == offered.body["commitment"]
        log = town.city.nodes[HOSPITAL].context.log
        assert codec.decode_record(log.read(int(claims["KZ_TJBGXH"]), 1)[0]).body == offered.body
        assert (claims["KZ_TJJL"], claims["CZZTDM"]) == ("合格", person.identity)
        assert claims["KZ_TJRQ"] == day_of(taken_s * 1_000).isoformat()
        # It names them to whom the holder shows them: two certificates of one report do not tell by themselves.
        shown = parse(done.issued.sd_jwt).issued
        assert open_claims(parse(f"{shown}~")).claims.keys().isdisjoint(FORMS[type_].examined)
        assert done.receipt.state == "complete"
        exchange = done.receipt.exchange.hex()
        (here,) = town.records(OFFICE, "medical.certified", exchange=exchange)
        (there,) = town.records(HOSPITAL, "medical.certified", exchange=exchange)
        assert here.body["commitment"] == there.body["commitment"]
        assert (here.body["report"], there.body["report"]) == (report.hex(), report.hex())
        assert (here.body["role"], there.body["role"]) == ("consumer", "provider")
        receipts = [
            town.records(at, "exchange.completed", exchange=exchange)[0].body["receipt"] for at in (OFFICE, HOSPITAL)
        ]
        assert receipts[0] == receipts[1]
        # The person sees it, at either side.
        for at in (OFFICE, HOSPITAL):
            log_of = department_pb2_grpc.RecordServiceStub(town.city.channel(at))
            found = log_of.Query(department_pb2.QueryRequest(subject=person.identity), timeout=180)
            assert exchange in [json.loads(row.record)["body"].get("exchange") for row in found.rows]
    # And signed in at the gateway, as the patient.
    context = town.city.nodes[HOSPITAL].context
    (shown_report,) = results.read(context, person.identity, withheld=frozenset(), after=b"")["reports"]
    given = [event for event in shown_report["events"] if event["kind"] == "certified"]
    assert [event["by"] for event in given] == [USCC[OFFICE]] * 2
    assert {event["receipt"] for event in given} <= {
        record.body["receipt"]
        for record in town.records(HOSPITAL, "exchange.completed")
        if record.body["counterpart"] == USCC[OFFICE]
    }
    purposes = frozenset(event["purpose"] for event in given)
    told = results.read(context, person.identity, withheld=purposes, after=b"")["reports"][0]["events"]
    assert "certified" not in {event["kind"] for event in told}
    driver = open_claims(parse(made[DRIVER].issued.sd_jwt)).claims
    assert (driver["KZ_SG"], driver["KZ_ZYSL"], driver["KZ_QGZT"]) == ("172 cm", "5.0", "正常")
    food = open_claims(parse(made[FOOD].issued.sd_jwt)).claims
    assert "KZ_SG" not in food
    # A certificate lasts no longer than its examination allows: a year, six months.
    assert food["ZZYXQJZRQ"] == day_of((taken_s + 365 * DAY_S) * 1_000).isoformat()
    assert driver["ZZYXQJZRQ"] == day_of((taken_s + 180 * DAY_S) * 1_000).isoformat()
    # Neither log, nor the office's stores but those of payloads and licences, has the person.
    for at in (OFFICE, HOSPITAL):
        log = town.city.nodes[at].context.log
        entries = log.read(0, log.size)
        assert not [entry for entry in entries if person.identity.encode() in entry or b"172 cm" in entry]


def test_the_same_nonce_is_the_same_certificate(town: Town) -> None:
    person = Person(local="P2", identity=identity_number(502))
    town.examine(person, "E-502", "food-handler-fit")
    nonce = os.urandom(32)
    first = town.certify(FOOD, person, 502, nonce=nonce)
    again = town.certify(FOOD, person, 502, nonce=nonce)
    assert (again.issued, again.receipt.exchange, again.log_index) == (
        first.issued,
        first.receipt.exchange,
        first.log_index,
    )
    other = CLERK[FOOD] | {"CZZT": "李四", "ZZBH": "X"}
    assert refused(lambda: town.certify(FOOD, person, 502, nonce=nonce, fields=other)).code == "licence.other-request"


def test_who_is_found_unfit_or_was_not_examined_gets_none(town: Town) -> None:
    person = Person(local="P3", identity=identity_number(503))
    assert refused(lambda: town.certify(DRIVER, person, 503)).code == "medical.no-examination"
    town.examine(person, "E-503", "driver-unfit", "food-handler-fit")
    assert refused(lambda: town.certify(DRIVER, person, 503)).code == "licence.unfit"
    # Unfit to drive is not unfit to cook.
    assert town.certify(FOOD, person, 503).issued.identifier
    town.examine(person, "E-503b", "driver-fit", status="preliminary", days=0)
    assert refused(lambda: town.certify(DRIVER, person, 503)).code == "licence.unfit"
    town.examine(person, "E-503c", "driver-fit", days=0)
    assert town.certify(DRIVER, person, 503).issued.identifier
    old = Person(local="P4", identity=identity_number(504))
    town.examine(old, "E-504", "driver-fit", "food-handler-fit", days=200)
    assert refused(lambda: town.certify(DRIVER, old, 504)).code == "licence.examination-old"
    late = CLERK[FOOD] | {"ZZYXQJZRQ": day_of((now_s() + 300 * DAY_S) * 1_000).isoformat(), "ZZBH": "JK504"}
    assert refused(lambda: town.certify(FOOD, old, 504, fields=late)).code == "licence.examination-old"
    assert town.certify(FOOD, old, 504).issued.identifier
    both = Person(local="P5", identity=identity_number(505))
    town.examine(both, "E-505", "driver-fit", "driver-unfit")
    assert refused(lambda: town.certify(DRIVER, both, 505)).code == "medical.finding-conflict"
    codes = [one.body["code"] for one in town.records(HOSPITAL, "access.refused")]
    assert {"medical.no-examination", "medical.finding-conflict"} <= set(codes)


def test_what_cannot_be_issued_is_refused_before_anybody_is_asked(town: Town) -> None:
    person = Person(local="P6", identity=identity_number(506))
    before = len(town.records(HOSPITAL, "exchange.requested"))
    for changes, code in (
        ({"fields": CLERK[FOOD] | {"KZ_TJJL": "合格"}}, "licence.examination-fixed"),
        ({"fields": CLERK[FOOD] | {"CZZTDM": person.identity}}, "licence.examination-fixed"),
        ({"fields": {"CZZT": "张三"}}, "licence.fields"),
        ({"holder": "310101199003070001"}, "licence.citizen"),
        ({"template": "driving-licence"}, "licence.no-examination"),
        ({"type": USCC["health"] + "999"}, "licence.type-unknown"),
        ({"grant": bytes(32)}, "grant.unknown"),
    ):
        assert refused(lambda changes=changes: town.certify(FOOD, person, 506, **changes)).code == code
    assert len(town.records(HOSPITAL, "exchange.requested")) == before
    # Nor is a certificate made by a clerk's word alone, or a finding changed by it.
    issuing = rpc.IssuingServiceStub(town.city.channel(OFFICE))
    plain = pb.IssueLicenceRequest(request="by-hand", type=FOOD, template="health-certificate", fields=CLERK[FOOD])
    assert refused(lambda: issuing.Issue(plain, timeout=180)).code == "licence.examination-needed"
    # Another certificate's grant does not bring this one's finding.
    town.examine(person, "E-506", "driver-fit", "food-handler-fit")
    wrong = refused(lambda: town.certify(FOOD, person, 506, grant=town.grants[DRIVER]))
    assert wrong.code == "licence.examination"
    fetch = pb.FetchLicenceRequest(grant=town.grants[FOOD], holder=person.identity, use_cause="x")
    assert refused(lambda: town.fetching.Fetch(fetch, timeout=180)).code == "licence.no-licences"
    made = town.certify(FOOD, person, 507)
    for call, changes in (
        (issuing.Renew, {"ZZYXQJZRQ": "2099-12-31"}),
        (issuing.Supersede, {"KZ_TJJL": "合格"}),
        (issuing.Supersede, {"CZZTDM": identity_number(600)}),
    ):
        again = pb.ReplaceLicenceRequest(id=made.issued.licence.id, request="r-1", fields=changes)
        assert refused(lambda call=call, again=again: call(again, timeout=180)).code == "licence.examination-fixed"
    other_work = pb.ReplaceLicenceRequest(id=made.issued.licence.id, request="r-2", fields={"KZ_CYLB": "公共场所"})
    assert issuing.Supersede(other_work, timeout=180).licence.version == 2


def test_a_patient_who_forbids_is_asked_in_person(town: Town) -> None:
    person = Person(local="P8", identity=identity_number(508))
    town.examine(person, "E-508", "food-handler-fit")
    medical = town.city.nodes[HOSPITAL].context.medical
    subject = medical.reports.identified(f"ric:{person.identity}")
    assert subject is not None
    medical.consents.change(subject, permit=False, asker=USCC[OFFICE])
    assert refused(lambda: town.certify(FOOD, person, 508)).code == "medical.forbidden"
    medical.consents.change(subject, permit=True, asker=USCC[OFFICE])
    assert town.certify(FOOD, person, 508).issued.identifier


def test_the_office_is_told_of_a_correction_and_a_withdrawal_and_suspends(town: Town) -> None:
    person = Person(local="P9", identity=identity_number(509))
    report = town.examine(person, "E-509", "food-handler-fit", "driver-fit")
    nonce = os.urandom(32)
    food, driver = town.certify(FOOD, person, 509, nonce=nonce), town.certify(DRIVER, person, 509)
    ids = {bytes(one.issued.licence.id) for one in (food, driver)}
    assert not ids & town.changed().keys()
    town.examine(person, "E-509", "food-handler-unfit", "driver-fit", status="corrected", updated_s=now_s() - 60)
    eventually(lambda: ids <= town.changed().keys(), "the office hears of the correction")
    told = town.changed()[bytes(food.issued.licence.id)]
    assert (told.change, told.version, told.change_version, told.institution) == ("corrected", 1, 2, USCC[HOSPITAL])
    # The hospital records what was taken, after the office has.
    eventually(lambda: town.records(HOSPITAL, "medical.told", report=report.hex()), "the hospital has it on record")
    (here,), (there,) = (town.records(at, "medical.told", report=report.hex()) for at in (OFFICE, HOSPITAL))
    assert here.body["notice"] == there.body["notice"]
    # The certificate that was issued is answered again; a new one takes the examination as it is now.
    assert town.certify(FOOD, person, 509, nonce=nonce).issued.identifier == food.issued.identifier
    assert refused(lambda: town.certify(FOOD, person, 510)).code == "licence.unfit"
    after = town.certify(DRIVER, person, 511)
    assert after.examination.version == 2
    assert bytes(after.issued.licence.id) not in town.changed()

    suspend = pb.ChangeLicenceRequest(id=food.issued.licence.id, reason="examination")
    rpc.IssuingServiceStub(town.city.channel(OFFICE)).Suspend(suspend, timeout=180)
    assert town.changed()[bytes(food.issued.licence.id)].licence.state == "suspended"
    rpc.IssuingServiceStub(town.city.channel(OFFICE)).Revoke(suspend, timeout=180)
    assert bytes(food.issued.licence.id) not in town.changed()

    stub = ReportServiceStub(town.city.channel(HOSPITAL))
    stub.Withdraw(reports_pb2.WithdrawReportRequest(report=report, reason="wrong-person"), timeout=180)
    eventually(
        lambda: getattr(town.changed().get(bytes(after.issued.licence.id)), "change", "") == "withdrawn",
        "the office hears of the withdrawal",
    )
    assert refused(lambda: town.certify(DRIVER, person, 512)).code == "medical.no-examination"


def test_what_was_cut_short_is_finished_by_a_repeat_and_a_correction_meanwhile_is_said(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(local="P11", identity=identity_number(514))
    report = town.examine(person, "E-514", "food-handler-fit")
    office, first, second = town.city.nodes[OFFICE].context, os.urandom(32), os.urandom(32)
    with monkeypatch.context() as patch:
        patch.setattr(office.licences.issuer, "issue", lambda _: [UnavailableError("disk.full", "no space is left")])
        for nonce in (first, second):
            assert refused(lambda nonce=nonce: town.certify(FOOD, person, 514, nonce=nonce)).code == "disk.full"
    # Whom to tell of a change is known before there is a certificate.
    assert len(list(office.medical.examinations.used(report))) == 2
    done = town.certify(FOOD, person, 514, nonce=first)
    assert done.issued.licence.state == "valid"
    for at in (OFFICE, HOSPITAL):
        for type_ in ("medical.certified", "exchange.completed"):
            assert len(town.records(at, type_, exchange=done.receipt.exchange.hex())) == 1
    town.examine(person, "E-514", "food-handler-fit", status="corrected", updated_s=now_s() - 60)
    # The other exchange released what is no longer so: neither that nor anything else is released under its receipt.
    assert refused(lambda: town.certify(FOOD, person, 515, nonce=second)).code == "medical.changed"
    assert town.certify(FOOD, person, 516).examination.version == 2
    eventually(lambda: bytes(done.issued.licence.id) in town.changed(), "the office hears of the correction")


def test_of_an_erased_patient_no_certificate_leads_to_the_hospitals_record(town: Town) -> None:
    person = Person(local="P20", identity=identity_number(520))
    report = town.examine(person, "E-520", "food-handler-fit")
    done = town.certify(FOOD, person, 520)
    exchange = bytes(done.receipt.exchange)
    context = town.city.nodes[HOSPITAL].context
    (record,) = town.records(HOSPITAL, "medical.certified", exchange=exchange.hex())
    chosen = bytes.fromhex(record.body["commitment"])
    assert context.openings.get(chosen) is not None

    erased = context.medical.erasing.erase([b"urn:hospital:patients|P20"], "PIPL/47")

    assert context.openings.get(chosen) is None
    after = context.exchanges.get(exchange, "provider")
    assert after is not None
    told = {chosen, decode_receipt(after.receipt)[0].commitment}
    assert told <= set(erased.statement.commitments)
    kept = b"".join(key + value for key, value in context.payloads._store.scan())
    assert person.identity.encode() not in kept
    log_of = department_pb2_grpc.RecordServiceStub(town.city.channel(HOSPITAL))
    found = log_of.Query(department_pb2.QueryRequest(subject=person.identity), timeout=180)
    assert not found.rows
    # What the office has is its own, and both logs still hold the same receipt.
    assert len(town.records(OFFICE, "medical.certified", report=report.hex())) == 1
    assert len(town.records(HOSPITAL, "erasure.done", commitment=chosen.hex())) == 1


def test_the_commands_issue_and_warn(town: Town, tmp_path: Path) -> None:
    person = Person(local="P10", identity=identity_number(513))
    report = town.examine(person, "E-513", "driver-fit")
    fields = [word for name, text in CLERK[DRIVER].items() for word in ("-f", f"{name}={text.format(n=513)}")]
    wallet = tmp_path / "zhang.json"
    issue = [
        "certify", town.grants[DRIVER].hex(), "--holder", person.identity, "--cause", "申请驾驶证",
        "--type", DRIVER, "--template", "driver-medical", *fields, "--bound", "--wallet", str(wallet),
    ]  # fmt: skip
    with Office(town) as office:
        status, printed = office("licence", *issue, "--json")
        assert status == 0, printed
        value = json.loads(printed)
        assert value["examination"]["institution"] == USCC[HOSPITAL]
        assert wallet.stat().st_mode & 0o777 == 0o600
        assert "cnf" in open_claims(parse(json.loads(wallet.read_text("utf-8"))["licence"])).claims
        assert "wallet.exists" in office("licence", *issue)[1]
        status, printed = office("licence", "examinations")
        assert report.hex()[:16] in printed
        stub = ReportServiceStub(town.city.channel(HOSPITAL))
        stub.Withdraw(reports_pb2.WithdrawReportRequest(report=report, reason="wrong-person"), timeout=180)
        eventually(lambda: bytes.fromhex(value["id"]) in town.changed(), "the office hears of the withdrawal")
        status, printed = office("licence", "examinations", "--changed", "--json")
        (row,) = [one for one in json.loads(printed) if one["licence"] == value["id"]]
        assert (status, row["change"], row["state"]) == (1, "withdrawn", "valid")


class Office:
    """Commands of the office, in one process of their own: the nodes of this one write to its standard output."""

    def __init__(self, town: Town) -> None:
        environment = {
            **os.environ,
            "CIVICLEDGER_LANG": "en",
            "CIVICLEDGER_NODE": str(town.city.foundings[OFFICE].folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8",
        }
        worker = WORKER.replace('build(["medical"])', 'build(["licence"])')
        self.process = subprocess.Popen(
            [sys.executable, "-c", worker],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def __call__(self, *words: str) -> tuple[int, str]:
        """(exit status, what was printed or the code of the refusal)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([words, ""]) + "\n")
        self.process.stdin.flush()
        status, printed, code, failure = json.loads(self.process.stdout.readline())
        assert code is not None or status in (0, 1), failure
        return status, code if isinstance(code, str) else printed

    def __enter__(self) -> Office:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(300)


def test_certificates_come_in_pages(town: Town) -> None:
    for number in range(531, 536):
        person = Person(local=f"P{number}", identity=identity_number(number))
        town.examine(person, f"E-{number}", "food-handler-fit")
        town.certify(FOOD, person, number)
    every_one = list(town.city.nodes[OFFICE].medical.examinations.used())
    found, token, pages = [], "", 0
    while pages == 0 or token:
        answer = town.fetching.ListExaminations(pb.ListExaminationsRequest(page_size=2, page_token=token), timeout=180)
        assert len(answer.examinations) <= 2
        found += [bytes(one.exchange) for one in answer.examinations]
        token, pages = answer.next_page_token, pages + 1
    assert found == [one.exchange for one in every_one]
    assert pages == (len(every_one) + 1) // 2 > 2
    # A page of those that need a decision may be empty, and goes on.
    assert not {one.exchange for one in town.changed().values()} - set(found)
    for wrong, code in (("zz", "input.field"), ("67", "page.token"), ("75", "page.token"), ("75" * 65, "")):
        asked = pb.ListExaminationsRequest(page_token=wrong)
        if code:
            assert refused(lambda asked=asked: town.fetching.ListExaminations(asked, timeout=180)).code == code
        else:
            assert len(town.fetching.ListExaminations(asked, timeout=180).examinations) <= len(every_one)
    asked = pb.ListExaminationsRequest(page_size=1_001)
    assert refused(lambda: town.fetching.ListExaminations(asked, timeout=180)).code == "input.field"
