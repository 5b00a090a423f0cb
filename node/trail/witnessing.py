"""The witness this node is for every other member's log (C2SP tlog-witness), and the view a restarting log asks for."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable

import structlog

from ledger.errors import InvalidInputError, LedgerError, NotFoundError
from ledger.evidence.checkpoint import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    Checkpoint,
    Note,
    VKey,
    cosign,
    verify_cosignature,
)
from ledger.evidence.fork import ForkEvidence
from ledger.evidence.witness import TEXT_TYPE, AddCheckpoint, Judgement, judge, parse_request
from ledger.keys import Signer
from ledger.model import KeyRole, MemberInfo
from ledger.storage.witness import WitnessedHead, WitnessStore
from node.chain.roster import Roster, logs_of
from node.context import Clock
from node.metrics import Metrics
from node.trail.alarms import AlarmBook

logger = structlog.get_logger("node.witness")


def log_keys(roster: Roster, info: MemberInfo, *, ended: bool = False) -> tuple[VKey, ...]:
    """Verifier keys of a member's log, newest first; with ``ended`` those that are no longer in force as well."""
    materials = roster.materials(info.uscc, KeyRole.LOG)
    if ended:
        materials += tuple(
            key.material
            for key in roster.keys.values()
            if key.member == info.uscc and key.role is KeyRole.LOG and key.status != "active"
        )
    return tuple(VKey(name=info.origin, type=ED25519_NOTE, public=material) for material in materials)


def witness_keys(roster: Roster, info: MemberInfo) -> tuple[VKey, ...]:
    """Verifier keys of a member's witness, newest first."""
    return tuple(
        VKey(name=info.witness_name, type=ED25519_COSIGNATURE, public=material)
        for material in roster.materials(info.uscc, KeyRole.WITNESS)
    )


class LogWitness:
    """Judges, persists, then cosigns. One per node; thread-safe through the store's check-and-set."""

    def __init__(
        self,
        *,
        member: str,
        name: str,
        signer: Callable[[], Signer],
        store: WitnessStore,
        roster: Callable[[], Roster],
        clock: Clock,
        metrics: Metrics,
        alarms: AlarmBook,
        on_doubt: Callable[[str, bytes], None] | None = None,
    ) -> None:
        self._member = member
        self._name = name
        self._signer = signer
        self._store = store
        self._roster = roster
        self._clock = clock
        self._metrics = metrics
        self._alarms = alarms
        self._on_doubt = on_doubt

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes, str]:
        """Answer an ``add-checkpoint`` request: status, body, content type. The new head is durable before the
        cosignature exists.

        A head that contradicts the one held raises an alarm with the proof.

        Raises: UnavailableError(disk.full), FatalError(store.corrupt).
        """
        try:
            request = parse_request(body)
        except InvalidInputError as error:
            self._metrics.witness_answered(400)
            return 400, f"{error.message}\n".encode(), TEXT_TYPE
        origin = request.checkpoint.origin
        key = self._log_key(request)

        held: WitnessedHead | None = None

        def judged(stored: Checkpoint | None) -> Judgement:
            nonlocal held
            held = None if stored is None else self._store.get(origin)
            return judge(request, key, stored)

        answer = self._store.check_and_set(origin, bytes(request.note), judged)
        self._metrics.witness_answered(answer.status)
        if answer.status != 200:
            logger.info("witness.refused", origin=origin, status=answer.status, size=request.checkpoint.size)
            if answer.status not in (403, 404) and held is not None:
                try:
                    self._look_closer(request, held, answer.status)
                except LedgerError as error:
                    # The log is answered as the protocol says, whatever becomes of our own book of alarms.
                    logger.error("witness.no-alarm", origin=origin, code=error.code, message=error.message)
            return answer.status, answer.body, answer.content_type
        line = cosign(request.note.text, self._name, self._signer(), self._clock() // 1_000)
        return 200, line.encode(), answer.content_type

    def _look_closer(self, request: AddCheckpoint, held: WitnessedHead, status: int) -> None:
        """A head with the log's valid signature that was not taken: two roots of one size prove a fork at once; a
        proof that does not verify proves nothing (anybody can send one), so the log itself is asked."""
        new = request.checkpoint
        info = self._roster().by_origin(new.origin)
        if info is None or (new.size, new.root) == (held.checkpoint.size, held.checkpoint.root):
            return
        if new.size == held.checkpoint.size:
            keys = log_keys(self._roster(), info, ended=True)
            evidence = ForkEvidence.make(held.note, bytes(request.note), keys)
            self._alarms.raise_alarm("log.forked", info.uscc, f"it signed two roots of size {new.size}", evidence)
        elif status == 422 and self._on_doubt is not None:
            self._on_doubt(new.origin, bytes(request.note))

    def seen(self, origin_digest: bytes) -> bytes:
        """The newest checkpoint cosigned here of the log, retired ones too, whose origin has this SHA-256.

        Raises: NotFoundError(witness.unseen).
        """
        for info in itertools.chain.from_iterable(map(logs_of, self._roster().members.values())):
            if hashlib.sha256(info.origin.encode()).digest() == origin_digest:
                head = self._store.get(info.origin)
                if head is not None:
                    return head.note
        raise NotFoundError("witness.unseen", "no checkpoint of that log was cosigned here")

    def _log_key(self, request: AddCheckpoint) -> VKey | None:
        """The key to judge with: of an active member other than ourselves (an own cosignature would count nowhere)."""
        roster = self._roster()
        info = roster.by_origin(request.checkpoint.origin)
        if info is None or info.uscc == self._member or not roster.is_active(info.uscc):
            return None
        keys = log_keys(roster, info)
        signed = {signature.key_id for signature in request.note.signatures}
        return next((key for key in keys if key.key_id in signed), keys[0] if keys else None)


def count_cosignatures(note: Note, roster: Roster, member: str) -> tuple[str, ...]:
    """The other active members whose cosignature on a note verifies, in order of member. A bad one does not count."""
    found = []
    for info in roster.others(member):
        for key in witness_keys(roster, info):
            try:
                if verify_cosignature(note, key) is not None:
                    found.append(info.uscc)
                    break
            except LedgerError as error:
                logger.warning("witness.bad-cosignature", peer=info.uscc, code=error.code)
    return tuple(found)
