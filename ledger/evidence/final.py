"""Whether a block is final by what a policy pins, for every engine, and the words for it."""

from __future__ import annotations

from ledger.errors import UntrustedError
from ledger.evidence.bft import BFT, BftFinality, BftHead, verify_bft
from ledger.evidence.finality import SOLO, FinalHead, SoloFinality, verify_solo
from ledger.evidence.network import (
    EXTERNAL,
    UNPROVEN,
    NetworkFinality,
    NetworkHead,
    NetworkPin,
    UnprovenFinality,
    verify_network,
)
from ledger.evidence.policy import LightPin, Pin, TrustPolicy
from ledger.evidence.qbftfinality import QbftFinality
from ledger.model import format_time

Judged = FinalHead | BftHead | NetworkHead


def verify_finality(finality: SoloFinality | BftFinality | NetworkFinality, trust: TrustPolicy, quorum: int) -> Judged:
    """Verify a finality by the policy's pin; ``quorum``: the cosignatures that a solo head must have, exactly.

    Whether the pin is still believed is the caller's matter. Raises: UntrustedError(finality.*).
    """
    pin = trust.pinned
    if isinstance(finality, BftFinality) and isinstance(pin, LightPin):
        return verify_bft(finality, trust.chain, (pin.height, pin.hash, pin.validators_hash))
    if isinstance(finality, QbftFinality | UnprovenFinality) and isinstance(pin, NetworkPin):
        return verify_network(finality, trust.chain, pin)
    if not isinstance(finality, SoloFinality) or not isinstance(pin, Pin):
        raise UntrustedError(
            "finality.engine",
            "the block is final by another engine than the policy's",
            hint="is the policy of this city? take one from a member you trust",
            expected=trust.engine,
            actual=_engine_of(finality),
        )
    final = verify_solo(finality, pin.validators, quorum, exact=True)
    if final.head.height == pin.height and final.head.hash != pin.hash:
        raise UntrustedError(
            "finality.pin", "another block of the pinned height is final", expected=pin.hash, actual=final.head.hash
        )
    return final


def _engine_of(finality: SoloFinality | BftFinality | NetworkFinality) -> str:
    if isinstance(finality, SoloFinality):
        return SOLO
    return BFT if isinstance(finality, BftFinality) else EXTERNAL


def describe(final: Judged) -> str:
    """Who made the block final, in words."""
    block, time = f"block {final.head.height}", format_time(final.head.time_ms)
    if isinstance(final, BftHead):
        return (
            f"{block} under the header of consensus height {final.consensus_height}, signed by {final.signed} of "
            f"{final.total} votes of the validators at {time}"
        )
    if isinstance(final, NetworkHead) and final.kind == UNPROVEN:
        return f"{block} of {time}: its network proves nothing of it, who made the bundle says that it stands"
    if isinstance(final, NetworkHead):
        return f"{block} sealed by {final.sealed} of {final.total} validators of the network at {time}"
    others = len(final.cosigners)
    return f"{block} signed by the sequencer {final.sequencer.member}, cosigned by {others} other members at {time}"


def describe_pin(final: Judged, pin: Pin | LightPin | NetworkPin) -> str:
    """How the block stands to the pinned one, in words."""
    what, height, changes = "block", final.head.height, 0
    if isinstance(final, BftHead):
        what, height, changes = "consensus height", final.consensus_height, final.changes
    if height < pin.height:
        return f"{what} {height} is older than the pinned {what} {pin.height}"
    if height == pin.height:
        return f"{what} {height} is the pinned {what}"
    after = f" after {changes} change(s) of the validators" if changes else ""
    return f"{what} {height} follows the pinned {what} {pin.height}{after}"
