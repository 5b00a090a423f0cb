"""Erasing patients: data, keys, links and everything the parts hold of them; then the record, and its proof.

What is about to go is noted first, so that a crash anywhere is finished at the next start: the vault forgets (one
change of epoch), the backup of the key store forgets, the parts drop their rows, the log is told. The note names no
patient but by the random subject, and is itself erased at the end.

Source: PIPL article 47.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import structlog

from ledger.codec import domain_digest, encode_record
from ledger.errors import FatalError, InvalidInputError, NotFoundError
from ledger.events import LABEL
from ledger.evidence.bundle import assemble
from ledger.evidence.erasing import ERASED_TYPE, MAX_COMMITMENTS, ErasureProof, ErasureStatement, decode_statement
from ledger.model import Record
from node.medical.keeping import ErasureHook, Keeping
from node.medical.patients import of_number, whole_persons

if TYPE_CHECKING:
    from ledger.storage.vault import Vault
    from node.context import NodeContext

logger = structlog.get_logger("node.medical")
T = TypeVar("T", bound=msgspec.Struct)

#: Most patients of one erasure.
MAX_PATIENTS: Final = 1_000
_BATCH: Final = 1_000
_PENDING, _DONE = b"p", b"d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """An erasure that is on record. ``patients``: how many were known; ``data``: pieces of data that went;
    ``index``: of the ``medical.erased`` record; ``backup``: whether a backup of the key store forgot as well."""

    statement: ErasureStatement
    patients: int
    data: int
    index: int
    backup: bool


class _Note(msgspec.Struct, frozen=True, array_like=True):
    time_ms: int
    basis: str
    epoch: int
    ended_key: bytes
    subjects: tuple[bytes, ...]
    names: tuple[bytes, ...]
    commitments: tuple[bytes, ...]


class _Done(msgspec.Struct, frozen=True, array_like=True):
    statement: bytes
    index: int


class Erasing:
    """Erasures of one node, one at a time."""

    def __init__(self, context: NodeContext, keeping: Keeping) -> None:
        self._context = context
        self._keeping = keeping
        self._rows = context.medical.rows.sub(b"erasing/")
        self._lock = threading.Lock()
        self._hooks: list[ErasureHook] = []

    def on_erase(self, hook: ErasureHook) -> None:
        """Have a part drop what it holds of erased subjects. Called before the erasure is recorded, perhaps twice."""
        self._hooks.append(hook)

    def erase(self, patients: Sequence[bytes], basis: str) -> Erased:
        """Erase patients by the hospital's own numbers of them.

        Raises: NotFoundError(vault.no-patient), InvalidInputError(erasure.basis | erasure.too-many),
        UnavailableError(vault.copies-away | disk.* | log.*).
        """
        if not LABEL.accepts(basis):
            raise InvalidInputError(
                "erasure.basis", f"the legal basis is not: {LABEL.meaning}", hint='a code of the law, such as "PIPL/47"'
            )
        if len(patients) > MAX_PATIENTS:
            raise InvalidInputError(
                "erasure.too-many",
                f"at most {MAX_PATIENTS} patients at once",
                expected=MAX_PATIENTS,
                actual=len(patients),
            )
        with self._lock:
            self._resume()
            vault = self._keeping.vault
            found = {patient: of_number(vault, patient) for patient in patients}
            if not found or not all(found.values()):
                raise NotFoundError(
                    "vault.no-patient",
                    "nothing is kept of such a patient here, or nothing any more",
                    hint="give the number under which the hospital's system files the patient",
                )
            if self._keeping.copies is not None:
                # An erasure that leaves the keys in a backup would be none.
                self._keeping.copies.check()
            subjects = whole_persons(vault, (one for each in found.values() for one in each))
            return self._carry_out(*self._forget(vault, subjects, basis))

    def resume(self) -> None:
        """Finish what a crash or an unreachable backup left. Raises: as :meth:`erase`."""
        with self._lock:
            self._resume()

    def prove(self, digest: bytes, wait_s: float) -> ErasureProof:
        """The proof of a recorded erasure, by the digest of its statement, once it is anchored and final.

        Raises: NotFoundError(erasure.unknown | erasure.record-elsewhere), UnavailableError(anchor.timeout).
        """
        row = self._rows.get(_DONE + digest)
        if row is None:
            raise NotFoundError(
                "erasure.unknown", "no such erasure is known here", hint="civicledger record list --type medical.erased"
            )
        done = _decoded(row, _Done)
        context = self._context
        if done.index >= context.log.size:
            raise _elsewhere()
        record = context.log.read(done.index, 1)[0]
        if digest.hex().encode() not in record:
            raise _elsewhere()
        anchor = context.anchors.parts(done.index, wait_s)
        hashes = context.log.prove_inclusion(done.index, anchor.size)
        bundle = assemble(record, done.index, hashes, anchor.parts)
        return ErasureProof(statement=decode_statement(done.statement), bundle=bundle)

    def _forget(
        self, vault: Vault, subjects: tuple[bytes, ...], basis: str, instead: bytes = b""
    ) -> tuple[bytes, _Note]:
        """Note what is about to go, and let the vault forget it; the note's name (it takes the place of ``instead``),
        and the note. Raises: InvalidInputError(erasure.too-many), UnavailableError(disk.*)."""
        # What came in between the note and the forgetting would be forgotten, and on no record.
        with vault.still():
            commitments = sorted({one for subject in subjects for one in vault.commitments(subject)})
            if len(commitments) > MAX_COMMITMENTS:
                raise InvalidInputError(
                    "erasure.too-many",
                    f"these patients have {len(commitments)} records, one erasure takes {MAX_COMMITMENTS}",
                    hint="erase fewer patients at once",
                )
            note = _Note(
                self._context.clock(),
                basis,
                vault.book.epoch,
                vault.book.fingerprint,
                subjects,
                tuple(name for subject in subjects for name in vault.names(subject)),
                tuple(commitments),
            )
            data = msgspec.msgpack.encode(note)
            key = _PENDING + domain_digest("erasure-note", data)
            with self._rows.batch() as batch:
                if instead:
                    batch.delete(instead)
                batch.put(key, data)
            vault.erase(subjects)
        return key, note

    def _resume(self) -> None:
        for key, row in list(self._rows.scan(_PENDING)):
            note, vault = _decoded(row, _Note), self._keeping.vault
            if vault.book.epoch == note.epoch:
                # The stop came before anything was forgotten: there may be more by now.
                key, note = self._forget(vault, note.subjects, note.basis, key)
            self._carry_out(key, note)

    def _carry_out(self, key: bytes, note: _Note) -> Erased:
        """What follows the forgetting. Every step may be repeated: the log knows the batch."""
        vault = self._keeping.vault
        backup = self._keeping.copies is not None
        if backup:
            self._keeping.back_up()
        for hook in self._hooks:
            hook(note.subjects, note.names)
        statement = ErasureStatement(
            member=self._context.member,
            time_ms=note.time_ms,
            basis=note.basis,
            ended=note.epoch,
            ended_key=note.ended_key,
            begun=note.epoch + 1,
            begun_key=vault.book.fingerprint,
            commitments=note.commitments,
        )
        index = self._record(statement)
        done = _Done(statement.encode(), index)
        self._rows.put(_DONE + statement.digest(), msgspec.msgpack.encode(done))
        self._rows.erase_all([key], within=_PENDING)
        logger.info("medical.erased", count=len(note.subjects))
        return Erased(
            statement=statement, patients=len(note.subjects), data=len(note.names), index=index, backup=backup
        )

    def _record(self, statement: ErasureStatement) -> int:
        body = {
            "epoch": statement.begun,
            "ended": statement.ended_key.hex(),
            "begun": statement.begun_key.hex(),
            "count": len(statement.commitments),
            "basis": statement.basis,
            "statement": statement.digest().hex(),
        }
        index = self._append([(ERASED_TYPE, body)], statement, 0)
        gone = [("erasure.done", {"commitment": one.hex(), "basis": statement.basis}) for one in statement.commitments]
        for first in range(0, len(gone), _BATCH):
            self._append(gone[first : first + _BATCH], statement, 1 + first)
        return index

    def _append(self, bodies: Sequence[tuple[str, dict[str, object]]], statement: ErasureStatement, part: int) -> int:
        records = tuple(
            encode_record(Record(type=kind, member=statement.member, time_ms=statement.time_ms, body=body))
            for kind, body in bodies
        )
        batch = domain_digest("trail-step", ERASED_TYPE.encode() + b"\n%d\n" % part + statement.digest())[:16]
        return self._context.log.append(records, batch)[0]


def _decoded(row: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(row, type=kind)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a noted erasure does not decode: {error}") from error


def _elsewhere() -> NotFoundError:
    return NotFoundError(
        "erasure.record-elsewhere",
        "the record of this erasure stands in a log that was retired",
        hint="civicledger bundle make INDEX --generation N proves the record; the statement's digest is in it",
    )
