"""Signers sign for one role and verifiers refuse everything else."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from eth_account import Account
from eth_utils import keccak

from ledger import keys
from ledger.errors import InvalidInputError, UntrustedError
from ledger.keys import AccountSigner, Ed25519Signer, P256Signer
from ledger.model import KeyRole

SECRET = hashlib.sha256(b"a test secret").digest()
MESSAGE = b"a message"
ED_ROLES = [role for role in KeyRole if keys.ALGORITHMS[role] == keys.ED25519]


def all_signers() -> list[keys.Signer]:
    return [Ed25519Signer(KeyRole.LOG, SECRET), P256Signer(KeyRole.ISSUER, SECRET), AccountSigner(SECRET)]


def code_of(kind: type[Exception], call: Any, *args: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*args)
    return caught.value.code  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("signer", all_signers(), ids=lambda signer: signer.algorithm)
def test_sign_and_verify_and_every_changed_part(signer: keys.Signer) -> None:
    assert isinstance(signer, keys.Signer)
    signature = signer.sign(MESSAGE)
    keys.verify(signer.algorithm, signer.public, MESSAGE, signature)
    other = bytes([signer.public[0] ^ 1]) + signer.public[1:]
    for public, message, changed in (
        (other, MESSAGE, signature),
        (signer.public, MESSAGE + b"!", signature),
        (signer.public, MESSAGE, signature[:-2] + bytes([signature[-2] ^ 1]) + signature[-1:]),
        (signer.public, MESSAGE, signature[:-1]),
        (signer.public, MESSAGE, signature + b"\0"),
        (signer.public, MESSAGE, b""),
        (b"", MESSAGE, signature),
    ):
        assert code_of(UntrustedError, keys.verify, signer.algorithm, public, message, changed) == "signature.invalid"


@pytest.mark.parametrize("signer", all_signers(), ids=lambda signer: signer.algorithm)
def test_secrets_do_not_print(signer: keys.Signer) -> None:
    assert SECRET.hex() not in repr(signer)
    assert SECRET.hex() not in str(signer)


def test_ed25519_is_what_others_make() -> None:
    theirs = ed25519.Ed25519PrivateKey.from_private_bytes(SECRET)
    ours = Ed25519Signer(KeyRole.WITNESS, SECRET)
    assert ours.sign(MESSAGE) == theirs.sign(MESSAGE)
    raw = theirs.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    assert ours.public == raw


def test_p256_is_what_others_check() -> None:
    ours = P256Signer(KeyRole.TLS, SECRET)
    public = serialization.load_der_public_key(ours.spki)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    raw = ours.sign(MESSAGE)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(der, MESSAGE, ec.ECDSA(hashes.SHA256()))
    assert keys.material(KeyRole.TLS, ours.spki) == hashlib.sha256(ours.spki).digest()


def test_account_is_what_ethereum_tools_make() -> None:
    ours, theirs = AccountSigner(SECRET), Account.from_key(SECRET)
    assert "0x" + ours.address.hex() == theirs.address.lower()
    digest = keccak(MESSAGE)
    signature = ours.sign_digest(digest)
    assert ours.sign(MESSAGE) == signature
    assert Account._recover_hash(digest, signature=signature[:64] + bytes([signature[64] + 27])) == theirs.address


def test_high_s_is_refused() -> None:
    """The other signature of the same message must not count: a transaction would have two hashes."""
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    ours, digest = AccountSigner(SECRET), keccak(MESSAGE)
    signature = ours.sign_digest(digest)
    high = order - int.from_bytes(signature[32:64], "big")
    twin = signature[:32] + high.to_bytes(32, "big") + bytes([signature[64] ^ 1])
    assert code_of(UntrustedError, keys.verify_account_digest, ours.address, digest, twin) == "signature.invalid"


def test_a_key_has_one_role() -> None:
    for role in KeyRole:
        if role in ED_ROLES:
            assert Ed25519Signer(role, SECRET).role == role
        else:
            assert code_of(InvalidInputError, Ed25519Signer, role, SECRET) == "key.role"
    assert code_of(InvalidInputError, P256Signer, KeyRole.LOG, SECRET) == "key.role"
    assert code_of(InvalidInputError, P256Signer, KeyRole.ACCOUNT, SECRET) == "key.role"


def test_secrets_have_32_bytes() -> None:
    for length in (0, 31, 33):
        assert code_of(InvalidInputError, Ed25519Signer, KeyRole.LOG, bytes(length)) == "key.length"
        assert code_of(InvalidInputError, P256Signer, KeyRole.TLS, bytes(length)) == "key.length"
        assert code_of(InvalidInputError, AccountSigner, bytes(length)) == "key.length"


def test_material_on_chain() -> None:
    log = Ed25519Signer(KeyRole.LOG, SECRET)
    assert keys.material(KeyRole.LOG, log.public) == log.public
    account = AccountSigner(SECRET)
    assert keys.material(KeyRole.ACCOUNT, account.address) == bytes(12) + account.address
    for role, public in ((KeyRole.LOG, bytes(31)), (KeyRole.ACCOUNT, bytes(32)), (KeyRole.TLS, bytes(33))):
        assert code_of(InvalidInputError, keys.material, role, public) == "key.length"


def test_unknown_algorithms() -> None:
    assert code_of(InvalidInputError, keys.verify, "rsa", bytes(32), MESSAGE, bytes(64)) == "key.algorithm"
