"""What a hospital tells the patient who signed in, and does at the patient's word. Whole nodes, real tokens."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from medical_city import USCC, City, eventually, refused
from whole_city import ingest, now_s, search, sent

from gateway.citizens.nodes import CitizenNodes
from gateway.citizens.results import Results
from gateway.citizens.sessions import Session
from gateway.config import SignIn
from gateway.upstream import MAX_BRACKETS
from ledger.codec import decode_record
from ledger.errors import InvalidInputError, LedgerError, NotFoundError, UnavailableError, UntrustedError
from ledger.model import MemberStatus, Roles
from ledger.openid.proof import ProofKey
from ledger.v1 import medical_pb2 as pb
from ledger.v1 import reports_pb2
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from node.citizens import results
from node.citizens.desk import MAX_AGE_S, CitizenDesk
from node.city.provider import CLAIM, Client, DemoProvider
from node.config import CitizenSection
from tests.ledger.medical.bundles import Person, identity_number

CLIENT = Client(id="gateway", secret="s", redirect_uri="https://gateway.example/citizen/callback")
WEST, EAST, NORTH = USCC["west"], USCC["east"], USCC["north"]
_PATIENTS = itertools.count(901)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProvider]:
    with DemoProvider(tmp_path_factory.mktemp("people") / "none.json", CLIENT) as served:
        yield served


def desk(city: City, provider: DemoProvider, handle: str = "west", **changes: Any) -> CitizenDesk:
    """A hospital's desk for citizens, with the settings of this provider."""
    context = city.nodes[handle].context
    clock = changes.pop("clock", context.clock)
    section = CitizenSection(**{"issuer": provider.issuer, "audience": CLIENT.id, "claim": CLAIM, **changes})
    config = msgspec.structs.replace(context.config, citizens=section)
    return CitizenDesk(replace(context, config=config, clock=clock))


class Patient:
    """Somebody who signed in, and their reports at the hospital ``west``."""

    def __init__(self, city: City, provider: DemoProvider) -> None:
        number = next(_PATIENTS)
        self.city = city
        self.person = Person(local=f"P{number:04d}", identity=identity_number(number))
        self.key = ProofKey.generate()
        self.token = provider.id_token({"number": self.person.identity}, self.key.nonce)

    def has(self, name: str, **changes: Any) -> bytes:
        """A report that ``west`` takes in; its id."""
        answer = ingest(self.city, sent(f"{self.person.local}-{name}", self.person, **changes))
        medical = self.city.nodes["west"].context.medical
        eventually(lambda: medical.pseudonyms.waiting() == 0, "the commission derived the pseudonym")
        return bytes(answer.report)

    def sees(self, at: CitizenDesk, member: str = WEST, after: bytes = b"", proof: str = "") -> dict[str, Any]:
        proof = proof or self.key.prove(self.token, member, int(time.time()))
        return at.results("192.0.2.1", self.token, proof, after=after)

    def wishes(self, at: CitizenDesk, permit: bool, asker: str = "*", **changes: Any) -> dict[str, Any]:
        body = json.dumps({"asker": asker, "permit": permit}).encode()
        proof = changes.get("proof") or self.proof(body)
        return at.wish("192.0.2.1", self.token, proof, changes.get("body", body))

    def proof(self, body: bytes | None) -> str:
        return self.key.prove(self.token, WEST, int(time.time()), body)


@pytest.fixture
def patient(whole: City, provider: DemoProvider) -> Patient:
    return Patient(whole, provider)


def code_of(call: Any) -> str:
    with pytest.raises(LedgerError) as caught:
        call()
    return caught.value.code


def kinds(report: dict[str, Any]) -> list[str]:
    return [event["kind"] for event in report["events"]]


