"""Licences as credentials: which claims are made of a row, what may be held back, and what of them is read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ledger.days import CST
from ledger.errors import InvalidInputError
from ledger.licences import credential, identifier, sdjwt, templates
from ledger.licences.issuing import Hidden, salts_needed
from ledger.licences.templates import TEMPLATES
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.licence_keys import HOLDER, ISSUER
from tests.ledger.licences.rows import CITIZEN, COMPANY, ROWS, checked


def read(text: str) -> credential.Credential:
    return credential.read(sdjwt.verify(sdjwt.parse(text), ISSUER.spki, typ=credential.TYP))


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_makes_a_licence_that_is_read_back(name: str) -> None:
    said = read(city.issue(city.claims(template=name)))
    assert {key: said.facts[key] for key in checked(name)} == checked(name)
    assert said.facts["ZZMC"] == TEMPLATES[name].zh
    assert said.facts["ZZBS"] == str(city.IDENTITY)
    assert (said.issuer, said.type_code, said.hidden) == (city.BODY, city.TYPE, 0)
    assert said.holder_spki == HOLDER.spki
    assert said.status == credential.StatusPlace(uri=city.URI, index=city.PLACE)


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_nothing_about_the_holder_is_visible(name: str) -> None:
    """Whatever the clerk entered is hidden, but for the days of validity."""
    claims = city.claims(template=name)
    hidden = {key for key, value in claims.items() if isinstance(value, Hidden)}
    assert hidden == (set(checked(name)) - {"ZZYXQQSRQ", "ZZYXQJZRQ"}) | {"ZZBS"}
    assert salts_needed(claims) == len(hidden)
    bare = read(city.issue(claims).split("~")[0] + "~")
    assert not hidden & set(bare.facts)


def test_validity_is_of_whole_days_in_china() -> None:
    claims = city.claims()
    assert claims["nbf"] == datetime(2026, 1, 1, tzinfo=CST).timestamp()
    assert claims["exp"] == datetime(2032, 1, 1, tzinfo=CST).timestamp()
    assert claims["ZZBFRQ"] == "2026-10-23"


def test_a_licence_without_an_end_has_no_exp() -> None:
    claims = city.claims(template="food-permit")
    assert "exp" not in claims
    assert claims["ZZYXQJZRQ"] == "长期"


def made(name: str, serial: str) -> dict[str, Any]:
    return credential.licence_claims(
        TEMPLATES[name],
        templates.check(TEMPLATES[name], ROWS[name]),
        identity=identifier.make(city.TYPE, city.BODY, serial),
        issuer_name="湖南省某厅",
        issued_at=city.NOW,
        status=credential.StatusPlace(uri=city.URI, index=0),
    )


def test_the_identifier_does_not_repeat_a_persons_number() -> None:
    with pytest.raises(InvalidInputError) as caught:
        made("driving-licence", f"2026{CITIZEN}")
    assert caught.value.code == "licence.serial-personal"
    assert CITIZEN not in str(caught.value.to_dict())
    assert made("food-permit", COMPANY)["ZZMC"] == "食品经营许可证"


def test_a_licence_without_the_holders_key() -> None:
    said = read(city.issue(city.claims(bound=False)))
    assert said.holder_spki is None
    assert "cnf" not in said.facts


def test_what_nobody_verified_fills_no_memory() -> None:
    def held() -> list[int]:
        return [kept.cache_info().currsize for kept in (credential._issuer, credential._type_code)]

    before = held()
    for number in range(3):
        long = f"{number}" * 48_000
        for parse, text in (
            (credential.parse_issuer, credential.ISSUER_PREFIX + long),
            (credential.parse_vct, f"{credential.TYPE_PREFIX}{long}:1"),
        ):
            with pytest.raises(InvalidInputError):
                parse(text)
    assert held() == before
