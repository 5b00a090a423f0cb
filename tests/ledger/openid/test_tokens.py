"""ID tokens and their proofs: what is good passes, and each rule refuses on its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.errors import LedgerError, UntrustedError
from ledger.licences import b64
from ledger.openid import idtoken
from ledger.openid.idtoken import SKEW_S, read_keys, verify
from ledger.openid.proof import LIFETIME_S, TYPE, ProofKey, audience_of, thumbprint, verify_proof
from tests.ledger.openid.openid_parts import (
    CLAIM,
    CLIENT,
    EC_KEY,
    ISSUER,
    MEMBER,
    NONCE,
    NOW,
    OTHER,
    RSA_KEY,
    WEAK_KEY,
    claims,
    jwk,
    signed,
)

KEYS = read_keys({"keys": [jwk(EC_KEY, kid="e", use="sig", alg="ES256"), jwk(RSA_KEY, kid="r")]})


def judged(token: str, **changes: Any) -> idtoken.IdToken:
    terms: dict[str, Any] = {"issuer": ISSUER, "audience": CLIENT, "claim": CLAIM, "now_s": NOW, "nonce": NONCE}
    return verify(token, KEYS, **{**terms, **changes})


def code_of(work: Callable[[], Any]) -> str:
    with pytest.raises(LedgerError) as caught:
        work()
    return caught.value.code


@pytest.mark.parametrize(
    "token",
    [
        signed(claims()),
        signed(claims(), RSA_KEY, "RS256", kid="r"),
        signed(claims(), kid=None),
        signed(claims(aud=[CLIENT])),
        signed(claims(aud=[CLIENT, "b"], azp=CLIENT)),
        signed(claims(iat=NOW + SKEW_S, exp=NOW + 600)),
        signed(claims(iat=NOW - 900, exp=NOW - SKEW_S + 1)),
        signed(claims(iat=NOW - 0.5, nbf=NOW)),
    ],
)
def test_a_good_token_says_who_signed_in(token: str) -> None:
    found = judged(token)
    assert found.identity == "110101199003070011"
    assert found.nonce == NONCE
    assert found.issued_s <= found.expires_s


NONE = b64.encode(b'{"alg":"none","kid":"e"}') + "." + b64.encode(json.dumps(claims()).encode()) + "."
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def hmac_token() -> str:
    """Signed with the provider's public key as a shared secret: the confusion of RFC 8725, section 2.1."""
    import hashlib
    import hmac

    head = b64.encode(b'{"alg":"HS256","kid":"r","typ":"JWT"}') + "." + b64.encode(json.dumps(claims()).encode())
    return head + "." + b64.encode(hmac.digest(PUBLIC_PEM, head.encode(), hashlib.sha256))


def changed(token: str) -> str:
    head, body, signature = token.split(".")
    return ".".join((head, b64.encode(b64.decode(body).replace(b"0011", b"0038")), signature))


BAD: list[tuple[str, str]] = [
    ("citizen.token-form", ""),
    ("citizen.token-form", "a.b"),
    ("citizen.token-form", "{}.{}.{}"),
    ("citizen.token-form", "x" * 9_000 + ".."),
    ("citizen.token-form", signed(claims(), crit=["exp"])),
    ("citizen.token-algorithm", NONE),
    ("citizen.token-algorithm", hmac_token()),
    ("citizen.token-key", signed(claims(), kid="other")),
    ("citizen.token-key", signed(claims(), kid="r")),
    ("citizen.token-signature", changed(signed(claims()))),
    ("citizen.token-signature", signed(claims(), ec.generate_private_key(ec.SECP256R1()))),
    ("citizen.token-signature", signed(b"[]")),
    ("citizen.token-signature", signed(b'{"iss":"a","iss":"b"}')),
    ("citizen.token-signature", signed(b"[" * 3_000)),
    ("citizen.token-issuer", signed(claims(iss="https://id.example"))),
    ("citizen.token-issuer", signed(claims(iss=None))),
    ("citizen.token-audience", signed(claims(aud="another"))),
    ("citizen.token-audience", signed(claims(aud=None))),
    ("citizen.token-audience", signed(claims(aud=[CLIENT, "b"]))),
    ("citizen.token-audience", signed(claims(azp="b"))),
    ("citizen.token-expired", signed(claims(iat=NOW - 900, exp=NOW - SKEW_S))),
    ("citizen.token-early", signed(claims(iat=NOW + SKEW_S + 1, exp=NOW + 600))),
    ("citizen.token-early", signed(claims(nbf=NOW + SKEW_S + 1))),
    ("citizen.token-form", signed(claims(exp=None))),
    ("citizen.token-form", signed(claims(iat=None))),
    ("citizen.token-form", signed(claims(exp=True))),
    ("citizen.token-form", signed(claims(exp="soon"))),
    ("citizen.token-nonce", signed(claims(nonce="another"))),
    ("citizen.token-nonce", signed(claims(nonce=None))),
    ("citizen.token-claim", signed({name: value for name, value in claims().items() if name != CLAIM})),
    ("citizen.token-claim", signed(claims(id_number=110101))),
    ("citizen.token-claim", signed(claims(id_number=""))),
]


@pytest.mark.parametrize(("code", "token"), BAD)
def test_a_bad_token_is_refused_by_its_rule(code: str, token: str) -> None:
    with pytest.raises(UntrustedError) as caught:
        judged(token)
    assert caught.value.code == code
    # Who it is about stands in no message.
    assert "11010119" not in json.dumps(caught.value.to_dict())


