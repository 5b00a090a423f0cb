"""What is sealed to the one call that asked for it: HPKE with a key made for that call. And the salts of what others
were given of a report.

Whoever carries the answer sees its length. Source: RFC 9180, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from ledger.errors import InvalidInputError, UntrustedError

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO: Final = b"civicledger/carried-answer/v1\n"


class ReplyKey:
    """The key of one call. ``public``: 32 bytes."""

    def __init__(self) -> None:
        self._secret = X25519PrivateKey.generate()
        self.public: bytes = self._secret.public_key().public_bytes_raw()

    def open(self, sealed: bytes, envelope: bytes) -> bytes:
        """What was sealed for the envelope with this digest. Raises: UntrustedError(envelope.answer)."""
        try:
            return _SUITE.decrypt(sealed, self._secret, info=_INFO + envelope)
        except (InvalidTag, ValueError) as error:
            raise UntrustedError(
                "envelope.answer",
                "the answer was not sealed to this call",
                hint="call again; if it stays, compare the versions of both nodes",
            ) from error


def seal(data: bytes, reply_key: bytes, envelope: bytes) -> bytes:
    """Encapsulated key (32 bytes) and ciphertext, for the envelope with this digest.

    Raises: InvalidInputError(envelope.reply-key).
    """
    try:
        return _SUITE.encrypt(data, X25519PublicKey.from_public_bytes(reply_key), info=_INFO + envelope)
    except ValueError as error:
        # Also of the few keys with which no secret comes about.
        raise InvalidInputError(
            "envelope.reply-key", "the key that the answer is to be sealed to is no X25519 key", hint="make a fresh one"
        ) from error


def derived_salt(report: bytes, what: bytes, identity: bytes) -> bytes:
    """The salt of a commitment to what was given of a report: HMAC-SHA-256 under the salt of the report's version.

    It is kept nowhere: whoever has the vault's key of the patient makes it again, and nobody once that is destroyed.
    ``report``: salt of that version; ``what``: ``exchange`` or ``step``; ``identity``: the id of it. All of 32 bytes.
    """
    return hmac.digest(report, b"civicledger/" + what + b"-salt/v1\n" + identity, "sha256")
