"""Whose a report is: nothing is made of whom a report is refused, and one person under two numbers is one person."""

from __future__ import annotations

import threading

import pytest

from ledger.errors import LedgerError
from ledger.v1 import keeping_pb2 as pb
from node.compose import Node
from node.medical.patients import of_number
from node.medical.reports import Reports
from node.services.keeping import KeepingService
from tests.ledger.medical.bundles import Person, encode, identity_number, resource
from tests.node.medical.report_city import bundle, codes, records

BASIS = "PIPL/47"


def local(name: str) -> bytes:
    """A record number as the vault has it."""
    return f"urn:hospital:patients|{name}".encode()


@pytest.mark.parametrize("why", ["report.other-patient", "report.older", "report.other-examination"])
def test_of_a_refused_report_no_patient_and_no_link_is_left(
    node: Node, reports: Reports, number: str, why: str
) -> None:
    now_s = node.core.clock() // 1_000
    known = Person(local="K-KNOWN", identity="")
    reports.ingest(encode(bundle(node, number, person=known, issued_s=now_s - 500)), "test")
    before, waiting = len(list(node.medical.vault.subjects())), node.medical.pseudonyms.waiting()
    name = "NEW" if why == "report.other-patient" else known.local
    person = Person(local=name, identity=identity_number(811))
    made = bundle(node, number, person=person, issued_s=now_s - (900 if why == "report.older" else 100))
    if why == "report.other-examination":
        resource(made, "DiagnosticReport")["code"] = {"coding": [{"system": "http://loinc.org", "code": "24331-1"}]}
    done = reports.ingest(encode(made), "test")
    assert (done.state, codes(done)) == ("refused", {why})
    assert len(list(node.medical.vault.subjects())) == before
    assert node.medical.pseudonyms.waiting() == waiting
    assert reports.identified(f"ric:{person.identity}") is None


def test_a_refused_report_makes_no_second_number_of_anybody(node: Node, reports: Reports, number: str) -> None:
    """A clerk mixes two patients up: the report is refused, and what comes of the other one later is the other's."""
    one = Person(local="M-ONE", identity=identity_number(821))
    other = Person(local="M-OTHER", identity=identity_number(822))
    reports.ingest(encode(bundle(node, f"{number}-1", person=one)), "test")
    taken = Person(local="M-THIRD", identity=identity_number(823))
    reports.ingest(encode(bundle(node, f"{number}-2", person=taken)), "test")
    mixed = Person(local=other.local, identity=one.identity)
    done = reports.ingest(encode(bundle(node, f"{number}-2", person=mixed)), "test")
    assert codes(done) == {"report.other-patient"}
    assert reports.ingest(encode(bundle(node, f"{number}-3", person=other)), "test").state == "offered"
    assert reports.identified(f"ric:{other.identity}") not in (None, reports.identified(f"ric:{one.identity}"))


def test_a_patient_whose_enrolling_a_stop_cut_short_is_taken_in(node: Node, reports: Reports, number: str) -> None:
    person, vault = Person(local="E-1", identity=identity_number(825)), node.medical.vault
    # The identity is kept, and nothing leads from it yet.
    subject = vault.subject_of(local("E-1"))
    vault.put(subject, b"identity/" + subject, f"ric:{person.identity}".encode())
    done = reports.ingest(encode(bundle(node, number, person=person)), "test")
    assert done.state == "offered", done.problems
    assert reports.identified(f"ric:{person.identity}") == subject


def two_numbers(node: Node, reports: Reports, number: str, seed: int) -> tuple[list[bytes], str, str]:
    """Reports of one person: under one number, under a second one before it was known whose it is, and after that."""
    first, second = Person(local=f"T-{seed}", identity=identity_number(seed)), Person(local=f"U-{seed}", identity="")
    known = Person(local=second.local, identity=first.identity)
    made = [
        reports.ingest(encode(bundle(node, f"{number}-{place}", person=person)), "test").report
        for place, person in enumerate((first, second, known))
    ]
    assert all(made)
    return made, first.local, second.local


@pytest.mark.parametrize(("seed", "under"), [(831, 0), (832, 1)])
def test_one_person_under_two_numbers_is_erased_by_either(
    node: Node, reports: Reports, number: str, seed: int, under: int
) -> None:
    made, *numbers = two_numbers(node, reports, number, seed)
    told = [records(node, "medical.offered", report)[0]["commitment"] for report in made]
    erased = node.medical.erasing.erase([local(numbers[under])], BASIS)
    assert [reports.get(report) for report in made] == [None, None, None]
    assert [reports.store.get(report) for report in made] == [None, None, None]
    assert {one.hex() for one in erased.statement.commitments} >= set(told)
    for name in numbers:
        with pytest.raises(LedgerError) as refused:
            node.medical.erasing.erase([local(name)], BASIS)
        assert refused.value.code == "vault.no-patient"


