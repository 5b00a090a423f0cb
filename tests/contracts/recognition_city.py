"""What the tests of Recognition share: a city with a second region's commission, and short words for its calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract_city import FOUNDER_TYPE, HEALTH, HOSPITAL, City, Party, digest, founder, word
from test_members import possession

ADMIT, SUSPEND, SET_ROLES = 1, 2, 7
HERE, THERE = 310000, 440000
RANGE, ITEM = word("310000"), word("lab.glucose")
LABEL = "沪HR".encode().ljust(32, b"\0")
DAY = 86_400
LONGEST = 3_660 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The city, and a commission and a hospital of another region."""

    city: City
    far: Party
    clinic: Party

    def send(self, sender: Party, function: str, *args: Any) -> Any:
        return self.city.send(sender, f"Recognition.{function}", *args)

    def refusal(self, sender: Party, function: str, *args: Any) -> tuple:
        """The refusal without its contract's prefix."""
        name, *rest = self.city.refusal(sender, f"Recognition.{function}", *args)
        return (name.removeprefix("Recognition__"), *rest)

    def attempt(self, sender: Party, function: str, *args: Any) -> str:
        """The name of the error it is refused with, empty where it is done."""
        refused = self.city.attempt(sender, f"Recognition.{function}", *args)
        return refused[0].removeprefix("Recognition__") if refused else ""

    def read(self, function: str, *args: Any) -> Any:
        return self.city.read(f"Recognition.{function}", *args)

    def commissions_only(self, function: str, *args: Any) -> None:
        """Every other member and an outsider are refused."""
        city = self.city
        for other in (city.water, city.civil, city.bigdata, city.audit):
            assert self.refusal(other, function, *args) == ("NotCommission", other.id)
        assert self.refusal(city.outsider, function, *args)[0] == "Consortium__NotActiveMember"

    def set_roles(self, party: Party, roles: int) -> None:
        self._decide(party, SET_ROLES, ["bytes32", "uint32"], party.id, roles)

    def suspend(self, party: Party) -> None:
        self._decide(party, SUSPEND, ["bytes32"], party.id)

    def open(self, code: bytes = RANGE, begin: int = 0, by: Party | None = None) -> None:
        """Open a range whose quality body is civil."""
        self.send(by or self.city.health, "openRange", code, LABEL, self.city.civil.id, begin)

    def _decide(self, target: Party, kind: int, types: list[str], *values: Any) -> None:
        voters = [member for member in (*self.city.members, self.far, self.clinic) if member is not target]
        proposal = self.city.propose(voters[0], kind, types, *values)
        self.city.vote(proposal, *voters)
        self.city.send(voters[0], "Consortium.execute", proposal)


def admit(city: City, name: str, uscc: str, roles: int, region: int) -> Party:
    party = city.newcomer(name, uscc)
    body = founder(party, roles, validator=False, region=region)
    city.decide(ADMIT, [FOUNDER_TYPE, "bytes"], body, possession(city, party.id, party))
    return party


def found_regions(city: City) -> Regions:
    """Admit the other region's commission and hospital."""
    far = admit(city, "far", "11440000MB2F00041X", HEALTH, THERE)
    clinic = admit(city, "clinic", "12440000MB2F00042X", HOSPITAL, THERE)
    return Regions(city=city, far=far, clinic=clinic)


def result(regions: Regions, **changes: Any) -> tuple:
    """An EqaResult of the city's hospital, good unless changed."""
    city = regions.city
    fields = {
        "range": RANGE, "item": ITEM, "institution": city.water.id, "scheme": word("NCCL-chem"),
        "certificate": digest("certificate"), "round": 1, "passed": True, "begin": city.now - 30 * DAY,
        "end": city.now + 300 * DAY,
    } | changes  # fmt: skip
    return tuple(fields.values())
