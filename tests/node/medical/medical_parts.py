"""Parts of a hospital's node that keep everything in memory, of the same shape as those of a node.

What vault, pseudonyms, consent, notices and the chain's standing bring to a node is given by these where a test is
about what passes between hospitals.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger import codec
from ledger.medical.model import OfferedReport
from ledger.medical.rules import RuleSet, load_rules, rules_digest
from ledger.medical.rules import starting_rules as starting_rules_bytes
from ledger.medical.standing import Eqa, Institution, Range, Standing
from ledger.model import Roles
from node.city.roster import demo_uscc
from node.medical.ports import Change

ROLES = {
    "health": Roles.HEALTH,
    "quality": Roles.QUALITY,
    "east": Roles.HOSPITAL,
    "west": Roles.HOSPITAL,
    "north": Roles.HOSPITAL,
}
HOSPITALS = ("east", "west", "north")
USCC = {handle: demo_uscc("310000", number) for number, handle in enumerate(ROLES, start=301)}
DAY_S = 86_400


def starting_rules() -> RuleSet:
    """The shipped rule set."""
    return load_rules(starting_rules_bytes(), units=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A report kept in memory."""

    offer: OfferedReport
    subject: bytes
    data: bytes
    withdrawn: bool = False
    salt: bytes = field(default_factory=lambda: os.urandom(32))


class Reports:
    """The reports of one hospital."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Kept] = {}
        self.told: list[Callable[[bytes, int, Change], None]] = []

    def offers(self, subject: bytes) -> Sequence[OfferedReport]:
        return [kept.offer for kept in self.rows.values() if kept.subject == subject and not kept.withdrawn]

    def get(self, report: bytes) -> Kept | None:
        return self.rows.get(report)

    def on_changed(self, told: Callable[[bytes, int, Change], None]) -> None:
        self.told.append(told)

    def change(self, report: bytes, kept: Kept, kind: Change) -> None:
        self.rows[report] = kept
        for told in self.told:
            told(report, kept.offer.version, kind)


class Pseudonyms:
    """What the commission's node would answer."""

    def __init__(self) -> None:
        self.subjects: dict[bytes, bytes] = {}
        #: Called before an answer: to make this hospital a slow one.
        self.before_find: Callable[[], object] | None = None

    def of(self, identity: str, region: str = "", timeout_s: float = 20.0) -> Sequence[tuple[int, bytes]]:
        assert timeout_s > 0
        return [(year, hashlib.sha256(f"{year} {region} {identity}".encode()).digest()) for year in (2026, 2025)]

    def find(self, pseudonym: bytes) -> bytes | None:
        if self.before_find is not None:
            self.before_find()
        return self.subjects.get(pseudonym)


class Consents:
    """Who is forbidden to see whose results."""

    def __init__(self) -> None:
        self.forbidden: set[tuple[bytes, str]] = set()

    def allows(self, subject: bytes, asker: str, at_s: int) -> bool:
        assert at_s > 0
        return (subject, asker) not in self.forbidden


class Notices:
    """Notices by event; a second one of the same event is none."""

    def __init__(self) -> None:
        self.posted: dict[bytes, tuple[bytes, str, bytes]] = {}

    def post(self, event: bytes, subject: bytes, kind: str, report: bytes, at_s: int) -> None:
        assert at_s > 0
        self.posted.setdefault(event, (subject, kind, report))


class Rules:
    """The shipped rules in force, all hospitals labelled for every item."""

    def __init__(self) -> None:
        self.rules = starting_rules()
        self.known = standing(self.rules)
        self.region = "310000"
        #: The version in force, by region.
        self.versions = {"310000": 1}

    def in_force(self, at_s: int, region: str | None = None) -> tuple[int, bytes, RuleSet]:
        assert at_s > 0
        return self.versions[region or self.region], rules_digest(self.rules), self.rules

    def standing(self) -> Standing:
        return self.known


def standing(rules: RuleSet) -> Standing:
    """Hospitals of level 3 in one region, each with a passed assessment for every item of the rules."""
    now = time.time_ns() // 1_000_000_000
    code = rules.ranges[0].code
    names = [USCC[handle] for handle in HOSPITALS]
    return Standing(
        ranges=(Range(code=code, name=rules.ranges[0].label, quality=USCC["quality"], from_s=now - 999 * DAY_S),),
        eqas=tuple(
            Eqa(
                identifier=codec.domain_digest("test", f"{member} {item.id}".encode()),
                range=code,
                item=item.id,
                institution=member,
                scheme="S",
                round="1",
                passed=True,
                from_s=now - 400 * DAY_S,
                until_s=now + 400 * DAY_S,
                quality=USCC["quality"],
            )
            for member in names
            for item in rules.items
        ),
        agreements=(),
        institutions=tuple(Institution(member=member, region="310000", level=3) for member in names),
    )


@dataclass(slots=True, kw_only=True)
class Parts:
    """The parts of one hospital's node."""

    reports: Reports = field(default_factory=Reports)
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    consents: Consents = field(default_factory=Consents)
    notices: Notices = field(default_factory=Notices)
    rules: Rules = field(default_factory=Rules)
