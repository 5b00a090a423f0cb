"""Licences: types, and who decides on them."""

from __future__ import annotations

import pytest
from contract_city import ZERO, City, digest, licence_code, word
from contract_targets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SUSPEND = 2
#: A ministry that is no member of the city.
MINISTRY = b"11100000000013338W"


def outside(number: int = 11) -> bytes:
    return (MINISTRY + f"{number:03d}".encode()).ljust(32, b"\0")


def test_a_body_defines_its_types(city: City) -> None:
    code = licence_code(city.water)
    event = city.send(city.water, "Licences.defineType", code, digest("description")).only("TypeDefined")
    assert event == {"code": code, "by": city.water.id, "metadataDigest": digest("description")}
    kept = city.read("Licences.licenceType", code)
    assert (kept.metadataDigest, kept.by) == (digest("description"), city.water.id)
    assert (kept.definedAt, kept.changedAt, kept.withdrawnAt) == (city.now, city.now, 0)
    assert city.refusal(city.water, "Licences.defineType", code, digest("d")) == ("Licences__TypeExists", code)
    other = licence_code(city.water, 2)
    missing = ("Licences__Missing", word("metadataDigest"))
    assert city.refusal(city.water, "Licences.defineType", other, ZERO) == missing


def test_nobody_decides_on_the_types_of_another(city: City) -> None:
    code = licence_code(city.water)
    for other in (city.civil, city.bigdata, city.audit):
        refused = ("Licences__NotDefiningBody", code, other.id)
        assert city.refusal(other, "Licences.defineType", code, digest("d")) == refused
    assert city.refusal(city.outsider, "Licences.defineType", code, digest("d"))[0] == "Consortium__NotActiveMember"
    city.send(city.water, "Licences.defineType", code, digest("d"))
    for function, args in (
        ("changeMetadata", (digest("e"),)),
        ("withdrawType", (digest("reason"),)),
        ("accredit", (city.civil.id, 0, 0, digest("basis"))),
    ):
        for other in (city.civil, city.bigdata, city.audit):
            refused = city.refusal(other, f"Licences.{function}", code, *args)
            assert refused == ("Licences__NotDefiningBody", code, other.id)
        refused = city.refusal(city.outsider, f"Licences.{function}", code, *args)
        assert refused[0] == "Consortium__NotActiveMember"


def test_a_supervisor_decides_in_the_place_of_a_body_outside(city: City) -> None:
    code = outside()
    for other in (city.water, city.audit):
        refused = ("Licences__NotDefiningBody", code, other.id)
        assert city.refusal(other, "Licences.defineType", code, digest("d")) == refused
    city.send(city.bigdata, "Licences.defineType", code, digest("d"))
    assert city.read("Licences.licenceType", code).by == city.bigdata.id
    refused = city.refusal(city.bigdata, "Licences.accredit", code, city.bigdata.id, 0, 0, digest("basis"))
    assert refused == ("Licences__NotForItself", code, city.bigdata.id)
    event = city.send(city.bigdata, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis")).only("Accredited")
    assert (event["by"], event["member"]) == (city.bigdata.id, city.civil.id)
    city.send(city.bigdata, "Licences.withdrawType", code, digest("reason"))


def test_a_suspended_body_is_stood_in_for(city: City) -> None:
    code = licence_code(city.water)
    city.send(city.water, "Licences.defineType", code, digest("d"))
    city.decide(SUSPEND, ["bytes32"], city.water.id, without=(city.water,))
    refused = city.refusal(city.water, "Licences.changeMetadata", code, digest("e"))
    assert refused[0] == "Consortium__NotActiveMember"
    event = city.send(city.bigdata, "Licences.changeMetadata", code, digest("e")).only("TypeChanged")
    assert event == {"code": code, "by": city.bigdata.id, "metadataDigest": digest("e")}
    city.send(city.bigdata, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis"))


WRONG_CODES = {
    "empty": b"",
    "short": MINISTRY + b"01",
    "long": MINISTRY + b"0110",
    "gap": MINISTRY + b"0\x001",
    "after a gap": MINISTRY + b"011\x00\x001",
    "letter in the number": MINISTRY + b"01A",
    "sign below the digits": MINISTRY + b"01/",
    "sign above the digits": MINISTRY + b"01:",
    "lower case": MINISTRY.lower() + b"011",
    "between digits and letters": b"@" + MINISTRY[1:] + b"011",
    "after the letters": b"[" + MINISTRY[1:] + b"011",
    "not ascii": b"\xff" + MINISTRY[1:] + b"011",
}


@pytest.mark.parametrize("what", WRONG_CODES)
def test_a_code_has_one_form(city: City, what: str) -> None:
    code = WRONG_CODES[what].ljust(32, b"\0")
    assert city.refusal(city.bigdata, "Licences.defineType", code, digest("d")) == ("Licences__MalformedCode", code)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 31), value=st.integers(0, 255))
