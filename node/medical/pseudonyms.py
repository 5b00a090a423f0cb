"""A hospital's side of pseudonyms: under which its patients are looked for, derived by the commission's node.

A patient taken in while the commission is away is kept all the same; the loop derives the pseudonyms when it is back,
and anew whenever the commission's keys changed. Identities, pseudonyms and which belongs to whom stand in the vault
only.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
import msgspec
import structlog

from ledger.days import day_of
from ledger.errors import FatalError, LedgerError, NotFoundError, UnavailableError
from ledger.model import MemberStatus, Roles
from ledger.storage.pseudonymkeys import check_identity
from ledger.v1 import pseudonyms_pb2 as pb
from ledger.v1 import pseudonyms_pb2_grpc as rpc
from node.loops import Loop
from node.rpc.errors import from_peer

if TYPE_CHECKING:
    from ledger.storage.vaultstage import Stage
    from node.context import NodeContext
    from node.medical.keeping import Keeping

logger = structlog.get_logger("node.medical")

IDENTITY: Final = b"identity"
PSEUDONYM: Final = b"pseudonym"
#: Keys in use at a time, at most: a search takes no more pseudonyms of a patient.
MAX_KEYS: Final = 4
#: Identities of one call to the commission.
BATCH: Final = 1_000
#: How often the commission is asked whether its keys changed, seconds.
_LOOK_S = 60.0
_TIMEOUT_S = 20.0
#: For how long those who came are gathered before the commission is asked, seconds.
_GATHER_S = 0.2
#: Pseudonyms of strangers held in memory, and for how long, milliseconds.
_STRANGERS: Final = 10_000
_FRESH_MS: Final = 600_000
_PENDING, _KEYS = b"p", b"k"

#: (year, pseudonym), newest year first.
Pseudonym = tuple[int, bytes]


class _Key(msgspec.Struct, frozen=True, array_like=True):
    year: int
    fingerprint: bytes


class _Own(msgspec.Struct, frozen=True, array_like=True):
    """The pseudonyms of a patient of this hospital, and the keys they were derived under."""

    keys: tuple[_Key, ...]
    pseudonyms: tuple[bytes, ...]

    def rows(self) -> tuple[Pseudonym, ...]:
        return tuple((key.year, one) for key, one in zip(self.keys, self.pseudonyms, strict=True))


class Pseudonyms:
    """Pseudonyms of patients, and the patients of pseudonyms. Thread-safe."""

    def __init__(
        self,
        context: NodeContext,
        keeping: Keeping,
        is_open: Callable[[], bool],
        on_fatal: Callable[[LedgerError], None],
    ) -> None:
        self._context = context
        self._keeping = keeping
        self._is_open = is_open
        self._rows = context.medical.rows.sub(b"pseudonym/")
        self._lock = threading.Lock()
        #: Held while an identity is given to a subject, and while what follows from it is kept.
        self._changing = threading.Lock()
        #: By region (empty: the own) and identity: since when, and the pseudonyms.
        self._strangers: OrderedDict[tuple[str, str], tuple[int, tuple[Pseudonym, ...]]] = OrderedDict()
        self.loop = Loop("pseudonyms", self._step, metrics=context.metrics, on_fatal=on_fatal)

    # --- at ingest ----------------------------------------------------------------------------------------------------
    def subject_of(self, patient: bytes, identity: str = "") -> bytes:
        """The subject of a patient, found by the hospital's number or the identity, else made; the identity, where
        there is one, is enrolled. Works while the commission is away.

        Raises: InvalidInputError(pseudonym.identity | vault.name).
        """
        vault = self._keeping.vault
        if not identity:
            return vault.subject_of(patient)
        link = vault.linked(IDENTITY, check_identity(identity).encode())
        if link is None or not vault.knows(link.subject):
            subject = vault.subject_of(patient)
        else:
            subject = link.subject
            if vault.find(patient) is None:
                vault.link(b"patient", patient, subject)
        self.enrol(subject, identity)
        return subject

    def enrol(self, subject: bytes, identity: str) -> None:
        """Let a subject be found by the pseudonyms of an identity, as soon as the commission derived them; no longer by
        those of the identity it had before, which was a mistake.

        Raises: InvalidInputError(pseudonym.identity), NotFoundError(vault.no-subject).
        """
        name = check_identity(identity).encode()
        vault = self._keeping.vault
        # Whole or not begun, as the loop sees it: it drops who has no identity.
        with self._changing:
            link = vault.linked(IDENTITY, name)
            if link is not None and link.subject == subject and vault.has(_identity(subject)):
                return
            self._rows.put(_PENDING + subject, b"")
            if vault.has(_identity(subject)):
                self._disown(subject, name)
            vault.put(subject, _identity(subject), name)
            vault.link(IDENTITY, name, subject)
        self.loop.wake()

    def enrol_in(self, stage: Stage, subject: bytes, identity: str) -> bool:
        """:meth:`enrol` for a subject that had no identity before, staged: what is staged is written inside
        :meth:`enrolling`. False where the identity leads to the subject already.

        Raises: InvalidInputError(pseudonym.identity).
        """
        name = check_identity(identity).encode()
        link, named = stage.linked(IDENTITY, name), stage.has(_identity(subject))
        if link is not None and link.subject == subject and named:
            return False
        if named:
            self.enrol(subject, identity)
            return False
        stage.link(IDENTITY, name, subject)
        stage.put(subject, _identity(subject), name)
        return True

    @contextlib.contextmanager
    def enrolling(self, subjects: Sequence[bytes]) -> Iterator[None]:
        """Inside, what was staged of these is written: whole or not begun, as the loop sees it."""
        if not subjects:
            yield
            return
        with self._changing:
            with self._rows.batch() as batch:
                for subject in subjects:
                    batch.put(_PENDING + subject, b"")
            yield
        self.loop.wake()

    # --- at a search --------------------------------------------------------------------------------------------------
    def of(self, identity: str, region: str = "", timeout_s: float = _TIMEOUT_S) -> tuple[Pseudonym, ...]:
        """(year, pseudonym) of an identity: this year's, and last year's where there is one; as another region's
        commission derives them, where one is named. ``timeout_s``: how long that may take.

        Raises: InvalidInputError(pseudonym.identity), NotFoundError(pseudonym.no-commission),
        UnavailableError(pseudonym.away), NotAllowedError(pseudonym.not-hospital).
        """
        name = check_identity(identity)
        known = self._stranger(region, name) or (None if region else self._known(name))
        if known is not None:
            return known
        keys, rows = self._ask([name], region, timeout_s)
        found = _Own(keys=keys, pseudonyms=rows[0]).rows()
        with self._lock:
            self._strangers[region, name] = (self._context.clock(), found)
            if len(self._strangers) > _STRANGERS:
                self._strangers.popitem(last=False)
        return found

    def find(self, pseudonym: bytes) -> bytes | None:
        """The subject whose pseudonym it is; None for one who is no patient here."""
        if not self._keeping.exists:
            return None
        link = self._keeping.vault.linked(PSEUDONYM, pseudonym)
        return None if link is None else link.subject

    def _any_waiting(self) -> bool:
        """Whether anybody cannot be found by others yet."""
        return next(self._rows.scan(_PENDING), None) is not None

    def waiting(self) -> int:
        """How many patients cannot be found by others yet."""
        return sum(1 for _ in self._rows.scan(_PENDING))

    def forget(self, subjects: Sequence[bytes], _names: Sequence[bytes] = ()) -> None:
        """Drop what is held of erased subjects outside the vault."""
        with self._lock:
            self._strangers.clear()
        self._rows.erase_all([_PENDING + subject for subject in subjects], within=_PENDING)

    # --- the loop -----------------------------------------------------------------------------------------------------
    def _step(self) -> float:
        if not self._is_open():
            return 1.0
        if not self._keeping.exists or not self._is_hospital():
            return _LOOK_S
        # Where one comes, more do: they are derived with one call.
        if self._any_waiting() and not self.loop.pause(_GATHER_S):
            return _LOOK_S
        keys, _ = self._ask([])
        if keys != self._kept_keys():
            self._turn(keys)
        self._derive(keys)
        return _LOOK_S

    def _turn(self, keys: tuple[_Key, ...]) -> None:
        """The commission's keys changed: what was derived under others goes, everybody is derived anew."""
        vault = self._keeping.vault
        before = {key.year: key.fingerprint for key in self._kept_keys()}
        now = {key.year: key.fingerprint for key in keys}
        with self._changing, self._rows.batch() as batch:
            for link in vault.links(IDENTITY):
                batch.put(_PENDING + link.subject, b"")
        over = {year for year, mark in before.items() if now.get(year) != mark}
        vault.unlink(PSEUDONYM, [link.name for link in vault.links(PSEUDONYM) if link.mark in over])
        with self._lock:
            self._strangers.clear()
        self._rows.put(_KEYS, msgspec.msgpack.encode(keys))
        logger.info("pseudonyms.turned", count=len(keys))

    def _derive(self, keys: tuple[_Key, ...]) -> None:
        while not self.loop.stopping:
            with self._changing:
                subjects = [key[1:] for key, _ in self._rows.scan(_PENDING)][:BATCH]
                named = {subject: name for subject in subjects if (name := self._named(subject)) is not None}
            if not subjects:
                return
            answered, found = self._ask(tuple(named.values()))
            if answered != keys:
                raise UnavailableError(
                    "pseudonym.turning", "the commission's keys changed meanwhile", hint="it is tried again by itself"
                )
            made = dict(zip(named, found, strict=True))
            with self._changing:
                # Whose identity changed meanwhile stays pending.
                settled = [subject for subject in subjects if self._named(subject) == named.get(subject)]
                self._settle(settled, keys, made)

    def _settle(
        self, subjects: Sequence[bytes], keys: tuple[_Key, ...], made: Mapping[bytes, tuple[bytes, ...]]
    ) -> None:
        """Keep what was derived of subjects; who has nothing derived has no identity any more."""
        vault = self._keeping.vault
        stage = vault.stage()
        for subject, pseudonyms in ((subject, made[subject]) for subject in subjects if subject in made):
            for key, one in zip(keys, pseudonyms, strict=True):
                stage.link(PSEUDONYM, one, subject, key.year)
            stage.put(subject, _pseudonyms(subject), msgspec.msgpack.encode(_Own(keys=keys, pseudonyms=pseudonyms)))
        try:
            vault.write(stage)
        except NotFoundError:
            if len(subjects) > 1:
                for subject in subjects:
                    self._settle((subject,), keys, made)
                return
            # Erased at this moment: nobody is to be found any more.
        with self._rows.batch() as batch:
            for subject in subjects:
                batch.delete(_PENDING + subject)

    def _named(self, subject: bytes) -> str | None:
        """The identity of a subject; None for one that was erased, or whose taking in was cut short."""
        with contextlib.suppress(NotFoundError):
            return self._keeping.vault.get(_identity(subject)).decode()
        return None

    def _disown(self, subject: bytes, name: bytes) -> None:
        """Let the identity that a subject had so far, where it is another one, lead to it no more."""
        vault = self._keeping.vault
        before = vault.get(_identity(subject))
        if before == name:
            return
        if vault.has(_pseudonyms(subject)):
            own: _Own = _decoded(vault.get(_pseudonyms(subject)), _Own)
            vault.unlink(PSEUDONYM, own.pseudonyms)
            vault.remove([_pseudonyms(subject)])
        link = vault.linked(IDENTITY, before)
        if link is not None and link.subject == subject:
            vault.unlink(IDENTITY, [before])

    def _stranger(self, region: str, name: str) -> tuple[Pseudonym, ...] | None:
        with self._lock:
            stranger = self._strangers.get((region, name))
        fresh = stranger is not None and self._context.clock() - stranger[0] < _FRESH_MS
        return stranger[1] if fresh and stranger is not None else None

    def _known(self, name: str) -> tuple[Pseudonym, ...] | None:
        keys = self._kept_keys()
        if not self._keeping.exists or not keys or keys[0].year != day_of(self._context.clock()).year:
            return None
        vault = self._keeping.vault
        link = vault.linked(IDENTITY, name.encode())
        if link is None or not vault.has(_pseudonyms(link.subject)):
            return None
        own: _Own = _decoded(vault.get(_pseudonyms(link.subject)), _Own)
        return own.rows() if own.keys == keys else None

    def _ask(
        self, identities: Sequence[str], region: str = "", timeout_s: float = _TIMEOUT_S
    ) -> tuple[tuple[_Key, ...], list[tuple[bytes, ...]]]:
        commission = self._commission(region or self._context.config.member.region)
        stub = rpc.PseudonymServiceStub(self._context.peers.channel(commission))
        try:
            answer = stub.Derive(pb.DerivePseudonymsRequest(identities=identities), timeout=timeout_s)
        except grpc.RpcError as rpc_error:
            # What is broken at the commission stops no hospital's node.
            error = from_peer(rpc_error, "the health commission's node")
            if not isinstance(error, UnavailableError):
                raise error from None
            raise UnavailableError(
                "pseudonym.away",
                f"the health commission's node does not derive pseudonyms now: {error.message}",
                hint="results can be taken in meanwhile; a search for patients new here works when it is back",
                actual=commission,
            ) from None
        keys = tuple(_Key(key.year, key.fingerprint) for key in answer.keys)
        rows = [tuple(row.pseudonyms) for row in answer.rows]
        if (
            not 1 <= len(keys) <= MAX_KEYS
            or len(rows) != len(identities)
            or any(len(row) != len(keys) or any(len(one) != 32 for one in row) for row in rows)
        ):
            raise UnavailableError(
                "pseudonym.away",
                "the health commission's node answered something else",
                hint="compare the versions of the nodes",
            )
        return keys, rows

    def _commission(self, region: str) -> str:
        for info in self._context.contracts.consortium.members():
            if Roles.HEALTH in info.roles and info.status is MemberStatus.ACTIVE and info.region == region:
                return info.uscc
        raise NotFoundError(
            "pseudonym.no-commission",
            f"no active member has the role of the health commission of {region}",
            hint="the members give roles by vote: civicledger member propose set-roles",
            expected=region,
        )

    def _is_hospital(self) -> bool:
        info = self._context.contracts.consortium.member(self._context.member)
        return info is not None and Roles.HOSPITAL in info.roles

    def _kept_keys(self) -> tuple[_Key, ...]:
        row = self._rows.get(_KEYS)
        return () if row is None else tuple(_decoded(row, tuple[_Key, ...]))


def _identity(subject: bytes) -> bytes:
    return b"identity/" + subject


def _pseudonyms(subject: bytes) -> bytes:
    return b"pseudonyms/" + subject


def _decoded(row: bytes, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(row, type=kind)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a row of pseudonyms does not decode: {error}") from error
