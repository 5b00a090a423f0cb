"""Hospitals that are dead or slow: named, not waited for, and told when they are back."""

from __future__ import annotations

import threading
import time

from medical_city import USCC, City, eventually


def test_a_dead_hospital_is_named_and_told_when_it_is_back(clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who)
    clinic.open("north", "west", offer)
    clinic.stop("north")
    try:
        found = clinic.search("east", who)
        assert [bytes(one.report) for one in found.reports] == [offer.report]
        assert [one.member for one in found.absent] == [USCC["north"]]
        assert found.absent[0].code in ("peer.unreachable", "peer.timeout")
        assert found.asked == 2
        # Changes wait for it, and for nobody else.
        clinic.open("east", "west", offer)
        clinic.withdraw("west", offer.report)
        eventually(lambda: clinic.records("east", "medical.told", offer.report), "east is told at once")
        changes = clinic.nodes["west"].medical.speaking.changes
        eventually(lambda: [one.counterpart for one in changes.owed()] == [USCC["north"]], "north alone is owed it")
    finally:
        clinic.start("north")
        assert clinic.nodes["north"].wait_open(300)
    eventually(lambda: clinic.records("north", "medical.told", offer.report), "north is told when it is back")
    eventually(lambda: not clinic.nodes["west"].medical.speaking.changes.owed(), "nothing is owed any more")
    eventually(lambda: not clinic.search("east", who).absent, "north answers again")


def test_a_slow_hospital_does_not_delay_the_answer_past_the_deadline(clinic: City) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who)
    eventually(lambda: not clinic.search("east", who).absent, "all answer")
    going_on = threading.Event()
    slow = clinic.parts["north"].pseudonyms
    slow.before_find = lambda: going_on.wait(300)
    try:
        started = time.monotonic()
        found = clinic.search("east", who, deadline_ms=2_000)
        took = time.monotonic() - started
        assert not going_on.is_set()
    finally:
        going_on.set()
        slow.before_find = None
    assert [one.member for one in found.absent] == [USCC["north"]]
    assert found.absent[0].code == "peer.timeout"
    # The slow one is held until the answer is here: it came without it. How late a loaded machine is does not matter.
    assert 1.9 < took < 300
    assert [bytes(one.report) for one in found.reports] == [offer.report]