def test_who_forbids_under_a_second_number_has_forbidden(node: Node, reports: Reports, number: str) -> None:
    made, _, second = two_numbers(node, reports, number, 841)
    service = KeepingService(node.context)
    request = pb.ChangeConsentRequest(patient=local(second).decode(), permit=False)
    service.ChangeConsent(request, None)  # type: ignore[arg-type]
    now_s = node.core.clock() // 1_000 + 1
    for report in made:
        kept = reports.get(report)
        assert kept is not None
        assert not node.medical.consents.allows(kept.subject, "11100000000013338W", now_s)
    shown = service.ShowConsent(pb.ShowConsentRequest(patient=local(second).decode()), None)  # type: ignore[arg-type]
    assert [rule.permit for rule in shown.rules] == [False]


def test_what_was_forbidden_before_it_was_known_whose_number_it_is_stays_forbidden(
    node: Node, reports: Reports, number: str
) -> None:
    identity, consents = identity_number(851), node.medical.consents
    one, nobody = Person(local="W-1", identity=identity), Person(local="W-2", identity="")
    first = reports.ingest(encode(bundle(node, f"{number}-1", person=one)), "test").report
    reports.ingest(encode(bundle(node, f"{number}-2", person=nobody)), "test")
    kept = reports.get(first)
    (mine,) = of_number(node.medical.vault, local("W-2"))
    assert kept is not None
    assert mine != kept.subject
    forbidden, allowed = "11100000000013338W", "12310000MB2F30001K"
    consents.change(mine, permit=False)
    consents.change(mine, permit=True, asker=allowed)
    consents.change(mine, permit=False, asker=forbidden)
    reports.ingest(encode(bundle(node, f"{number}-3", person=Person(local="W-2", identity=identity))), "test")
    now_s = node.core.clock() // 1_000 + 1
    assert not consents.allows(kept.subject, forbidden, now_s)
    # What is forbidden to all is; an exception is said anew, by who knows which person it is for.
    assert not consents.allows(kept.subject, allowed, now_s)


def test_what_is_on_its_way_in_during_an_erasure_is_erased_whole(
    node: Node, reports: Reports, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person(local="R-1", identity="")
    first = reports.ingest(encode(bundle(node, f"{number}-1", person=person)), "test").report
    subject = node.medical.vault.find(local("R-1"))
    assert subject is not None
    arrived, go_on = threading.Event(), threading.Event()
    finish = reports._intake._finish

    def halt(row: object) -> object:
        arrived.set()
        assert go_on.wait(300)
        return finish(row)  # type: ignore[arg-type]

    done: list[object] = []
    data = encode(bundle(node, f"{number}-2", person=person))
    with monkeypatch.context() as patch:
        patch.setattr(reports._intake, "_finish", halt)
        sender = threading.Thread(target=lambda: done.append(reports.ingest(data, "test")))
        sender.start()
        assert arrived.wait(300)
    erased: list[object] = []
    clerk = threading.Thread(target=lambda: erased.append(node.medical.erasing.erase([local("R-1")], BASIS)))
    clerk.start()
    pause = threading.Event()
    for _ in range(3_000):
        if not node.medical.vault.knows(subject):
            break
        pause.wait(0.1)
    # It waits for the report; if it did not it would be done by now.
    clerk.join(1)
    go_on.set()
    sender.join(300)
    clerk.join(300)
    assert len(erased) == 1
    (second,) = [one.report for one in done]  # type: ignore[attr-defined]
    for report in (first, second):
        assert reports.store.get(report) is None
        (body,) = records(node, "medical.offered", report)
        assert bytes.fromhex(body["commitment"]) in erased[0].statement.commitments  # type: ignore[attr-defined]


def test_between_the_note_of_an_erasure_and_the_forgetting_nothing_comes_in(
    node: Node, reports: Reports, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports.ingest(encode(bundle(node, number, person=Person(local="S-1", identity=""))), "test")
    vault, erasing = node.medical.vault, node.medical.erasing
    subject = vault.find(local("S-1"))
    assert subject is not None
    refused: list[str] = []

    def write() -> None:
        try:
            vault.put(subject, b"late/" + subject, b"value")
        except LedgerError as error:
            refused.append(error.code)

    late = threading.Thread(target=write)
    forget = vault.erase

    class Forgetting:
        """The vault, which another writer comes upon at the moment of forgetting."""

        def __getattr__(self, name: str) -> object:
            return getattr(vault, name)

        def erase(self, subjects: object) -> object:
            late.start()
            late.join(1)
            return forget(subjects)  # type: ignore[arg-type]

    class Keeping:
        """The node's, with that vault."""

        vault = Forgetting()
        copies = None

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_keeping", Keeping())
        erasing.erase([local("S-1")], BASIS)
    late.join(300)
    assert refused == ["vault.no-subject"]
    assert not vault.has(b"late/" + subject)


def test_a_search_that_an_erasure_overtakes_leaves_no_row(node: Node, reports: Reports, number: str) -> None:
    reports.ingest(encode(bundle(node, number, person=Person(local="Q-1", identity=""))), "test")
    (subject,) = of_number(node.medical.vault, local("Q-1"))
    asked = node.medical.asked
    asked.note(subject, "11100000000013338W", "treatment", 1)
    assert len(asked.of(subject)) == 1
    node.medical.erasing.erase([local("Q-1")], BASIS)
    # The search had found the patient before.
    asked.note(subject, "11100000000013338W", "treatment", 1)
    assert asked.of(subject) == ()
