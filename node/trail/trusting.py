"""The trust policy a node hands out: what a stranger needs to judge this city's bundles offline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ledger.errors import UnavailableError
from ledger.evidence.policy import LightPin, Pin, TrustPolicy, encode_policy, light_pin
from ledger.model import KeyRole
from node.chain.board import CometBoard
from node.chain.heads import HeadBoard, validators_of
from node.chain.roster import Roster

if TYPE_CHECKING:
    from ledger.chain.bindings import Contracts
    from ledger.chain.engine import EmbeddedChain

#: How long a verifier may rely on a policy this node hands out: 90 days.
TRUSTING_PERIOD_S = 90 * 86_400


def make_policy(chain: EmbeddedChain, contracts: Contracts, roster: Roster, board: HeadBoard | CometBoard) -> bytes:
    """The policy file (JCS), pinned at the newest final block.

    Raises: UnavailableError(chain.no-finality).
    """
    consortium = contracts.consortium.address
    return encode_policy(
        TrustPolicy(
            chain=chain.genesis_digest,
            consortium=consortium,
            consortium_code_hash=_code_hash(chain, consortium),
            anchors_code_hash=_code_hash(chain, contracts.anchors.address),
            engine=chain.engine,
            pinned=_light_pin(board) if isinstance(board, CometBoard) else _head_pin(board, roster),
            quorum=roster.quorum,
            trusting_period=TRUSTING_PERIOD_S,
        )
    )


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


def _code_hash(chain: EmbeddedChain, address: bytes) -> bytes:
    code_hash = chain.native.account(address)["code_hash"]
    return bytes(code_hash)  # type: ignore[call-overload,no-any-return]
