"""Search, open, recognise and re-test between real nodes: what each answers, refuses and puts on record."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace

import pytest
from medical_city import DAY_S, HOSPITALS, USCC, City, bundle, eventually, refused

from ledger.evidence.medicalreceipt import decode_step_receipt, step_receipt_digest
from ledger.medical.ruleset import RuleSet
from ledger.medical.standing import Institution
from ledger.v1 import medical_pb2 as pb
from node.medical.comparing import differing_places
from node.medical.counting import count_records, count_steps


def test_every_hospital_answers_and_each_item_is_judged_here(clinic: City) -> None:
    who = clinic.patient()
    fresh = clinic.report("west", who, "wbc", "haemoglobin")
    old = clinic.report("north", who, "wbc", taken_s=time.time_ns() // 1_000_000_000 - 3_000 * DAY_S)
    own = clinic.report("east", who, "haemoglobin")
    found = clinic.search("east", who)
    assert found.asked == 2
    assert not found.absent
    assert found.rules_version == 1
    assert {word.code for word in found.items} == {"wbc", "haemoglobin"}
    assert {"emergency", "other-need"} < {word.code for word in found.retest_reasons}
    assert all(word.zh and word.en for word in (*found.items, *found.retest_reasons))
    by_report = {bytes(one.report): one for one in found.reports}
    assert set(by_report) == {fresh.report, old.report, own.report}
    assert [one.own for one in found.reports].count(True) == 1
    assert by_report[own.report].own
    items = by_report[fresh.report].items
    assert [item.item for item in items] == ["wbc", "haemoglobin"]
    assert all(item.recognisable for item in items)
    assert all(item.label and item.age_s >= DAY_S for item in items)
    (stale,) = by_report[old.report].items
    assert not stale.recognisable
    assert stale.reasons
    assert all(why.zh and why.en for why in stale.reasons)
    # Nothing of an offer is a value, or the patient.
    assert b"4.60" not in found.SerializeToString()
    assert who.encode() not in found.SerializeToString()


def test_a_patient_whom_nobody_knows_has_no_results(clinic: City) -> None:
    found = clinic.search("west", clinic.patient())
    assert not found.reports
    assert not found.absent
    assert found.asked == 2


def test_open_recognise_and_retest_leave_the_same_receipts_in_both_logs(clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who, "wbc", "haemoglobin", "platelets")
    opened = clinic.open("east", "west", offer, operator_pseudonym="dr-7")
    assert opened.data == bundle(who, offer)
    assert (opened.step.state, opened.step.kind, opened.step.role) == ("complete", "open", "consumer")
    step = bytes(opened.step.step)
    recognised = clinic.decide("east", step, places=[0, 2])
    retested = clinic.decide("east", step, "retest", places=[1], reason="fast-changing")
    assert list(recognised.items) == ["wbc", "platelets"]
    assert list(retested.items) == ["haemoglobin"]
    for type_, done in (
        ("medical.opened", opened.step),
        ("medical.recognised", recognised),
        ("medical.retested", retested),
    ):
        (here,) = clinic.records("east", type_, offer.report)
        (there,) = clinic.records("west", type_, offer.report)
        assert here.body["receipt"] == there.body["receipt"] == step_receipt_digest(bytes(done.receipt)).hex()
        assert (here.body["role"], there.body["role"]) == ("consumer", "provider")
        assert here.body["step"] == there.body["step"] == bytes(done.step).hex()
        # Neither the patient nor a value, nor the doctor, is in any record.
        for record in (here, there):
            assert not {"4.60", who, "dr-7"} & {str(value) for value in record.body.values()}
    (said,) = clinic.records("west", "medical.retested", offer.report)
    assert said.body["reason"] == "fast-changing"
    assert said.body["items"] == 1
    # The request was on both records before anything was released.
    assert len(clinic.records("west", "medical.requested", offer.report)) == 3
    assert len(clinic.records("east", "medical.requested", offer.report)) == 3
    notices = clinic.parts["west"].notices.posted
    assert {notices[bytes(one.step)][1] for one in (opened.step, recognised, retested)} == {
        "opened",
        "recognised",
        "retested",
    }


def test_the_same_nonce_is_the_same_step(clinic: City) -> None:
    offer = clinic.report("north", clinic.patient())
    nonce = os.urandom(32)
    first = clinic.open("west", "north", offer, nonce=nonce)
    again = clinic.open("west", "north", offer, nonce=nonce)
    assert first.step.step == again.step.step
    assert first.step.receipt == again.step.receipt
    assert first.data == again.data
    decided = os.urandom(32)
    one = clinic.decide("west", bytes(first.step.step), places=[0], nonce=decided)
    two = clinic.decide("west", bytes(first.step.step), places=[0], nonce=decided)
    assert one == two
    for handle in ("west", "north"):
        for type_ in ("medical.opened", "medical.recognised"):
            assert len(clinic.records(handle, type_, offer.report)) == 1
        assert len(clinic.records(handle, "medical.requested", offer.report)) == 2
    other = refused(lambda: clinic.open("west", "north", offer, nonce=nonce, purpose="second-opinion"))
    assert other.code == "medical.other-content"


def test_without_places_everything_left_is_decided(clinic: City) -> None:
    offer = clinic.report("north", clinic.patient(), "wbc", "haemoglobin", "platelets")
    opened = clinic.open("west", "north", offer)
    clinic.decide("west", bytes(opened.step.step), "retest", places=[1], reason="emergency")
    rest = clinic.decide("west", bytes(opened.step.step))
    assert list(rest.places) == [0, 2]
    assert refused(lambda: clinic.decide("west", bytes(opened.step.step))).code == "medical.places"


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("retest", {"places": [0], "reason": "no-such-reason"}, "medical.retest-reason"),
        ("retest", {"places": [0]}, "input.field"),
        ("recognise", {"places": [0], "reason": "emergency"}, "input.field"),
        ("recognise", {"places": [7]}, "medical.places"),
        ("open", {"places": [0]}, "input.field"),
    ],
)
def test_what_a_decision_cannot_be(clinic: City, kind: str, changes: dict[str, object], code: str) -> None:
    offer = clinic.report("north", clinic.patient())
    opened = clinic.open("east", "north", offer)
    assert refused(lambda: clinic.decide("east", bytes(opened.step.step), kind, **changes)).code == code


def test_a_decision_needs_an_opening_and_stands(clinic: City) -> None:
    offer = clinic.report("north", clinic.patient())
    assert refused(lambda: clinic.decide("east", os.urandom(32), places=[0])).code == "medical.not-opened"
    opened = clinic.open("east", "north", offer)
    # Another hospital's opening is none of this one's.
    assert refused(lambda: clinic.decide("west", bytes(opened.step.step), places=[0])).code == "medical.not-opened"
    clinic.decide("east", bytes(opened.step.step), places=[0])
    twice = refused(lambda: clinic.decide("east", bytes(opened.step.step), "retest", places=[0], reason="emergency"))
    assert twice.code == "medical.decided"


def test_what_the_rules_withhold_is_opened_but_not_recognised(clinic: City) -> None:
    old = clinic.report("north", clinic.patient(), taken_s=time.time_ns() // 1_000_000_000 - 3_000 * DAY_S)
    opened = clinic.open("east", "north", old)
    assert (
        refused(lambda: clinic.decide("east", bytes(opened.step.step), places=[0])).code == "medical.not-recognisable"
    )
    done = clinic.decide("east", bytes(opened.step.step), "retest", reason="condition-changed")
    assert list(done.places) == [0, 1]


def test_what_is_not_there_or_not_ones_own_is_refused_on_both_records(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient())
    assert refused(lambda: clinic.open("west", "west", offer)).code == "medical.own"
    offer_elsewhere = clinic.report("east", clinic.patient())
    assert refused(lambda: clinic.open("north", "west", offer_elsewhere)).code == "medical.report-unknown"
    assert refused(lambda: clinic.open("north", "west", offer, version=2)).code == "medical.changed"
    for handle in ("north", "west"):
        (entry,) = clinic.records(handle, "medical.refused", offer.report)
        assert entry.body["code"] == "medical.changed"
    assert refused(lambda: clinic.search("health", clinic.patient())).code == "medical.not-hospital"


def test_a_patient_who_forbids_is_not_offered_and_not_opened_at_once(clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who)
    clinic.open("east", "west", offer)
    parts = clinic.parts["west"]
    kept = parts.reports.get(offer.report)
    assert kept is not None
    parts.consents.forbidden.add((kept.subject, USCC["east"]))
    assert not clinic.search("east", who).reports
    assert len(clinic.search("north", who).reports) == 1
    assert refused(lambda: clinic.open("east", "west", offer)).code == "medical.forbidden"


def test_a_correction_and_a_withdrawal_reach_who_opened_the_report(clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who)
    opened = clinic.open("east", "west", offer)
    clinic.correct("west", offer.report)

    def changes(change: str) -> list[pb.ReportChange]:
        answer = clinic.service("east").ListChanges(pb.ListChangesRequest(), timeout=180)
        return [one for one in answer.changes if one.report == offer.report and one.change == change]

    eventually(lambda: changes("corrected"), "east hears of the correction")
    assert changes("corrected")[0].version == 2
    assert changes("corrected")[0].institution == USCC["west"]
    # What was opened is not what is there now.
    assert refused(lambda: clinic.decide("east", bytes(opened.step.step), places=[0])).code == "medical.changed"
    clinic.withdraw("west", offer.report)
    eventually(lambda: changes("withdrawn"), "east hears of the withdrawal")
    assert refused(lambda: clinic.decide("east", bytes(opened.step.step), places=[0])).code == "medical.withdrawn"
    assert refused(lambda: clinic.open("north", "west", offer)).code == "medical.withdrawn"
    assert not clinic.search("north", who).reports
    eventually(lambda: not clinic.nodes["west"].medical.speaking.changes.owed(), "nothing is owed")
    for change in ("corrected", "withdrawn"):
        told = [
            [
                one.body["notice"]
                for one in clinic.records(at, "medical.told", offer.report)
                if one.body["change"] == change
            ]
            for at in ("west", "east")
        ]
        assert told[0] == told[1]
        assert len(told[0]) == 1


def test_a_hospital_of_another_region_goes_by_the_askers_rules(clinic: City) -> None:
    rules = clinic.parts["north"].rules
    own = replace(rules.known, institutions=(*rules.known.institutions[:-1], Institution(
        member=USCC["north"], region="330100", level=3
    )))  # fmt: skip
    before = rules.region, rules.versions, rules.known
    rules.region, rules.versions, rules.known = "330100", {"330100": 7, "310000": 1}, own
    try:
        opened = clinic.open("east", "north", clinic.report("north", clinic.patient()))
        assert json.loads(opened.step.receipt)["receipt"]["rules"]["version"] == 1
        # The other way round its own count, which west does not know to be in force there.
        refusal = refused(lambda: clinic.open("north", "west", clinic.report("west", clinic.patient())))
        assert refusal.code == "medical.rules-differ"
    finally:
        rules.region, rules.versions, rules.known = before


def test_a_report_mapped_anew_in_between_is_released_as_it_was_offered(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient())
    nonce = os.urandom(32)
    first = clinic.open("east", "west", offer, nonce=nonce)
    reports = clinic.parts["west"].reports
    kept = reports.rows[offer.report]
    facts = (replace(offer.facts[0], item=None, state="unmapped-code"), *offer.facts[1:])
    reports.rows[offer.report] = replace(kept, offer=replace(offer, facts=facts))
    again = clinic.open("east", "west", offer, nonce=nonce)
    assert again.step.receipt == first.step.receipt
    # A new step is of the report as it is offered now.
    assert list(clinic.open("east", "west", offer).step.items) == ["", "haemoglobin"]


def test_what_was_offered_otherwise_than_it_is_cannot_be_recognised(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient(), "wbc", "haemoglobin", "platelets")
    true = clinic.open("east", "west", offer)
    assert not true.step.differing
    clinic.said_otherwise("west", offer, 1, item="rbc")
    opened = clinic.open("east", "west", offer)
    opening = bytes(opened.step.step)
    assert list(opened.step.differing) == [1]
    # Both hospitals signed for what was offered and for what was opened.
    assert opened.step.state == "complete"
    assert refused(lambda: clinic.decide("east", opening, places=[0, 1])).code == "medical.offer-differs"
    assert list(clinic.decide("east", opening).places) == [0, 2]
    assert list(clinic.decide("east", opening, "retest", reason="other-need").places) == [1]
    shown = clinic.service("east").List(pb.ListStepsRequest(report=offer.report), timeout=180).steps
    assert [list(one.differing) for one in shown if one.kind == "open"] == [[], [1]]
    # Bytes that are no report bear out nothing.
    rows = clinic.parts["west"].reports.rows
    rows[offer.report] = replace(rows[offer.report], data=b"{}")
    nothing = clinic.open("east", "west", offer)
    assert list(nothing.step.differing) == [0, 1, 2]
    assert refused(lambda: clinic.decide("east", bytes(nothing.step.step))).code == "medical.places"


def test_rules_that_change_meanwhile_are_no_difference(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient(), "wbc", "haemoglobin")
    rules, now = clinic.parts["east"].rules, clinic.nodes["east"].context.clock()
    dialogue = clinic.nodes["east"].medical.speaking.dialogue
    opened = clinic.open("east", "west", offer)
    receipt = decode_step_receipt(bytes(opened.step.receipt))[0]
    without = replace(rules.rules, items=tuple(item for item in rules.rules.items if item.id != "wbc"))
    in_force = rules.in_force

    def changed(at_s: int, region: str | None = None) -> tuple[int, bytes, RuleSet]:
        version, digest, old = in_force(at_s, region)
        return version, digest, old if at_s < now // 1_000 else without

    rules.in_force = changed  # type: ignore[method-assign]
    try:
        late = replace(receipt, released_ms=now + 5_000)
        # The offering hospital may have mapped its codes by either set; where the change was before, by one alone.
        assert differing_places(dialogue, offer, opened.data, late, now - 5_000) == ()
        assert differing_places(dialogue, offer, opened.data, late, now) == (0,)
    finally:
        del rules.in_force


def test_the_auditors_count_from_both_logs_is_the_hospitals_own(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient(), "wbc", "haemoglobin", "platelets")
    opened = clinic.open("north", "west", offer)
    clinic.decide("north", bytes(opened.step.step), places=[0])
    clinic.decide("north", bytes(opened.step.step), "retest", places=[1, 2], reason="emergency")
    # One more, of which nothing is recognised.
    clinic.open("north", "west", clinic.report("west", clinic.patient()))
    counts = {}
    for handle in HOSPITALS:
        request = pb.MedicalStatisticsRequest(check_records=True)
        assert clinic.service(handle).Statistics(request, timeout=180).records == "same"
        log = [
            record
            for type_ in ("opened", "recognised", "retested")
            for record in clinic.records(handle, f"medical.{type_}")
        ]
        counts[handle] = count_records(log, 0, 1 << 53)
        assert counts[handle] == count_steps(clinic.nodes[handle].medical.steps.every(), 0, 1 << 53)
    # What one says it did is what the other says was done.
    for asker in HOSPITALS:
        for provider in HOSPITALS:
            assert counts[asker].get(("consumer", USCC[provider])) == counts[provider].get(("provider", USCC[asker]))
    figures = clinic.service("north").Statistics(pb.MedicalStatisticsRequest(), timeout=180).figures
    platelets = next(one for one in figures if (one.by, one.key, one.reason) == ("item", "platelets", ""))
    assert platelets.retested >= 1
    assert platelets.name_zh == "血小板计数"
    emergencies = next(one for one in figures if (one.by, one.reason) == ("total", "emergency"))
    assert emergencies.retested >= 2
    total = figures[0]
    assert (total.by, total.opened - total.recognised) == ("total", total.opened_not_recognised)
    assert total.saved_cents > 0
    mine = counts["north"]["consumer", USCC["west"]]
    assert mine.reasons["emergency"] >= 2
    assert mine.opened_unrecognised >= 1
    assert mine.recognised_items >= 1
