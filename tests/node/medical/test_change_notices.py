"""A patient who was told that a result was seen is told that it was corrected or withdrawn: once, whoever saw it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from medical_city import USCC, City, eventually
from medical_parts import Notices
from whole_city import ingest, now_s, search, sent

from ledger.storage.changes import ChangeStore
from ledger.storage.steps import StepEntry
from ledger.v1 import medical_pb2 as pb
from node.citizens import results
from node.medical.answering import tell_patient
from node.medical.changes import Changes
from node.medical.notices import Outbox, change_event
from tests.ledger.medical.bundles import Person, identity_number


def changes_told(city: City, report: bytes) -> list[str]:
    """The changes of a report that its patient was told of, in their order."""
    posted = city.parts["west"].notices.posted.values()
    return [kind for _, kind, about in posted if about == report and kind in ("corrected", "withdrawn")]


def test_a_change_is_told_once_however_many_saw_the_report(clinic: City) -> None:
    who = clinic.patient()
    seen, unseen = clinic.report("west", who), clinic.report("west", who)
    for asker in ("east", "north"):
        clinic.open(asker, "west", seen)
    changes = clinic.nodes["west"].medical.speaking.changes
    for offer in (seen, unseen):
        clinic.correct("west", offer.report)
        # The node looks by itself as well: each look finds what the one before left.
        changes._compare(offer.report)
        changes._compare(offer.report)
    subject = clinic.parts["west"].reports.rows[seen.report].subject
    event = change_event(seen.report, 2, "corrected")
    assert clinic.parts["west"].notices.posted[event] == (subject, "corrected", seen.report)
    assert (changes_told(clinic, seen.report), changes_told(clinic, unseen.report)) == (["corrected"], [])
    # Who opens the corrected report knows it as it is.
    clinic.open("east", "west", replace(seen, version=2))
    changes._compare(seen.report)
    assert changes_told(clinic, seen.report) == ["corrected"]
    clinic.withdraw("west", seen.report)
    changes._compare(seen.report)
    assert changes_told(clinic, seen.report) == ["corrected", "withdrawn"]
    eventually(lambda: not changes.owed(), "the hospitals are told, too")


def test_what_citizens_are_not_told_of_sends_no_message(clinic: City) -> None:
    hidden, known = (clinic.report("west", clinic.patient()) for _ in range(2))
    for offer, purposes in ((hidden, ("inquiry-7",)), (known, ("inquiry-7", "treatment"))):
        for purpose in purposes:
            clinic.open("east", "west", offer, purpose=purpose)
    node, notices = clinic.nodes["west"], Notices()
    context = node.context
    citizens = msgspec.structs.replace(context.config.citizens, withheld=("inquiry-7",))
    config = msgspec.structs.replace(context.config, citizens=citizens)
    dialogue = replace(node.medical.speaking.dialogue, context=replace(context, config=config), notices=notices)

    def steps(report: bytes) -> list[StepEntry]:
        return [step for step in node.medical.steps.of_report(report, "provider") if step.kind == "open"]

    for step in (*steps(hidden.report), *steps(known.report)):
        tell_patient(dialogue, step)
    assert [about for _, _, about in notices.posted.values()] == [known.report]
    listening = list(clinic.parts["west"].reports.told)
    changes = Changes(
        dialogue,
        ChangeStore(node.medical.rows.sub(b"withheld/")),
        node.medical.examinations,
        lambda: True,
        node._fatal,
    )
    clinic.parts["west"].reports.told[:] = listening
    for offer in (hidden, known):
        clinic.correct("west", offer.report)
        changes._compare(offer.report)
    assert [(kind, about) for _, kind, about in notices.posted.values()] == [
        ("opened", known.report),
        ("corrected", known.report),
    ]
    # The hospital is told of both: it decides by what it opened.
    assert {entry.report for entry in changes.owed()} == {hidden.report, known.report}


def test_the_patients_page_says_what_became_of_the_message(whole: City) -> None:
    west = whole.nodes["west"].context
    person = Person(local="P0641", identity=identity_number(641))
    report = bytes(ingest(whole, sent("R-641", person)).report)
    eventually(lambda: west.medical.pseudonyms.waiting() == 0, "the commission derived the pseudonym")
    assert len(search(whole, person)) == 1
    for asker, purpose in (("east", "treatment"), ("north", "inquiry-7")):
        opening = pb.OpenReportRequest(
            institution=USCC["west"], report=report, version=1, purpose=purpose, course="chronic"
        )
        whole.service(asker).Open(opening, timeout=180)
    ingest(whole, sent("R-641", person, status="corrected", updated_s=now_s() - 60, issued_s=now_s() - 60))
    eventually(lambda: len(whole.records("west", "medical.told", report)) == 2, "both hospitals are told")

    def events(kind: str, withheld: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
        (shown,) = results.read(west, person.identity, withheld=withheld, after=b"")["reports"]
        return [event for event in shown["events"] if event["kind"] == kind]

    # These nodes are set to send no messages.
    assert [event["notice"] for event in events("corrected")] == [""]
    config = msgspec.structs.replace(
        west.config, medical=msgspec.structs.replace(west.config.medical, notices="file", quiet_until="22:00")
    )
    outbox = Outbox(replace(west, config=config), west.medical.keeping, lambda: True, lambda _: None)
    kept = west.medical.reports.get(report)
    assert kept is not None
    assert outbox.post(change_event(report, 2, "corrected"), kept.subject, "corrected", report, now_s())
    (corrected,) = events("corrected")
    assert (corrected["notice"], corrected["version"]) == ("waiting", 2)
    outbox.set_contact(kept.subject, "+8613800000017")
    outbox._step()
    assert [event["notice"] for event in events("corrected")] == ["delivered"]
    # A hospital whose access is withheld is named nowhere, also not as one that heard of the correction.
    assert {event["by"] for event in events("told")} == {USCC["east"], USCC["north"]}
    assert {event["by"] for event in events("told", frozenset({"inquiry-7"}))} == {USCC["east"]}
