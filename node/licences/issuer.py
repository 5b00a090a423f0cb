"""Issuing: from a clerk's order to a signed licence, on record before anybody has it.

Order of events: a random place in a status list is taken, durably; the licence is made and signed; it is kept with
everything about its holder; its commitment is in the log; it is valid and answered. A crash between any two leaves
nothing that a repeat of the order, or the next start, does not bring to its end, and no place is given twice.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from ledger.codec import commitment, domain_digest, encode_record
from ledger.errors import ConflictError, FatalError, InvalidInputError, LedgerError, NotAllowedError
from ledger.evidence.licencebundle import ISSUED_TYPE
from ledger.model import Record
from ledger.storage.licencerows import Change, LicencePayload, LicenceRow, Merged, State
from node.licences.making import Draft, Order, decode_order, draft_of, sign
from node.licences.signing import issuer_signer
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: The last version an identifier can name.
MAX_VERSION = 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A licence and what is about its holder; no ``payload`` after an erasure."""

    row: LicenceRow
    payload: LicencePayload | None


def issue_commitment(salt: bytes, sd_jwt: str) -> bytes:
    """The commitment of an issue record to a licence, 32 bytes."""
    return commitment(ISSUED_TYPE, salt, sd_jwt.partition("~")[0].encode())


class Issuer:
    """The licences this node's member issues. Thread-safe: one chunk of licences at a time."""

    def __init__(self, context: NodeContext, on_list: Callable[[], None]) -> None:
        """``on_list`` is told when a list has its first licence and no published version."""
        self._context = context
        self._store = context.licences.store
        self._on_list = on_list
        self._lock = threading.Lock()

    def issue(self, orders: Sequence[Order]) -> list[Issued | LedgerError]:
        """Issue licences, one answer an order. What was issued to the same request before is answered again.

        Raises: UnavailableError, FatalError where no order can be served; they may all be repeated.
        """
        with self._lock:
            # What was cut short before comes first: its identifier may be one of these.
            self._settle()
            return self._issue(orders)

    def replace(self, identity: bytes, order: Callable[[Order], Order], request: str) -> Issued:
        """The next version of a licence: ``order`` makes the new order of the one before, which is superseded.

        Raises: as an order's refusal; ConflictError(licence.state), NotFoundError(licence.unknown | licence.erased).
        """
        with self._lock:
            self._settle()
            row = self._store.require(identity)
            payload = self._store.payload(identity)
            known = self._store.of_request(request)
            if known is not None and known.replaces != identity:
                raise _other_request()
            if payload is None:
                raise ConflictError(
                    "licence.erased",
                    "what was kept about this licence's holder has been erased",
                    hint="issue a new licence from the department's own files",
                )
            if known is None or known.state == "begun":
                if row.state != "valid":
                    raise ConflictError(
                        "licence.state",
                        f"only a valid licence has a next version, and this one is {row.state}",
                        hint="resume it first, or issue a new licence",
                        expected="valid",
                        actual=row.state,
                    )
                if row.version == MAX_VERSION:
                    raise ConflictError("licence.version", f"an identifier has at most {MAX_VERSION} versions")
            before = replace(decode_order(payload.asked), serial=payload.serial)
            wanted = replace(order(before), request=request, version=row.version + 1, replaces=identity)
            answer = self._issue([wanted])[0]
        if isinstance(answer, LedgerError):
            raise answer
        return answer

    def change(self, identity: bytes, state: State, reason: str) -> LicenceRow:
        """Suspend, resume or revoke: in force at once, on record when this returns.

        Raises: NotFoundError(licence.unknown), ConflictError(licence.state).
        """
        with self._lock:
            # A next version that was signed supersedes this one before it is suspended or revoked.
            self._settle()
            self._log_changes()
            row = self._store.require(identity)
            if (row.state, row.reason) != (state, reason) or row.state == "begun":
                if row.state == "begun":
                    raise ConflictError(
                        "licence.state", "this licence is not issued yet", hint="repeat the request that issues it"
                    )
                change = Change(state=state, reason=reason, time_ms=self._context.clock())
                row = self._store.change(identity, change)
                self._log_changes()
        return row

    def erase(self, identities: Sequence[bytes], basis: str) -> int:
        """Delete what is about the holders, then say so on the trail; how many licences had something."""
        with self._lock:
            rows = self._store.erase(identities)
            now = self._context.clock()
            bodies = [{"basis": basis, "commitment": row.commitment.hex()} for row in rows]
            records = [self._record("erasure.done", body, now) for body in bodies]
            if records:
                self._context.log.append(records)
        return len(rows)

    def merge(self, number: int, values: bytes) -> Merged:
        """Take over what a published status list says (a byte a place) where it is graver than what is known here."""
        with self._lock:
            self._settle()
            self._log_changes()
            merged = self._store.merge(number, values, self._context.clock())
            self._log_changes()
        return merged

    def require_accredited(self, type_: str) -> None:
        """Whether this member may issue licences of a type now.

        Raises: InvalidInputError(licence.type-unknown), NotAllowedError(licence.not-accredited).
        """
        _Standing(self._context).require(type_)

    def settle(self) -> None:
        """Bring to its end what a crash or a full disk cut short: signed licences go on record, changes too."""
        with self._lock:
            self._settle()
            self._log_changes()

    # --- inside -------------------------------------------------------------------------------------------------------
    def _issue(self, orders: Sequence[Order]) -> list[Issued | LedgerError]:
        answers: dict[int, Issued | LedgerError] = {}
        drafts: list[tuple[int, Draft, LicenceRow | None]] = []
        judge, identifiers, requests = _Standing(self._context), set[str](), set[str]()
        for number, order in enumerate(orders):
            try:
                known = self._known(order)
                if known is not None and known.state != "begun":
                    answers[number] = self._issued(known)
                    continue
                judge.require(order.type)
                draft = draft_of(self._context, order)
                if draft.identifier in identifiers or order.request in requests:
                    raise _taken()
                if self._store.of_identifier(draft.identifier) is not None:
                    raise _taken()
                identifiers.add(draft.identifier)
                requests.add(order.request)
                drafts.append((number, draft, known))
            except FatalError:
                raise
            except LedgerError as error:
                answers[number] = error
        if drafts:
            rows = self._begin([(draft, known) for _, draft, known in drafts])
            done = self._sign(rows, [draft for _, draft, _ in drafts])
            answers.update((number, issued) for (number, _, _), issued in zip(drafts, done, strict=True))
        return [answers[number] for number in range(len(orders))]

    def _known(self, order: Order) -> LicenceRow | None:
        row = self._store.of_request(order.request)
        if row is None:
            return None
        if row.request != self._digest(order):
            raise _other_request()
        return row

    def _begin(self, drafts: Sequence[tuple[Draft, LicenceRow | None]]) -> list[LicenceRow]:
        chunk, now = secrets.token_bytes(16), self._context.clock()
        signer = issuer_signer(self._context)
        # Where the store is an older copy, licences that it does not know of have places in these lists.
        self._context.licences.publisher.look()
        places = iter(self._store.free_places(sum(known is None for _, known in drafts)))
        rows = []
        for number, (draft, known) in enumerate(drafts):
            where = (known.list, known.index) if known is not None else next(places)
            rows.append(
                LicenceRow(
                    id=secrets.token_bytes(16) if known is None else known.id,
                    type=draft.order.type,
                    version=draft.order.version,
                    list=where[0],
                    index=where[1],
                    state="begun",
                    chunk=chunk,
                    number=number,
                    issued_ms=now,
                    not_before_ms=draft.not_before_ms,
                    expires_ms=draft.expires_ms or 0,
                    kid=signer.material,
                    request=self._digest(draft.order),
                    replaces=draft.order.replaces,
                )
            )
        self._store.begin([(row, draft.order.request, known) for row, (draft, known) in zip(rows, drafts, strict=True)])
        return rows

    def _sign(self, rows: Sequence[LicenceRow], drafts: Sequence[Draft]) -> list[Issued]:
        signer = issuer_signer(self._context)
        uris = {number: self._context.licences.uri(number) for number in {row.list for row in rows}}
        chunk = []
        for row, draft in zip(rows, drafts, strict=True):
            made = sign(self._context, draft, signer, uri=uris[row.list], index=row.index, issued_ms=row.issued_ms)
            payload = LicencePayload(
                licence=made,
                identifier=draft.identifier,
                serial=draft.identity.serial,
                holder=draft.holder,
                salt=secrets.token_bytes(32),
                asked=draft.order.encode(),
            )
            chunk.append((row, payload))
        self._store.keep_payloads([(row.id, payload) for row, payload in chunk])
        return self._finish(chunk)

    def _finish(self, chunk: Sequence[tuple[LicenceRow, LicencePayload]]) -> list[Issued]:
        """Log a chunk and make it valid; a repeat after a crash logs nothing twice."""
        bound = [(row, issue_commitment(payload.salt, payload.licence), payload) for row, payload in chunk]
        records = [
            self._record("licence.issued", {"licence": name.hex(), "type": row.type}, row.issued_ms)
            for row, name, _ in bound
        ]
        batch = domain_digest("trail-step", b"licence.issued\n" + chunk[0][0].chunk)[:16]
        first, _ = self._context.log.append(records, batch)
        rows = self._store.finish(
            [
                (msgspec.structs.replace(row, commitment=name, log_index=first + offset), payload)
                for offset, (row, name, payload) in enumerate(bound)
            ]
        )
        if any(row.replaces for row in rows):
            self._log_changes()
        if any(self._context.licences.lists.newest(number) is None for number in {row.list for row in rows}):
            self._on_list()
        return [Issued(row=row, payload=payload) for row, (_, payload) in zip(rows, chunk, strict=True)]

    def _settle(self) -> None:
        for rows in self._store.begun():
            payloads = [(row, payload) for row in rows if (payload := self._store.payload(row.id)) is not None]
            if payloads:
                self._finish(payloads)

    def _log_changes(self) -> None:
        for identity, change in self._store.unlogged():
            row = self._store.require(identity)
            body = {"licence": row.commitment.hex(), "state": change.state, "reason": change.reason}
            key = identity + change.time_ms.to_bytes(8, "big")
            trail.write_once(self._context, "licence.status-changed", body, change.time_ms, key)
            self._store.logged(identity)

    def _issued(self, row: LicenceRow) -> Issued:
        return Issued(row=row, payload=self._store.payload(row.id))

    def _digest(self, order: Order) -> bytes:
        return self._store.digest("order", order.encode().decode())

    def _record(self, type_: str, body: dict[str, str], time_ms: int) -> bytes:
        return encode_record(Record(type=type_, member=self._context.member, time_ms=time_ms, body=body))


