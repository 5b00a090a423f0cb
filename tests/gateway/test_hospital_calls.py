"""What a gateway carries of hospitals' calls: by the envelope, by what is proven of the caller, once, within limits."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from gateway.licences.state import Moment
from gateway.limits import RateLimit
from gateway.medical.admitting import MAX_ENVELOPES, SERVICE, Admission
from gateway.medical.carrying import Carrying
from gateway.medical.figures import CityFigures, CityRow, Figure
from gateway.medical.figureswire import figures
from gateway.medical.forwarding import Forwarding
from gateway.upstream import Answer, Within
from ledger.chain.blocks import ChainHead
from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.carried import Carried
from ledger.evidence.envelope import Envelope, EnvelopeDomain, body_digest, sign_envelope
from ledger.keys import AccountSigner
from ledger.model import MemberInfo, MemberStatus, Roles
from node.city.roster import demo_uscc

NOW_MS = 1_790_000_000_000
CHAIN = b"\1" * 32
DOMAIN = EnvelopeDomain(chain_id=310_000, consortium=b"\2" * 20)
SIGNER = AccountSigner(b"\3" * 32)
NONCES = itertools.count(1_000)
EAST, WEST, NORTH, GONE, OFFICE = (demo_uscc("310000", number) for number in range(1, 6))


class City:
    """Members proven, and nodes that answer as they are told."""

    def __init__(self) -> None:
        self.time_ms = NOW_MS
        self.answers: dict[str, Answer] = {}
        self.sent: list[tuple[str, str, Within]] = []
        self.held: dict[str, threading.Event] = {}
        self.members = {
            EAST: self._info(EAST),
            WEST: self._info(WEST),
            NORTH: self._info(NORTH),
            GONE: self._info(GONE, status=MemberStatus.SUSPENDED),
            OFFICE: self._info(OFFICE, roles=Roles(0)),
        }

    @staticmethod
    def _info(uscc: str, **changes: Any) -> MemberInfo:
        values: dict[str, Any] = dict.fromkeys(MemberInfo.__dataclass_fields__)
        values |= {"uscc": uscc, "status": MemberStatus.ACTIVE, "roles": Roles.HOSPITAL, "account": SIGNER.address}
        return MemberInfo(**(values | changes))

    def moment(self) -> Moment:
        head = ChainHead(height=1, hash=bytes(32), state_root=bytes(32), time=self.time_ms // 1_000, header=b"")
        return Moment(head=head, time_ms=self.time_ms, licences=bytes(20))

    def member(self, at: Moment, uscc: str) -> MemberInfo | None:
        assert at.time_ms == self.time_ms
        return self.members.get(uscc)

    def view(self) -> Any:
        members = [SimpleNamespace(info=info) for info in self.members.values()]
        return SimpleNamespace(chain=SimpleNamespace(members=members))

    def send(self, uscc: str, path: str, body: bytes, within: Within) -> Answer:
        assert msgspec.json.decode(body)["target"] == uscc
        self.sent.append((uscc, path, within))
        if uscc in self.held:
            self.held[uscc].wait(60)
        if uscc not in self.answers:
            raise UnavailableError("node.unreachable", f"the node of {uscc} does not answer")
        return self.answers[uscc]


@pytest.fixture
def city() -> City:
    return City()


def carrying(city: City, burst: int = 10_000) -> Carrying:
    admission = Admission(city, CHAIN, DOMAIN, lambda: NOW_MS, max_age_ms=180_000)
    return Carrying(admission, Forwarding(city), RateLimit(0.001, burst, lambda: 0.0))


def call(target: str = WEST, method: str = "Search", nonce: int = 0, **changes: Any) -> Carried:
    """A call with a nonce of its own, unless one is given."""
    values: dict[str, Any] = {
        "chain": CHAIN,
        "caller": EAST,
        "target": target,
        "method": SERVICE + method,
        "nonce": (nonce or next(NONCES)).to_bytes(32, "big"),
        "expires": NOW_MS + 30_000,
    } | changes
    envelope = Envelope(body_digest=body_digest(b"body"), **values)
    return Carried(envelope=envelope, body=b"body", signature=sign_envelope(SIGNER, DOMAIN, envelope))


def code(city: City, calls: Sequence[Carried], **changes: Any) -> str:
    with pytest.raises(LedgerError) as refusal:
        carrying(city, **changes).search(calls, 60_000)
    assert refusal.value.hint or refusal.value.code == "auth.not-member"
    return refusal.value.code


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"caller": GONE}, "auth.suspended"),
        ({"caller": OFFICE}, "medical.not-hospital"),
        ({"caller": demo_uscc("310000", 9)}, "auth.not-member"),
        ({"chain": b"\5" * 32}, "envelope.other-target"),
        ({"method": "Open"}, "envelope.method"),
        ({"expires": NOW_MS}, "envelope.expired"),
        ({"expires": NOW_MS + 60_001}, "envelope.too-far"),
    ],
)
def test_who_and_what_is_not_carried(city: City, changes: dict[str, Any], expected: str) -> None:
    assert code(city, [call(**changes)]) == expected
    assert not city.sent


def test_the_envelopes_of_one_call_are_of_one_member_each_for_another_hospital(city: City) -> None:
    assert code(city, []) == "envelope.count"
    assert code(city, [call()] * (MAX_ENVELOPES + 1)) == "envelope.count"
    assert code(city, [call(nonce=1), call(nonce=2)]) == "envelope.mixed"
    assert code(city, [call(), call(NORTH, caller=WEST)]) == "envelope.mixed"
    assert code(city, [call(nonce=1), call(NORTH, nonce=1)]) == "envelope.replayed"
    changed = Carried(envelope=call().envelope, body=b"body", signature=bytes(65))
    assert code(city, [changed]) == "envelope.signature"


def test_an_old_view_of_the_chain_carries_nothing(city: City) -> None:
    city.time_ms = NOW_MS - 180_001
    assert code(city, [call()]) == "chain.stale"


def test_an_envelope_is_carried_once_and_a_member_has_its_share(city: City) -> None:
    city.answers[WEST] = Answer(status=200, body=b"sealed")
    made = carrying(city, burst=2)
    (brought,) = made.search([call(nonce=1)], 60_000)
    assert (brought.target, brought.answer, brought.error) == (WEST, b"sealed", None)
    assert city.sent[0][:2] == (WEST, "/v1/forward")
    for again, expected in ((call(nonce=1), "envelope.replayed"), (call(nonce=2), ""), (call(nonce=3), "too-many")):
        if not expected:
            made.search([again], 60_000)
            continue
        with pytest.raises(LedgerError) as refusal:
            made.search([again], 60_000)
        assert expected in refusal.value.code
    assert len(city.sent) == 2


def test_who_is_away_slow_or_refuses_is_named_and_nobody_waits_for_him(city: City) -> None:
    city.answers = {
        WEST: Answer(status=200, body=b"sealed"),
        EAST: Answer(status=409, body=b'{"code":"envelope.replayed","message":"before"}'),
    }
    city.held[NORTH] = threading.Event()
    calls = [call(), call(NORTH), call(OFFICE), call(EAST)]
    try:
        for deadline_ms in (500, 5_000, 60_000):
            found = carrying(city).search([call(one.envelope.target) for one in calls], deadline_ms)
            if [one.target for one in found if one.error is not None and one.error.code == "peer.timeout"] == [NORTH]:
                break
        assert not city.held[NORTH].is_set()
    finally:
        city.held[NORTH].set()
    assert [one.target for one in found] == [WEST, NORTH, OFFICE, EAST]
    assert [one.error.code if one.error else "" for one in found] == [
        "",
        "peer.timeout",
        "medical.not-hospital",
        "envelope.replayed",
    ]
    away = carrying(city)
    city.answers.clear()
    with pytest.raises(UnavailableError) as refusal:
        away.one("Open", call(method="Open"))
    assert refusal.value.code == "node.unreachable"


def test_a_node_that_breaks_breaks_nothing_here(city: City) -> None:
    for answer in (Answer(status=500, body=b"\xff"), Answer(status=200, body=b"")):
        city.answers[WEST] = answer
        (brought,) = carrying(city).search([call()], 60_000)
        assert brought.error is None if answer.status == 200 else isinstance(brought.error, UnavailableError)


def test_changes_are_given_as_they_come(city: City) -> None:
    city.answers = {uscc: Answer(status=200, body=uscc.encode()) for uscc in (WEST, NORTH)}
    city.held[WEST] = threading.Event()
    stream = carrying(city).watch([call(method="Changes"), call(NORTH, "Changes")])
    assert next(stream).target == NORTH
    city.held[WEST].set()
    assert [one.target for one in stream] == [WEST]


def test_the_citys_figures_as_messages() -> None:
    row = CityRow(offered=Figure(least=9), recognised=Figure(least=2, withheld=1), saved_cents=None)
    told = CityFigures(
        first="2026-01",
        last="2026-02",
        total=row,
        months={"2026-01": row},
        reasons={"emergency": Figure(least=1)},
        reason_words={"emergency": ("急诊", "emergency")},
    )
    absent = SimpleNamespace(uscc=NORTH, code="node.unreachable", as_of_ms=7)
    found: Any = SimpleNamespace(figures=told, absent=(absent,), asked=3, read_ms=5, as_of_ms=4)
    shown = figures(found)
    assert [(one.by, one.key) for one in shown.figures] == [("total", ""), ("month", "2026-01")]
    total = shown.figures[0]
    assert (total.offered.least, total.recognised.withheld, total.opened.least) == (9, 1, 2)
    assert not total.HasField("saved_cents")
    assert (shown.reasons[0].zh, shown.reasons[0].retested.least) == ("急诊", 1)
    assert (shown.absent[0].member, shown.absent[0].as_of_ms, shown.asked) == (NORTH, 7, 3)
