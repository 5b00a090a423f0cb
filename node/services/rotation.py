"""Taking up rotated keys: by the call that rotated them, or later, when the chain turns out to have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.keys import AccountSigner
from ledger.model import KeyRole
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext


def is_active(node: NodeContext, role: KeyRole, material: bytes) -> bool:
    """Whether our view of the chain has this key as an active one of this member."""
    key = node.contracts.consortium.key(material)
    return key is not None and (key.member, key.role, key.status) == (node.member, role, "active")


def settle(node: NodeContext) -> tuple[KeyRole, ...]:
    """Take up the staged keys that the chain made active, everywhere they are used, and put them on record. Returns
    their roles. Cheap when nothing is staged; any number of threads may call it."""
    ring = node.signers
    with ring.changing:
        before = {role: ring.material(role) for role in ring}
        adopted = ring.reconcile(
            lambda role, material: is_active(node, role, material) and _begins(node, role, material)
        )
        for role in adopted:
            _take_up(node, role)
        for role in adopted:
            body = {"role": role.word, "old": before[role].hex(), "new": ring.material(role).hex()}
            trail.write(node, "key.rotated", body)
    return adopted


def _begins(node: NodeContext, role: KeyRole, material: bytes) -> bool:
    """Whether a key that is active on chain is to be used from now on. A validator's consensus key is, once it votes:
    CometBFT goes over to it two heights after its block, and until then the old one signs."""
    if role is not KeyRole.CONSENSUS or node.consensus is None:
        return True
    info = node.contracts.consortium.member(node.member)
    return info is None or not info.validator or node.consensus.acts(material)


def _take_up(node: NodeContext, role: KeyRole) -> None:
    """Give the new signer to the parts that hold one of their own."""
    signer = node.signers[role]
    if role is KeyRole.LOG:
        node.log.use_signer(signer)
    elif role is KeyRole.CONSENSUS and node.consensus is not None:
        node.consensus.exchange(node.signers.secret(role))
    elif role is KeyRole.ISSUER:
        # Status lists are signed by the key in force: anew, at once.
        node.licences.publisher.loop.wake()
    elif isinstance(signer, AccountSigner):
        node.sender.use_signer(signer)
