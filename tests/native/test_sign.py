"""Native signatures, digests and the canonical check through the door."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from ledger import _native
from ledger.errors import InvalidInputError, UntrustedError

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECRETS = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32, "big"))
SAFE = 2**53 - 1
#: Valid ECDSA whose point has x over the group order: it needs v in {2, 3}, which Ethereum does not have.
UNRECOVERABLE = {"k*G has a large x-coordinate"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def wycheproof(vectors: Path, name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    facts = json.loads((vectors / "wycheproof" / "testvectors_v1" / name).read_text())
    cases = [(group, test) for group in facts["testGroups"] for test in group["tests"]]
    assert len(cases) == facts["numberOfTests"]
    return cases


def test_ed25519_of_wycheproof(vectors: Path) -> None:
    cases = wycheproof(vectors, "ed25519_test.json")
    items = [
        ("ed25519", bytes.fromhex(group["publicKey"]["pk"]), bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
        for group, test in cases
    ]
    expected = [at for at, (_, test) in enumerate(cases) if test["result"] != "valid"]
    assert _native.verify_batch(items) == expected


def test_p256_of_wycheproof(vectors: Path) -> None:
    for group, test in wycheproof(vectors, "ecdsa_secp256r1_sha256_p1363_test.json"):
        key = bytes.fromhex(group["publicKey"]["uncompressed"])
        try:
            _native.p256_verify(key, bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
            accepted = True
        except UntrustedError:
            accepted = False
        assert accepted == (test["result"] == "valid"), test["comment"]


def test_secp256k1_of_wycheproof(vectors: Path) -> None:
    for group, test in wycheproof(vectors, "ecdsa_secp256k1_sha256_bitcoin_test.json"):
        if test["comment"] in UNRECOVERABLE:
            continue
        address = _native.keccak256(bytes.fromhex(group["publicKey"]["uncompressed"])[1:])[12:]
        digest = sha256(bytes.fromhex(test["msg"])).digest()
        try:
            r, s = decode_dss_signature(bytes.fromhex(test["sig"]))
            raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        except (ValueError, OverflowError):
            raw = b""
        items = [("secp256k1", address, digest, raw + bytes([v])) for v in (0, 1)]
        accepted = len(_native.verify_batch(items)) < 2
        assert accepted == (test["result"] == "valid"), test["comment"]


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=100))
def test_ed25519_agrees_with_another_library(seed: bytes, message: bytes) -> None:
    public, signature = _native.ed25519_public(seed), _native.ed25519_sign(seed, message)
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message + b"x")
    with pytest.raises(UntrustedError, match=r"\[signature\.invalid\]"):
        _native.ed25519_verify(public, message + b"x", signature)


@given(secret=SECRETS, digest=st.binary(min_size=32, max_size=32))
def test_accounts_agree_with_another_library(secret: bytes, digest: bytes) -> None:
    signature = _native.secp256k1_sign(secret, digest)
    other = Account.unsafe_sign_hash(digest, secret)
    assert signature == other.r.to_bytes(32, "big") + other.s.to_bytes(32, "big") + bytes([other.v - 27])
    address = _native.secp256k1_recover(digest, signature)
    assert address == bytes.fromhex(Account.from_key(secret).address[2:])


def test_high_s_is_refused_for_accounts() -> None:
    signature = _native.secp256k1_sign(b"\7" * 32, b"\1" * 32)
    high = ORDER - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + high.to_bytes(32, "big") + bytes([signature[64] ^ 1])
    with pytest.raises(UntrustedError, match="high s"):
        _native.secp256k1_recover(b"\1" * 32, twin)


def test_keccak_is_the_padding_of_ethereum() -> None:
    assert _native.keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_a_batch_refuses_unknown_algorithms() -> None:
    with pytest.raises(InvalidInputError, match=r"\[signature\.algorithm\]"):
        _native.verify_batch([("rsa", b"", b"", b"")])


def canonical(data: bytes) -> bool:
    try:
        _native.check_canonical(data, 1 << 20, 16)
    except InvalidInputError as refused:
        return not refused.code.startswith("json.")
    return True


@given(value=JSON)
def test_what_another_library_encodes_is_canonical(value: object) -> None:
    assert canonical(rfc8785.dumps(value))


@given(value=JSON, data=st.data())
def test_a_changed_text_is_canonical_only_if_it_is_its_own_encoding(value: object, data: st.DataObject) -> None:
    text = bytearray(rfc8785.dumps(value))
    at = data.draw(st.integers(0, len(text) - 1))
    match data.draw(st.sampled_from(["flip", "drop", "insert"])):
        case "flip":
            text[at] ^= 1 << data.draw(st.integers(0, 7))
        case "drop":
            del text[at]
        case _:
            text.insert(at, data.draw(st.integers(0, 255)))
    assert canonical(bytes(text)) == own_encoding(bytes(text))


def own_encoding(text: bytes) -> bool:
    def refuse(number: str) -> object:
        raise ValueError(number)

    try:
        value = json.loads(text.decode("utf-8"), parse_float=refuse, parse_constant=refuse)
        return rfc8785.dumps(value) == text
    except (ValueError, rfc8785.CanonicalizationError, RecursionError):
        return False


def test_every_narrowing_has_its_code() -> None:
    cases = {
        "json.number": ["1.0", "1e2", "01", "-0", str(SAFE + 1), str(-SAFE - 1), "1" * 400],
        "json.key-order": ['{"b":1,"a":1}', '{"\ue000":1,"\U0001f600":1}'],
        "json.duplicate-key": ['{"a":1,"a":1}'],
        "json.trailing": ["{}{}", "1 "],
        "json.whitespace": [" 1", "[ 1]", '{"a": 1}'],
        "json.escape": ['"\\u000a"', '"\\u001F"', '"\\/"', '"\\ud800"', '"\n"', '"\\x"'],
        "json.syntax": ["", "[", "[1,]", "{1:1}", '{"a"}', "tru", "nan", '"', "-", "'a'"],
        "json.depth": ["[" * 17 + "]" * 17],
    }
    for code, texts in cases.items():
        for text in texts:
            with pytest.raises(InvalidInputError) as refused:
                _native.check_canonical(text.encode(), 1 << 20, 16)
            assert refused.value.code == code, text
    with pytest.raises(InvalidInputError, match=r"\[json\.utf8\]"):
        _native.check_canonical(b'"\xff"', 100, 16)
    with pytest.raises(InvalidInputError, match=r"\[json\.size\]"):
        _native.check_canonical(b"[1]", 2, 16)
    _native.check_canonical(b"[" * 16 + b"]" * 16, 32, 16)
