"""Which labels (互认标识) a result bears: derived from external quality assessment, never stored with the result.

A label is what the assessments said of the institution and the item when the specimen was taken. It is looked at again
whenever the result is used: an assessment revoked since, or a range ended since, gives no label any more.
Source: 国卫医发〔2022〕6号 (only items that took part and passed are labelled); WS/T 644-2018.
"""

from __future__ import annotations

from ledger.medical.reasons import Reason
from ledger.medical.ruleset import RuleSet, Territory
from ledger.medical.standing import Eqa, Institution, Range, Standing


def label(
    issuer: Institution, asker: Institution, item: str, *, taken_s: int, at_s: int, rules: RuleSet, standing: Standing
) -> tuple[str | None, tuple[Reason, ...]]:
    """The label that counts for ``asker`` (the first in the rule set's order), or None and why there is none."""
    records: dict[str, list[Eqa]] = {}
    for record in standing.eqas_of(issuer.member, item):
        records.setdefault(record.range, []).append(record)
    if not records:
        return None, (Reason("eqa-none"),)
    reasons = []
    for code in sorted(records, key=rules.range_order):
        ranges = standing.ranges_named(code)
        name = ranges[-1].name if ranges else code
        listed = rules.range(code)
        if listed is not None and listed.quality is not None:
            # On chain a range is whose it is that opened its code first: the rules may say whose it must be.
            ranges = tuple(entry for entry in ranges if entry.quality == listed.quality)
        why = _why_no_label(records[code], ranges, taken_s, at_s)
        if why is None:
            if _counts(code, issuer, asker, item, at_s, rules, standing):
                return name, ()
            why = "range-not-here"
        reasons.append(Reason(why, name))
    return None, tuple(reasons)


def _why_no_label(records: list[Eqa], ranges: tuple[Range, ...], taken_s: int, at_s: int) -> str | None:
    """The code of why an institution's records in one range give no label, None where they do."""
    rightful = [record for record in records if any(entry.quality == record.quality for entry in ranges)]
    if not rightful:
        return "eqa-body"
    then = [record for record in rightful if record.from_s <= taken_s < record.until_s]
    if not then:
        return "eqa-not-then"
    standing_still = [record for record in then if record.revoked_s is None or record.revoked_s > at_s]
    if not standing_still:
        return "eqa-revoked"
    # A later round speaks for the institution's present work: one that was failed ends the label of the one before.
    newest = max(record.from_s for record in standing_still)
    last = [record for record in standing_still if record.from_s == newest]
    if not all(record.passed for record in last):
        return "eqa-failed"
    bodies = {record.quality for record in last}
    if not any(entry.quality in bodies and _in_force(entry.from_s, entry.until_s, taken_s, at_s) for entry in ranges):
        return "range-not-in-force"
    return None


def _in_force(from_s: int, until_s: int | None, taken_s: int, at_s: int) -> bool:
    """Then and now: it had begun when the specimen was taken and has not ended where the result is used."""
    return from_s <= taken_s and (until_s is None or at_s < until_s)


def _counts(
    code: str, issuer: Institution, asker: Institution, item: str, at_s: int, rules: RuleSet, standing: Standing
) -> bool:
    """Whether a label of the range given in the issuer's region counts in the asker's."""
    listed = rules.range(code)
    territory = Territory.OWN if listed is None else listed.territory
    if territory is Territory.NATIONAL:
        return True
    if territory is Territory.OWN and issuer.region == asker.region:
        return True
    if listed is not None and territory is Territory.LISTED:
        inside = listed.regions
        if issuer.region.startswith(inside) and asker.region.startswith(inside):
            return True
    return any(
        entry.from_s <= at_s and (entry.ended_s is None or at_s < entry.ended_s)
        for entry in standing.agreements_on(code, item, issuer.region, asker.region)
    )
