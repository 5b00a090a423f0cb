"""The composition root: one folder becomes one running node."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from ledger.chain.account import TransactionSender
from ledger.errors import FatalError, LedgerError
from ledger.evidence.checkpoint import Checkpoint
from ledger.keys import AccountSigner
from ledger.model import KeyRole
from ledger.storage.chainstate import StoredBlock
from node import overdue
from node.chain.consensus import BftOrderer
from node.chain.ordering import make_block_service, make_orderer
from node.chain.state import json_rpc
from node.context import Clock, NodeContext, system_clock
from node.core import NodeCore
from node.doctor import diagnose
from node.doctor_consensus import view_of
from node.exchange.recovery import recover
from node.identity.keyfiles import key_file
from node.identity.tls import load_identity, next_name, server_context
from node.identity.trust import CertificateKeeper, trust_roots
from node.licences.desk import Desk
from node.loops import Loop
from node.medical.desk import Medical
from node.mirror.service import Mirrors
from node.rpc.gate import Gate
from node.rpc.serving import serve_grpc
from node.services.carried import Door
from node.services.rotation import settle
from node.standstill import Standstill
from node.status import health, public_status, register_node
from node.trail import records as trail
from node.trail.anchoring import AnchorLoop, anchored_checkpoint
from node.trail.assembling import make_crosscheck, make_feeds, make_witness
from node.trail.attendance import Attendance
from node.trail.generations import RetirementWatch, continue_log
from node.trail.indexing import Indexing
from node.trail.opening import LogOpening, closed_reason
from node.trail.publishing import CheckpointPublisher
from node.trail.quorum import WitnessQuorum
from node.version import VERSION
from node.web.cds import order_door
from node.web.citizens import citizen_parts
from node.web.https import public_app
from node.web.local import local_app
from node.web.readers import check_entries
from node.web.statuspage import StatusPage
from node.web.statusview import StatusReader
from node.web.webserver import WebServer

logger = structlog.get_logger("node")

#: At the end: how long the last checkpoint may gather cosignatures, and the loops may take to end, seconds.
_WITNESS_WAIT_S = 2.0
_JOIN_S = 10.0


class Node:
    """A department's node. ``open`` takes the folder, ``start`` serves, ``drain`` stops without losing anything."""

    def __init__(self, core: NodeCore) -> None:
        self.core = core
        self.failure: LedgerError | None = None
        self.standstill = Standstill(core.log)
        self.failed = threading.Event()
        self.gate = Gate()
        self._stopping = threading.Event()
        self.attendance = Attendance(core.clock)
        self.feeds = make_feeds(core, lambda: self.publisher, self.attendance, self._fatal)
        self.quorum = WitnessQuorum.of_file(core.member, core.config.witness_policy_file)
        self.sender = self._make_sender()
        core.tracker.on_return(self.feeds.wake_one)
        self.crosscheck = make_crosscheck(core, lambda: self.context, lambda: self.gate.is_open, self._fatal)
        core.alarms.tell(self.crosscheck.loop.wake)
        self.witness = make_witness(core, self.crosscheck.doubt)
        self.publisher = CheckpointPublisher(
            member=core.member,
            log=core.log,
            store=core.stores.checkpoints,
            roster=core.rosters.current,
            quorum=self.quorum,
            attendance=self.attendance,
            clock=core.clock,
            metrics=core.metrics,
            on_signed=self.feeds.wake,
            on_witnessed=lambda: self.anchors.loop.wake(),
        )
        self.anchors = AnchorLoop(
            member=core.member,
            chain=core.chain,
            contracts=core.contracts,
            sender=self.sender,
            log=core.log,
            publisher=self.publisher,
            board=core.board,
            roster=core.rosters.current,
            interval_ms=core.config.log.anchor_interval_ms,
            generation=core.generation,
            metrics=core.metrics,
            on_fatal=self._fatal,
        )
        self.opening = LogOpening(
            member=core.member,
            log=core.log,
            roster=core.rosters.current,
            anchored=self._anchored,
            kept=self._kept,
            peers=core.peers,
            tracker=core.tracker,
            timeout=float(core.config.log.witness_timeout),
            metrics=core.metrics,
            on_open=self._opened,
            on_fatal=self._fatal,
        )
        #: Set when the members retired this log: whoever runs the node opens it again.
        self.retired = threading.Event()
        self.retirement = RetirementWatch(core, self._retired, self._fatal)
        self.certificates = CertificateKeeper(
            member=core.member,
            identity=core.keys.identity,
            peers=core.peers,
            roster=core.rosters.current,
            tracker=core.tracker,
            settle=lambda: settle(self.context),
            reload_https=self._load_certificate,
            metrics=core.metrics,
            on_fatal=self._fatal,
        )
        self.orderer = make_orderer(core, self._fatal)
        self.mirrors = Mirrors(core, core.alarms)
        self._publishing = Loop("publisher", self._publish, metrics=core.metrics, on_fatal=self._fatal)
        self.indexing = Indexing(core.stores.index, core.log, metrics=core.metrics, on_fatal=self._fatal)
        self._overdue = Loop("overdue", self._note_overdue, metrics=core.metrics, on_fatal=self._fatal)
        self.licences = Desk.of_core(core)
        self.medical = Medical.of_core(core)
        self.context = self._make_context()
        self.licences.open(self.context, lambda: self.gate.is_open, self._fatal)
        self.medical.open(self.context, lambda: self.gate.is_open, self._fatal)
        self._unclean = False

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], *, clock: Clock = system_clock, environ: Mapping[str, str] | None = None
    ) -> Node:
        """Read settings and keys, lock and recover every folder. ``environ`` may carry the passphrase.

        Raises: any LedgerError, with code and hint; everything opened so far is closed again.
        """
        core = NodeCore.open(Path(folder), clock, os.environ if environ is None else environ)
        try:
            return cls(core)
        except BaseException:
            core.closing.run()
            raise

    # --- running ------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Listen and begin all loops. Department services answer once the log is open (``wait_open``).

        Raises: ConflictError(listen.in-use); everything is closed again.
        """
        try:
            self._listen()
        except BaseException:
            self.core.closing.run()
            raise
        self._unclean = self.core.mark_running()
        # Said before the loops run, which have events of their own.
        logger.info("node.started", member=self.core.member, version=VERSION, height=self.core.chain.head().height)
        # All of them before the first runs: some loops start others.
        for loop in tuple(self.loops()):
            loop.start()

    def wait_open(self, timeout: float) -> bool:
        """Wait until all services answer; False when the time is over first. Raises what broke the node."""
        self.gate.wait(timeout)
        if self.failure is not None:
            raise self.failure
        return self.gate.is_open

    def drain(self) -> None:
        """Take nothing new, let calls finish, publish what was appended, close everything. Once is enough."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self.gate.close("it is stopping")
        self.core.board.changed()
        logger.info("node.draining", member=self.core.member)
        self.core.closing.run()
        if self.failure is None and self.standstill.reason is None:
            self.core.mark_stopped()
        logger.info("node.stopped", member=self.core.member)

    def closed_reason(self) -> LedgerError | None:
        """Why the log is closed; None when it is open."""
        return closed_reason(self.core.log, self.opening)

    def loops(self) -> Iterator[Loop]:
        """Every background loop."""
        yield from self.orderer.loops()
        yield from (self.opening.loop, self._publishing, self.anchors.loop, self.indexing.loop)
        yield self.certificates.loop
        yield from (self._overdue, self.retirement.loop)
        yield from (self.crosscheck.loop, self.licences.publisher.loop)
        yield from self.feeds.loops()
        yield from self.mirrors.loops()
        yield from self.medical.loops()

    # --- parts --------------------------------------------------------------------------------------------------------
    def _make_sender(self) -> TransactionSender:
        account, chain = self.core.keys[KeyRole.ACCOUNT], self.core.chain
        if not isinstance(account, AccountSigner):
            raise FatalError("key.wrong-kind", "the account key cannot sign transactions")
        return TransactionSender(
            account, chain_id=chain.chain_id, nonce=chain.nonce, submit=chain.submit, wait=chain.wait
        )

    def _make_context(self) -> NodeContext:
        core = self.core
        return NodeContext(
            member=core.member,
            config=core.config,
            genesis_digest=core.genesis.digest,
            engine=core.genesis.engine,
            consensus=self.orderer if isinstance(self.orderer, BftOrderer) else None,
            signers=core.keys,
            chain=core.chain,
            contracts=core.contracts,
            sender=self.sender,
            log=core.log,
            index=core.stores.index,
            payloads=core.stores.payloads,
            openings=core.stores.openings,
            exchanges=core.stores.exchanges,
            nonces=core.stores.nonces,
            licences=self.licences,
            medical=self.medical,
            store=core.stores.services,
            witness_store=core.stores.witness,
            peers=core.peers,
            publisher=self.publisher,
            anchors=self.anchors,
            view=core.board,
            metrics=core.metrics,
            clock=core.clock,
            peer_states=core.tracker.states,
            diagnose=lambda: diagnose(self),
            alarms=core.alarms,
            witnesses=lambda: self.attendance.states(core.rosters.current(), core.member),
            witness_policy=lambda: bytes(
                self.quorum.policy(core.rosters.current(), {uscc: peer.https for uscc, peer in core.peers.items()})
            ),
            consensus_view=lambda: view_of(self),
        )

    def _listen(self) -> None:
        core, closing = self.core, self.core.closing
        self._https_context = server_context(
            trust_roots(core.peers, core.keys.identity, core.rosters.current),
            lambda name: core.keys.next_context() if name == next_name(core.member) else None,
        )
        self._load_certificate()
        https = core.config.https
        app = public_app(
            core.log,
            self.publisher,
            self.witness,
            lambda: public_status(self),
            member=core.member,
            mirrors=self.mirrors,
            may_read=lambda pem, owner: check_entries(self.context, pem, owner),
            light=core.comet.rpc if core.is_bft else None,
            licences=self.licences.parts(core.member),
            citizens=citizen_parts(self.context),
            medical=self.medical.public,
            final=self.anchors.newest_final,
            forward=Door(self.context, lambda: self.gate.is_open),
        )
        closing.add("mirrors", self.mirrors.close)
        public = WebServer(app, https.host, https.port, self._https_context, name="https")
        closing.add("https", public.close)
        page = StatusPage(StatusReader(self).read)
        handle, take, orders = json_rpc(core.chain).handle, self.medical.reports.take, order_door(self.context)
        app = local_app(handle, core.metrics, lambda: health(self), page, take, orders)
        local = WebServer(app, core.config.local.host, core.config.local.port, None, name="local")
        closing.add("local", local.close)
        closing.add("subscription", core.chain.subscribe(self._saw_block))
        closing.add("loops", self._stop_loops)
        closing.add("publish", self._publish_last)
        blocks = make_block_service(core, self._stopping.is_set)
        self.grpc = serve_grpc(core, self.gate, self.context, blocks)
        closing.add("grpc", lambda: self.grpc.stop(float(core.config.drain_grace)))
        register_node(self)
        public.start()
        local.start()

    def _load_certificate(self) -> None:
        """Give the HTTPS server the present certificate; connections under way keep theirs."""
        keys = self.core.keys
        load_identity(self._https_context, keys.certificate_file, key_file(keys.folder, KeyRole.TLS), keys.passphrase)

    # --- what happens while it runs -----------------------------------------------------------------------------------
    def _saw_block(self, block: StoredBlock) -> None:
        self.core.metrics.block(len(block.transactions))
        # Where the state is somebody else's to tell, the network's own loop does it: this thread only hands out blocks.
        if self.core.genesis.network is None:
            self.core.follow_contracts()
        self.retirement.loop.wake()
        self.core.board.changed()

    def _opened(self) -> None:
        core = self.core
        continue_log(core, self.context)
        if self._unclean:
            trail.write(self.context, "system.recovered", {"size": core.log.size})
        trail.write(self.context, "system.started", {"version": VERSION})
        recover(self.context)
        self.gate.open()
        self.grpc.set_serving(serving=True)
        self._publishing.wake()
        logger.info("node.open", member=core.member, size=core.log.size)

    def _publish(self) -> float | None:
        self.standstill.check()
        if self.core.log.why_closed is not None or self.retired.is_set():
            return None
        if not self._stopping.is_set():
            self.feeds.start_missing()
        self.publisher.publish()
        return self.core.config.log.checkpoint_interval_ms / 1_000

    def _publish_last(self) -> None:
        if self.core.log.why_closed is None and self.failure is None and not self.retired.is_set():
            self.publisher.publish_now(wait_witnessed_s=_WITNESS_WAIT_S)

    def _note_overdue(self) -> float:
        if not self.gate.is_open:
            return 1.0
        overdue.note_overdue(self.context)
        return overdue.INTERVAL_S

    def _anchored(self) -> Checkpoint | None:
        core = self.core
        return anchored_checkpoint(core.contracts, core.member, core.log.origin, core.generation)

    def _kept(self) -> bytes | None:
        newest = self.core.stores.checkpoints.newest()
        return None if newest is None else newest[1]

    def _retired(self) -> None:
        self.gate.close("the members retired its log; it opens the next one")
        self.retired.set()

    def _stop_loops(self) -> None:
        # First of all: on a BFT network CometBFT is answered to the last before the loops around it end.
        self.orderer.stop()
        for loop in self.loops():
            loop.stop()
        # Whoever waits for a block or for finality hears now that none will come from here.
        self.core.chain.close()
        self.core.board.close()
        # For all of them together: a peer that hangs may hold several.
        deadline = time.monotonic() + _JOIN_S
        for loop in self.loops():
            if not loop.join(max(0.0, deadline - time.monotonic())):
                logger.warning("loop.stuck", loop=loop.name)
        self.feeds.close()
        self.crosscheck.close()

    def _fatal(self, error: LedgerError) -> None:
        """Our data is broken: stop answering at once, let the daemon end the process."""
        if self.standstill.begin(error):
            return
        if self.failure is None:
            self.failure = error
            self.gate.close(error.message)
            logger.error("node.failed", code=error.code, message=error.message, hint=error.hint)
        self.failed.set()
