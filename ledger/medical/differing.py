"""Whether an opened report says what was offered of it: decisions rest on the offer, physicians read the report."""

from __future__ import annotations

from ledger.medical.fhir import read_report
from ledger.medical.model import OfferedReport, facts_of
from ledger.medical.ruleset import RuleSet


def differing(offer: OfferedReport, data: bytes, *, now_s: int, rules: RuleSet | None) -> tuple[int, ...]:
    """The places of an offer whose item, state, status, time, specimen, method or value the report's bytes do not bear
    out; every place where they cannot be read, or are of another category or status.

    ``rules``: by which the offering hospital mapped its codes; None: it had none.
    ``now_s``: when it is asked, Unix seconds.
    """
    every = tuple(facts.place for facts in offer.facts)
    report = read_report(data, institution=offer.institution, now_s=now_s, rules=rules).report
    if report is None or (report.category, report.status) != (offer.category, offer.status):
        return every
    found = {facts.place: facts for facts in facts_of(report)}
    return tuple(facts.place for facts in offer.facts if found.get(facts.place) != facts)
