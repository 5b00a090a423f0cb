"""The part of the native door that licences use: types only, the functions are those of ``ledger._native``.

SM2 is signed with the identifier 1234567812345678; a signature is r || s, a point is uncompressed (65 bytes).
"""

def sm3_digest(data: bytes) -> bytes: ...
def sm2_public(secret: bytes) -> bytes:
    """65-byte uncompressed point. Raises InvalidInputError(key.secret)."""

def sm2_sign(secret: bytes, message: bytes) -> bytes:
    """Deterministic (RFC 6979 with SM3)."""

def sm2_verify(point: bytes, message: bytes, signature: bytes) -> None:
    """Raises UntrustedError(licence.signature), InvalidInputError(licence.key)."""
