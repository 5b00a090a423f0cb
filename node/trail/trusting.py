"""The trust policy a node hands out: what a stranger needs to judge this city's bundles offline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.chain.bindings.base import NO_ADDRESS
from ledger.errors import UnavailableError
from ledger.evidence.network import NetworkPin
from ledger.evidence.note import VKey
from ledger.evidence.policy import LightPin, Pin, TrustPolicy, encode_policy, light_pin
from ledger.model import KeyRole
from node.chain.board import CometBoard
from node.chain.external import NetworkBoard
from node.chain.heads import HeadBoard, validators_of
from node.chain.roster import Roster
from node.chain.state import Chain, account
from node.trail.witnessing import log_keys, witness_keys

if TYPE_CHECKING:
    from ledger.chain.bindings import Contracts

#: How long a verifier may rely on a policy this node hands out: 90 days.
TRUSTING_PERIOD_S = 90 * 86_400


def make_policy(
    chain: Chain, contracts: Contracts, roster: Roster, board: HeadBoard | CometBoard | NetworkBoard
) -> bytes:
    """The policy file (JCS), pinned at the newest final block.

    On a network whose blocks prove nothing it pins the newest block, and every log and witness key in force: nobody but
    who hands the policy out vouches for them. Raises: UnavailableError(chain.no-finality).
    """
    consortium, licences = contracts.consortium.address, contracts.licences.address
    return encode_policy(
        TrustPolicy(
            chain=chain.genesis_digest,
            consortium=consortium,
            consortium_code_hash=_code_hash(chain, consortium),
            anchors_code_hash=_code_hash(chain, contracts.anchors.address),
            licences_code_hash=None if licences == NO_ADDRESS else _code_hash(chain, licences),
            engine=chain.engine,
            pinned=_pin(board, roster),
            quorum=roster.quorum,
            trusting_period=TRUSTING_PERIOD_S,
            pins=() if not isinstance(board, NetworkBoard) or board.proves else _keys(roster),
        )
    )


def _pin(board: HeadBoard | CometBoard | NetworkBoard, roster: Roster) -> Pin | LightPin | NetworkPin:
    if isinstance(board, CometBoard):
        return _light_pin(board)
    return _network_pin(board) if isinstance(board, NetworkBoard) else _head_pin(board, roster)


def _network_pin(board: NetworkBoard) -> NetworkPin:
    finality = board.finality
    if finality is None:
        raise _not_final("the network's node must answer: see `civicledger doctor`")
    return board.pin(finality)


def _keys(roster: Roster) -> tuple[VKey, ...]:
    """Log and witness key of every active member; while one rotates, the newer one."""
    found = [keys[0] for info in roster.active for keys in (log_keys(roster, info), witness_keys(roster, info)) if keys]
    return tuple(found)


def _light_pin(board: CometBoard) -> LightPin:
    finality = board.finality
    if finality is None:
        raise _not_final("more than two thirds of the validators' nodes must run: see `civicledger doctor`")
    # Only blocks change the validators: on an idle chain the old header's are those of the newest signed height.
    return replace(light_pin(finality), checked_at_ms=board.newest_time_ms())


def _head_pin(board: HeadBoard, roster: Roster) -> Pin:
    finality = board.finality
    if finality is None:
        raise _not_final("a quorum of the other members' nodes must run: see `civicledger doctor`")
    # One key a member: while it rotates, the newer one.
    validators = tuple(
        item
        for item in validators_of(roster, board.sequencer)
        if item.key == roster.materials(item.member, KeyRole.SEQUENCER)[0]
    )
    return Pin(
        height=finality.head.height,
        hash=finality.head.hash,
        checked_at_ms=finality.head.time_ms,
        validators=validators,
    )


def _not_final(hint: str) -> UnavailableError:
    return UnavailableError("chain.no-finality", "no block of the chain has its proof of finality yet", hint=hint)


def _code_hash(chain: Chain, address: bytes) -> bytes:
    return bytes(account(chain, address)["code_hash"])
