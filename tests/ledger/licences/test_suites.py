"""Suites: known answers, round trips, and every way a key or a signature can be no such thing."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError, UntrustedError
from ledger.keys import P256Signer
from ledger.licences.suites import ES256, es256_signer, kid_of, suite_of
from ledger.model import KeyRole

# RFC 6979, A.2.5: ECDSA with P-256 and SHA-256 of "sample".
SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
SAMPLE = bytes.fromhex(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

SIGNER = es256_signer(ec.derive_private_key(SECRET, ec.SECP256R1()))


def spki_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_the_signature_is_the_one_of_rfc_6979() -> None:
    assert SIGNER.sign(b"sample") == SAMPLE
    ES256.verify(SIGNER.spki, b"sample", SAMPLE)


def test_the_names_are_those_of_the_registries() -> None:
    assert (ES256.alg, ES256.cose_alg, ES256.sd_alg) == ("ES256", -7, "sha-256")
    assert SIGNER.suite is ES256
    assert suite_of("ES256") is ES256


def test_a_key_is_named_by_its_digest_on_chain() -> None:
    digest = hashlib.sha256(SIGNER.spki).digest()
    assert ES256.key_digest(SIGNER.spki) == digest
    assert SIGNER.kid == kid_of(SIGNER.spki)
    assert urlsafe_b64decode(SIGNER.kid + "=") == digest
    assert SIGNER.kid.endswith("=") is False


def test_the_digest_is_sha_256() -> None:
    # FIPS 180-4, "abc".
    assert ES256.digest(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_members_issuer_key_signs_the_same() -> None:
    other = P256Signer(KeyRole.ISSUER, SECRET.to_bytes(32, "big"))
    assert other.spki == SIGNER.spki
    ES256.verify(other.spki, b"content", other.sign(b"content"))


@given(message=st.binary(max_size=200), at=st.integers(0, 63), bit=st.integers(0, 7))
def test_what_is_signed_verifies_and_no_changed_bit_does(message: bytes, at: int, bit: int) -> None:
    signature = SIGNER.sign(message)
    ES256.verify(SIGNER.spki, message, signature)
    changed = bytearray(signature)
    changed[at] ^= 1 << bit
    with pytest.raises(UntrustedError) as refused:
        ES256.verify(SIGNER.spki, message, bytes(changed))
    assert refused.value.code == "licence.signature"
    with pytest.raises(UntrustedError):
        ES256.verify(SIGNER.spki, message + b"\0", signature)


R, S = SAMPLE[:32], SAMPLE[32:]


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        SAMPLE[:-1],
        SAMPLE + b"\0",
        bytes(64),
        bytes(32) + S,
        R + bytes(32),
        ORDER.to_bytes(32, "big") + S,
        R + ORDER.to_bytes(32, "big"),
        R + b"\xff" * 32,
        S + R,
        # The DER form of the same signature: one encoding only.
        bytes.fromhex("30460221") + b"\0" + R + b"\x02\x21\0" + S,
    ],
)
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(UntrustedError) as refused:
        ES256.verify(SIGNER.spki, b"sample", signature)
    assert refused.value.code == "licence.signature"
    assert refused.value.hint


def test_a_high_s_is_a_signature() -> None:
    ES256.verify(SIGNER.spki, b"sample", R + (ORDER - int.from_bytes(S, "big")).to_bytes(32, "big"))


def test_another_key_does_not_verify() -> None:
    other = es256_signer(ec.derive_private_key(7, ec.SECP256R1()))
    with pytest.raises(UntrustedError):
        ES256.verify(other.spki, b"sample", SAMPLE)


def compressed(spki: bytes) -> bytes:
    point = bytes([2 + spki[-1] % 2]) + spki[27:59]
    return bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        SIGNER.spki[:-1],
        SIGNER.spki + b"\0",
        SIGNER.spki[:-1] + bytes([SIGNER.spki[-1] ^ 1]),
        SIGNER.spki[:27] + bytes(64),
        compressed(SIGNER.spki),
        spki_of(ec.derive_private_key(7, ec.SECP384R1())),
        spki_of(ec.derive_private_key(7, ec.SECP256K1())),
    ],
    ids=["empty", "cut", "longer", "off the curve", "zero point", "compressed", "P-384", "secp256k1"],
)
def test_what_is_no_key_is_refused(spki: bytes) -> None:
    with pytest.raises(InvalidInputError) as refused:
        ES256.verify(spki, b"sample", SAMPLE)
    assert refused.value.code == "licence.key"


def test_a_key_of_another_curve_signs_nothing() -> None:
    with pytest.raises(InvalidInputError) as refused:
        es256_signer(ec.derive_private_key(7, ec.SECP256K1()))
    assert refused.value.code == "licence.key"


@pytest.mark.parametrize(
    "alg", ["none", "None", "HS256", "RS256", "ES384", "EdDSA", "es256", "", None, 7, ["ES256"], {}]
)
def test_every_other_algorithm_is_refused(alg: object) -> None:
    with pytest.raises(InvalidInputError) as refused:
        suite_of(alg)
    assert refused.value.code == "licence.alg"


def test_a_signer_does_not_show_its_secret() -> None:
    assert f"{SECRET:x}" not in repr(SIGNER)
