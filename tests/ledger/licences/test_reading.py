"""Licences read natively: what is read is what the Python code reads, and what it refuses is never read; and where an
answer is put together natively, it is the Python code's to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ledger.errors import LedgerError
from ledger.licences import b64, batch, credential, identifier, sdjwt
from ledger.licences.credential import Credential
from ledger.licences.issuing import Hidden
from ledger.licences.judging import Terms, check_identifier
from ledger.licences.verdict import Outcome, Verdict
from ledger.licences.verify import judge_under
from tests.ledger.licences import licence_city as city
from tests.ledger.licences import ready_city as ready
from tests.ledger.licences.licence_keys import HOLDER, ISSUER

T = TypeVar("T")
KEYS = batch.known_keys({ISSUER.kid: ISSUER.spki})
TERMS = Terms(now_ms=city.NOW * 1_000)
#: Claims of a licence in clear, so that any of them may be anything.
CLAIMS = {name: item.value if isinstance(item, Hidden) else item for name, item in city.claims().items()}
JWK = CLAIMS["cnf"]["jwk"]
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def text_of(claims: dict[str, Any]) -> str:
    """A licence whose issuer signed these very claims."""
    return city.sign(city.header(), {name: value for name, value in claims.items() if value is not ...}) + "~"


def natively(text: str) -> tuple[Credential, bool] | None:
    """What the native code reads, and whether it found the identifier right."""
    said = batch.begin([text], KEYS).result().said(0)
    if said is None:
        return None
    _, _, iss, vct, issued_at, not_before, expires, holder, listed, facts, identified, hidden, end = said
    assert end == len(text)
    place = None if listed is None else credential.StatusPlace(uri=listed[0], index=listed[1])
    read = Credential(
        issuer=credential.parse_issuer(iss),
        type_code=credential.parse_vct(vct),
        issued_at=issued_at,
        not_before=not_before,
        expires=expires,
        holder_spki=holder,
        status=place,
        facts=facts,
        hidden=hidden,
    )
    return read, identified


def purely(text: str) -> Credential:
    return credential.read(sdjwt.verify(sdjwt.parse(text), ISSUER.spki, typ=credential.TYP))


def either(read: Callable[[str], T], text: str) -> T | str:
    """What is read, or the code of why not."""
    try:
        return read(text)
    except LedgerError as error:
        return error.code


def agree(text: str) -> bool:
    """Whether a licence is read, which both ways must say alike; so must the verdicts."""

    def sources(verdicts: Any) -> Any:
        return verdicts(terms=TERMS, trust=lambda *_: city.trust(), status=lambda _: city.listed())

    alone: Verdict = sources(lambda **given: judge_under(text, **given))
    (together,) = sources(lambda **given: list(batch.judge_batch([text], keys=KEYS, **given)))
    assert together == alone
    assert json.dumps(together.to_dict()) == json.dumps(alone.to_dict())
    assert ready.answered(text) in (None, ready.wire(alone))
    expected, found = either(purely, text), either(natively, text)
    if isinstance(expected, str):
        # What the names of issuer and type mean is for the Python code alone to say.
        assert found in (None, expected)
        return False
    assert isinstance(found, tuple)
    assert repr(found[0]) == repr(expected)
    # Older identifiers name the issuer by a division or an old code: those are the Python code's as well.
    named = city.BODY in str(expected.facts.get("ZZBS"))
    assert found[1] == (named and check_identifier(expected).outcome is Outcome.PASS)
    return True


def test_a_good_licence_is_read_natively() -> None:
    for text in (text_of(CLAIMS), city.licence()):
        found = natively(text)
        assert found is not None
        assert found == (purely(text), True)
        assert ready.answered(text) is not None
    assert agree(text_of(CLAIMS))


@pytest.mark.parametrize("name", sorted(credential.NEVER_HIDDEN - {"_sd_alg"}))
def test_what_may_not_be_hidden_is_not_read(name: str) -> None:
    value = CLAIMS.get(name, "x")
    claims = {key: item for key, item in CLAIMS.items() if key != name}
    hidden = city.disclosure(["salt-of-a-licence", name, value])
    payload = claims | {"_sd": [city.digest(hidden)], "_sd_alg": "sha-256"}
    text = f"{city.sign(city.header(), payload)}~{hidden}~"
    assert not agree(text)
    assert natively(text) is None


def test_what_is_hidden_in_an_allowed_claim_is_read() -> None:
    inner = city.disclosure(["salt-of-a-licence", "exp", 1])
    payload = CLAIMS | {"KZ_X": {"_sd": [city.digest(inner)]}, "_sd_alg": "sha-256"}
    assert agree(f"{city.sign(city.header(), payload)}~{inner}~")


names = st.sampled_from(["ZZMC", "KZ_X", "CZZT", "ZZBS", "a\nb", "", "张", '"']) | st.text(max_size=4)
texts = st.text(max_size=20) | st.sampled_from(["张三丰", 'a"b', "a\\b", "\x7f", "\u2028", "\x1f", "\u0000", "😀", "/"])
values = texts | st.sampled_from([None, True, 0, -1, 1.5, 1e300, [], {}, ["x"], {"a": "x"}])


@FEW
@given(names, values)
@example("CZZT", "王“小”明\x7f\u2028/")
@example("CZZT", 'a"b')
@example("CZZT", 5)
def test_any_fact_is_told_alike(name: str, value: Any) -> None:
    agree(text_of(CLAIMS | {name: value}))


@pytest.mark.parametrize("name", ["iat", "sub", "jti", "aka_vcts", "vct#integrity"])
def test_registered_names_are_no_facts(name: str) -> None:
    assert agree(text_of(CLAIMS | {name: 7}))
    assert name not in purely(text_of(CLAIMS | {name: 7})).facts


MAX_TIME = 253_402_300_799
times = st.sampled_from([..., None, -1, 0, 1, 1.0, True, "1", [], MAX_TIME, MAX_TIME + 1, 2**53 - 1]) | st.integers(
    city.NOW - 90, city.NOW + 90
)


@FEW
@given(times, times, times)
@example(city.NOW, city.NOW, city.NOW)
@example(..., MAX_TIME, MAX_TIME - 1)
def test_any_times_are_read_alike(issued_at: Any, first: Any, end: Any) -> None:
    agree(text_of(CLAIMS | {"iat": issued_at, "nbf": first, "exp": end}))


addresses = st.sampled_from(
    [city.URI, "https://", "https:///", "https://a", "https://a/", "http://a/", "https://a/b\n"]
)
characters = st.text("azAZ09._:[]/~%-?#@ é\\\n", max_size=12)
indexes = st.sampled_from([..., None, -1, 0, city.PLACE, 1.0, True, "1", 2**32 - 1, 2**32])


@FEW
@given(addresses | st.builds("https://{}/{}".format, characters, characters), indexes)
@example("https://a/" + "b" * 502, 1)
@example("https://a/" + "b" * 503, 1)
def test_any_place_in_a_list_is_read_alike(uri: Any, index: Any) -> None:
    place = {name: value for name, value in (("uri", uri), ("idx", index)) if value is not ...}
    agree(text_of(CLAIMS | {"status": {"status_list": place}}))


@pytest.mark.parametrize("status", [None, 1, [], {}, {"status_list": None}, {"status_list": []}, {"other": {}}, ...])
def test_any_status_is_read_alike(status: Any) -> None:
    assert agree(text_of(CLAIMS | {"status": status})) == (status is ...)


keys = st.sampled_from(
    [..., None, 1, "", "EC", "P-256", "P-384", "d", JWK["x"], JWK["y"], JWK["x"][:-1], JWK["y"] + "="]
)


@FEW
@given(st.sampled_from(["kty", "crv", "x", "y", "d", "kid"]), keys | st.text(max_size=43))
def test_any_key_of_a_holder_is_read_alike(name: str, value: Any) -> None:
    jwk = {key: item for key, item in (JWK | {name: value}).items() if item is not ...}
    agree(text_of(CLAIMS | {"cnf": {"jwk": jwk}}))


@pytest.mark.parametrize("cnf", [None, 1, [], {}, {"jwk": None}, {"jwk": []}, {"kid": "x"}, {"jwk": JWK, "a": 1}, ...])
def test_any_confirmation_is_read_alike(cnf: Any) -> None:
    text = text_of(CLAIMS | {"cnf": cnf})
    assert agree(text) == (cnf is ... or (isinstance(cnf, dict) and "a" in cnf))
    found = natively(text)
    assert found is None or found[0].holder_spki == (None if cnf is ... else HOLDER.spki)


FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1


@pytest.mark.parametrize("x", [0, 1, 5, FIELD - 1, FIELD, FIELD + 5, 2**256 - 1])
def test_a_point_lies_on_the_curve_or_the_licence_is_not_read(x: int) -> None:
    square = (x**3 - 3 * x + 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B) % FIELD
    root = pow(square, (FIELD + 1) // 4, FIELD)
    for y in (root, FIELD - root, root + 1, 0):
        jwk = JWK | {"x": b64.encode(x.to_bytes(32)), "y": b64.encode(y.to_bytes(32))}
        on_curve = x < FIELD and y < FIELD and y * y % FIELD == square
        assert agree(text_of(CLAIMS | {"cnf": {"jwk": jwk}})) == on_curve


GOOD = str(city.IDENTITY)


def identified(serial: str, version: str, kind: str = city.TYPE, issuer: str = city.BODY, rest: str = "") -> str:
    try:
        check = identifier.standard_check(kind + issuer, serial + version)
    except KeyError:
        check = "0"
    return f"{identifier.ROOT}.{kind}.{issuer}.{serial}.{version}.{check}{rest}"


serials = st.text("019AZ", min_size=0, max_size=6) | st.sampled_from(["A" * 64, "A" * 65, "a", "é", "-"])
versions = st.sampled_from(["001", "999", "000", "01", "1000", "0a1", "００１"])
kinds = st.sampled_from([city.TYPE, city.TYPE[:-1] + "2", city.TYPE[:-1], ""])
issuers = st.sampled_from([city.BODY, city.BODY[2:8], city.BODY[8:17], city.OTHER_BODY, ""])


@FEW
@given(st.builds(identified, serials, versions, kinds, issuers, st.sampled_from(["", "0", "."])))
@example(identified("1", "001"))
@example(identified("1", "001", issuer=city.BODY[2:8]))
def test_any_identifier_is_judged_alike(text: str) -> None:
    agree(text_of(CLAIMS | {"ZZBS": text}))


@FEW
@given(st.integers(0, len(GOOD) - 1), st.sampled_from("09AZaz. é"))
def test_any_change_of_an_identifier_is_judged_alike(at: int, put: str) -> None:
    agree(text_of(CLAIMS | {"ZZBS": GOOD[:at] + put + GOOD[at + 1 :]}))


@pytest.mark.parametrize("value", [None, 1, [], {}, "", GOOD, GOOD + " ", " " + GOOD, f"{identifier.ROOT}.{GOOD}", ...])
def test_what_is_no_identifier_is_judged_alike(value: Any) -> None:
    assert agree(text_of(CLAIMS | {"ZZBS": value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "urn:cn:uscc:11430000006122244M"),
        ("iss", city.BODY),
        ("iss", None),
        ("iss", 1),
        ("iss", ...),
        ("vct", f"urn:cn:elicence:{city.TYPE}:2"),
        ("vct", f"urn:cn:elicence:{city.TYPE[:-1]}:1"),
        ("vct", {}),
        ("vct", ...),
    ],
)
def test_names_of_issuer_and_type_stay_the_python_codes(name: str, value: Any) -> None:
    assert not agree(text_of(CLAIMS | {name: value}))
