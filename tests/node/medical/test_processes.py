"""Three hospitals and one of a partner city, behind the gateway, as real processes: results travel, are decided on,
corrected, withdrawn and forbidden; one hospital hangs, and dies in the middle of each step; then an auditor reads every
log."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from medical_city import eventually, refused
from process_city import CALL_S, HOSPITALS, TOKEN, USCC, ProcessCity, running, settled

from ledger.v1 import keeping_pb2, keeping_pb2_grpc
from ledger.v1 import medical_pb2 as pb
from node.config import load_config
from tests.ledger.medical.bundles import Person, identity_number
from tests.ledger.medical.orders import order, request

KINDS = {"open": "medical.opened", "recognise": "medical.recognised", "retest": "medical.retested"}


def person(number: int) -> Person:
    return Person(local=f"P{number}", identity=identity_number(number))


def test_hospitals_of_two_regions_as_processes(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    with running(tmp_path / "city", {"north": plan}) as city:
        results_travel(city)
        kept = a_hospital_hangs(city)
        it_dies_in_the_middle_of_each_step(city, plan, kept)
        it_dies_between_a_change_and_its_notice(city, tmp_path / "second.json")
        both_sides_and_the_auditor_agree(city)


def results_travel(city: ProcessCity) -> None:
    """Search, order, open, recognise, re-test, correct, forbid, withdraw; in the city and beyond."""
    ana = person(1)
    report = city.ingest("west", ana, "R-1")
    (found,) = settled(lambda: city.found("east", ana), "the commission derived the pseudonym")
    assert (bytes(found.report), [item.label for item in found.items]) == (report, ["市HR"] * 4)
    assert all(item.recognisable for item in found.items)
    # The order system hears of it, by name and without a value.
    (card,) = at_order_time(city, ana, "6690-2")
    assert "演示 west" in card["summary"]
    assert "4.60" not in json.dumps(card)
    # The partner's hospital finds it under the pseudonym of this city, and the city's hospitals find the partner's.
    assert [bytes(one.report) for one in city.found("south", ana)] == [report]
    there = city.ingest("south", ana, "R-2")
    both = settled(lambda: len(got := city.found("east", ana)) == 2 and got, "the partner's commission derived it, too")
    assert all(item.recognisable and item.label == "市HR" for one in both for item in one.items)

    here, far, back = (
        bytes(city.open(asker, provider, which).step.step)
        for asker, provider, which in (("east", "west", report), ("south", "west", report), ("east", "south", there))
    )
    city.decide("east", here, "recognise", 0, 1)
    city.decide("east", here, "retest", 2, reason="fast-changing")
    city.decide("south", far, "recognise", 0, 1, 2, 3)
    city.decide("east", back, "retest", 3, reason="emergency")

    now_s = time.time_ns() // 1_000_000_000
    city.ingest("west", ana, "R-1", status="corrected", updated_s=now_s - 60, issued_s=now_s - 60)
    for handle in ("east", "south"):
        settled(lambda handle=handle: changes(city, handle, report) == ["corrected"], f"{handle} hears of it")
    assert refused(lambda: city.decide("east", here, "recognise", 3)).code == "medical.changed"
    again = bytes(city.open("east", "west", report, 2).step.step)
    city.decide("east", again, "recognise", 3)

    city.forbid("west", ana)
    assert [bytes(one.report) for one in city.found("east", ana)] == [there]
    assert refused(lambda: city.open("south", "west", report, 2)).code == "medical.forbidden"
    city.forbid("west", ana, permit=True)
    assert len(city.found("south", ana)) == 2

    city.withdraw("west", report)
    for handle in ("east", "south"):
        settled(lambda handle=handle: "withdrawn" in changes(city, handle, report), f"{handle} hears of that, too")
    assert refused(lambda: city.open("south", "west", report, 2)).code == "medical.withdrawn"
    assert at_order_time(city, ana, "6690-2") != []
    city.withdraw("south", there)
    settled(lambda: at_order_time(city, ana, "6690-2") == [], "nothing is left")


def a_hospital_hangs(city: ProcessCity) -> Person:
    """Its process stands still: it is named, and the answer does not wait for it."""
    bo = person(2)
    report = city.ingest("west", bo, "R-3")
    settled(lambda: city.found("east", bo), "the commission derived the pseudonym")
    city.signal("north", signal.SIGSTOP)
    try:
        answer = settled(
            # A loaded machine may make another one late as well: then it is asked again.
            lambda: len((got := city.search("east", bo, 2_000)).reports) == 1 and got,
            "the others answer",
        )
        assert [bytes(one.report) for one in answer.reports] == [report]
        assert USCC["north"] in [one.member for one in answer.absent]
        assert city.processes["north"].poll() is None
    finally:
        city.signal("north", signal.SIGCONT)
    settled(lambda: city.found("east", bo), "it answers again")
    return bo


def it_dies_in_the_middle_of_each_step(city: ProcessCity, plan: Path, kept: Person) -> None:
    """Many steps at once, each held at another point; with the last one the process is killed."""
    patient, forbids, numbers = person(3), person(4), itertools.count(1)

    def west() -> bytes:
        return city.ingest("west", patient, f"W-{next(numbers)}")

    def north(who: Person = patient) -> bytes:
        return city.ingest("north", who, f"N-{next(numbers)}")

    begun, signed, recorded, refer, hers, corrected = (west() for _ in range(6))
    asked, told, agreed, redone, afar, withdrawn = (north() for _ in range(6))
    secret = north(forbids)
    for who in (patient, forbids):
        city.reachable("north", who)
    settled(lambda: len(city.found("east", forbids)) == 1, "found before it is forbidden")
    first, second = (bytes(city.open("north", "west", one).step.step) for one in (refer, hers))
    third, fourth = (bytes(city.open("east", "north", one).step.step) for one in (agreed, redone))
    city.open("north", "west", corrected)
    city.open("east", "north", withdrawn)
    points = {
        # As the asking hospital: the request is kept; both signatures are, the record is owed; the record is written.
        f"open:{begun.hex()}:consumer": 1,
        f"open:{signed.hex()}:consumer": 3,
        f"open:{recorded.hex()}:consumer": 4,
        f"recognise:{refer.hex()}:consumer": 3,
        f"retest:{hers.hex()}:consumer": 1,
        # As the one that has the report: on record and nothing released; the half receipt is kept; the patient is told.
        f"open:{asked.hex()}:provider": 2,
        f"told:{told.hex()}": 1,
        f"recognise:{agreed.hex()}:provider": 2,
        f"retest:{redone.hex()}:provider": 3,
        f"open:{afar.hex()}:provider": 2,
        # A change its patient has no notice of, one kept and not recorded; a consent that acts and is not on record.
        f"notice:{withdrawn.hex()}:withdrawn": 1,
        f"change:{corrected.hex()}:consumer": 1,
        "consent": 1,
    }
    nonces = [os.urandom(32) for _ in range(2)]
    partly = plan.with_suffix(".part")
    partly.write_text(json.dumps(points), "utf-8")
    partly.rename(plan)
    calls = [
        lambda: city.open("north", "west", signed),
        lambda: city.open("north", "west", recorded, nonce=nonces[0]),
        lambda: city.decide("north", first, "recognise", 0, 1),
        lambda: city.open("east", "north", asked),
        lambda: city.open("east", "north", told, nonce=nonces[1]),
        lambda: city.decide("east", third, "recognise", 0),
        lambda: city.decide("east", fourth, "retest", 1, reason="other-need"),
        lambda: city.open("south", "north", afar),
        lambda: city.withdraw("north", withdrawn),
    ]
    threads = [cut_off(call) for call in calls]
    reached(plan, 9)
    now_s = time.time_ns() // 1_000_000_000
    number = "W-6"
    city.ingest("west", patient, number, status="corrected", updated_s=now_s - 60, issued_s=now_s - 60)
    threads.append(cut_off(lambda: city.forbid("north", forbids)))
    reached(plan, 11)
    # These two are finished by the node itself if it lives on: last.
    threads.append(cut_off(lambda: city.open("north", "west", begun)))
    reached(plan, 12)
    threads.append(cut_off(lambda: city.decide("north", second, "retest", 0, reason="condition-changed")))
    assert city.processes["north"].wait(300) == -signal.SIGKILL
    for thread in threads:
        thread.join(300)

    for handle in ("east", "south"):
        answer = settled(
            lambda handle=handle: len((got := city.search(handle, kept)).reports) == 1 and got, "the others answer"
        )
        assert [one.member for one in answer.absent] == [USCC["north"]]

    city.launch("north")
    city.serving("north")
    # Nobody asks again: the nodes finish what they began, each of it once.
    for asker, provider, kind, report in (
        ("north", "west", "open", begun),
        ("north", "west", "open", signed),
        ("north", "west", "open", recorded),
        ("north", "west", "recognise", refer),
        ("north", "west", "retest", hers),
        ("east", "north", "open", asked),
        ("east", "north", "open", told),
        ("east", "north", "recognise", agreed),
        ("east", "north", "retest", redone),
        ("south", "north", "open", afar),
    ):
        steps = 1 if kind == "open" else 2
        for handle in (asker, provider):
            settled(
                lambda handle=handle, kind=kind, report=report: city.records(handle, KINDS[kind], report=report),
                f"{handle} has the record of {kind}",
            )
            assert len(city.records(handle, KINDS[kind], report=report)) == 1
            assert len(city.records(handle, "medical.requested", report=report)) == steps
            assert len(city.records(handle, *KINDS.values(), report=report)) == steps
    # Whoever does ask again, with the same nonce, is given the same receipt, and the values.
    for asker, provider, report, nonce in (("north", "west", recorded, nonces[0]), ("east", "north", told, nonces[1])):
        opened = city.open(asker, provider, report, nonce=nonce)
        assert b"4.60" in opened.data
        (record,) = city.records(asker, KINDS["open"], report=report)
        assert record.body["receipt"] == opened.step.receipt_digest.hex()
    for provider, asker, report, change in (
        ("north", "east", withdrawn, "withdrawn"),
        ("west", "north", corrected, "corrected"),
    ):
        for handle in (provider, asker):
            settled(
                lambda handle=handle, report=report, change=change: changes(city, handle, report) == [change],
                f"{handle} has the {change} report on record",
            )
    assert secret not in [bytes(one.report) for one in city.found("east", forbids)]
    settled(lambda: len(city.records("north", "medical.consent-changed")) == 1, "the consent is on record")
    settled(lambda: len(changed(city)) == 1, "the patient is told that the report was withdrawn")


def it_dies_between_a_change_and_its_notice(city: ProcessCity, plan: Path) -> None:
    """The patient's notice is kept, and not yet who has to be told: after the next start there is still one notice."""
    patient = person(3)
    report = city.ingest("north", patient, "N-last")
    city.open("east", "north", report)
    city.signal("north", signal.SIGTERM)
    assert city.processes["north"].wait(300) == 0
    plan.write_text(json.dumps({f"change:{report.hex()}:provider": 1}), "utf-8")
    city.launch("north", plan)
    city.serving("north")
    cut_off(lambda: city.withdraw("north", report)).join(300)
    assert city.processes["north"].wait(300) == -signal.SIGKILL
    city.launch("north")
    city.serving("north")
    settled(lambda: changes(city, "east", report) == ["withdrawn"], "east hears of it")
    settled(lambda: len(changed(city)) == 2, "the patient is told of that, too")
    settled(lambda: not waiting(city), "no other message waits")
    assert len(changed(city)) == 2


