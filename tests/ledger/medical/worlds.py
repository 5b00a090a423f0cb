"""A small rule set, and what a chain says, for the tests of the rules of recognition."""

from __future__ import annotations

import json
from typing import Any

from ledger.medical.model import Category, Facts, OfferedReport
from ledger.medical.rules import RuleSet, load_rules
from ledger.medical.standing import Institution

DAY = 86_400
#: 2026-06-01T00:00:00Z
NOW = 1_780_272_000
HERE, THERE = "310000", "330100"
QUALITY, OTHER_BODY = "12310000MB2F30001K", "12310000MB2F30002N"
ISSUER = "12310000MB2F30003R"
ASKER = Institution(member="12310000MB2F30004W", region=HERE, level=2)

_TEXT = {"zh": "例", "en": "example"}


def document() -> dict[str, Any]:
    """A rule set's file that is right in every part, as a JSON value to be changed."""
    items = [
        {"id": "glucose", "category": "laboratory", "kind": "quantity", "loinc": ["14749-6", "2345-7"],
         "unit": "mmol/L", "molar_mass": "180.156", "specimens": ["serum", "plasma"], "specialty": "endocrinology",
         "price_cents": 500},
        {"id": "haemoglobin", "category": "laboratory", "kind": "quantity", "loinc": ["718-7"], "unit": "g/L",
         "specimens": ["blood"], "methods": ["sls", "cyanmethaemoglobin"], "specialty": "haematology",
         "price_cents": 750},
        {"id": "hbsag", "category": "laboratory", "kind": "coded", "loinc": ["5196-1"], "specimens": ["serum"],
         "specialty": "infectious-diseases", "price_cents": 1500},
        {"id": "ct-chest", "category": "imaging", "kind": "images", "loinc": ["24627-2"], "specialty": "radiology",
         "price_cents": 28000},
    ]  # fmt: skip
    days = {"glucose": (1, 7), "haemoglobin": (3, 14), "hbsag": (14, 60), "ct-chest": (7, 90)}
    return {
        "v": 1,
        **_TEXT,
        "note": "for tests",
        "sources": [{"id": "national", "title": "国卫医发〔2022〕6号"}],
        "specimens": [
            {"id": name, **_TEXT, "codes": [{"system": "http://snomed.info/sct", "code": code}]}
            for name, code in (("serum", "119364003"), ("plasma", "119361006"), ("blood", "119297000"))
        ],
        "items": [{**_TEXT, **item} for item in items],
        "windows": [
            {"item": item, "course": course, "days": count, "source": "national"}
            for item, both in days.items()
            for course, count in zip(("acute", "chronic"), both, strict=True)
        ],
        "levels": [
            {"issuer": issuer, "asker": asker, "recognised": issuer >= asker}
            for issuer in (1, 2, 3)
            for asker in (1, 2, 3)
        ],
        "ranges": [
            {"code": "nation", "label": "全国HR", "en": "nation", "territory": "national"},
            {
                "code": "delta",
                "label": "长三角HR",
                "en": "delta",
                "territory": "listed",
                "regions": ["31", "3301"],
                "quality": QUALITY,
            },
            {"code": "city", "label": "市HR", "en": "city", "territory": "own"},
        ],
        "mappings": [
            {"institution": "*", "system": "urn:local", "code": "GLU", "item": "glucose"},
            {"institution": ISSUER, "system": "urn:local", "code": "HGB", "item": "haemoglobin"},
        ],
        "reasons": [{"code": "family-request", **_TEXT, "source": "national"}],
    }


def ruleset(changed: dict[str, Any] | None = None) -> RuleSet:
    return load_rules(json.dumps(changed or document()).encode())


def offer(*facts: Facts, **changed: Any) -> OfferedReport:
    plain: dict[str, Any] = {
        "report": bytes(32),
        "institution": ISSUER,
        "category": Category.LABORATORY,
        "status": "final",
        "issued_s": NOW,
        "facts": facts,
        "version": 1,
        "concluded": False,
    }
    return OfferedReport(**(plain | changed))


def facts(**changed: Any) -> Facts:
    plain: dict[str, Any] = {
        "place": 0,
        "item": "glucose",
        "state": "mapped",
        "status": "final",
        "taken_s": NOW - 3600,
        "method": None,
        "specimen": None,
    }
    return Facts(**(plain | changed))
