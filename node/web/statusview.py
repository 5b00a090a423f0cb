"""What the operator's page shows of a running node, as plain values, read anew for each answer."""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import rlp

from ledger.storage.chainstate import StoredBlock
from node.context import Finding
from node.doctor import diagnose
from node.doctor_consensus import view_of
from node.metrics import Failure
from node.status import health
from node.version import VERSION

if TYPE_CHECKING:
    from node.comet.view import ConsensusView
    from node.compose import Node

#: Newest blocks on the page.
BLOCKS = 20
#: Places of the header's RLP list (docs/formats.md, header).
_TIME, _EXTRA = 11, 12
#: Our own headers carry a consensus height there; those of other networks carry anything.
_CONSENSUS_BYTES = 8
#: An answer is used again for so long, seconds: any number of open pages cost one reading.
FRESH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """A block. ``time``: Unix seconds; ``consensus``: the consensus height it came from (solo: its own number)."""

    height: int
    hash: bytes
    time: int
    transactions: int
    consensus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRow:
    """Another member's node. ``seen_ms``: Unix milliseconds, 0 for never."""

    handle: str
    member: str
    known: bool
    reachable: bool
    height: int
    seen_ms: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorRow:
    """A validator as this node sees it. ``missing_since_ms``: 0 while it is there."""

    handle: str
    member: str
    power: int
    signed_last: bool
    missing_since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRow:
    """A background loop; ``code`` and ``message`` are empty while it works."""

    name: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessRow:
    """A witness of the own log."""

    handle: str
    size: int
    missing_since_ms: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """One moment of a node. Sizes count records, ages and times are milliseconds; ``mempool``: transactions that wait;
    ``closed``: why the node does not serve everything, or empty."""

    member: str
    handle: str
    name: str
    version: str
    chain: bytes
    engine: str
    role: str
    serving: bool
    closed: str
    height: int
    hash: bytes
    final_height: int
    age_ms: int
    stale: bool
    mempool: int
    mempool_bytes: int | None
    log_size: int
    published_size: int
    witnessed_size: int
    anchored_size: int
    indexed_size: int
    disk_free: int
    blocks: tuple[BlockRow, ...]
    peers: tuple[PeerRow, ...]
    validators: tuple[ValidatorRow, ...]
    witnesses: tuple[WitnessRow, ...]
    loops: tuple[LoopRow, ...]
    findings: tuple[Finding, ...]
    failures: tuple[Failure, ...]
    consensus: ConsensusView | None
    made_at_ms: int
    #: Whether blocks of this chain can be final at all; not on a network whose blocks carry no proof.
    proves: bool = True

    @property
    def present(self) -> int:
        """Power of the validators that are there."""
        return sum(one.power for one in self.validators if not one.missing_since_ms)

    @property
    def total(self) -> int:
        """Power of all validators."""
        return sum(one.power for one in self.validators)

    @property
    def needed(self) -> int:
        """More than two thirds."""
        return 2 * self.total // 3 + 1


