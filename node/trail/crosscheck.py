"""Comparing what the members' nodes hold of each other's logs: a log that shows different histories to different
witnesses is found out by whoever asks two of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.storage.witness import WitnessStore
from node.chain.roster import Roster, logs_of
from node.identity.peers import PeerBook
from node.identity.pinned import PinnedClient
from node.loops import Loop
from node.metrics import Metrics
from node.trail import records
from node.trail.alarms import AlarmBook
from node.trail.comparing import RemoteTree, RetiredTree, ShownTree, contradiction, signed_by
from node.trail.feeding import ask_witness
from node.trail.witnessing import log_keys

if TYPE_CHECKING:
    from ledger.model import MemberInfo
    from node.context import NodeContext

logger = structlog.get_logger("node.crosscheck")

#: One member's node is asked each time: forty members are through in three minutes.
INTERVAL_S = 5.0
#: Rounds in which a log must fail to show that its heads belong together before that is an alarm of its own.
_ROUNDS_UNSHOWN = 3
#: Heads waiting to be looked at, one of each log.
_MAX_DOUBTS = 256


class CrossCheck:
    """Looks closer at heads this witness refused, and at the heads that other witnesses hold; writes a record of every
    proven fork into the own log."""

    def __init__(
        self,
        *,
        member: str,
        store: WitnessStore,
        roster: Callable[[], Roster],
        peers: PeerBook,
        rests: Callable[[str], bool],
        alarms: AlarmBook,
        context: Callable[[], NodeContext],
        is_open: Callable[[], bool],
        timeout: float,
        metrics: Metrics,
        on_fatal: Callable[[LedgerError], None],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._member = member
        self._store = store
        self._roster = roster
        self._peers = peers
        #: Whether a member's node is away and not to be tried now.
        self._rests = rests
        self._alarms = alarms
        self._context = context
        self._is_open = is_open
        self._timeout = timeout
        self._interval = interval_s
        self._lock = threading.Lock()
        self._doubts: dict[str, bytes] = {}
        self._unshown: dict[str, int] = {}
        self._next = 0
        #: Connections by member: a round later the same logs are asked again.
        self._clients: dict[str, PinnedClient] = {}
        self.loop = Loop("crosscheck", self._step, metrics=metrics, on_fatal=on_fatal)

    def doubt(self, origin: str, note: bytes) -> None:
        """A head with a valid log signature was refused: look closer, soon."""
        with self._lock:
            if origin in self._doubts or len(self._doubts) < _MAX_DOUBTS:
                self._doubts[origin] = note
        self.loop.wake()

    def close(self) -> None:
        """Drop all connections; after the loop has ended."""
        for client in self._clients.values():
            client.close()

    def _client(self, uscc: str) -> PinnedClient:
        peer, known = self._peers.require(uscc), self._clients.get(uscc)
        if known is None or known.peer != peer:
            if known is not None:
                known.close()
            known = self._clients[uscc] = PinnedClient(peer, self._timeout)
        return known

    def _step(self) -> float:
        self._tell()
        with self._lock:
            doubts, self._doubts = self._doubts, {}
        for origin, note in doubts.items():
            info = self._roster().by_origin(origin)
            if info is not None:
                self._compare(info, note)
        self._ask_next()
        self._tell()
        return self._interval

    def _ask_next(self) -> None:
        """Take the next member and compare all it holds with what is held here."""
        roster = self._roster()
        others = [info for info in roster.others(self._member) if info.uscc in self._peers]
        if not others:
            return
        self._next += 1
        peer = others[self._next % len(others)]
        if self._rests(peer.uscc):
            return
        client = self._client(peer.uscc)
        try:
            for info in others:
                if info.uscc != peer.uscc:
                    # A retired log signs nothing new, but what it showed to whom may come to light any time.
                    for log in logs_of(info):
                        if not self.loop.stopping:
                            self._ask_about(client, log, roster)
        except UnavailableError as error:
            # Whether a peer answers is the business of feeds and doctor; here it is asked again in its turn.
            logger.debug("crosscheck.silent", peer=peer.uscc, code=error.code)

    def _ask_about(self, client: PinnedClient, info: MemberInfo, roster: Roster) -> None:
        try:
            note = ask_witness(client, info.origin, roster)
        except UnavailableError:
            raise
        except LedgerError as error:
            logger.warning("crosscheck.no-head", peer=client.peer.uscc, origin=info.origin, code=error.code)
            return
        if note is not None:
            self._compare(info, note)

    def _compare(self, info: MemberInfo, note: bytes) -> None:
        """Compare a signed head with the one held; where their sizes differ the log itself must show how they belong
        together."""
        held = self._store.get(info.origin)
        if held is None or info.uscc not in self._peers:
            return
        if parse_checkpoint(parse_note(note).text) == held.checkpoint:
            return
        present = self._roster().by_origin(info.origin) is not None
        client = self._client(info.uscc)
        tree = RemoteTree(client) if present else RetiredTree(client, info.origin)
        try:
            self._forked(info, note, held.note, tree)
            self._unshown.pop(info.origin, None)
        except UnavailableError as error:
            if error.code == "log.unshown":
                self._third_head(info, note, held.note, tree, error)
            else:
                logger.debug("crosscheck.silent", peer=info.uscc, code=error.code)

    def _third_head(self, info: MemberInfo, note: bytes, held: bytes, tree: ShownTree, error: LedgerError) -> None:
        """The log shows a tree that is neither head's: its own newest head then contradicts one of the two."""
        try:
            newest = tree.checkpoint()
            signed_by(newest, info.origin, log_keys(self._roster(), info, ended=True))
            if any(self._forked(info, newest, one, tree) for one in (held, note)):
                return
        except LedgerError as problem:
            logger.debug("crosscheck.silent", peer=info.uscc, code=problem.code)
        count = self._unshown[info.origin] = self._unshown.get(info.origin, 0) + 1
        if count >= _ROUNDS_UNSHOWN:
            self._alarms.raise_alarm("log.unshown", info.uscc, error.message)

    def _forked(self, info: MemberInfo, one: bytes, other: bytes, tree: ShownTree) -> bool:
        evidence = contradiction(one, other, log_keys(self._roster(), info, ended=True), tree)
        if evidence is not None:
            sizes = sorted({parse_checkpoint(parse_note(note).text).size for note in (one, other)})
            detail = (
                f"it signed two roots of size {sizes[0]}"
                if len(sizes) == 1
                else f"its {sizes[1]} records do not begin with the {sizes[0]} it signed before"
            )
            self._alarms.raise_alarm("log.forked", info.uscc, detail, evidence)
        return evidence is not None

    def _tell(self) -> None:
        """One record per proven fork, once; a log that is closed tells of it when it is open again."""
        if not self._is_open():
            return
        for alarm in self._alarms.unrecorded():
            evidence = alarm.evidence
            if evidence is None:
                continue
            small = parse_checkpoint(parse_note(evidence.first).text)
            body = {"member": alarm.member, "evidence": evidence.digest.hex(), "size": small.size}
            # The alarm's own time: a crash before the mark below repeats the same bytes, which the log knows.
            index = records.write_once(self._context(), "system.fork-seen", body, alarm.first_ms, evidence.digest)
            self._alarms.recorded(alarm.id, index)