def test_from_the_first_search_to_the_erasure(whole: City, provider: DemoProvider, patient: Patient) -> None:
    at, report = desk(whole, provider), patient.has("a")
    east, before = whole.service("east"), whole.nodes["west"].context.log.size
    (found,) = search(whole, patient.person)
    places = {item.item: item.place for item in found.items}
    request = pb.OpenReportRequest(institution=WEST, report=report, version=1, purpose="treatment", course="chronic")
    step = bytes(east.Open(request, timeout=180).step.step)
    east.Decide(pb.DecideRequest(opening=step, kind="recognise", places=[places["wbc"]]), timeout=180)
    east.Decide(
        pb.DecideRequest(opening=step, kind="retest", places=[places["platelets"]], reason="fast-changing"), timeout=180
    )
    told = patient.sees(at)
    assert (told["member"], told["known"], told["next"]) == (WEST, True, "")
    (asked,) = told["searches"]
    assert (asked["by"], asked["purpose"], asked["count"], asked["shown"]) == (EAST, "treatment", 1, 1)
    (one,) = told["reports"]
    assert (one["id"], one["category"], one["version"], one["withdrawn"]) == (report.hex(), "laboratory", 1, False)
    assert "wbc" in one["items"].split()
    assert told["names"]["zh"]["wbc"] != told["names"]["en"]["wbc"] != "wbc"
    assert kinds(one) == ["received", "opened", "recognised", "retested"]
    _, opened, recognised, retested = one["events"]
    assert (opened["by"], opened["purpose"]) == (EAST, "treatment")
    assert (recognised["items"], retested["items"]) == ("wbc", "platelets")
    assert "变化较快" in told["reasons"]["zh"][retested["reason"]]
    (record,) = whole.records("west", "medical.opened", report)
    assert record.body["receipt"] == opened["receipt"]
    assert decode_record(whole.nodes["west"].context.log.read(opened["record"], 1)[0]) == record
    # Never a value: the haemoglobin of every report is 176, the platelets 444.
    assert '"176"' not in json.dumps(told)
    assert "444" not in json.dumps([told["searches"], one["items"], told["names"]])

    # Forbidden: at once, on record, with nothing personal in the log.
    done = patient.wishes(at, permit=False)
    assert (done["outcome"], done["sharing"]["all"]) == ("changed", False)
    (said,) = done["sharing"]["said"]
    assert (said["asker"], said["permit"], said["via"]) == ("*", False, "citizen")
    consent = decode_record(whole.nodes["west"].context.log.read(done["record"], 1)[0])
    assert (consent.type, dict(consent.body)) == ("medical.consent-changed", {"commitment": done["commitment"]})
    assert search(whole, patient.person) == []
    assert refused(lambda: east.Open(request, timeout=180)).code == "medical.forbidden"
    again = patient.wishes(at, permit=False)
    assert (again["outcome"], again["record"]) == ("unchanged", -1)
    # One hospital may all the same, and what names it goes before what names all.
    assert patient.wishes(at, permit=True, asker=EAST)["sharing"]["named"] == [
        {"asker": EAST, "permit": True, "until": 0}
    ]
    assert len(search(whole, patient.person)) == 1
    assert patient.wishes(at, permit=False, asker=EAST)["outcome"] == "changed"
    assert search(whole, patient.person) == []
    (asked,) = patient.sees(at)["searches"]
    assert (asked["count"], asked["shown"]) == (4, 1)
    assert patient.wishes(at, permit=True)["sharing"]["all"] is True

    # Corrected and told; withdrawn and told.
    patient.has("a", status="corrected", updated_s=now_s() - 60, issued_s=now_s() - 60)
    eventually(lambda: whole.records("west", "medical.told", report), "east was told of the correction")
    (one,) = patient.sees(at)["reports"]
    assert one["version"] == 2
    assert {"corrected", "told"} < set(kinds(one))
    ReportServiceStub(whole.channel("west")).Withdraw(
        reports_pb2.WithdrawReportRequest(report=report, reason="wrong-patient"), timeout=180
    )
    eventually(lambda: len(whole.records("west", "medical.told", report)) == 2, "east was told of the withdrawal")
    (one,) = patient.sees(at)["reports"]
    assert one["withdrawn"]
    (withdrawn,) = [event for event in one["events"] if event["kind"] == "withdrawn"]
    assert withdrawn["reason"] == "wrong-patient"
    (owed,) = [event for event in one["events"] if event["kind"] == "told"]
    assert (owed["by"], owed["reason"]) == (EAST, "withdrawn")

    # Erased: there is nobody to tell, and nobody to change anything for.
    medical = whole.nodes["west"].context.medical
    subject = results.subject_of(medical, patient.person.identity)
    assert subject is not None
    assert medical.asked.of(subject)
    medical.erasing.erase([f"urn:hospital:patients|{patient.person.local}".encode()], "PIPL/47")
    assert patient.sees(at) == {
        "member": WEST,
        "known": False,
        "sharing": None,
        "searches": [],
        "reports": [],
        "names": {},
        "reasons": {},
        "next": "",
    }
    assert patient.wishes(at, permit=False)["outcome"] == "unknown"
    assert medical.asked.of(subject) == ()
    log = whole.nodes["west"].context.log
    assert not any(patient.person.identity.encode() in entry for entry in log.read(before, log.size - before))