class StatusReader:
    """Reads a node. Any number of threads; keeps the rows of blocks it has read."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._rows: OrderedDict[int, BlockRow] = OrderedDict()
        self._kept: StatusView | None = None

    def read(self) -> StatusView:
        """The node now, or at most a second ago."""
        with self._lock:
            now = self._node.core.clock()
            if self._kept is None or not 0 <= now - self._kept.made_at_ms < FRESH_S * 1_000:
                self._kept = self._read(now)
            return self._kept

    def _read(self, now: int) -> StatusView:
        node, core = self._node, self._node.core
        roster = core.rosters.current()
        names = {info.uscc: info.handle for info in roster.members.values()}
        head, view = core.chain.head(), view_of(node)
        published, witnessed = node.publisher.newest(), node.publisher.witnessed()
        serving, reason = health(node)
        age = core.board.age_ms()
        return StatusView(
            member=core.member,
            handle=core.config.member.handle,
            name=core.config.member.name,
            version=VERSION,
            chain=core.genesis.digest,
            engine=core.genesis.engine,
            role=role_of(node),
            serving=serving,
            closed="" if serving else reason,
            height=head.height,
            hash=head.hash,
            final_height=core.board.final_height(),
            age_ms=age,
            stale=age > core.config.chain.max_view_age * 1_000,
            mempool=core.chain.waiting()[0] if view is None else view.mempool_txs,
            mempool_bytes=None if view is None else view.mempool_bytes,
            log_size=core.log.size,
            published_size=published.size if published else 0,
            witnessed_size=witnessed.size if witnessed else 0,
            anchored_size=node.anchors.anchored_size(),
            indexed_size=core.stores.index.indexed_size,
            disk_free=shutil.disk_usage(core.config.folder).free,
            blocks=self._blocks(head.height),
            peers=self._peers(),
            validators=() if view is None else _validators(view, names),
            witnesses=tuple(
                WitnessRow(
                    handle=names.get(state.member, state.member),
                    size=state.size,
                    missing_since_ms=state.missing_since_ms,
                    error=state.error,
                )
                for state in node.attendance.states(roster, core.member)
            ),
            loops=tuple(
                LoopRow(
                    name=loop.name,
                    code=loop.problem.code if loop.problem else "",
                    message=loop.problem.message if loop.problem else "",
                )
                for loop in node.loops()
            ),
            findings=diagnose(node),
            failures=core.metrics.failures(),
            consensus=view,
            made_at_ms=now,
            proves=getattr(core.board, "proves", True),
        )

    def _blocks(self, height: int) -> tuple[BlockRow, ...]:
        wanted = range(height, max(-1, height - BLOCKS), -1)
        for number in wanted:
            if number in self._rows:
                continue
            block = self._node.core.chain.block(number)
            if block is not None:
                self._rows[number] = block_row(block)
        rows = tuple(self._rows[number] for number in wanted if number in self._rows)
        self._rows = OrderedDict((row.height, row) for row in rows)
        return rows

    def _peers(self) -> tuple[PeerRow, ...]:
        core = self._node.core
        states = {state.member: state for state in core.tracker.states()}
        rows = []
        for info in core.rosters.current().others(core.member):
            state = states.get(info.uscc)
            rows.append(
                PeerRow(
                    handle=info.handle,
                    member=info.uscc,
                    known=info.uscc in core.peers,
                    reachable=state.reachable if state else False,
                    height=state.height if state else 0,
                    seen_ms=state.last_seen_ms if state else 0,
                    error=state.last_error if state else "",
                )
            )
        return tuple(rows)


def role_of(node: Node) -> str:
    """The part this node plays in ordering: ``sequencer``, ``follower``, ``validator`` or ``member``."""
    if node.core.genesis.network is not None:
        return "member"
    if node.core.genesis.sequencer:
        return "sequencer" if node.core.is_sequencer else "follower"
    info = node.core.rosters.current().members.get(node.core.member)
    return "validator" if info is not None and info.validator else "member"


def block_row(block: StoredBlock) -> BlockRow:
    """A stored block as the page shows it. Of a foreign network's header only the time is read."""
    fields = rlp.decode(block.header)
    return BlockRow(
        height=block.height,
        hash=block.hash,
        time=int.from_bytes(fields[_TIME], "big"),
        transactions=len(block.transactions),
        consensus=int.from_bytes(fields[_EXTRA], "big") if len(fields[_EXTRA]) <= _CONSENSUS_BYTES else block.height,
    )


def _validators(view: ConsensusView, names: dict[str, str]) -> tuple[ValidatorRow, ...]:
    return tuple(
        ValidatorRow(
            handle=names.get(one.member, one.member),
            member=one.member,
            power=one.power,
            signed_last=one.signed_last,
            missing_since_ms=one.missing_since_ms,
        )
        for one in view.validators
    )
