"""Licences between us and two independent implementations: what each issues and presents, the other accepts.

`sd-jwt` is the reference implementation of RFC 9901, `openvc-core` one of SD-JWT VC.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from jwcrypto.jwk import JWK
from openvc.errors import OpenvcError
from openvc.keys import P256SigningKey
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from ledger.licences import binding, credential, issuing, sdjwt
from ledger.licences.issuing import Hidden
from ledger.licences.suites import Signer, es256_signer
from tests.ledger.licences import licence_city as city
from tests.ledger.licences.claim_strategies import credentials, plain
from tests.ledger.licences.licence_keys import HOLDER, ISSUER, salts
from tests.ledger.licences.negatives import CLAIMS, FORM, Bad

SUITE = SdJwtVcProofSuite()


def jwk(signer: Signer) -> dict[str, Any]:
    """A public key as others take it."""
    found: dict[str, Any] = binding.confirmation(signer.spki)["jwk"]
    return found


@pytest.fixture(scope="module")
def issuer_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0x1551, ec.SECP256R1())


@pytest.fixture(scope="module")
def holder_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(0x401D, ec.SECP256R1())


def owned(key: ec.EllipticCurvePrivateKey) -> JWK:
    return JWK.from_pyca(key)


def opened(text: str, signer: Signer) -> sdjwt.VerifiedOpening:
    return sdjwt.verify(sdjwt.parse(text), signer.spki, typ=credential.TYP)


def with_the_reference(text: str) -> dict[str, Any]:
    found: dict[str, Any] = SDJWTVerifier(
        text, lambda *_: JWK(**jwk(ISSUER)), city.AUDIENCE, city.NONCE
    ).get_verified_payload()
    return found


def test_the_reference_opens_what_we_issue_and_present() -> None:
    part = issuing.present(city.licence(), [("CZZT",), ("KZ_ZJCX",)])
    assert with_the_reference(city.presented(part)) == opened(part, ISSUER).claims
    assert with_the_reference(city.presented()) == opened(city.licence(), ISSUER).claims


def test_the_reference_opens_nested_claims_and_decoys() -> None:
    claims = {
        "cnf": {"jwk": jwk(HOLDER)},
        "a": Hidden({"b": Hidden([Hidden("甲"), {"c": Hidden(None)}])}),
        "d": [Hidden(1)],
    }
    text = issuing.issue(claims, typ="x", signer=ISSUER, salts=salts(), decoys=5)
    assert with_the_reference(city.presented(text)) == {
        "cnf": {"jwk": jwk(HOLDER)},
        "a": {"b": ["甲", {"c": None}]},
        "d": [1],
    }


@given(credentials)
def test_the_reference_reads_any_claims_as_we_do(claims: dict[str, Any]) -> None:
    text = issuing.issue(claims, typ="x", signer=ISSUER, salts=salts(), decoys=1)
    read = SDJWTVerifier(text, lambda *_: JWK(**jwk(ISSUER))).get_verified_payload()
    assert read == plain(claims) == sdjwt.open_claims(sdjwt.parse(text)).claims


def test_the_reference_presents_what_we_issued() -> None:
    key = ec.derive_private_key(77, ec.SECP256R1())
    text = city.changed(cnf=binding.confirmation(es256_signer(key).spki))
    holder = SDJWTHolder(text)
    holder.create_presentation({"CZZT": True}, "n", "v", owned(key))
    shown = sdjwt.parse(holder.sd_jwt_presentation)
    said = credential.read(sdjwt.verify(shown, ISSUER.spki, typ=credential.TYP))
    assert said.facts["CZZT"] == "张三丰"
    assert "CZZTDM" not in said.facts
    assert said.holder_spki is not None
    assert binding.verify(shown, said.holder_spki, now_s=int(time.time()), audience="v", nonce="n").nonce == "n"


@pytest.mark.parametrize("decoys", [False, True])
def test_we_open_what_the_reference_issues(
    issuer_key: ec.EllipticCurvePrivateKey, holder_key: ec.EllipticCurvePrivateKey, decoys: bool
) -> None:
    claims = {"iss": "x", SDObj("name"): "张三", SDObj("nested"): {SDObj("a"): [SDObj(1), 2.5]}, "list": [SDObj("甲")]}
    made = SDJWTIssuer(
        claims,
        owned(issuer_key),
        owned(holder_key),
        add_decoy_claims=decoys,
        extra_header_parameters={"typ": credential.TYP},
    )
    found = opened(made.sd_jwt_issuance, es256_signer(issuer_key))
    cnf = found.claims["cnf"]
    assert found.claims == {"iss": "x", "name": "张三", "nested": {"a": [1, 2.5]}, "list": ["甲"], "cnf": cnf}
    assert binding.holder_key(cnf) == es256_signer(holder_key).spki
    assert bool(found.hidden) == decoys


def test_openvc_accepts_what_we_issue_and_present() -> None:
    presented = city.presented(issued_at=int(time.time()))
    found = SUITE.verify(
        presented,
        public_key_jwk=jwk(ISSUER),
        audience=city.AUDIENCE,
        nonce=city.NONCE,
        require_key_binding=True,
        expected_vct=f"urn:cn:elicence:{city.TYPE}:1",
        check_temporal=False,
    )
    assert found.key_bound
    assert found.claims["KZ_ZJCX"] == "C1"
    assert found.issuer == city.ISS


def test_we_accept_what_openvc_issues_and_presents(
    issuer_key: ec.EllipticCurvePrivateKey, holder_key: ec.EllipticCurvePrivateKey
) -> None:
    status = {"status_list": {"idx": 1, "uri": city.URI}}
    text = SUITE.issue(
        {"iss": city.ISS, "CZZT": "张三", "ZZMC": "结婚证", "status": status},
        signing_key=P256SigningKey(issuer_key, "k1"),
        disclosable=["CZZT"],
        holder_jwk=jwk(es256_signer(holder_key)),
        vct=f"urn:cn:elicence:{city.TYPE}:1",
        expires_in_s=600,
        decoys=3,
    )
    shown = SUITE.create_presentation(text, holder_key=P256SigningKey(holder_key, "h1"), audience="v", nonce="n")
    parsed = sdjwt.parse(shown)
    said = credential.read(sdjwt.verify(parsed, es256_signer(issuer_key).spki, typ=credential.TYP))
    assert said.facts == {"CZZT": "张三", "ZZMC": "结婚证"}
    assert said.status == credential.StatusPlace(uri=city.URI, index=1)
    assert said.holder_spki is not None
    assert binding.verify(parsed, said.holder_spki, now_s=int(time.time()), audience="v", nonce="n").audience == "v"


#: Where the other is more lenient: texts with two readings, hashes and addresses beyond our profile, and what it leaves
#: to whoever uses the holder's key or the status list.
LENIENT = {
    f"licence.{code}"
    for code in (
        *("base64", "base64-bits", "json-duplicate", "json-number", "json-depth", "empty-disclosure", "salt"),
        *("kid", "vct", "iss", "time-order", "sd-alg", "sd-alg-nested"),
        *("cnf", "cnf-private", "cnf-curve", "cnf-key", "status-reference", "status-place", "status-address"),
    )
}


def refused_by_others() -> Iterator[Bad]:
    for bad in (*FORM, *CLAIMS):
        try:
            SUITE.verify(bad.text(), public_key_jwk=jwk(ISSUER), check_temporal=False)
        except OpenvcError:
            yield bad


def test_what_we_refuse_another_refuses_too() -> None:
    """The negative credentials are bad by the standard, not by our reading of it."""
    refused = {bad.code for bad in refused_by_others()}
    assert {bad.code for bad in (*FORM, *CLAIMS)} - refused <= LENIENT
    assert len(refused) >= 30


def test_the_reference_reads_our_json() -> None:
    """What stands in the signed part is plain JSON, without any name of ours that others would trip over."""
    signed = SDJWTHolder(city.licence()).sd_jwt_payload
    assert set(signed) == {
        "_sd", "_sd_alg", "cnf", "exp", "iat", "iss", "nbf", "status", "vct",
        "ZZMC", "ZZLXDM", "ZZBFJG", "ZZBFJGDM", "ZZBFRQ", "ZZYXQQSRQ", "ZZYXQJZRQ",
    }  # fmt: skip
    assert "张三丰" not in json.dumps(signed, ensure_ascii=False)
