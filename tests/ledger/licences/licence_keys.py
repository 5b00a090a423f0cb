"""Fixed keys of the tests of licences, and salts without an operating system: the same tokens in every run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric import ec

from ledger.licences.suites import Signer, es256_signer


def signer(name: str) -> Signer:
    """The ES256 key of a name."""
    secret = int.from_bytes(hashlib.sha256(f"licence test {name}".encode()).digest(), "big")
    return es256_signer(ec.derive_private_key(secret >> 1, ec.SECP256R1()))


ISSUER = signer("issuer")
HOLDER = signer("holder")
STRANGER = signer("stranger")


def salts(seed: str = "") -> Iterator[bytes]:
    """Salts of 16 bytes, without end."""
    number = 0
    while True:
        yield hashlib.sha256(f"licence salt {seed} {number}".encode()).digest()[:16]
        number += 1
