"""Worked examples of ``docs/formats.md``: rule sets of recognition, values between units, the decision."""

from __future__ import annotations

from typing import Literal, cast

from ledger.medical.model import Category, Facts, OfferedReport
from ledger.medical.recognise import Decision, recognise
from ledger.medical.rules import load_rules, rules_digest
from ledger.medical.standing import Eqa, Institution, Range, Standing
from ledger.medical.units import convert
from tests.ledger.formats_page import PAGE, Fields, blocks, example

_BODY, _ISSUER, _ASKER = "12310000MB2F30001K", "12310000MB2F30003R", "12310000MB2F30004W"


@example("medical-rules")
def _(given: Fields) -> Fields:
    return {"digest": rules_digest(load_rules(given["rules"].encode())).hex()}


@example("medical-value")
def _(given: Fields) -> Fields:
    value, unit, wanted = given["value"], given["unit"], given["wanted"]
    return {
        "value": convert(value, unit, wanted, given["molar mass"]) or "none",
        f"tenfold in {wanted}": convert(value, given["tenfold"], wanted) or "none",
        "international units in 10*9/L": convert(value, "[IU]/L", "10*9/L") or "none",
    }


@example("medical-decision")
def _(given: Fields) -> Fields:
    # Under the rule set of the example before.
    before = next(fields for name, fields, _ in blocks(PAGE.read_text("utf-8")) if name == "medical-rules")
    rules = load_rules(before["rules"].encode())
    used, late = int(given["used"]), int(given["used late"])

    def judge(at_s: int, *, level: int = 2, region: str = "310000", revoked_s: int | None = None) -> Decision:
        record = Eqa(
            identifier=bytes(32), range="city-hr", item="glucose", institution=_ISSUER, scheme="s", round="1",
            passed=True, from_s=int(given["assessed from"]), until_s=int(given["assessed until"]), quality=_BODY,
            revoked_s=revoked_s,
        )  # fmt: skip
        facts = Facts(place=0, item="glucose", state="mapped", status="final", taken_s=int(given["taken"]))
        offer = OfferedReport(
            report=bytes(32), institution=_ISSUER, category=Category.LABORATORY, status="final", issued_s=None,
            facts=(facts,), version=1, concluded=False,
        )  # fmt: skip
        standing = Standing(
            ranges=(Range(code="city-hr", name="市HR", quality=_BODY, from_s=0),),
            eqas=(record,),
            agreements=(),
            institutions=(Institution(member=_ISSUER, region="310000", level=2),),
        )
        asker = Institution(member=_ASKER, region=region, level=level)
        course = cast(Literal["acute"], given["course"])
        return recognise(offer, asker=asker, at_s=at_s, course=course, rules=rules, standing=standing)[0]

    def told(decision: Decision) -> str:
        if decision.recognisable:
            return f"recognisable, {decision.label}, {decision.age_s} s"
        return " ".join(reason.code for reason in decision.reasons)

    return {
        "last second": told(judge(used)),
        "a second later": told(judge(late)),
        "revoked since": told(judge(used, revoked_s=used)),
        "in another region": told(judge(used, region="330100")),
        "for a level 3 asker": told(judge(used, level=3)),
    }
