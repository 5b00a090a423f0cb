"""Feeding the witnesses: a worker per other member offers it our newest checkpoint and brings back a cosignature."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from ledger.errors import ConflictError, LedgerError, UnavailableError, UntrustedError
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note
from ledger.evidence.witness import format_request, parse_held
from node.chain.roster import Roster
from node.chain.tracker import PeerTracker
from node.identity.peers import Peer, PeerBook
from node.identity.pinned import PinnedClient
from node.loops import Loop
from node.metrics import Metrics
from node.trail.alarms import AlarmBook
from node.trail.attendance import Attendance
from node.trail.comparing import contradiction, signed_by
from node.trail.publishing import CheckpointPublisher
from node.trail.witnessing import log_keys

if TYPE_CHECKING:
    from ledger.log import DepartmentLog

#: An idle peer is looked at this often, so that status and doctor do not show yesterday's news.
PROBE_INTERVAL_S = 15.0
#: How often in a row a witness may say that it holds another size: each true one makes it hold what was offered.
_MAX_CORRECTIONS = 3


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
        attendance: Attendance,
        alarms: AlarmBook,
        metrics: Metrics,
        timeout: float,
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self.witness = witness
        self._attendance = attendance
        self._alarms = alarms
        self._log = log
        self._publisher = publisher
        self._roster = roster
        self._peers = peers
        self._tracker = tracker
        self._timeout = timeout
        self._client: PinnedClient | None = None
        #: What we believe the witness holds of our log; its 409 corrects us.
        self._held = 0
        #: Why it could not be reached, while that is so.
        self._away: LedgerError | None = None
        self.loop = Loop(f"witness-{witness[-6:]}", self._step, metrics=metrics, on_fatal=on_fatal)

    def close(self) -> None:
        """Drop the connection."""
        if self._client is not None:
            self._client.close()

    def _step(self) -> float:
        if self._away is not None and self._tracker.rests(self.witness):
            raise self._away
        self._away = None
        try:
            client = self._connected()
            offered, corrections = False, 0
            while (wanted := self._publisher.wanted_from(self.witness)) is not None and not self.loop.stopping:
                corrections = 0 if self._offer(client, wanted.size, wanted.note) else corrections + 1
                if corrections > _MAX_CORRECTIONS:
                    raise UnavailableError(
                        "witness.confused", f"{self.witness} holds another size whenever it is asked"
                    )
                offered = True
            if offered:
                self._tracker.reached(self.witness)
            else:
                status = msgspec.json.decode(client.get("/v1/status").body, type=_Status)
                self._tracker.reached(self.witness, status.height)
        except msgspec.MsgspecError as error:
            self._tracker.missed(self.witness, "its status is no JSON")
            raise UnavailableError("peer.answer", f"{self.witness} answered no status: {error}") from error
        except ConflictError as error:
            # Ours is the log that is wrong; the witness answered as it should.
            self._tracker.reached(self.witness)
            self._attendance.failed(self.witness, error)
            raise
        except LedgerError as error:
            if isinstance(error, UntrustedError) or error.code == "witness.answer":
                # It is there and lies: the doctor names it for that, not as a peer out of reach.
                self._tracker.reached(self.witness)
            else:
                self._tracker.missed(self.witness, error.message)
                self._away = error
            self._attendance.failed(self.witness, error)
            raise
        return PROBE_INTERVAL_S

    def _offer(self, client: PinnedClient, size: int, note: bytes) -> bool:
        """Offer a note; False when the witness corrected the size it holds, so that it must be offered again."""
        proof = self._log.prove_consistency(self._held, size) if 0 < self._held < size else []
        answer = client.post("/add-checkpoint", format_request(self._held, proof, note))
        if answer.status == 200:
            self._publisher.cosigned(self.witness, size, answer.body)
            self._held = size
            return True
        if answer.status == 409:
            held = parse_held(answer.body)
            if held > size:
                self._compare()
                raise UnavailableError("witness.confused", f"{self.witness} claims {held} records and cannot show them")
            if held == self._held:
                raise UnavailableError("witness.confused", f"{self.witness} asks for the size it was given: {held}")
            self._held = held
            return False
        if answer.status == 422:
            self._compare()
        # 403, 404: its chain view does not know our key or log (yet); 422: it saw another history of this log.
        text = answer.body[:200].decode("utf-8", "replace").strip()
        code = "witness.disagrees" if answer.status == 422 else "witness.refused"
        raise UnavailableError(
            code,
            f"{self.witness} does not cosign (HTTP {answer.status}): {text}",
            hint="its node may be behind on the chain; if it says 422, compare both with `civicledger log fsck`",
        )

    def _compare(self) -> None:
        """A witness holds more of this log than we offer, or another history: if its head is signed with our key,
        nothing more is appended or signed here.

        Raises: ConflictError(log.behind | log.forked), UntrustedError(checkpoint.log-signature).
        """
        roster = self._roster()
        note = witness_note(self._peers.require(self.witness), self._log.origin, roster, self._timeout)
        if note is None:
            return
        try:
            self._log.guard((), [note])
        except ConflictError as error:
            info, ours = roster.by_origin(self._log.origin), self._log.published
            if error.code == "log.forked" and info is not None and ours is not None:
                try:
                    evidence = contradiction(note, ours, log_keys(roster, info, ended=True), self._log)
                except UnavailableError:
                    # Theirs is larger than what was signed here: that there are two histories is certain, but a
                    # stranger cannot see it from the two signed heads.
                    evidence = None
                self._alarms.raise_alarm(
                    error.code, info.uscc, f"{self.witness} cosigned another history of this log", evidence
                )
            raise

    def _connected(self) -> PinnedClient:
        peer = self._peers.require(self.witness)
        if self._client is None or self._client.peer != peer:
            self.close()
            self._client = PinnedClient(peer, self._timeout)
        return self._client


class WitnessFeeds:
    """One feed per other active member; a member admitted while the node runs gets its own."""

    def __init__(
        self, member: str, make: Callable[[str], WitnessFeed], roster: Callable[[], Roster], peers: PeerBook
    ) -> None:
        self._member = member
        self._make = make
        self._roster = roster
        self._peers = peers
        self._feeds: dict[str, WitnessFeed] = {}

    def start_missing(self) -> None:
        """Start the feeds of members that have an address and no feed yet."""
        self._peers.refresh()
        for info in self._roster().others(self._member):
            if info.uscc not in self._feeds and info.uscc in self._peers:
                self._feeds[info.uscc] = self._make(info.uscc)
                self._feeds[info.uscc].loop.start()

    def wake(self) -> None:
        """There is a new checkpoint."""
        for feed in tuple(self._feeds.values()):
            feed.loop.wake()

    def wake_one(self, witness: str) -> None:
        """This witness is back."""
        feed = self._feeds.get(witness)
        if feed is not None:
            feed.loop.wake()

    def loops(self) -> Iterator[Loop]:
        """The loops of all feeds."""
        yield from (feed.loop for feed in tuple(self._feeds.values()))

    def close(self) -> None:
        """Drop all connections."""
        for feed in tuple(self._feeds.values()):
            feed.close()


def witness_view(peer: Peer, origin: str, roster: Roster, timeout: float) -> Checkpoint | None:
    """What a peer's witness saw of a log; None when it saw nothing. Raises: as :func:`witness_note`."""
    note = witness_note(peer, origin, roster, timeout)
    return None if note is None else parse_checkpoint(parse_note(note).text)


def witness_note(peer: Peer, origin: str, roster: Roster, timeout: float) -> bytes | None:
    """The newest note of a log that a peer's witness cosigned, signed by a key of that log; None when it saw nothing.

    Raises: UnavailableError(peer.unreachable | witness.refused), UntrustedError(checkpoint.log-signature).
    """
    client = PinnedClient(peer, timeout)
    try:
        return ask_witness(client, origin, roster)
    finally:
        client.close()


def ask_witness(client: PinnedClient, origin: str, roster: Roster) -> bytes | None:
    """:func:`witness_note` over a connection there is."""
    answer = client.get(f"/witness/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
    if answer.status == 404:
        return None
    info = roster.by_any_origin(origin)
    if answer.status != 200 or info is None:
        raise UnavailableError("witness.refused", f"{client.peer.uscc} does not say what it saw (HTTP {answer.status})")
    # Retired keys too: the last checkpoint before a rotation is as good a memory as any.
    signed_by(answer.body, origin, log_keys(roster, info, ended=True))
    return answer.body
