"""Who founds a city: read from a roster file, or the demonstration's bodies: five departments, and five of health care.

A roster is JSON: ``{"region":"310000","members":[{"uscc","name","handle","roles":[..],"sequencer":bool}]}``, on
CometBFT with ``"validator":bool`` in place of ``"sequencer"``. The demonstration's bodies do not exist: their USCC are well-formed (check characters hold) in a made-up organisation-code
range, and their names say 演示 (demonstration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stdnum.cn import uscc as _uscc

from ledger.codec import decode
from ledger.errors import InvalidInputError
from ledger.identifiers import parse_handle, parse_region, parse_uscc
from node.cli.inputs import too_deep

ROLES = ("supervisor", "auditor", "quality", "health", "hospital")
#: Three of four can go on without the fourth; up to seven all members validate unless the roster says who.
LEAST_VALIDATORS = 4
MOST_BY_DEFAULT = 7
_ORG_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Founder:
    """One founding member; ``name`` is a public body's display name."""

    uscc: str
    name: str
    handle: str
    region: str
    roles: tuple[str, ...]
    sequencer: bool
    #: None: not said. Who votes on CometBFT is decided by ``choose_validators``.
    validator: bool | None = None


def demo_uscc(region: str, number: int) -> str:
    """A well-formed USCC of a body that does not exist (GB 32100-2015; organisation code check by GB 11714)."""
    organisation = f"DEM{number:05d}"
    total = sum(_ORG_ALPHABET.index(c) * w for c, w in zip(organisation, _ORG_WEIGHTS, strict=True))
    check = "0123456789X"[(11 - total % 11) % 11]
    body = f"11{region}{organisation}{check}"
    return parse_uscc(body + _uscc.calc_check_digit(body))


def demo_roster(region: str = "310000") -> tuple[Founder, ...]:
    """Two providers, one consumer, the supervising data authority (which sequences) and an auditor."""
    bodies: Sequence[tuple[str, str, tuple[str, ...]]] = (
        ("演示市数据局 (Data Authority)", "data", ("supervisor",)),
        ("演示市民政局 (Civil Affairs)", "civil", ()),
        ("演示市人社局 (Human Resources)", "labour", ()),
        ("演示市交通局 (Transport)", "transport", ()),
        ("演示市审计局 (Audit)", "audit", ("auditor",)),
    )
    return _demo_founders(region, bodies, 1)


def hospital_roster(region: str = "310000") -> tuple[Founder, ...]:
    """Beside those five: the health commission, the quality centre and three hospitals."""
    bodies: Sequence[tuple[str, str, tuple[str, ...]]] = (
        ("演示市卫健委 (Health Commission)", "health", ("health",)),
        ("演示市临检中心 (Quality Centre)", "quality", ("quality",)),
        *((f"演示市{zh}院 ({en} Hospital)", handle, ("hospital",)) for zh, en, handle in _HOSPITALS),
    )
    return _demo_founders(region, bodies, 6)


_HOSPITALS = (("东", "East", "east"), ("西", "West", "west"), ("北", "North", "north"))
#: Handles of the demonstration's hospitals.
HOSPITALS = tuple(handle for _, _, handle in _HOSPITALS)


def _demo_founders(region: str, bodies: Sequence[tuple[str, str, tuple[str, ...]]], first: int) -> tuple[Founder, ...]:
    return tuple(
        Founder(
            uscc=demo_uscc(region, number),
            name=name,
            handle=handle,
            region=region,
            roles=roles,
            sequencer=number == 1,
        )
        for number, (name, handle, roles) in enumerate(bodies, start=first)
    )