class _Standing:
    """Whether this member may issue a type now, asked once a chunk."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._known: dict[str, LedgerError | None] = {}

    def require(self, type_: str) -> None:
        """Raises: InvalidInputError(licence.type-unknown), NotAllowedError(licence.not-accredited)."""
        if type_ not in self._known:
            self._known[type_] = self._judge(type_)
        error = self._known[type_]
        if error is not None:
            raise error

    def _judge(self, type_: str) -> LedgerError | None:
        context = self._context
        if context.contracts.licences.licence_type(type_) is None:
            return InvalidInputError(
                "licence.type-unknown",
                "no licence type on the chain has this code",
                hint="civicledger licence type list; the body that defined it enters it",
                actual=type_,
            )
        if not context.contracts.licences.accredited_at(type_, context.member, context.clock() // 1_000):
            return NotAllowedError(
                "licence.not-accredited",
                "this member is not accredited for this licence type now",
                hint=f"the body that defined the type ({type_[:18]}) accredits: civicledger licence accredit",
                actual=type_,
            )
        return None


def _other_request() -> ConflictError:
    return ConflictError(
        "licence.other-request",
        "this request id was used for another licence",
        hint="choose a fresh request id, or repeat exactly what was asked before",
    )


def _taken() -> ConflictError:
    return ConflictError(
        "licence.identifier-taken",
        "a licence with this serial and version exists",
        hint="renew or supersede it, or give another serial",
    )
