"""Slips: what fits on paper, what comes back, and one refusal for every way of being none."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

import cbor2
import openvc.cbor
import openvc.cose
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from openvc.keys import P256SigningKey

from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.licences import base45, cose, identifier, slip
from ledger.licences.copies import CopyTerms
from ledger.licences.qr import symbol
from ledger.licences.slip import Slip
from ledger.licences.suites import es256_signer, sm2_signer
from tests.ledger.licences.pictures import opened, photographed, read

ISSUER = "11310000MB2F00031J"
KEY = ec.derive_private_key(21, ec.SECP256R1())
SIGNER = es256_signer(KEY)
MADE = 1_780_000_000
IDENTIFIER = str(identifier.make("11310000MB2F30000K012", ISSUER, "JY13101150012345"))
TERMS = CopyTerms(
    recipient="11310000MB2F00001F", matter="办理不动产转移登记", made_s=MADE, expires_s=MADE + 30 * 86_400, maker=ISSUER
)
PAPER = Slip(
    identifier=IDENTIFIER,
    title="食品经营许可证",
    holder="上海浦东某某餐饮有限公司",
    valid_from_s=MADE - 1000,
    valid_until_s=MADE + 400 * 86_400,
    made_s=MADE,
    ends_s=MADE + 30 * 86_400,
    status_uri="https://licences.market.shanghai.example/licence/status/12",
    status_index=130_071,
    copy=TERMS,
)
SCREEN = dataclasses.replace(
    PAPER, title="结婚证", holder="张*", ends_s=MADE + slip.SCREEN_SECONDS, valid_until_s=None, copy=None
)


def code_of(text: str) -> str:
    with pytest.raises(LedgerError) as caught:
        slip.read(text)
    return caught.value.code


@pytest.mark.parametrize("given_slip", [PAPER, SCREEN, dataclasses.replace(PAPER, copy=None)])
def test_a_slip_with_chinese_text_is_read_from_three_centimetres_of_paper(given_slip: Slip) -> None:
    text = slip.make(given_slip, SIGNER)
    code = symbol(text)
    assert code.version <= 15
    for picture in (
        opened(code.png()),
        photographed(code.png(), turned=7),
        photographed(code.png(), turned=90),
        photographed(code.png(), turned=180),
        photographed(code.png(), noise=60),
        photographed(code.png(), blur=1.2, uneven=True),
    ):
        assert [found for found, _ in read(picture)] == [text]
    found = slip.read(text)
    assert found.slip == given_slip
    found.signed.verify(SIGNER.spki)
    assert (found.slip.vct, found.slip.parts.issuer) == ("urn:cn:elicence:11310000MB2F30000K012:1", ISSUER)


def test_the_closed_suite_signs_slips_too() -> None:
    signer = sm2_signer(bytes(31) + b"\x07")
    found = slip.read(slip.make(SCREEN, signer))
    found.signed.verify(signer.spki)
    assert found.signed.suite.alg == "SM2SM3"


def test_a_signature_of_another_key_or_content() -> None:
    found = slip.read(slip.make(SCREEN, SIGNER)).signed
    other = es256_signer(ec.derive_private_key(22, ec.SECP256R1()))
    with pytest.raises(InvalidInputError) as caught:
        found.verify(other.spki)
    assert caught.value.code == "licence.slip-kid"
    for changed in (
        dataclasses.replace(found, signature=bytes(64)),
        dataclasses.replace(found, signed=found.signed[:-1] + b"\0"),
    ):
        with pytest.raises(UntrustedError):
            changed.verify(SIGNER.spki)


def test_an_independent_reader_accepts_the_envelope() -> None:
    data = base45.decode(slip.make(PAPER, SIGNER).removeprefix("EL1:"))
    theirs = openvc.cose.parse_sign1(openvc.cbor.decode(data))
    assert openvc.cose.verify_sign1(theirs, public_jwk=P256SigningKey(KEY, "").public_jwk())
    assert theirs.protected_header == {1: -7, 3: 61, 4: SIGNER.suite.key_digest(SIGNER.spki)[:8]}
    claims = openvc.cbor.decode(theirs.payload)
    assert (claims[4], claims[5], claims[6]) == (PAPER.ends_s, PAPER.valid_from_s, PAPER.made_s)
    assert claims[65535] == {"status_list": {"idx": PAPER.status_index, "uri": PAPER.status_uri}}


def signed(payload: Any) -> str:
    data = payload if isinstance(payload, bytes) else cose.encode(payload)
    return "EL1:" + base45.encode(cose.sign(data, SIGNER))


def claims(**changes: Any) -> dict[Any, Any]:
    """The claims of SCREEN, with changes by place: ``c4`` a claim, ``e1`` one of ours; None takes it out."""
    payload = cbor2.loads(slip.read(slip.make(SCREEN, SIGNER)).signed.payload)
    for name, value in changes.items():
        at = payload if name[0] == "c" else payload[-70_001]
        label = int(name[1:])
        at.pop(label, None)
        if value is not None:
            at[label] = value
    return payload


STATUS = {"idx": 1, "uri": "https://a.example/1"}
COPY = {1: bytes.fromhex("01"), 2: "办事"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"c4": None}, "licence.slip-labels"),
        ({"c1": "someone"}, "licence.slip-labels"),
        ({"c65535": 1}, "licence.slip-labels"),
        ({"c65535": {}}, "licence.slip-labels"),
        ({"c65535": {"status_list": STATUS, "more": 1}}, "licence.slip-labels"),
        ({"c65535": {"status_list": STATUS | {"bits": 2}}}, "licence.slip-labels"),
        ({"e9": 1}, "licence.slip-labels"),
        ({"e1": None}, "licence.slip-labels"),
        ({"e5": {1: b"\1"}}, "licence.slip-labels"),
        ({"c4": "tomorrow"}, "licence.slip-claims"),
        ({"c4": True}, "licence.slip-claims"),
        ({"c4": 1.5}, "licence.slip-claims"),
        ({"c4": -1}, "licence.slip-claims"),
        ({"c4": 2**62}, "licence.slip-claims"),
        ({"c4": MADE}, "licence.slip-claims"),
        ({"e4": MADE + 10}, "licence.slip-claims"),
        ({"c65535": {"status_list": STATUS | {"idx": -1}}}, "licence.slip-claims"),
        ({"c65535": {"status_list": STATUS | {"idx": 2**24}}}, "licence.slip-claims"),
        ({"c65535": {"status_list": STATUS | {"uri": "x" * 129}}}, "licence.slip-claims"),
        ({"e1": "text"}, "licence.slip-claims"),
        ({"e1": b""}, "licence.slip-claims"),
        ({"e1": b"\0\1"}, "licence.slip-claims"),
        ({"e1": bytes.fromhex("ff" * 40)}, "licence.slip-claims"),
        ({"e2": ""}, "licence.slip-claims"),
        ({"e2": "证" * 41}, "licence.slip-claims"),
        ({"e3": "张\u202e*"}, "licence.slip-claims"),
        ({"e3": b"bytes"}, "licence.slip-claims"),
        ({"e5": COPY}, "identifier.uscc"),
        ({"e5": COPY | {2: ""}}, "identifier.uscc"),
    ],
)
def test_claims_no_slip_has(changes: dict[str, Any], code: str) -> None:
    assert code_of(signed(claims(**changes))) == code


def test_terms_no_copy_has() -> None:
    copy = cbor2.loads(slip.read(slip.make(PAPER, SIGNER)).signed.payload)[-70_001][5]
    assert slip.read(signed(claims(e5=copy))).slip.copy is not None
    assert code_of(signed(claims(e5=copy | {2: "x" * 61}))) == "licence.copy-terms"
    assert code_of(signed(claims(e5=copy | {4: "x"}))) == "licence.slip-labels"


def _sign1(
    header: Any = None, unprotected: Any = None, payload: bytes = b"\xa0", signature: bytes = bytes(64)
) -> bytes:
    head = {1: -7, 3: 61, 4: bytes(8)} if header is None else header
    raw = head if isinstance(head, bytes) else cose.encode(head)
    return b"\xd2" + cose.encode([raw, unprotected or {}, payload, signature])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "licence.slip-form"),
        (b"\x84", "licence.slip-form"),
        (b"\xd2", "licence.slip-cbor"),
        (b"\xd2\x01", "licence.slip-form"),
        (b"\xd2\x80", "licence.slip-form"),
        (b"\xd2\x83\x40\xa0\x40", "licence.slip-form"),
        (b"\xd2\xd2" + _sign1()[1:], "licence.slip-cbor"),
        (_sign1() + b"\0", "licence.slip-trailing"),
        (b"\xd2\x98\x04" + _sign1()[2:], "licence.slip-canonical"),
        (b"\xd2\x9f" + _sign1()[2:] + b"\xff", "licence.slip-cbor"),
        (b"\xd2\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "licence.slip-cbor"),
        (b"\xd2" + b"\x81" * 300 + b"\0", "licence.slip-cbor"),
        (_sign1(signature=bytes(63)), "licence.slip-form"),
        (_sign1(unprotected={4: b"x"}), "licence.slip-header"),
        (_sign1(header={}), "licence.slip-header"),
        (_sign1(header={1: -7, 2: [1], 3: 61, 4: bytes(8)}), "licence.slip-header"),
        (_sign1(header={1: -7, 3: 60, 4: bytes(8)}), "licence.slip-header"),
        (_sign1(header={1: -7, 3: 61, 4: bytes(9)}), "licence.slip-header"),
        (_sign1(header={True: -7, 3: 61, 4: bytes(8)}), "licence.slip-header"),
        (_sign1(header={1: -8, 3: 61, 4: bytes(8)}), "licence.slip-alg"),
        (_sign1(header={1: "ES256", 3: 61, 4: bytes(8)}), "licence.slip-alg"),
        (_sign1(header=b""), "licence.slip-cbor"),
        (_sign1(header=bytes.fromhex("a3012603183d0448" + "00" * 8) + b"\0"), "licence.slip-trailing"),
        (_sign1(header=bytes.fromhex("a303183d01260448" + "00" * 8)), "licence.slip-canonical"),
        (_sign1(header=bytes.fromhex("a4012601260318 3d0448" + "00" * 8)), "licence.slip-cbor"),
        (_sign1(payload=b"\xc1\x01"), "licence.slip-cbor"),
        (_sign1(payload=b"\xd8\x23\x61\x28"), "licence.slip-cbor"),
        (_sign1(payload=b"\xd8\x1c\x81\xd8\x1d\x00"), "licence.slip-cbor"),
        (_sign1(payload=b"\xda\x7f\xff\xff\xff\x00"), "licence.slip-cbor"),
        (_sign1(payload=b"\x62\xc3\x28"), "licence.slip-cbor"),
        (_sign1(payload=b"\x01"), "licence.slip-labels"),
        (_sign1(payload=b"\xa1\xa0\x01"), "licence.slip-labels"),
        (zlib.compress(_sign1()), "licence.slip-deflated"),
        (zlib.compress(zlib.compress(bytes(200_000), 9), 9), "licence.slip-deflated"),
    ],
)
def test_bytes_that_are_no_slip(data: bytes, code: str) -> None:
    assert code_of("EL1:" + base45.encode(data)) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "licence.slip-prefix"),
        ("EL2:00", "licence.slip-prefix"),
        ("el1:00", "licence.slip-prefix"),
        ("HC1:6BF", "licence.slip-prefix"),
        ("https://example.com/", "licence.slip-prefix"),
        ("EL1:a", "licence.base45"),
        ("EL1:" + "0" * 597, "licence.slip-size"),
    ],
)
def test_texts_that_are_no_slip(text: str, code: str) -> None:
    assert code_of(text) == code


def test_what_claims_to_be_a_slip() -> None:
    assert slip.is_slip(slip.make(SCREEN, SIGNER))
    assert slip.is_slip("EL2:00")
    assert not slip.is_slip("ELSE")
    assert not slip.is_slip("HTTPS://GATEWAY.EXAMPLE/R/X")


def test_a_slip_that_would_not_fit_is_not_made() -> None:
    long = dataclasses.replace(PAPER, copy=dataclasses.replace(TERMS, matter="事" * 60))
    with pytest.raises(InvalidInputError) as caught:
        slip.make(long, SIGNER)
    assert caught.value.code == "licence.slip-too-long"


def test_a_copy_ends_with_its_slip() -> None:
    with pytest.raises(InvalidInputError):
        dataclasses.replace(PAPER, ends_s=PAPER.ends_s - 1)
    # An old issuer's code of six digits has no place in a slip.
    with pytest.raises(InvalidInputError):
        dataclasses.replace(SCREEN, identifier=IDENTIFIER.replace(ISSUER, "310000"))


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    for text in ("EL1:" + base45.encode(data), "EL1:" + base45.encode(_sign1(payload=data))):
        with pytest.raises(InvalidInputError):
            slip.read(text)


@given(st.data())
def test_a_changed_slip_is_never_taken_for_the_same(data: st.DataObject) -> None:
    raw = bytearray(base45.decode(slip.make(PAPER, SIGNER).removeprefix("EL1:")))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LedgerError):
        slip.read("EL1:" + base45.encode(bytes(raw))).signed.verify(SIGNER.spki)