def choose_validators(founders: Sequence[Founder]) -> tuple[Founder, ...]:
    """The same founders, each with ``validator`` decided: those that say so, or, where nobody does, all of four to
    seven. Raises InvalidInputError(roster.validators) for fewer than four: none of them could fail."""
    said = any(founder.validator is not None for founder in founders)
    if not said and len(founders) > MOST_BY_DEFAULT:
        raise InvalidInputError(
            "roster.validators",
            f"{len(founders)} founding members: say which of them validate",
            hint='"validator": true for at least four members of the roster; the others re-execute every block all the same',
        )
    decided = tuple(replace(founder, validator=founder.validator is True if said else True) for founder in founders)
    count = sum(founder.validator is True for founder in decided)
    if count < LEAST_VALIDATORS:
        raise InvalidInputError(
            "roster.validators",
            f"a network on CometBFT begins with at least {LEAST_VALIDATORS} validators: with fewer, none may fail",
            hint="name more validators in the roster, or found the city on the solo engine",
            expected=LEAST_VALIDATORS,
            actual=count,
        )
    return decided


def read_roster(path: Path, engine: str = "solo") -> tuple[Founder, ...]:
    """A roster file. Raises InvalidInputError(roster.*) naming the member and field."""
    try:
        value = decode(path.read_bytes().strip(), max_bytes=1 << 20) if path.suffix == ".jcs" else _plain_json(path)
    except UnicodeDecodeError as error:
        raise InvalidInputError("roster.malformed", f"{path} is not UTF-8 text") from error
    if not isinstance(value, dict) or not isinstance(value.get("members"), list):
        raise InvalidInputError("roster.malformed", f"{path} needs an object with a list 'members'", hint=_HINT)
    region = parse_region(str(value.get("region", "")))
    founders = tuple(_founder(item, region, at) for at, item in enumerate(value["members"]))
    if not 1 <= len(founders) <= 200:
        raise InvalidInputError("roster.size", "a city has 1 to 200 founding members", actual=len(founders))
    for field in ("uscc", "handle"):
        seen = [getattr(founder, field) for founder in founders]
        doubled = sorted({entry for entry in seen if seen.count(entry) > 1})
        if doubled:
            raise InvalidInputError("roster.duplicate", f"two members have the {field} {doubled[0]}")
    if engine == "solo" and sum(founder.sequencer for founder in founders) != 1:
        raise InvalidInputError(
            "roster.sequencer", 'exactly one member must have "sequencer": true (engine solo)', hint=_HINT
        )
    return founders


_HINT = 'for example {"region":"310000","members":[{"uscc":"…","name":"…","handle":"data","roles":["supervisor"],"sequencer":true}]}'


def _plain_json(path: Path) -> Any:
    import json

    if path.stat().st_size > 1 << 20:
        raise InvalidInputError("roster.size", f"{path} is over 1 MiB")
    try:
        text = path.read_text("utf-8")
        if too_deep(text):
            raise InvalidInputError("roster.malformed", f"{path}: nested too deeply", hint=_HINT)
        return json.loads(text)
    except UnicodeDecodeError:
        raise
    except ValueError as error:
        raise InvalidInputError("roster.malformed", f"{path}: {error}", hint=_HINT) from error


def _founder(item: object, region: str, at: int) -> Founder:
    if not isinstance(item, dict):
        raise InvalidInputError("roster.malformed", f"member {at} is not an object", hint=_HINT)
    unknown = set(item) - {"uscc", "name", "handle", "roles", "sequencer", "validator", "region"}
    if unknown:
        raise InvalidInputError("roster.field", f"member {at} has an unknown field {sorted(unknown)[0]!r}", hint=_HINT)
    roles = item.get("roles", [])
    if not isinstance(roles, list) or any(role not in ROLES for role in roles):
        raise InvalidInputError("roster.role", f"member {at}: roles are {', '.join(ROLES)}", actual=str(roles))
    name = item.get("name", "")
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise InvalidInputError("roster.name", f"member {at}: a name of 1 to 100 characters is needed")
    return Founder(
        uscc=parse_uscc(str(item.get("uscc", ""))),
        name=name,
        handle=parse_handle(str(item.get("handle", ""))),
        region=parse_region(str(item.get("region", region))),
        roles=tuple(roles),
        sequencer=item.get("sequencer", False) is True,
        validator=item["validator"] is True if "validator" in item else None,
    )