def test_any_changed_character_is_another_good_code_or_none(city: City, place: int, value: int) -> None:
    code = bytearray(outside())
    code[place] = value
    sign = chr(value)
    if place < 18:
        good = sign.isascii() and (sign.isdigit() or "A" <= sign <= "Z")
    else:
        good = (sign.isascii() and sign.isdigit()) if place < 21 else value == 0
    with city.target.untouched():
        refused = city.attempt(city.bigdata, "Licences.defineType", bytes(code), digest("d"))
        assert refused == (() if good else ("Licences__MalformedCode", bytes(code)))


def test_a_description_is_changed_to_another(city: City) -> None:
    code = licence_code(city.water)
    unknown = city.refusal(city.water, "Licences.changeMetadata", code, digest("d"))
    assert unknown == ("Licences__UnknownType", code)
    city.send(city.water, "Licences.defineType", code, digest("d"))
    same = city.refusal(city.water, "Licences.changeMetadata", code, digest("d"))
    assert same == ("Licences__Unchanged", code)
    refused = city.refusal(city.water, "Licences.changeMetadata", code, ZERO)
    assert refused == ("Licences__Missing", word("metadataDigest"))
    if city.target.kind == "anvil":
        city.target.pass_time(100)
    city.send(city.water, "Licences.changeMetadata", code, digest("e"))
    kept = city.read("Licences.licenceType", code)
    assert (kept.metadataDigest, kept.changedAt) == (digest("e"), city.now)


def test_a_withdrawn_type_stays_readable_and_comes_never_back(city: City) -> None:
    code = licence_code(city.water)
    assert city.refusal(city.water, "Licences.withdrawType", code, digest("r")) == ("Licences__UnknownType", code)
    assert city.refusal(city.water, "Licences.licenceType", code) == ("Licences__UnknownType", code)
    city.send(city.water, "Licences.defineType", code, digest("d"))
    refused = city.refusal(city.water, "Licences.withdrawType", code, ZERO)
    assert refused == ("Licences__Missing", word("reasonDigest"))
    event = city.send(city.water, "Licences.withdrawType", code, digest("reason")).only("TypeWithdrawn")
    assert event == {"code": code, "by": city.water.id, "reasonDigest": digest("reason")}
    assert city.read("Licences.licenceType", code).withdrawnAt == city.now
    for function, args in (
        ("changeMetadata", (digest("e"),)),
        ("withdrawType", (digest("again"),)),
        ("accredit", (city.civil.id, 0, 0, digest("basis"))),
    ):
        refused = city.refusal(city.water, f"Licences.{function}", code, *args)
        assert refused == ("Licences__TypeWithdrawn", code)
    assert city.refusal(city.water, "Licences.defineType", code, digest("d")) == ("Licences__TypeExists", code)


def test_types_are_listed_in_pages(city: City) -> None:
    made = [licence_code(party, number) for number in (1, 2) for party in (city.water, city.civil)]
    for code in made:
        party = city.water if code[:18] == city.water.id[:18] else city.civil
        city.send(party, "Licences.defineType", code, digest("d", code))
    assert city.read("Licences.licenceTypeCount") == 4
    codes, items = city.read("Licences.licenceTypes", 1, 2)
    assert codes == made[1:3]
    assert [item.metadataDigest for item in items] == [digest("d", code) for code in made[1:3]]
    assert city.read("Licences.licenceTypes", 4, 5) == ([], [])
    assert city.read("Licences.licenceTypes", 0, 2**256 - 1)[0] == made