def test_nobody_sees_or_changes_what_is_another_patients(whole: City, provider: DemoProvider, patient: Patient) -> None:
    at, stranger = desk(whole, provider), Patient(whole, provider)
    patient.has("a")
    assert not stranger.sees(at)["known"]
    assert stranger.wishes(at, permit=False)["outcome"] == "unknown"
    assert len(search(whole, patient.person)) == 1
    assert not patient.sees(desk(whole, provider, "north"), NORTH)["known"]


def test_only_a_fresh_token_for_here_with_its_proof_counts(
    whole: City, provider: DemoProvider, patient: Patient
) -> None:
    patient.has("a")
    at, now = desk(whole, provider), int(time.time())
    forged = patient.token[:-8] + "A" * 8
    reading = patient.key.prove(patient.token, WEST, now)
    assert code_of(lambda: at.results("192.0.2.1", "", "", after=b"")) == "citizen.no-token"
    assert code_of(lambda: at.results("192.0.2.1", forged, reading, after=b"")) == "citizen.token-signature"
    assert code_of(lambda: at.wish("192.0.2.1", forged, reading, b"{}")) == "citizen.token-signature"
    other = desk(whole, provider, audience="another")
    assert code_of(lambda: patient.sees(other)) == "citizen.token-audience"
    assert code_of(lambda: patient.wishes(other, permit=False)) == "citizen.token-audience"
    # The proof that another hospital was given.
    assert code_of(lambda: patient.sees(at, proof=patient.key.prove(patient.token, EAST, now))) == "citizen.proof"
    clock = whole.nodes["west"].context.clock
    late = desk(whole, provider, clock=lambda: clock() + (MAX_AGE_S + 120) * 1_000)
    assert code_of(lambda: patient.sees(late)) == "citizen.token-expired"
    assert code_of(lambda: patient.wishes(late, permit=False)) == "citizen.token-expired"
    assert len(search(whole, patient.person)) == 1


