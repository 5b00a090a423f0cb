"""What the holder of a new account key signs, so that nobody enters an account that is not his."""

from __future__ import annotations

from typing import Final

from ledger.errors import InvalidInputError
from ledger.evidence.envelope import domain_separator, hash_struct, typed_digest
from ledger.identifiers import member_bytes32
from ledger.keys import AccountSigner

ACCOUNT_KEY_TYPE: Final = b"AccountKey(bytes32 member,address account)"


def account_key_digest(chain_id: int, consortium: bytes, uscc: str, account: bytes) -> bytes:
    """The 32 bytes that ``Consortium.accountKeyDigest`` answers, made without a chain. Source: EIP-712.

    ``consortium``, ``account``: 20 bytes each. Raises: InvalidInputError(identifier.uscc | possession.account).
    """
    if len(account) != 20 or len(consortium) != 20:
        raise InvalidInputError("possession.account", "an address has 20 bytes", actual=len(account))
    separator = domain_separator("civicledger", "1", chain_id, consortium)
    return typed_digest(separator, hash_struct(ACCOUNT_KEY_TYPE, member_bytes32(uscc), account.rjust(32, b"\0")))


def prove_possession(signer: AccountSigner, chain_id: int, consortium: bytes, uscc: str) -> bytes:
    """The new account's signature over :func:`account_key_digest`: 65 bytes r, s, v with v 27 or 28, as the contract's
    ecrecover counts."""
    signature = signer.sign_digest(account_key_digest(chain_id, consortium, uscc, signer.address))
    return signature[:64] + bytes([signature[64] + 27])
