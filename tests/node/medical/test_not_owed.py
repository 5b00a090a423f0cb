"""A change of a report is owed to who has the report, and to nobody who says that it has nothing of it."""

from __future__ import annotations

import os
from dataclasses import replace

import msgspec
from medical_city import USCC, City, eventually


def test_who_was_refused_in_the_end_is_owed_nothing(clinic: City) -> None:
    offer = clinic.report("west", clinic.patient())
    opened = clinic.open("east", "west", offer)
    steps = clinic.nodes["west"].medical.steps
    real = steps.get(bytes(opened.step.step), "provider")
    assert real is not None
    # A half receipt for a hospital whose own side of the step ended otherwise: it does not know of an opening.
    half = msgspec.structs.replace(
        real, id=os.urandom(32), counterpart=USCC["north"], state="half", receipt=b"", log_index=-1, closed_ms=0
    )
    steps.begin(half)
    reports = clinic.parts["west"].reports
    reports.change(offer.report, replace(reports.rows[offer.report], withdrawn=True), "withdrawn")
    eventually(lambda: clinic.records("east", "medical.told", offer.report), "the one that has it hears of it")
    changes = clinic.nodes["west"].medical.speaking.changes

    def settled() -> bool:
        changes.look(offer.report)
        return all(one.report != offer.report for one in changes.owed())

    eventually(settled, "nothing is owed any more")
    assert not clinic.records("north", "medical.told", offer.report)
    assert len(clinic.records("west", "medical.told", offer.report)) == 1