def test_a_wish_is_done_once_and_as_it_was_signed(whole: City, provider: DemoProvider, patient: Patient) -> None:
    patient.has("a")
    at = desk(whole, provider)
    body = b'{"asker": "*", "permit": false}'
    proof = patient.proof(body)
    # A proof to read with does nothing, and one for a wish does no other and reads nothing.
    assert code_of(lambda: patient.wishes(at, permit=False, proof=patient.proof(None))) == "citizen.proof"
    assert (
        code_of(lambda: at.wish("192.0.2.1", patient.token, proof, body.replace(b"false", b"true"))) == "citizen.proof"
    )
    assert code_of(lambda: patient.sees(at, proof=proof)) == "citizen.proof"
    assert at.wish("192.0.2.1", patient.token, proof, body)["outcome"] == "changed"
    assert patient.wishes(at, permit=True)["outcome"] == "changed"
    # Whoever saw the first one cannot have it done again.
    assert code_of(lambda: at.wish("192.0.2.1", patient.token, proof, body)) == "citizen.proof-used"
    assert len(search(whole, patient.person)) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "citizen.wish"),
        (b"[]", "citizen.wish"),
        (b'{"asker":"*"}', "citizen.wish"),
        (b'{"asker":"*","permit":1}', "citizen.wish"),
        (b'{"asker":"*","permit":false,"patient":"P0901"}', "citizen.wish"),
        (b"\xff", "citizen.wish"),
        (b'{"asker":"","permit":false}', "identifier.uscc"),
        (b'{"asker":"nobody","permit":false}', "identifier.uscc"),
        (b'{"asker":"11310000DEM000049N","permit":false}', "citizen.asker"),
        # No hospital, and the hospital itself.
        (json.dumps({"asker": USCC["quality"], "permit": False}).encode(), "citizen.asker"),
        (json.dumps({"asker": WEST, "permit": False}).encode(), "citizen.asker"),
    ],
)
def test_wishes_that_are_none(whole: City, provider: DemoProvider, patient: Patient, body: bytes, code: str) -> None:
    at = desk(whole, provider)
    with pytest.raises(InvalidInputError) as caught:
        at.wish("192.0.2.1", patient.token, patient.proof(body), body)
    assert caught.value.code == code


def test_wishes_without_end_are_no_way_to_fill_a_log(whole: City, provider: DemoProvider, patient: Patient) -> None:
    patient.has("a")
    ahead = whole.nodes["west"].context.clock() + 30_000
    at = desk(whole, provider, clock=lambda: ahead)
    for permit in (False, True) * 6:
        assert patient.wishes(at, permit=permit)["outcome"] == "changed"
    with pytest.raises(UnavailableError) as caught:
        patient.wishes(at, permit=False)
    assert caught.value.code == "citizen.too-often"
    assert len(patient.sees(at)["sharing"]["said"]) == 12


def test_what_is_withheld_is_left_out(whole: City, provider: DemoProvider, patient: Patient) -> None:
    report = patient.has("a")
    request = pb.SearchResultsRequest(
        identity=f"ric:{patient.person.identity}", purpose="inquiry-7", course="chronic", deadline_ms=60_000
    )
    whole.service("east").Search(request, timeout=180)
    opening = pb.OpenReportRequest(institution=WEST, report=report, version=1, purpose="inquiry-7", course="chronic")
    whole.service("east").Open(opening, timeout=180)
    told = patient.sees(desk(whole, provider))
    assert (len(told["searches"]), kinds(told["reports"][0])) == (1, ["received", "opened"])
    told = patient.sees(desk(whole, provider, withheld=("inquiry-7",)))
    assert (told["searches"], kinds(told["reports"][0])) == ([], ["received"])


