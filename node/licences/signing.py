"""The issuer's key: what signs licences and status lists now, and what signed them before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from ledger.errors import FatalError, NotAllowedError
from ledger.keys import P256Signer
from ledger.licences.suites import ES256, Signer, kid_of
from ledger.model import KeyRole

if TYPE_CHECKING:
    from node.context import NodeContext


class IssuerSigner:
    """The ``issuer`` key of a node's keyring as a signer of licences (ES256)."""

    __slots__ = ("_key", "kid", "spki")
    suite: Final = ES256

    def __init__(self, key: P256Signer) -> None:
        self._key: Final = key
        self.spki: Final = key.spki
        self.kid: Final = kid_of(key.spki)

    @property
    def material(self) -> bytes:
        """The 32 bytes that stand on chain for the key."""
        return hashlib.sha256(self.spki).digest()

    def sign(self, message: bytes) -> bytes:
        """r || s, 64 bytes."""
        return self._key.sign(message)


def issuer_signer(context: NodeContext) -> IssuerSigner:
    """The key that signs now. It is remembered before it signs anything: the chain holds its digest only, and whoever
    checks an old licence asks for the key itself.

    Raises: NotAllowedError(licence.key-ended), UnavailableError(disk.full).
    """
    key = context.signers[KeyRole.ISSUER]
    if not isinstance(key, P256Signer):
        raise FatalError("key.wrong-kind", "the issuer key cannot sign licences")
    signer = IssuerSigner(key)
    info = context.contracts.consortium.key(signer.material)
    if info is None or info.status != "active" or info.member != context.member:
        raise NotAllowedError(
            "licence.key-ended",
            "the issuer key of this node is not an active one on the chain",
            hint="civicledger key rotate issuer; a licence signed with this key would be refused everywhere",
            actual=signer.material,
        )
    context.licences.lists.keep_key(signer.material, signer.spki)
    return signer


def _is_signer(signer: IssuerSigner) -> Signer:
    """Checked by mypy: what is here is what ``ledger.licences`` signs with."""
    return signer
