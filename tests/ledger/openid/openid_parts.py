"""Tokens and keys that the tests of OpenID make by hand, good and bad."""

from __future__ import annotations

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ledger.licences import b64

NOW = 1_790_000_000
ISSUER, CLIENT, NONCE, CLAIM = "https://id.example/realm", "gateway", "n-0S6_WzA2Mj", "id_number"
MEMBER, OTHER = "11310000DEM000049N", "11310000DEM000030R"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
WEAK_KEY = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)


def jwk(key: Any, **more: str) -> dict[str, Any]:
    """A private key's public half as a JWK."""
    public = key.public_key()
    make = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(make.to_jwk(public)), **more}


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; None takes a claim out."""
    good = {
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "s",
        "iat": NOW,
        "exp": NOW + 300,
        "nonce": NONCE,
        CLAIM: "110101199003070011",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(payload: Any, key: Any = EC_KEY, algorithm: str = "ES256", **header: Any) -> str:
    """A signed token; bytes are signed as they are. None takes a header out."""
    head = {name: value for name, value in {"alg": algorithm, "kid": "e", **header}.items() if value is not None}
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    text = f"{b64.encode(json.dumps(head).encode())}.{b64.encode(data)}"
    maker = jwt.algorithms.get_default_algorithms()[algorithm]
    return f"{text}.{b64.encode(maker.sign(text.encode(), key))}"
