"""Whether a block is final by what a policy pins, for either engine, and the words for it."""

from __future__ import annotations

from ledger.errors import UntrustedError
from ledger.evidence.bft import BFT, BftFinality, BftHead, verify_bft
from ledger.evidence.finality import SOLO, FinalHead, SoloFinality, verify_solo
from ledger.evidence.policy import LightPin, Pin, TrustPolicy
from ledger.model import format_time


def verify_finality(finality: SoloFinality | BftFinality, trust: TrustPolicy, quorum: int) -> FinalHead | BftHead:
    """Verify a finality by the policy's pin; ``quorum``: the cosignatures that a solo head must have, exactly.

    Whether the pin is still believed is the caller's matter. Raises: UntrustedError(finality.*).
    """
    pin = trust.pinned
    if isinstance(finality, BftFinality) and isinstance(pin, LightPin):
        return verify_bft(finality, trust.chain, (pin.height, pin.hash, pin.validators_hash))
    if isinstance(finality, BftFinality) or isinstance(pin, LightPin):
        raise UntrustedError(
            "finality.engine",
            "the block is final by another engine than the policy's",
            hint="is the policy of this city? take one from a member you trust",
            expected=trust.engine,
            actual=BFT if isinstance(finality, BftFinality) else SOLO,
        )
    final = verify_solo(finality, pin.validators, quorum, exact=True)
    if final.head.height == pin.height and final.head.hash != pin.hash:
        raise UntrustedError(
            "finality.pin", "another block of the pinned height is final", expected=pin.hash, actual=final.head.hash
        )
    return final


def describe(final: FinalHead | BftHead) -> str:
    """Who made the block final, in words."""
    block, time = f"block {final.head.height}", format_time(final.head.time_ms)
    if isinstance(final, BftHead):
        return (
            f"{block} under the header of consensus height {final.consensus_height}, signed by {final.signed} of "
            f"{final.total} votes of the validators at {time}"
        )
    others = len(final.cosigners)
    return f"{block} signed by the sequencer {final.sequencer.member}, cosigned by {others} other members at {time}"


def describe_pin(final: FinalHead | BftHead, pin: Pin | LightPin) -> str:
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
