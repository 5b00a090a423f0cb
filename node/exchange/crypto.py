"""The encryption of a payload in flight: AES-256-GCM per chunk, a fresh key per stream, a counter as nonce.

The consumer holds only ciphertext until it signed for it; the key follows (``docs/formats.md``, receipt of an
exchange). The exchange id is the additional data of every chunk, so that chunks of two exchanges never mix; a
dropped or added chunk shows in the ciphertext digest both sides sign.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.errors import InvalidInputError, UntrustedError

#: Plain bytes of one chunk.
CHUNK_BYTES = 1 << 20
#: Bytes GCM adds to a chunk.
TAG_BYTES = 16
KEY_BYTES = 32


class _Counted:
    """A key, its counter and the running digest of the ciphertext."""

    def __init__(self, key: bytes, exchange: bytes) -> None:
        if len(key) != KEY_BYTES or len(exchange) != 32:
            raise InvalidInputError(
                "exchange.key", "a payload key and an exchange id have 32 bytes", hint="ask the provider again"
            )
        self._aead = AESGCM(key)
        self._exchange = exchange
        self._count = 0

    def _nonce(self) -> bytes:
        # 96 bits, big endian, never repeated under one key: a stream has far fewer than 2^32 chunks.
        nonce = self._count.to_bytes(12, "big")
        self._count += 1
        return nonce


class Sealer(_Counted):
    """Encrypts the chunks of one stream in order. Use a fresh key for every stream."""

    def __init__(self, key: bytes, exchange: bytes) -> None:
        super().__init__(key, exchange)
        self._digest = hashlib.sha256()

    def seal(self, chunk: bytes) -> bytes:
        """The next chunk's ciphertext with its tag."""
        sealed = self._aead.encrypt(self._nonce(), chunk, self._exchange)
        self._digest.update(sealed)
        return sealed

    @property
    def digest(self) -> bytes:
        """SHA-256 of all ciphertext so far, 32 bytes."""
        return self._digest.digest()


class Opener(_Counted):
    """Decrypts the chunks of one stream in order."""

    def open(self, sealed: bytes) -> bytes:
        """The next chunk's plain bytes.

        Raises: UntrustedError(exchange.ciphertext).
        """
        try:
            return self._aead.decrypt(self._nonce(), sealed, self._exchange)
        except InvalidTag as error:
            raise UntrustedError(
                "exchange.ciphertext",
                f"chunk {self._count - 1} does not open with the key the provider released",
                hint="pull again with the same nonce; if it fails again, the provider's node is at fault",
            ) from error