def both_sides_and_the_auditor_agree(city: ProcessCity) -> None:
    """Who reads the logs counts what the hospitals say of themselves, and finds each receipt in two logs."""
    logs = {handle: city.records(handle, *KINDS.values(), "medical.told") for handle in HOSPITALS}
    handles = {USCC[handle]: handle for handle in HOSPITALS}
    seen: dict[tuple[str, str, str], Counter[str]] = {}
    for handle, records in logs.items():
        counted: dict[tuple[str, str], Counter[str]] = {}
        for record in records:
            role, other = record.body["role"], handles[str(record.body["counterpart"])]
            provider, asker = (handle, other) if role == "provider" else (other, handle)
            proof = str(record.body.get("receipt") or record.body["notice"])
            seen.setdefault((provider, asker, proof), Counter())[str(role)] += 1
            if record.type == "medical.told":
                continue
            count = counted.setdefault((str(role), USCC[other]), Counter())
            count[record.type] += 1
            count[f"{record.type} items"] += int(record.body.get("items", 0))
            if record.type == "medical.retested":
                count[f"reason {record.body['reason']}"] += int(record.body["items"])
        told = city.service(handle).Statistics(pb.MedicalStatisticsRequest(check_records=True), timeout=CALL_S)
        assert told.records == "same"
        assert {(one.role, one.counterpart): as_counted(one) for one in told.counts} == counted
        (total,) = [one for one in told.figures if (one.by, one.reason) == ("total", "")]
        items = {kind: sum(count[f"{KINDS[kind]} items"] for count in counted.values()) for kind in KINDS}
        assert (total.recognised, total.retested) == (items["recognise"], items["retest"])
    assert len(seen) > 20
    assert all(sides == Counter(provider=1, consumer=1) for sides in seen.values())


