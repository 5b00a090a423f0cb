"""What a running node says about itself: the public subset, and the gauges of its metrics."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ledger.log import DepartmentLog
from ledger.storage.indexes import RecordIndex
from node.chain.board import CometBoard
from node.chain.external import NetworkBoard
from node.chain.heads import HeadBoard
from node.chain.state import Chain
from node.chain.tracker import PeerTracker
from node.context import Clock
from node.doctor_consensus import view_of
from node.metrics import Metrics
from node.trail.alarms import AlarmBook
from node.trail.anchoring import AnchorLoop
from node.trail.publishing import CheckpointPublisher
from node.version import VERSION

if TYPE_CHECKING:
    from node.comet.view import ConsensusView
    from node.compose import Node


def public_status(node: Node) -> dict[str, Any]:
    """What everybody may know: no log size beyond the published one, no peers."""
    core = node.core
    # In this order: blocks come meanwhile, and what is final is a block that is there.
    final, head = core.board.final_height(), core.chain.head()
    published, witnessed = node.publisher.newest(), node.publisher.witnessed()
    return {
        "member": core.member,
        "origin": core.log.origin,
        "engine": core.genesis.engine,
        "chain": core.chain.genesis_digest.hex(),
        "height": head.height,
        "head": head.hash.hex(),
        "final_height": final,
        "view_age_ms": core.board.age_ms(),
        "log_size": published.size if published else 0,
        "witnessed_size": witnessed.size if witnessed else 0,
        "anchored_size": node.anchors.anchored_size(),
        "version": VERSION,
    }


def health(node: Node) -> tuple[bool, str]:
    """What ``/healthz`` says: whether every service answers and the log takes records, else why not."""
    problem = node.standstill.reason or node.closed_reason()
    return node.gate.is_open and problem is None, problem.message if problem else node.gate.reason


def register_node(node: Node) -> None:
    """Every gauge of a node."""
    core = node.core
    register_gauges(
        core.metrics,
        chain=core.chain,
        board=core.board,
        log=core.log,
        index=core.stores.index,
        publisher=node.publisher,
        anchors=node.anchors,
        tracker=core.tracker,
        alarms=core.alarms,
        missing=lambda: sum(bool(one.missing_since_ms) for one in node.context.witnesses()),
        disk_free=lambda: shutil.disk_usage(core.config.folder).free,
        is_open=lambda: health(node)[0],
    )
    register_consensus(core.metrics, core.chain, core.clock, lambda: view_of(node))


def register_gauges(
    metrics: Metrics,
    *,
    chain: Chain,
    board: HeadBoard | CometBoard | NetworkBoard,
    log: DepartmentLog,
    index: RecordIndex,
    publisher: CheckpointPublisher,
    anchors: AnchorLoop,
    tracker: PeerTracker,
    alarms: AlarmBook,
    missing: Callable[[], int],
    disk_free: Callable[[], int],
    is_open: Callable[[], bool],
) -> None:
    """Gauges read at scrape time."""

    def published() -> int:
        found = publisher.newest()
        return found.size if found else 0

    def witnessed() -> int:
        found = publisher.witnessed()
        return found.size if found else 0

    metrics.gauge("chain_height", "Height of the newest block", lambda: chain.head().height)
    metrics.gauge("chain_final_height", "Height of the newest final head", board.final_height)
    metrics.gauge("chain_age_seconds", "Time since the newest signed head", lambda: board.age_ms() / 1_000)
    metrics.gauge("mempool_transactions", "Transactions waiting here", lambda: chain.waiting()[0])
    metrics.gauge("log_size", "Durable records", lambda: log.size)
    metrics.gauge("log_published_size", "Records under the newest signed checkpoint", published)
    metrics.gauge("log_witnessed_size", "Records under the newest witnessed checkpoint", witnessed)
    metrics.gauge("log_anchored_size", "Records under the newest final anchor", anchors.anchored_size)
    metrics.gauge("anchor_lag_records", "Durable records not anchored yet", lambda: log.size - anchors.anchored_size())
    metrics.gauge("log_indexed_size", "Records in the audit index", lambda: index.indexed_size)
    metrics.gauge(
        "peers_reachable", "Members' nodes that answered last time", lambda: sum(s.reachable for s in tracker.states())
    )
    metrics.gauge("alarms_open", "Alarms about members' logs not settled yet", lambda: len(alarms.alarms()))
    metrics.gauge("witnesses_missing", "Witnesses that lack the newest checkpoint", missing)
    metrics.gauge("disk_free_bytes", "Free space under the node's folder", disk_free)
    metrics.gauge("serving", "1 when all services answer and the log takes records", lambda: float(is_open()))


def register_consensus(metrics: Metrics, chain: Chain, clock: Clock, read: Callable[[], ConsensusView | None]) -> None:
    """Gauges of the validators and of CometBFT, there on every engine so that one dashboard and one alarm fit both: on
    a solo chain the consensus height is the chain's, there are no validators, and nothing of them is missing."""

    def gauge(name: str, text: str, of: Callable[[ConsensusView], float], *, otherwise: float = 0.0) -> None:
        def value() -> float:
            view = read()
            return otherwise if view is None else of(view)

        metrics.gauge(name, text, value)

    def consensus_height() -> int:
        view = read()
        return chain.head().height if view is None else view.height

    metrics.gauge("consensus_height", "CometBFT's height; on a solo chain the newest block's", consensus_height)
    gauge("consensus_round", "Round under way: above 0 a proposer was skipped", lambda view: view.round)
    gauge("consensus_heights_per_second", "Heights a second in the last ten seconds", lambda view: view.heights_per_s)
    gauge("consensus_catching_up", "1 while this node replays what it missed", lambda view: view.catching_up)
    gauge("consensus_quorum", "1 while more than two thirds of the validators are there", _quorum, otherwise=1.0)
    gauge("consensus_peers", "Members' nodes connected by p2p", lambda view: len(view.peers))
    gauge("consensus_mempool_transactions", "Transactions waiting at this node", lambda view: view.mempool_txs)
    gauge("consensus_mempool_bytes", "Bytes of the transactions waiting at this node", lambda view: view.mempool_bytes)
    gauge("validators", "Validators of the chain", lambda view: len(view.validators))
    gauge("validators_missing", "Validators that are not there", lambda view: len(view.missing))
    gauge("comet_running", "1 while the CometBFT process runs", lambda view: view.process.running, otherwise=1.0)
    gauge(
        "consensus_view_age_seconds", "Time since CometBFT was heard last", lambda view: (clock() - view.at_ms) / 1_000
    )
    gauge("comet_restarts", "How often CometBFT ended by itself and was started again", _restarts)


def _quorum(view: ConsensusView) -> float:
    return float(view.quorum)


def _restarts(view: ConsensusView) -> float:
    return float(view.process.restarts)
