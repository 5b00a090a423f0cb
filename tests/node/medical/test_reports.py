"""Reports at a real node of a hospital: taken in, sent again, corrected, withdrawn, and cut short by crashes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from ledger.codec import commitment
from ledger.errors import InvalidInputError, NotAllowedError, NotFoundError
from ledger.medical.rules import parse_rules, starting_rules
from ledger.medical.ruleset import RuleSet
from node.compose import Node
from node.medical.intake import REPORT_TYPE
from node.medical.reports import Reports
from node.trail import records as trail
from tests.ledger.medical.bundles import (
    BLOOD_COUNT,
    Person,
    encode,
    identity_number,
    instant,
    resource,
)
from tests.node.core.city import City
from tests.node.medical.report_city import bundle, codes, records

OTHER = Person(local="P0002", identity=identity_number(2))


# --- in ---------------------------------------------------------------------------------------------------------------
def test_a_report_is_kept_logged_and_offered(node: Node, reports: Reports, number: str) -> None:
    data = encode(bundle(node, number, measured=BLOOD_COUNT))
    done = reports.ingest(data, "test")
    assert (done.state, done.version, len(done.report)) == ("offered", 1, 32), done.problems
    kept = reports.get(done.report)
    assert kept is not None
    assert (kept.data, kept.withdrawn, len(kept.offer.facts)) == (data, False, 17)
    assert done.report in {offer.report for offer in reports.offers(kept.subject)}
    (body,) = records(node, "medical.offered", done.report)
    vault = node.medical.vault
    salt = vault.get(b"report/" + done.report + b"/\0\0\0\1/salt")
    assert body["commitment"] == commitment(REPORT_TYPE, salt, data).hex()
    assert bytes.fromhex(body["commitment"]) in vault.commitments(kept.subject)
    assert body["category"] == "laboratory"
    assert "items" not in body, "no rules are in force: nothing is mapped"


def test_nothing_of_the_patient_is_in_log_or_rows(node: Node, reports: Reports, number: str) -> None:
    person = Person(local="MRN-UNMISTAKABLE", identity=identity_number(77))
    done = reports.ingest(encode(bundle(node, number, person=person)), "test")
    text = json.dumps(records(node, "medical.offered", done.report))
    rows = b"".join(key + value for key, value in node.medical.rows.scan())
    for secret in (person.local, person.identity, number, "6.30"):
        assert secret not in text
        assert secret.encode() not in rows


def test_the_same_bytes_again_are_answered_as_before(node: Node, reports: Reports, number: str) -> None:
    data = encode(bundle(node, number))
    first, again = reports.ingest(data, "test"), reports.ingest(data, "test")
    assert (again.state, again.report, again.version) == ("known", first.report, 1)
    assert len(records(node, "medical.offered", first.report)) == 1


def test_the_same_report_by_many_at_once_is_one(node: Node, reports: Reports, number: str) -> None:
    data = encode(bundle(node, number))
    done: list[Any] = []
    threads = [threading.Thread(target=lambda: done.append(reports.ingest(data, "test"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 6
    assert len({item.report for item in done}) == 1
    assert sorted(item.state for item in done) == ["known"] * 5 + ["offered"]


def test_a_correction_is_the_next_version_and_is_told(node: Node, reports: Reports, number: str) -> None:
    told: list[tuple[bytes, int, str]] = []
    reports.on_changed(lambda *change: told.append(change))
    reports._tell()
    told.clear()
    now_s = node.core.clock() // 1_000
    first = reports.ingest(encode(bundle(node, number, issued_s=now_s - 500)), "test")
    corrected = bundle(node, number, issued_s=now_s - 100, status="corrected")
    done = reports.ingest(encode(corrected), "test")
    assert (done.state, done.report, done.version) == ("corrected", first.report, 2)
    assert told == [(first.report, 2, "corrected")]
    (body,) = records(node, "medical.corrected", first.report)
    assert body["version"] == 2
    kept = reports.get(first.report)
    assert kept is not None
    assert (kept.offer.version, kept.offer.status, kept.data) == (2, "corrected", encode(corrected))


def test_an_older_version_changes_nothing(node: Node, reports: Reports, number: str) -> None:
    now_s = node.core.clock() // 1_000
    old = encode(bundle(node, number, issued_s=now_s - 500))
    reports.ingest(old, "test")
    newest = reports.ingest(encode(bundle(node, number, issued_s=now_s - 100)), "test")
    for data in (old, encode(bundle(node, number, issued_s=now_s - 300))):
        late = reports.ingest(data, "test")
        assert (late.state, codes(late)) == ("refused", {"report.older"})
    row = reports.require(newest.report)
    assert (row.version, row.issued_s) == (2, now_s - 100)


def test_a_report_takes_itself_back(node: Node, reports: Reports, number: str) -> None:
    told: list[tuple[bytes, int, str]] = []
    reports.on_changed(lambda *change: told.append(change))
    reports._tell()
    told.clear()
    now_s = node.core.clock() // 1_000
    first = reports.ingest(encode(bundle(node, number, issued_s=now_s - 500)), "test")
    back = bundle(node, number, issued_s=now_s - 100, status="entered-in-error")
    done = reports.ingest(encode(back), "test")
    assert (done.state, done.version) == ("withdrawn", 2)
    assert told == [(first.report, 2, "withdrawn")]
    (body,) = records(node, "medical.withdrawn", first.report)
    assert body["reason"] == "entered-in-error"
    kept = reports.get(first.report)
    assert kept is not None
    assert (kept.withdrawn, kept.offer.status) == (True, "entered-in-error")
    # Only what is newer than the withdrawal brings it back.
    same = reports.ingest(encode(bundle(node, number, issued_s=now_s - 100)), "test")
    assert codes(same) == {"report.older"}
    assert reports.ingest(encode(bundle(node, number, issued_s=now_s - 50)), "test").version == 3


def test_a_withdrawal_that_overtakes_its_report(node: Node, reports: Reports, number: str) -> None:
    now_s = node.core.clock() // 1_000
    back = reports.ingest(encode(bundle(node, number, issued_s=now_s - 100, status="entered-in-error")), "test")
    assert (back.state, back.version) == ("withdrawn", 1)
    late = reports.ingest(encode(bundle(node, number, issued_s=now_s - 500)), "test")
    assert (late.state, codes(late)) == ("refused", {"report.older"})


def test_a_clerk_takes_a_report_back_once(node: Node, reports: Reports, number: str) -> None:
    told: list[tuple[bytes, int, str]] = []
    reports.on_changed(lambda *change: told.append(change))
    reports._tell()
    told.clear()
    done = reports.ingest(encode(bundle(node, number)), "test")
    for _ in range(2):
        row = reports.withdraw(done.report, "sample-mixed-up")
        assert (row.withdrawn, row.reason, row.version) == (True, "sample-mixed-up", 1)
    assert told == [(done.report, 1, "withdrawn")]
    assert [body["reason"] for body in records(node, "medical.withdrawn", done.report)] == ["sample-mixed-up"]
    with pytest.raises(InvalidInputError, check=lambda error: error.code == "medical.reason"):
        reports.withdraw(done.report, "mixed up, sorry")
    with pytest.raises(NotFoundError, check=lambda error: error.code == "medical.report-unknown"):
        reports.withdraw(b"\0" * 32, "x")


def test_without_times_it_is_held_until_it_comes_with_them(node: Node, reports: Reports, number: str) -> None:
    made = bundle(node, number, taken_s=None)
    done = reports.ingest(encode(made), "test")
    assert (done.state, "fhir.time-missing" in codes(done)) == ("held", True)
    resource(made, "Specimen")["collection"] = {"collectedDateTime": instant(node.core.clock() // 1_000 - 9_000)}
    again = reports.ingest(encode(made), "test")
    assert (again.state, again.report, again.version) == ("corrected", done.report, 2)


# --- whose, and which -------------------------------------------------------------------------------------------------
def test_a_number_of_another_patient(node: Node, reports: Reports, number: str) -> None:
    first = reports.ingest(encode(bundle(node, number)), "test")
    done = reports.ingest(encode(bundle(node, number, person=OTHER)), "test")
    assert (done.state, codes(done)) == ("refused", {"report.other-patient"})
    assert reports.require(first.report).version == 1


def test_a_number_of_another_examination(node: Node, reports: Reports, number: str) -> None:
    reports.ingest(encode(bundle(node, number)), "test")
    made = bundle(node, number)
    resource(made, "DiagnosticReport")["code"] = {"coding": [{"system": "http://loinc.org", "code": "24331-1"}]}
    assert codes(reports.ingest(encode(made), "test")) == {"report.other-examination"}


def test_one_person_with_two_record_numbers_is_one(node: Node, reports: Reports, number: str) -> None:
    identity = identity_number(501)
    subjects = set()
    for place, person in enumerate(
        (Person(local="A-501", identity=identity), Person(local="B-501", identity=identity))
    ):
        done = reports.ingest(encode(bundle(node, f"{number}-{place}", person=person)), "test")
        kept = reports.get(done.report)
        assert kept is not None
        subjects.add(kept.subject)
    unnamed = reports.ingest(encode(bundle(node, f"{number}-x", person=Person(local="B-501", identity=""))), "test")
    kept = reports.get(unnamed.report)
    assert kept is not None
    assert subjects == {kept.subject}
    assert len(reports.offers(kept.subject)) == 3


def test_one_record_number_with_two_identity_numbers(node: Node, reports: Reports, number: str) -> None:
    for place, (identity, state) in enumerate(((601, "offered"), (602, "refused"))):
        person = Person(local="C-601", identity=identity_number(identity))
        done = reports.ingest(encode(bundle(node, f"{number}-{place}", person=person)), "test")
        assert done.state == state
    assert codes(done) == {"report.patient-conflict"}


def test_identity_numbers_are_enrolled_for_pseudonyms(node: Node, reports: Reports, number: str) -> None:
    person = Person(local="D-701", identity=identity_number(701))
    done = reports.ingest(encode(bundle(node, number, person=person)), "test")
    kept = reports.get(done.report)
    assert kept is not None
    link = node.medical.vault.linked(b"identity", b"ric:" + person.identity.encode())
    assert link is not None
    assert link.subject == kept.subject


def test_refusals_are_remembered_without_their_content(node: Node, reports: Reports) -> None:
    done = reports.ingest(b'{"resourceType":"Patient","id":"secret"}', "folder")
    newest = reports.store.refusals(1)[0]
    assert done.refused
    assert (newest.via, newest.codes, newest.byte_count) == ("folder", ("fhir.resource-type",), 40)


def test_a_member_that_is_no_hospital_takes_nothing_in(report_city: City, number: str) -> None:
    with pytest.raises(NotAllowedError, check=lambda error: error.code == "medical.not-hospital"):
        report_city[1].medical.reports.ingest(encode(bundle(report_city[1], number)), "test")
    assert not report_city[1].medical.keeping.exists


# --- rules ------------------------------------------------------------------------------------------------------------
class Rules:
    """Rules in force, as a test sets them."""

    def __init__(self) -> None:
        self.version = 0
        self.rules: RuleSet = parse_rules(starting_rules())

    def in_force(self, at_s: int) -> tuple[int, bytes, RuleSet]:
        if not self.version:
            raise NotFoundError("medical.rules-none", "no rules are in force")
        return self.version, b"", self.rules


def test_what_was_unmapped_is_mapped_by_later_rules(
    node: Node, reports: Reports, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = Rules()
    monkeypatch.setattr(reports, "_rules", rules)
    done = reports.ingest(encode(bundle(node, number, measured=BLOOD_COUNT)), "test")
    row = reports.require(done.report)
    assert {facts.state for facts in row.facts} == {"unmapped-code"}
    rules.version = 1
    kept = reports.get(done.report)
    assert kept is not None
    assert "mapped" in {facts.state for facts in kept.offer.facts}
    assert reports.require(done.report).rules == 1
    later = reports.ingest(encode(bundle(node, f"{number}-later", measured=BLOOD_COUNT)), "test")
    (body,) = records(node, "medical.offered", later.report)
    assert body["items"].split(" ") == sorted({facts.item for facts in kept.offer.facts if facts.item})


# --- crashes ----------------------------------------------------------------------------------------------------------
class Crash(Exception):
    """The process ends here."""


def cut(target: Any, name: str, *, after: bool) -> Callable[[pytest.MonkeyPatch], None]:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(target, name)

        here = threading.get_ident()

        def crash(*args: Any, **named: Any) -> Any:
            # Nodes of other tests that run beside this one go on.
            if threading.get_ident() != here:
                return real(*args, **named)
            if after:
                real(*args, **named)
            raise Crash

        monkeypatch.setattr(target, name, crash)

    return patch


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("version", "step"),
    # Only a first version makes a link: a row of the key store.
    [(1, "put"), *product([1, 2], ["begin", "write", "begin_once", "finish"])],
)
def test_cut_short_anywhere_nothing_is_lost_or_doubled(
    node: Node, number: str, step: str, after: bool, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    medical, now_s = node.medical, node.core.clock() // 1_000

    def fresh() -> Reports:
        """As after a restart: nothing but what is on disk."""
        return Reports(
            node.context,
            lambda: medical.vault,
            medical.rules,
            medical.pseudonyms,
            lambda: True,
            lambda error: None,
        )

    if version == 2:
        fresh().ingest(encode(bundle(node, number, issued_s=now_s - 500)), "test")
    data = encode(bundle(node, number, issued_s=now_s - 100))
    broken = fresh()
    target = {
        "begin": broken.store,
        "finish": broken.store,
        "put": medical.vault.book,
        "write": medical.vault,
        "begin_once": trail,
    }[step]
    with pytest.MonkeyPatch.context() as patch:
        # The stores have slots: what is cut is replaced on their class.
        owner = target if step == "begin_once" else type(target)
        cut(owner, step, after=after)(patch)
        with pytest.raises(Crash):
            broken.ingest(data, "test")
    restarted = fresh()
    done = restarted.ingest(data, "test")
    assert done.version == version
    assert done.state in ("offered", "corrected", "known")
    assert not restarted.store.begun()
    kept = restarted.get(done.report)
    assert kept is not None
    assert kept.data == data
    offered = [offer for offer in restarted.offers(kept.subject) if offer.report == done.report]
    assert [offer.version for offer in offered] == [version]
    assert len(records(node, "medical.offered" if version == 1 else "medical.corrected", done.report)) == 1
    # No second report of the same number is offered beside.
    numbers = [row.number for row in restarted.store.page(0, 1_000)]
    assert len(numbers) == len(set(numbers))
    twins = [offer for offer in restarted.offers(kept.subject) if restarted.get(offer.report).data == data]  # type: ignore[union-attr]
    assert len(twins) == 1


def test_a_change_nobody_heard_of_is_told_after_a_restart(node: Node, reports: Reports, number: str) -> None:
    now_s = node.core.clock() // 1_000
    deaf = Reports(
        node.context,
        lambda: node.medical.vault,
        node.medical.rules,
        node.medical.pseudonyms,
        lambda: True,
        lambda error: None,
    )
    first = deaf.ingest(encode(bundle(node, number, issued_s=now_s - 500)), "test")
    deaf.ingest(encode(bundle(node, number, issued_s=now_s - 100)), "test")
    told: list[tuple[bytes, int, str]] = []
    hearing = Reports(
        node.context,
        lambda: node.medical.vault,
        node.medical.rules,
        node.medical.pseudonyms,
        lambda: True,
        lambda error: None,
    )
    hearing.on_changed(lambda *change: told.append(change))
    hearing._step()
    assert (first.report, 2, "corrected") in told
    told.clear()
    hearing._step()
    assert told == []


def test_an_erased_patient_leaves_no_row(node: Node, reports: Reports, number: str) -> None:
    person = Person(local="E-801", identity=identity_number(801))
    done = reports.ingest(encode(bundle(node, number, person=person)), "test")
    node.medical.erasing.erase([f"urn:hospital:patients|{person.local}".encode()], "PIPL/47")
    assert reports.get(done.report) is None
    assert reports.store.get(done.report) is None
    rows = b"".join(key + value for key, value in node.medical.rows.sub(b"report/").scan())
    assert done.report not in rows
