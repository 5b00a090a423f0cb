"""Hospitals in memory that answer a patient as a node does, for the gateway of ``citizen_parts``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ledger.errors import UnavailableError
from ledger.model import MemberStatus, Roles
from tests.gateway.citizen_parts import SignInGateway

FIRST, SECOND, THIRD, CIVIL = (f"12310000DEM00004{letter}{letter}" for letter in "ABCD")
#: 2026-11-21T01:30:00Z
NOW_MS = 1_795_224_600_000
DAY_MS = 86_400_000
NAMES = {
    "wbc": ("白细胞计数", "Leukocytes"),
    "rbc": ("红细胞计数", "Erythrocytes"),
    "haemoglobin": ("血红蛋白", "Haemoglobin"),
    "platelets": ("血小板计数", "Platelets"),
    "haematocrit": ("红细胞压积", "Haematocrit"),
    "mcv": ("平均红细胞体积", "Mean corpuscular volume"),
    "mch": ("平均红细胞血红蛋白量", "Mean corpuscular haemoglobin"),
    "neutrophils": ("中性粒细胞计数", "Neutrophils"),
    "ct-chest": ("胸部CT", "CT of the chest"),
    "alt": ("丙氨酸氨基转移酶", "Alanine aminotransferase"),
    "creatinine": ("肌酐", "Creatinine"),
}
REASONS = {
    "fast-changing": ("检查检验结果在疾病发展演变过程中变化较快", "The quantity changes fast as this disease develops")
}


def member(uscc: str, handle: str, name: str, roles: Roles = Roles.HOSPITAL) -> Any:
    info = SimpleNamespace(uscc=uscc, handle=handle, status=MemberStatus.ACTIVE, roles=roles)
    return SimpleNamespace(chain=SimpleNamespace(info=info, name=name))


MEMBERS = (
    member(FIRST, "first", "演示市第一人民医院"),
    member(SECOND, "second", "演示市中医医院"),
    member(THIRD, "third", "演示市妇幼保健院"),
    member(CIVIL, "civil", "演示市民政局", Roles(0)),
)


def event(kind: str, at_ms: int, **changes: Any) -> dict[str, Any]:
    base = {
        "kind": kind,
        "time": at_ms,
        "by": "",
        "purpose": "",
        "reason": "",
        "items": "",
        "count": 0,
        "version": 0,
        "record": 7,
        "receipt": "",
        "notice": "",
        "noticed": 0,
    }
    return base | changes


def report(number: int, items: str, *events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    taken = NOW_MS - number * 3 * DAY_MS
    base = {
        "id": hashlib.sha256(str(number).encode()).hexdigest(),
        "category": "laboratory",
        "version": 1,
        "withdrawn": False,
        "held": False,
        "taken": taken // 1_000,
        "issued": taken // 1_000 + 7_200,
        "received": taken + 7_300_000,
        "items": items,
        "unmapped": 0,
        "earlier": 0,
        # Of a version after the first it is not kept when that one came.
        "events": [
            *(() if {"version", "withdrawn"} & set(changes) else (event("received", taken + 7_300_000),)),
            *events,
        ],
    }
    return base | changes


class Hospital:
    """One hospital. ``sharing``: as it would tell it; ``behind``: what it waits for before it answers."""

    def __init__(self, gateway: SignInGateway, uscc: str, reports: list[dict[str, Any]], *, known: bool = True) -> None:
        self.gateway = gateway
        self.uscc = uscc
        self.known = known
        self.reports = reports
        self.searches: list[dict[str, Any]] = []
        self.sharing: dict[str, Any] = {"all": True, "until": 0, "named": [], "said": []}
        self.wishes: list[dict[str, Any]] = []
        self.behind: Callable[[], object] | None = None
        self.size = 1_000
        self.answer()

    def answer(self) -> None:
        """Be there."""
        said = {"member": self.uscc, "issuer": self.gateway.provider.issuer, "audience": self.gateway.client.id}
        self.gateway.nodes[self.uscc, "/citizen"] = said
        self.gateway.nodes[self.uscc, "/citizen/results"] = self._results
        self.gateway.nodes[self.uscc, "POST /citizen/sharing"] = self._wish

    def leave(self) -> None:
        """Be away."""
        away = UnavailableError("node.unreachable", "the node does not answer")
        for path in ("/citizen", "/citizen/results", "POST /citizen/sharing"):
            self.gateway.nodes[self.uscc, path] = away

    def _results(self, path: str) -> dict[str, Any]:
        if self.behind is not None:
            self.behind()
        after = path.partition("after=")[2]
        start = [one["id"] for one in self.reports].index(after) + 1 if after else 0
        page = self.reports[start : start + self.size]
        more = start + self.size < len(self.reports)
        if not self.known:
            nothing: dict[str, Any] = {"sharing": None, "searches": [], "reports": [], "names": {}, "reasons": {}}
            return {"member": self.uscc, "known": False, "next": "", **nothing}
        return {
            "member": self.uscc,
            "known": True,
            "sharing": self.sharing,
            "searches": [] if after else self.searches,
            "reports": page,
            "names": _both(NAMES),
            "reasons": _both(REASONS),
            "next": page[-1]["id"] if more else "",
        }

    def _wish(self, body: bytes) -> dict[str, Any]:
        wish = json.loads(body)
        self.wishes.append(wish)
        answer = {"member": self.uscc, "record": -1, "time": 0, "commitment": "", "sharing": None}
        if not self.known:
            return answer | {"outcome": "unknown"}
        rule = {"asker": wish["asker"], "permit": wish["permit"], "until": 0}
        said = [rule | {"time": NOW_MS // 1_000, "via": "citizen"}, *self.sharing["said"]]
        if wish["asker"] == "*":
            self.sharing = self.sharing | {"all": wish["permit"], "said": said}
        else:
            named = [one for one in self.sharing["named"] if one["asker"] != wish["asker"]]
            self.sharing = self.sharing | {"named": [*named, rule], "said": said}
        done = {"outcome": "changed", "record": 40 + len(self.wishes), "time": NOW_MS, "commitment": "ab" * 32}
        return answer | done | {"sharing": self.sharing}


def _both(texts: dict[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    return {
        "zh": {code: both[0] for code, both in texts.items()},
        "en": {code: both[1] for code, both in texts.items()},
    }


def story(gateway: SignInGateway) -> dict[str, Hospital]:
    """Three hospitals: two with results and what became of them, one with nothing."""
    step = {"by": SECOND, "purpose": "treatment", "receipt": "cd" * 32, "notice": "delivered"}
    taken = NOW_MS - 3 * DAY_MS
    opened, decided = taken + DAY_MS, taken + DAY_MS + 600_000
    blood = report(
        1,
        "wbc rbc haemoglobin platelets haematocrit mcv mch neutrophils",
        event("opened", opened, noticed=opened + 60_000, **step),
        event("recognised", decided, items="wbc rbc haemoglobin", count=3, noticed=decided + 60_000, **step),
        event(
            "retested",
            decided + 5_000,
            items="platelets",
            count=1,
            reason="fast-changing",
            noticed=decided + 65_000,
            **step,
        ),
        event("certified", decided + DAY_MS, by=CIVIL, purpose="health-certificate", receipt="ef" * 32),
        unmapped=1,
    )
    corrected = report(
        4,
        "creatinine alt",
        event("opened", NOW_MS - 11 * DAY_MS, by=THIRD, purpose="treatment", notice="waiting", noticed=NOW_MS),
        event("corrected", NOW_MS - 10 * DAY_MS, version=2),
        event("told", NOW_MS - 10 * DAY_MS + 4_000, by=THIRD, reason="corrected", version=2),
        version=2,
    )
    wrong = report(
        9,
        "alt",
        event("withdrawn", NOW_MS - 20 * DAY_MS, reason="entered-in-error"),
        event("owed", NOW_MS - 20 * DAY_MS, by=SECOND, reason="withdrawn", version=1, record=-1),
        withdrawn=True,
    )
    scan = report(2, "ct-chest", category="imaging")
    made = {
        FIRST: Hospital(gateway, FIRST, [blood, corrected, wrong]),
        SECOND: Hospital(gateway, SECOND, [scan]),
        THIRD: Hospital(gateway, THIRD, [], known=False),
    }
    made[FIRST].searches = [
        {"by": SECOND, "purpose": "treatment", "first": opened, "last": opened, "count": 3, "shown": 3},
        {"by": THIRD, "purpose": "emergency", "first": opened, "last": opened - DAY_MS, "count": 1, "shown": 0},
    ]
    return made
