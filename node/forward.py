"""Envelopes: a member's write carried by somebody without authority of his own (the gateway).

The connection authorises nothing; what counts is the EIP-712 signature of the calling member's active account over
{chain, caller, target, method, body digest, nonce, expiry <= 60 s}. The caller must pass the rule of the method as if
it had called itself, so a forwarded write of a department is signed by that department's own account. The nonce is used
up, durably, before anything is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import NotAllowedError
from ledger.evidence.envelope import Envelope, EnvelopeDomain, body_digest, verify_envelope
from node.rpc.auth import METHODS, Caller, active_member, check_rule

if TYPE_CHECKING:
    from node.context import NodeContext

#: What may be forwarded: short writes of the department itself.
FORWARDABLE = frozenset(
    {
        "/ledger.v1.RecordService/Append",
        "/ledger.v1.GrantService/Request",
        "/ledger.v1.GrantService/Approve",
        "/ledger.v1.GrantService/Refuse",
        "/ledger.v1.GrantService/Revoke",
        "/ledger.v1.MedicalService/Open",
        "/ledger.v1.MedicalService/Decide",
    }
)
MAX_BODY = 1 << 20
#: What the public door takes: the calls of other hospitals' nodes, carried by a gateway.
CARRIED = frozenset(
    f"/ledger.v1.MedicalPeerService/{method}" for method in ("Search", "Open", "Decide", "Confirm", "Tell", "Changes")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """An envelope as it arrived. ``body``: the request message; ``signature``: 65 bytes."""

    chain: bytes
    caller: str
    target: str
    method: str
    body: bytes
    nonce: bytes
    expires_ms: int
    signature: bytes


def accept(node: NodeContext, item: Forwarded, methods: frozenset[str] = FORWARDABLE) -> Caller:
    """The member that signed the envelope, after every rule passed and the nonce is used up. ``methods``: what may be
    asked for.

    Raises: NotAllowedError(envelope.other-target | envelope.method | envelope.expired | envelope.too-far | auth.*),
    UntrustedError(envelope.signature), ConflictError(envelope.replayed), InvalidInputError(envelope.field).
    """
    if item.chain != node.genesis_digest or item.target != node.member:
        raise NotAllowedError(
            "envelope.other-target",
            "the envelope is meant for another chain or another node",
            hint="sign it for this chain and this member",
            expected=node.member,
            actual=item.target,
        )
    if item.method not in methods:
        raise NotAllowedError(
            "envelope.method",
            "this method is not forwarded",
            hint="one of " + ", ".join(sorted(methods)),
            actual=ascii(item.method)[:100],
        )
    caller = active_member(node, item.caller)
    check_rule(METHODS[item.method], caller, item.method)
    envelope = Envelope(
        chain=item.chain,
        caller=item.caller,
        target=item.target,
        method=item.method,
        body_digest=body_digest(item.body),
        nonce=item.nonce,
        expires=item.expires_ms,
    )
    now = node.clock()
    verify_envelope(domain_of(node), envelope, item.signature, caller.info.account, now)
    node.nonces.use(item.caller, item.nonce, item.expires_ms, now)
    return caller


def domain_of(node: NodeContext) -> EnvelopeDomain:
    """The EIP-712 domain of this chain's envelopes."""
    return EnvelopeDomain(chain_id=node.chain.chain_id, consortium=node.contracts.consortium.address)
