"""Feeding the witnesses: a worker per other member offers it our newest checkpoint and brings back a cosignature."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from ledger.errors import LedgerError, UnavailableError
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note, parse_size, verify_log_signature
from ledger.evidence.witness import format_request
from node.chain.roster import Roster
from node.chain.tracker import PeerTracker
from node.identity.peers import Peer, PeerBook
from node.identity.pinned import PinnedClient
from node.loops import Loop
from node.metrics import Metrics
from node.trail.publishing import CheckpointPublisher
from node.trail.witnessing import log_keys

if TYPE_CHECKING:
    from ledger.log import DepartmentLog

#: An idle peer is looked at this often, so that status and doctor do not show yesterday's news.
PROBE_INTERVAL_S = 15.0


class _Status(msgspec.Struct, frozen=True):
    height: int = 0


class WitnessFeed:
    """The worker for one witness."""

    def __init__(
        self,
        witness: str,
        *,
        log: DepartmentLog,
        publisher: CheckpointPublisher,
        roster: Callable[[], Roster],
        peers: PeerBook,
        tracker: PeerTracker,
        metrics: Metrics,
        timeout: float,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self.witness = witness
        self._log = log
        self._publisher = publisher
        self._roster = roster
        self._peers = peers
        self._tracker = tracker
        self._timeout = timeout
        self._client: PinnedClient | None = None
        #: What we believe the witness holds of our log; its 409 corrects us.
        self._held = 0
        self.loop = Loop(f"witness-{witness[-6:]}", self._step, metrics=metrics, on_fatal=on_fatal)

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()

    def _step(self) -> float:
        try:
            client = self._connected()
            offered = False
            while (wanted := self._publisher.wanted_from(self.witness)) is not None and not self.loop.stopping:
                self._offer(client, wanted.size, wanted.note)
                offered = True
            if offered:
                self._tracker.reached(self.witness)
            else:
                status = msgspec.json.decode(client.get("/v1/status").body, type=_Status)
                self._tracker.reached(self.witness, status.height)
        except msgspec.MsgspecError as error:
            self._tracker.missed(self.witness, "its status is no JSON")
            raise UnavailableError("peer.answer", f"{self.witness} answered no status: {error}") from error
        except LedgerError as error:
            self._tracker.missed(self.witness, error.message)
            raise
        return PROBE_INTERVAL_S

    def _offer(self, client: PinnedClient, size: int, note: bytes) -> None:
        proof = self._log.prove_consistency(self._held, size) if 0 < self._held < size else []
        answer = client.post("/add-checkpoint", format_request(self._held, proof, note))
        if answer.status == 200:
            self._publisher.cosigned(self.witness, size, answer.body.decode("utf-8", "replace"))
            self._held = size
            return
        if answer.status == 409:
            held = parse_size(answer.body.decode("ascii", "replace").rstrip("\n"))
            if held > size:
                self._compare(held)
            if held == self._held:
                raise UnavailableError("witness.confused", f"{self.witness} asks for the size it was given: {held}")
            self._held = held
            return
        # 403, 404: its chain view does not know our key or log (yet); 422: it saw another history of this log.
        text = answer.body[:200].decode("utf-8", "replace").strip()
        code = "witness.disagrees" if answer.status == 422 else "witness.refused"
        raise UnavailableError(
            code,
            f"{self.witness} does not cosign (HTTP {answer.status}): {text}",
            hint="its node may be behind on the chain; if it says 422, compare both with `civicledger log fsck`",
        )

    def _compare(self, held: int) -> None:
        """A witness holds more of this log than we offer: if that is true, nothing more is appended or signed here.

        Raises: ConflictError(log.behind | log.forked), UnavailableError(witness.confused).
        """
        view = witness_view(self._peers.require(self.witness), self._log.origin, self._roster(), self._timeout)
        if view is not None:
            self._log.guard([view])
        raise UnavailableError("witness.confused", f"{self.witness} claims {held} records and cannot show them")

    def _connected(self) -> PinnedClient:
        peer = self._peers.require(self.witness)
        if self._client is None or self._client.peer != peer:
            self.close()
            self._client = PinnedClient(peer, self._timeout)
        return self._client


def witness_view(peer: Peer, origin: str, roster: Roster, timeout: float) -> Checkpoint | None:
    """What a peer's witness saw of a log; None when it saw nothing.

    Raises: UnavailableError(peer.unreachable | witness.refused), UntrustedError(checkpoint.log-signature).
    """
    client = PinnedClient(peer, timeout)
    try:
        answer = client.get(f"/witness/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
    finally:
        client.close()
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise UnavailableError("witness.refused", f"{peer.uscc} does not say what it saw (HTTP {answer.status})")
    note = parse_note(answer.body)
    checkpoint = parse_checkpoint(note.text)
    info = roster.by_origin(origin)
    if info is None or checkpoint.origin != origin:
        raise UnavailableError("witness.refused", f"{peer.uscc} answered with another log's checkpoint")
    failure: LedgerError | None = None
    # Retired keys too: the last checkpoint before a rotation is as good a memory as any.
    for key in log_keys(roster, info, ended=True):
        try:
            verify_log_signature(note, key)
        except LedgerError as error:
            failure = error
        else:
            return checkpoint
    raise failure or UnavailableError("witness.refused", f"no log key of {info.uscc} is on chain")