def test_pages_hold_every_report_once(
    whole: City, provider: DemoProvider, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {patient.has(f"{day}", taken_s=now_s() - day * 86_400 - 90_000) for day in range(5)}
    at, seen, after, pages = desk(whole, provider), [], b"", 0
    # Room for two reports of one event each: only what a citizen is told looks at this.
    monkeypatch.setattr(results, "MAX_OBJECTS", 2 * results.MAX_RULES + 8)
    while after or not pages:
        page = patient.sees(at, after=after)
        seen += [report["id"] for report in page["reports"]]
        after, pages = bytes.fromhex(page["next"]), pages + 1
    assert pages == 3
    assert {bytes.fromhex(one) for one in seen} == made
    assert len(seen) == 5
    with pytest.raises(NotFoundError) as caught:
        patient.sees(at, after=bytes(32))
    assert caught.value.code == "citizen.page-gone"


class Gateway:
    """The city as the gateway knows it, its nodes' doors answered by their desks."""

    def __init__(self, desks: dict[str, CitizenDesk], handles: dict[str, str]) -> None:
        self.desks = desks
        self.members = tuple(
            SimpleNamespace(
                chain=SimpleNamespace(
                    info=SimpleNamespace(
                        uscc=uscc, handle=handles[uscc], status=MemberStatus.ACTIVE, roles=Roles.HOSPITAL
                    ),
                    name=handles[uscc],
                )
            )
            for uscc in desks
        )

    def view(self) -> Any:
        return self

    def ask(self, uscc: str, path: str, headers: Any = None) -> bytes:
        if path == "/citizen":
            return json.dumps(self.desks[uscc].about()).encode()
        path, _, after = path.partition("?after=")
        assert path == "/citizen/results"
        page = self.desks[uscc].results(*self._asker(headers), after=bytes.fromhex(after))
        data = json.dumps(page).encode()
        assert data.count(b"[") + data.count(b"{") <= MAX_BRACKETS
        return data

    def post(self, uscc: str, path: str, body: bytes, headers: Any = None) -> bytes:
        assert path == "/citizen/sharing"
        return json.dumps(self.desks[uscc].wish(*self._asker(headers), body)).encode()

    def _asker(self, headers: Any) -> tuple[str, str, str]:
        return "192.0.2.1", headers["Authorization"].removeprefix("Bearer "), headers["Civicledger-Proof"]


def test_the_gateway_reads_what_hospitals_say(whole: City, provider: DemoProvider, patient: Patient) -> None:
    report = patient.has("a")
    search(whole, patient.person)
    request = pb.OpenReportRequest(institution=WEST, report=report, version=1, purpose="treatment", course="chronic")
    whole.service("east").Open(request, timeout=180)
    desks = {USCC[handle]: desk(whole, provider, handle) for handle in ("west", "east")}
    city: Any = Gateway(desks, {USCC[handle]: handle for handle in ("west", "east")})
    settings = SignIn(
        issuer=provider.issuer,
        client_id=CLIENT.id,
        secret="",
        claim=CLAIM,
        scopes="openid",
        public_url="https://gateway.example",
    )
    clock = whole.nodes["west"].context.clock
    asking = Results(CitizenNodes(city, settings, clock), clock, deadline_s=120.0)
    session = Session(token=patient.token, key=patient.key, until_ms=1 << 52)
    try:
        here, there = asking.read(session)["hospitals"]
        assert (here["state"], here["known"], there["state"], there["known"]) == ("answered", True, "answered", False)
        assert (kinds(here["reports"][0]), here["searches"][0]["by"]) == (["received", "opened"], EAST)
        here, there = asking.wish(session, "*", permit=False)["done"]
        assert (here["outcome"], there["outcome"]) == ("changed", "unknown")
        assert here["proof"] == f"/west/proof/inclusion?index={here['record']}"
        assert search(whole, patient.person) == []
        (only,) = asking.wish(session, EAST, permit=True)["done"]
        assert (only["uscc"], only["outcome"], only["sharing"]["named"][0]["asker"]) == (WEST, "changed", EAST)
        assert len(search(whole, patient.person)) == 1
    finally:
        asking.close()


def test_a_proof_that_was_used_is_remembered_as_long_as_it_would_be_taken() -> None:
    from node.citizens.limits import Used

    now = [1_000_000]
    used = Used(lambda: now[0], most=2)
    used.take(b"a", 1_010)
    with pytest.raises(UntrustedError):
        used.take(b"a", 1_010)
    used.take(b"b", 1_020)
    # Full: what is new waits, rather than that something old is let in again.
    with pytest.raises(UnavailableError):
        used.take(b"c", 1_020)
    now[0] = 1_010_000
    used.take(b"c", 1_020)
    with pytest.raises(UntrustedError):
        used.take(b"b", 1_020)
