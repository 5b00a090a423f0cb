"""KeyService: a member's keys on chain, and their rotation."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ledger.errors import LedgerError, NotFoundError, UnavailableError
from ledger.keys import AccountSigner, Signer
from ledger.model import KeyRole
from ledger.v1 import department_pb2, department_pb2_grpc
from node.identity.keyfiles import NODE_ROLES
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext


class KeyService(department_pb2_grpc.KeyServiceServicer):
    """The keys of members."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def List(self, request: department_pb2.ListKeysRequest, call: Call) -> department_pb2.ListKeysResponse:
        """Every key a member ever had, in order of entry."""
        member = fields.optional_member("member", request.member) or self._context.member
        consortium = self._context.contracts.consortium
        if consortium.member(member) is None:
            raise NotFoundError(
                "member.unknown", f"{member} was never a member", hint="civicledger member list", actual=member
            )
        return department_pb2.ListKeysResponse(keys=[translate.key(info) for info in consortium.keys(member)])

    def Rotate(self, request: department_pb2.RotateKeyRequest, call: Call) -> department_pb2.RotateKeyResponse:
        """A new key of a role: durable here, then active on chain in the same change that retires the old one, then in
        use. A crash in between is finished at the next start by what the chain says."""
        fields.word("role", request.role, [role.word for role in NODE_ROLES])
        role = KeyRole.from_word(request.role)
        ring, consortium = self._context.signers, self._context.contracts.consortium
        old = ring.material(role)
        signer, new = ring.stage(role, secrets.token_bytes(32), self._context.clock(), secrets.randbits(158) + 1)
        calldata = consortium.encode_rotate_key(role, new, replaces=old, possession=self._possession(signer))
        try:
            outcome = self._context.sender.send(consortium.address, calldata)
        except UnavailableError:
            # It may still get into a block: the staged key stays, the next start asks the chain.
            raise
        except LedgerError as error:
            # auth.*: the sequencer may already know the old key as retired, by this very transaction. Dropping the new
            # one would lose the only active key; it stays, as above.
            if not error.code.startswith("auth."):
                ring.drop_staged(role)
            raise
        ring.adopt(role)
        self._take_up(role)
        trail.write(self._context, "key.rotated", {"role": role.word, "old": old.hex(), "new": new.hex()})
        info = consortium.key(new)
        return department_pb2.RotateKeyResponse(
            key=None if info is None else translate.key(info), transaction=translate.transaction(outcome)
        )

    def _possession(self, signer: Signer) -> bytes:
        if not isinstance(signer, AccountSigner):
            return b""
        digest = self._context.contracts.consortium.account_key_digest(self._context.member, signer.address)
        signature = signer.sign_digest(digest)
        # The contract's ecrecover counts from 27.
        return signature[:64] + bytes([signature[64] + 27])

    def _take_up(self, role: KeyRole) -> None:
        """Give the new signer to the parts that hold one of their own."""
        signer = self._context.signers[role]
        if role is KeyRole.LOG:
            self._context.log.use_signer(signer)
        elif isinstance(signer, AccountSigner):
            self._context.sender.use_signer(signer)
