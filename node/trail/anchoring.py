"""The anchor loop: witnessed checkpoints go on chain, and what proves them offline is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.bundle import (
    AnchorEvidence,
    AnchorParts,
    anchors_slots,
    consortium_slots,
    contract_evidence,
    decode_parts,
    encode_parts,
    exact_note,
)
from ledger.evidence.checkpoint import Checkpoint, parse_note
from node.chain import state
from node.chain.board import CometBoard
from node.chain.external import NetworkBoard
from node.chain.heads import HeadBoard
from node.chain.roster import Roster
from node.context import FinalBlock, KeptAnchor, Published
from node.loops import Loop
from node.metrics import Metrics
from node.trail.generations import anchor_key
from node.trail.trusting import make_policy
from node.trail.witnessing import log_keys, witness_keys

if TYPE_CHECKING:
    from ledger.chain.account import TransactionSender
    from ledger.chain.bindings import Contracts
    from ledger.evidence.bundle import Finality
    from ledger.log import DepartmentLog
    from node.chain.state import Chain
    from node.trail.publishing import CheckpointPublisher

logger = structlog.get_logger("node.anchoring")

#: Longest wait for the finality of an anchor's block before the loop looks again, seconds.
_FINALITY_WAIT_S = 30.0


class AnchorLoop:
    """Records the newest witnessed checkpoint, waits for finality, keeps the parts of bundles. Implements
    ``node.context.AnchorKeeper``."""

    def __init__(
        self,
        *,
        member: str,
        chain: Chain,
        contracts: Contracts,
        sender: TransactionSender,
        log: DepartmentLog,
        publisher: CheckpointPublisher,
        board: HeadBoard | CometBoard | NetworkBoard,
        roster: Callable[[], Roster],
        interval_ms: int,
        generation: int,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._member = member
        self._generation = generation
        self._chain = chain
        self._contracts = contracts
        self._sender = sender
        self._log = log
        self._publisher = publisher
        self._board = board
        self._roster = roster
        self._interval = interval_ms / 1_000
        self._condition = threading.Condition()
        self._kept = self._recall()
        self.loop = Loop("anchor", self._step, metrics=metrics, on_fatal=on_fatal)

    def newest(self) -> KeptAnchor | None:
        """The newest anchored and final checkpoint."""
        return self._kept

    def anchored_size(self) -> int:
        """Records under the newest kept anchor."""
        return self._kept.size if self._kept else 0

    def parts(self, covering_index: int, timeout_s: float) -> KeptAnchor:
        """Parts whose checkpoint covers a record; what is missing is hurried along.

        Raises: UnavailableError(anchor.timeout).
        """
        if (kept := self._kept) is not None and kept.size > covering_index:
            return kept
        self._publisher.publish()
        self.loop.wake()
        with self._condition:
            self._condition.wait_for(lambda: self.anchored_size() > covering_index, timeout_s)
            kept = self._kept
        if kept is not None and kept.size > covering_index:
            return kept
        raise UnavailableError(
            "anchor.timeout",
            f"record {covering_index} is not under a final anchor yet",
            hint=self._missing(covering_index),
            expected=covering_index + 1,
            actual=kept.size if kept else 0,
        )

    def first(self, covering_index: int) -> KeptAnchor | None:
        """The earliest kept anchor that covers a record: what shows that the record is from before a later moment.

        Those of before a recovery have no proof on this chain.
        """
        for size, encoded in self._chain.store.anchors(anchor_key(self._member, self._generation), covering_index):
            parts = decode_parts(encoded)
            if parts.finality.head.chain == self._chain.genesis_digest:
                return KeptAnchor(size=size, parts=parts)
        return None

    def final_block(self, timeout_s: float) -> FinalBlock:
        """The head of the chain as soon as it is final, or a newer block."""
        wanted = self._chain.head().height
        finality = self._board.wait_final(wanted, timeout_s)
        if finality is None:
            raise UnavailableError(
                "chain.no-finality",
                f"block {wanted} has no proof of finality yet",
                hint="a quorum of the other members' nodes must run: see `civicledger doctor`",
            )
        height = finality.head.height
        return FinalBlock(height=height, header=self._header(height), finality=finality)

    def newest_final(self) -> FinalBlock | None:
        """The newest block with a proof of finality; None before the first."""
        finality = self._board.finality
        if finality is None:
            return None
        height = finality.head.height
        return FinalBlock(height=height, header=self._header(height), finality=finality)

    def policy(self) -> bytes:
        """The trust policy of this chain, pinned at the newest final head.

        Raises: UnavailableError(chain.no-finality).
        """
        return make_policy(self._chain, self._contracts, self._roster(), self._board)

    def _step(self) -> float | None:
        began = time.monotonic()
        witnessed = self._publisher.witnessed()
        if witnessed is None:
            return None
        info = self._roster().members.get(self._member)
        if info is None:
            # A body just admitted that has not caught up: it finds itself in its view soon, and nothing else wakes us.
            return self._interval
        if info.generation != self._generation:
            # A retired log is never anchored: the contract would take it for the first head of the next one.
            return None
        anchored = self._contracts.anchors.anchor(self._member)
        if anchored is not None and anchored.generation != self._generation:
            anchored = None
        if anchored is None or witnessed.size > anchored.size:
            proof = self._log.prove_consistency(anchored.size, witnessed.size) if anchored else []
            calldata = self._contracts.anchors.encode_record(self._member, witnessed.size, witnessed.root, proof)
            outcome = self._sender.send(self._contracts.anchors.address, calldata)
            # With the cosignatures that came meanwhile: any quorum among them will do when one member just left.
            self._keep(self._publisher.at(witnessed.size) or witnessed, outcome.height)
        elif self.anchored_size() < anchored.size:
            # Killed between the anchor and its finality: the note is kept, the proof can still be made.
            note = self._publisher.at(anchored.size)
            if note is not None and note.witnessed:
                self._keep(note, self._chain.head().height)
        # Woken by the next witnessed checkpoint, but not before the interval is over.
        rest = self._interval - (time.monotonic() - began)
        if rest > 0:
            self.loop.pause(rest)
        newest = self._publisher.witnessed()
        return 0.0 if newest is not None and newest.size > witnessed.size else None

    def _keep(self, published: Published, height: int) -> None:
        finality = self._board.wait_final(height, _FINALITY_WAIT_S)
        if finality is None:
            raise UnavailableError(
                "anchor.not-final",
                f"block {height} with the anchor of size {published.size} is not final yet",
                hint="a quorum of the other members' nodes must run: see `civicledger doctor`",
            )
        parts = self._prove(published, finality)
        self._chain.store.put_anchor(anchor_key(self._member, self._generation), published.size, encode_parts(parts))
        with self._condition:
            self._kept = KeptAnchor(size=published.size, parts=parts)
            self._condition.notify_all()
        logger.info("anchor.final", size=published.size, height=finality.head.height)

    def _prove(self, published: Published, finality: Finality) -> AnchorParts:
        height = finality.head.height
        header = self._header(height)
        roster = self._roster()
        info = roster.members[self._member]
        owners = {key: other.uscc for other in roster.others(self._member) for key in witness_keys(roster, other)}
        signed = {(item.name, item.key_id) for item in parse_note(published.note).signatures}
        log_key = next((key for key in log_keys(roster, info) if (key.name, key.key_id) in signed), None)
        if log_key is None:
            raise UnavailableError(
                "anchor.key-ended",
                f"the log key that signed checkpoint {published.size} has been rotated",
                hint="the next checkpoint is signed by the new key",
            )
        note = exact_note(published.note, log_key, tuple(owners), len(roster.active))
        used = [(item.name, item.key_id) for item in parse_note(note).signatures[1:]]
        by_id = {(key.name, key.key_id): key for key in owners}
        witnesses = [by_id[item] for item in used]
        consortium = consortium_slots(self._member, log_key.public, [(key.public, owners[key]) for key in witnesses])
        anchors = anchors_slots(self._member)
        return AnchorParts(
            note=note,
            anchor=AnchorEvidence(
                header=header,
                log_key=log_key.public,
                witness_keys=tuple(key.public for key in witnesses),
                consortium=contract_evidence(
                    self._proof(self._contracts.consortium.address, consortium, height), consortium
                ),
                anchors=contract_evidence(self._proof(self._contracts.anchors.address, anchors, height), anchors),
            ),
            finality=finality,
        )

    def _header(self, height: int) -> bytes:
        kept = state.header(self._chain, height)
        if kept is None:
            raise UnavailableError("block.unknown", f"block {height} is not kept here")
        return kept[1]

    def _proof(self, address: bytes, slots: tuple[bytes, ...], height: int) -> Mapping[str, Any]:
        return state.proof(self._chain, address, slots, height)

    def _recall(self) -> KeptAnchor | None:
        kept = self._chain.store.anchor(anchor_key(self._member, self._generation))
        if kept is None:
            return None
        parts = decode_parts(kept[1])
        # Of before a recovery: the anchor stands in the state still, and gets a proof by the new network.
        return (
            KeptAnchor(size=kept[0], parts=parts) if parts.finality.head.chain == self._chain.genesis_digest else None
        )

    def _missing(self, index: int) -> str:
        publisher = self._publisher
        newest, witnessed = publisher.newest(), publisher.witnessed()
        if newest is None or newest.size <= index:
            return "no checkpoint covers it yet: the log may be closed, see `civicledger doctor`"
        if witnessed is None or witnessed.size <= index:
            return f"its checkpoint has {newest.cosignatures} of {newest.quorum} cosignatures: start the other nodes"
        if self._board.age_ms() > 60_000:
            return "the chain gives no sign of life: see `civicledger doctor`"
        return "the anchor transaction or its finality is under way: try again"


def anchored_checkpoint(contracts: Contracts, member: str, origin: str, generation: int) -> Checkpoint | None:
    """The chain's view of a log: its anchored checkpoint, None before the first or for an earlier generation."""
    found = contracts.anchors.anchor(member)
    if found is None or found.generation != generation:
        return None
    return Checkpoint(origin=origin, size=found.size, root=found.root)