def test_a_token_is_taken_for_a_while_only() -> None:
    old = signed(claims(iat=NOW - 1_000, exp=NOW + 3_000))
    assert judged(old).issued_s == NOW - 1_000
    assert code_of(lambda: judged(old, max_age_s=900)) == "citizen.token-expired"
    assert judged(old, max_age_s=940)


def test_keys_that_cannot_be_used_are_passed_over() -> None:
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY))
    rows = [
        jwk(EC_KEY, kid="enc", use="enc"),
        jwk(WEAK_KEY, kid="weak"),
        jwk(ec.generate_private_key(ec.SECP384R1()), kid="384"),
        jwk(RSA_KEY, kid="pss", alg="PS256"),
        {"kty": "oct", "k": "AAAA", "kid": "oct"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {**jwk(EC_KEY), "key_ops": ["sign"]},
        private,
        "text",
    ]
    assert code_of(lambda: read_keys({"keys": rows})) == "citizen.provider-keys"
    assert [key.kid for key in read_keys({"keys": [*rows, jwk(RSA_KEY, kid="good")]})] == ["good"]
    for document in (None, [], {}, {"keys": {}}, {"keys": [{}] * 101}):
        assert code_of(lambda document=document: read_keys(document)) == "citizen.provider-keys"


# --- the proof that a token is meant for a node ----------------------------------------------------------------------


def test_a_proof_is_for_one_token_one_node_and_one_minute() -> None:
    key = ProofKey.generate()
    proof = key.prove("token", MEMBER, NOW)
    verify_proof(proof, "token", key.nonce, member=MEMBER, now_s=NOW)
    verify_proof(proof, "token", key.nonce, member=MEMBER, now_s=NOW - SKEW_S)
    verify_proof(proof, "token", key.nonce, member=MEMBER, now_s=NOW + LIFETIME_S + SKEW_S - 1)
    assert ProofKey.of_secret(key.secret).nonce == key.nonce
    wrong: list[dict[str, Any]] = [
        # A node that was asked cannot ask another one.
        {"member": OTHER},
        {"token": "another"},
        {"nonce": ProofKey.generate().nonce},
        {"now_s": NOW + LIFETIME_S + SKEW_S},
        {"now_s": NOW - SKEW_S - 1},
    ]
    for change in wrong:
        terms = {"token": "token", "nonce": key.nonce, "member": MEMBER, "now_s": NOW} | change
        token, nonce = terms.pop("token"), terms.pop("nonce")
        assert code_of(lambda terms=terms, token=token, nonce=nonce: verify_proof(proof, token, nonce, **terms)) == (
            "citizen.proof"
        )


def test_a_proof_for_a_deed_is_for_that_deed_alone_and_has_a_name_of_its_own() -> None:
    key = ProofKey.generate()

    def judged(proof: str, deed: bytes | None) -> tuple[str, int]:
        return verify_proof(proof, "token", key.nonce, member=MEMBER, now_s=NOW, deed=deed)

    first, second = key.prove("token", MEMBER, NOW, b"deed"), key.prove("token", MEMBER, NOW, b"deed")
    assert judged(first, b"deed")[0] != judged(second, b"deed")[0]
    assert len(judged(first, b"deed")[0]) == 22
    assert judged(first, b"deed")[1] == NOW + LIFETIME_S + SKEW_S
    reading = key.prove("token", MEMBER, NOW)
    assert judged(reading, None) == ("", NOW + LIFETIME_S + SKEW_S)
    for proof, deed in ((first, b"another"), (first, None), (reading, b"deed"), (reading, b"")):
        assert code_of(lambda proof=proof, deed=deed: judged(proof, deed)) == "citizen.proof"
    # The name stands in what is signed, and is one.
    payload = json.loads(b64.decode(first.split(".")[1]))
    header = json.loads(b64.decode(first.split(".")[0]))
    for name in (None, "", "short", 7, "x" * 65, "no spaces, no spaces, no"):
        made = signed({**payload, "jti": name}, key._key, "ES256", **header)
        assert code_of(lambda made=made: judged(made, b"deed")) == "citizen.proof"


def test_a_proof_by_another_key_or_of_another_kind_is_none() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    own = {name: jwk(key)[name] for name in ("kty", "crv", "x", "y")}
    nonce = thumbprint(own)
    digest = ProofKey.generate().prove("token", MEMBER, NOW)
    ath = json.loads(b64.decode(digest.split(".")[1]))["ath"]
    good = {"aud": audience_of(MEMBER), "iat": NOW, "exp": NOW + 60, "ath": ath}

    def made(payload: Any = None, signer: Any = key, algorithm: str = "ES256", **header: Any) -> str:
        headers = {"kid": None, "typ": TYPE, "jwk": own, **header}
        return signed(good if payload is None else payload, signer, algorithm, **headers)

    verify_proof(made(), "token", nonce, member=MEMBER, now_s=NOW)
    bad = [
        made(typ="JWT"),
        made(jwk=None),
        made(jwk={**own, "kid": "x"}),
        made(jwk={**own, "x": "AA"}),
        made(crit=["b64"]),
        made(signer=ec.generate_private_key(ec.SECP256R1())),
        made(signer=b"k" * 32, algorithm="HS256"),
        made({**good, "exp": NOW + 61}),
        made({**good, "exp": NOW - 1}),
        made({**good, "ath": "x"}),
        made({**good, "aud": [audience_of(MEMBER)]}),
    ]
    for proof in bad:
        code = code_of(lambda proof=proof: verify_proof(proof, "token", nonce, member=MEMBER, now_s=NOW))
        assert code == ("citizen.token-form" if proof is bad[4] else "citizen.proof")
    assert code_of(lambda: verify_proof("", "token", nonce, member=MEMBER, now_s=NOW)) == "citizen.token-form"
