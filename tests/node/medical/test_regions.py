"""Hospitals of another region: asked where the regions agreed, under the pseudonyms of their own commission."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from medical_city import USCC, City, eventually

from ledger.errors import UnavailableError
from ledger.medical.standing import Agreement, Institution
from ledger.v1 import medical_pb2 as pb

THERE = "330100"
AGREED = Agreement(range="hr", item="wbc", region_a="310000", region_b=THERE, from_s=1_600_000_000)


@pytest.fixture
def apart(clinic: City) -> Iterator[Callable[..., str]]:
    """Puts the northern hospital into another region, with these agreements; gives a patient known there alone."""
    rules = clinic.parts["east"].rules
    before = rules.known

    def put(*agreements: Agreement) -> str:
        others = tuple(entry for entry in before.institutions if entry.member != USCC["north"])
        north = Institution(member=USCC["north"], region=THERE, level=3)
        rules.known = replace(before, institutions=(*others, north), agreements=agreements)
        who, pseudonyms = clinic.patient(), clinic.parts["north"].pseudonyms
        clinic.report("north", who, "wbc")
        (subject,) = [pseudonyms.subjects.pop(one) for _, one in pseudonyms.of(who) if one in pseudonyms.subjects]
        pseudonyms.subjects[pseudonyms.of(who, THERE)[0][1]] = subject
        return who

    yield put
    rules.known = before


def seen(found: pb.SearchResultsResponse) -> tuple[list[str], list[str], int]:
    """Whose reports were found, who is absent, and how many were asked."""
    return [one.institution for one in found.reports], [one.member for one in found.absent], found.asked


def test_where_the_regions_agreed_their_hospitals_are_asked_under_their_pseudonyms(
    clinic: City, apart: Callable[..., str]
) -> None:
    who = apart(AGREED)
    clinic.report("west", who, "wbc")
    found, absent, asked = seen(clinic.search("east", who))
    assert (sorted(found), absent, asked) == (sorted([USCC["north"], USCC["west"]]), [], 2)


@pytest.mark.parametrize(
    "agreements",
    [
        (),
        (replace(AGREED, ended_s=1_700_000_000),),
        (replace(AGREED, from_s=1 << 40),),
        (replace(AGREED, region_a="440100"),),
    ],
)
def test_where_they_did_not_nobody_there_is_asked(
    clinic: City, apart: Callable[..., str], agreements: tuple[Agreement, ...]
) -> None:
    assert seen(clinic.search("east", apart(*agreements))) == ([], [], 1)


def test_a_commission_that_is_away_makes_its_hospitals_absent_and_no_others(
    clinic: City, apart: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    who = apart(AGREED)
    clinic.report("west", who, "wbc")
    pseudonyms = clinic.parts["east"].pseudonyms
    of, slow = pseudonyms.of, threading.Event()

    def away(identity: str, region: str = "", timeout_s: float = 20.0) -> Sequence[tuple[int, bytes]]:
        if region:
            raise UnavailableError("pseudonym.away", "the commission is away")
        return of(identity)

    def silent(identity: str, region: str = "", timeout_s: float = 20.0) -> Sequence[tuple[int, bytes]]:
        if region:
            slow.wait(300)
        return of(identity, region)

    monkeypatch.setattr(pseudonyms, "of", away)
    found = clinic.search("east", who)
    assert seen(found) == ([USCC["west"]], [USCC["north"]], 2)
    assert found.absent[0].code == "pseudonym.away"
    monkeypatch.setattr(pseudonyms, "of", silent)
    try:
        # A loaded machine may make west late as well: then it is asked again.
        late = eventually(lambda: len((got := clinic.search("east", who, deadline_ms=2_000)).reports) and got, "west")
        assert not slow.is_set()
    finally:
        slow.set()
    assert seen(late) == ([USCC["west"]], [USCC["north"]], 2)
    assert late.absent[0].code == "peer.timeout"
