"""KeyService: a member's keys on chain, and their rotation."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

from ledger.errors import ConflictError, LedgerError, NotFoundError
from ledger.evidence.possession import prove_possession
from ledger.keys import AccountSigner, Signer
from ledger.model import KeyRole
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.services.rotation import is_active, settle
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext


class KeyService(department_pb2_grpc.KeyServiceServicer):
    """The keys of members."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._rotating = threading.Lock()

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
        use. When the chain answers late, the key is taken up as soon as the chain has it; a crash in between is
        finished at the next start by what the chain says.

        Raises: ConflictError(key.rotating) while another rotation is under way."""
        # Peers dial the p2p key's identity: it is exchanged by hand, with peers.json (docs/operations.md).
        fields.word("role", request.role, [role.word for role in self._context.signers if role is not KeyRole.P2P])
        role = KeyRole.from_word(request.role)
        if not self._rotating.acquire(blocking=False):
            raise ConflictError(
                "key.rotating", "a key of this member is being rotated", hint="wait for it, then repeat"
            )
        try:
            return self._rotate(role)
        finally:
            self._rotating.release()

    def End(self, request: department_pb2.EndKeyRequest, call: Call) -> types_pb2.TransactionResult:
        """End a key of this member for good: retired now, or compromised since a time that may lie in the past."""
        material = fields.id32("material", request.material)
        if not request.compromised and request.since:
            raise fields.refuse("since", "goes with a compromised key; a key is retired from now on")
        since = None
        if request.compromised:
            since = fields.number("since", request.since, 1, self._context.clock() // 1_000)
        consortium = self._context.contracts.consortium
        calldata = consortium.encode_end_key(material, compromised_since=since)
        outcome = self._context.sender.send(consortium.address, calldata)
        info = consortium.key(material)
        if since is not None and info is not None:
            body = {"role": info.role.word, "material": material.hex(), "since": since}
            trail.write(self._context, "key.compromised", body)
        return translate.transaction(outcome)

    def _rotate(self, role: KeyRole) -> department_pb2.RotateKeyResponse:
        ring, consortium = self._context.signers, self._context.contracts.consortium
        # A rotation whose end we have not seen is repeated with its own key: the chain may have that one already.
        signer, new = ring.staged(role) or ring.stage(
            role, secrets.token_bytes(32), self._context.clock(), secrets.randbits(158) + 1
        )
        old = ring.material(role)
        calldata = consortium.encode_rotate_key(role, new, replaces=old, possession=self._possession(signer))
        try:
            outcome = self._context.sender.send(consortium.address, calldata)
        except LedgerError as error:
            # Only a block that refused it says that it will not happen. Anything else may still become one, and then
            # the new key is the only active one: it stays and is taken up when the chain has it.
            if error.code.startswith("contract.") and not is_active(self._context, role, new):
                ring.drop_staged(role)
            raise
        settle(self._context)
        info = consortium.key(new)
        return department_pb2.RotateKeyResponse(
            key=None if info is None else translate.key(info), transaction=translate.transaction(outcome)
        )

    def _possession(self, signer: Signer) -> bytes:
        if not isinstance(signer, AccountSigner):
            return b""
        context = self._context
        return prove_possession(signer, context.chain.chain_id, context.contracts.consortium.address, context.member)