def as_counted(count: pb.MedicalCount) -> Counter[str]:
    """A row of the statistics, as the auditor counts."""
    return +Counter(
        {
            "medical.opened": count.opened,
            "medical.recognised": count.recognised,
            "medical.retested": count.retested,
            "medical.recognised items": count.recognised_items,
            "medical.retested items": count.retested_items,
            **{f"reason {reason}": number for reason, number in count.reasons.items()},
        }
    )


def changes(city: ProcessCity, handle: str, report: bytes) -> list[str]:
    """The changes of a report that a hospital has on record, in their order."""
    return [str(one.body["change"]) for one in city.records(handle, "medical.told", report=report)]


def changed(city: ProcessCity) -> list[str]:
    """The messages of the northern hospital that tell of a changed result; nothing else is said in them."""
    found = [text for text in city.messages("north") if "was changed" in text]
    assert not [text for text in found if "withdrawn" in text or "north" in text or "haemoglobin" in text]
    return found


def waiting(city: ProcessCity) -> int:
    """Messages to patients that the northern hospital has still to write."""
    stub = keeping_pb2_grpc.KeepingServiceStub(city.channel("north"))
    return int(stub.ListNotices(keeping_pb2.ListNoticesRequest(), timeout=CALL_S).waiting_count)


def at_order_time(city: ProcessCity, who: Person, code: str) -> list[dict[str, Any]]:
    """What the order system of the eastern hospital is told."""
    body = request(order(code, patient=who.local), person=who, extension={"civicledger-course": "chronic"})
    local = load_config(city.foundings["east"].folder).local
    connection = http.client.HTTPConnection(local.host, local.port, timeout=CALL_S)
    try:
        headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}", "accept-language": "en"}
        connection.request("POST", "/cds-services/recognition-order-sign", json.dumps(body), headers)
        answer = connection.getresponse()
        value = json.loads(answer.read())
        assert answer.status == 200, value
        return list(value["cards"])
    finally:
        connection.close()


def cut_off(call: Callable[[], object]) -> threading.Thread:
    """A call that may end with the process it is about."""

    def run() -> None:
        with contextlib.suppress(grpc.RpcError):
            call()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def reached(plan: Path, count: int) -> None:
    """Wait until so many points of a plan are reached."""
    file = plan.with_suffix(".reached")
    eventually(lambda: file.exists() and len(file.read_text().splitlines()) == count, f"{count} points are reached")
