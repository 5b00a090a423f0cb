"""The same world twice: as the plain records the book reads, and as the types the product reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.medical.model import Category, Facts, OfferedReport
from ledger.medical.standing import Agreement, Eqa, Institution, Range, Standing
from tests.ledger.medical.worlds import HERE, ISSUER, QUALITY

Record = dict[str, Any]
LABELS = {"nation": "全国HR", "delta": "长三角HR", "city": "市HR", "county": "县HR"}


def chain(**parts: Any) -> Record:
    """A chain with every range in force since 1970, and one issuer."""
    ranges = [
        {"code": code, "name": name, "quality": QUALITY, "from": 0, "until": None} for code, name in LABELS.items()
    ]
    issuer = {"member": ISSUER, "region": HERE, "level": 2, "active": True}
    return {"ranges": ranges, "eqas": [], "agreements": [], "institutions": [issuer]} | parts


def eqa(item: str, range_: str, since: int, until: int, **changed: Any) -> Record:
    plain = {"item": item, "range": range_, "from": since, "until": until, "institution": ISSUER, "quality": QUALITY}
    return plain | {"passed": True, "revoked": None} | changed


def fact(item: str | None, taken: int | None, **changed: Any) -> Record:
    plain: Record = {"item": item, "taken": taken, "state": "mapped", "status": "final", "method": None}
    return plain | {"specimen": None, "valued": True} | changed


def report(category: str, facts: list[Record], **changed: Any) -> Record:
    plain = {"category": category, "institution": ISSUER, "status": "final", "concluded": False, "facts": facts}
    return plain | changed


@dataclass(frozen=True, slots=True)
class Product:
    """The world in the product's types."""

    standing: Standing

    @classmethod
    def of(cls, records: Record) -> Product:
        return cls(
            Standing(
                ranges=tuple(
                    Range(code=each["code"], name=each["name"], quality=each["quality"], from_s=each["from"],
                          until_s=each["until"])
                    for each in records["ranges"]
                ),
                eqas=tuple(
                    Eqa(identifier=at.to_bytes(32, "big"), range=each["range"], item=each["item"],
                        institution=each["institution"], scheme="s", round="1", passed=each["passed"],
                        from_s=each["from"], until_s=each["until"], quality=each["quality"], revoked_s=each["revoked"])
                    for at, each in enumerate(records["eqas"])
                ),
                agreements=tuple(
                    Agreement(range=each["range"], item=each["item"], region_a=each["one"], region_b=each["other"],
                              from_s=each["from"], ended_s=each["ended"])
                    for each in records["agreements"]
                ),
                institutions=tuple(institution(each) for each in records["institutions"]),
            )
        )  # fmt: skip


def institution(record: Record) -> Institution:
    return Institution(member=record["member"], region=record["region"], level=record["level"], active=record["active"])


def offered(record: Record) -> OfferedReport:
    return OfferedReport(
        report=bytes(32),
        institution=record["institution"],
        category=Category(record["category"]),
        status=record["status"],
        issued_s=None,
        facts=tuple(
            Facts(
                place=place,
                item=each["item"],
                state=each["state"],
                status=each["status"],
                taken_s=each["taken"],
                method=each["method"],
                specimen=each["specimen"],
                valued=each["valued"],
            )
            for place, each in enumerate(record["facts"])
        ),
        version=1,
        concluded=record["concluded"],
    )
