"""KeepingService: what a hospital keeps of its patients, and forgets; at a commission, the keys of pseudonyms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.errors import NotFoundError
from ledger.storage.pseudonymkeys import YearKey
from ledger.v1 import keeping_pb2 as pb
from ledger.v1 import keeping_pb2_grpc, pseudonyms_pb2, pseudonyms_pb2_grpc
from node.medical.consents import ALL
from node.medical.erasing import MAX_PATIENTS
from node.medical.patients import of_number
from node.rpc.auth import Call
from node.services import fields

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.consents import ConsentRule

MAX_WAIT_MS = 60_000
_MAX_PATIENT = 256
_MAX_TIME = 1 << 40


class KeepingService(keeping_pb2_grpc.KeepingServiceServicer):
    """For the own member's operator and systems."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._medical = context.medical

    def Erase(self, request: pb.ErasePatientsRequest, call: Call) -> pb.ErasePatientsResponse:
        """Erased, recorded and forgotten in the backup on return."""
        fields.number("patients", len(request.patients), 1, MAX_PATIENTS)
        patients = [_patient(text) for text in request.patients]
        erased = self._medical.erasing.erase(patients, request.basis)
        return pb.ErasePatientsResponse(
            statement=erased.statement.digest(),
            log_index=erased.index,
            patients=erased.patients,
            data=erased.data,
            commitments=len(erased.statement.commitments),
            epoch=erased.statement.begun,
            backup=erased.backup,
        )

    def ProveErasure(self, request: pb.ProveErasureRequest, call: Call) -> pb.ProveErasureResponse:
        """The proof file."""
        digest = fields.id32("statement", request.statement)
        fields.number("wait_ms", request.wait_ms, 0, MAX_WAIT_MS)
        return pb.ProveErasureResponse(proof=self._medical.erasing.prove(digest, request.wait_ms / 1_000).encode())

    def ChangeConsent(self, request: pb.ChangeConsentRequest, call: Call) -> pb.ChangeConsentResponse:
        """Acts at once, and is on record."""
        asker = fields.optional_member("asker", request.asker) or ALL
        until_s = fields.number("until", request.until, 0, _MAX_TIME)
        consents = self._medical.consents
        indexes = [
            consents.change(subject, permit=request.permit, asker=asker, until_s=until_s)
            for subject in self._subjects(request.patient)
        ]
        return pb.ChangeConsentResponse(log_index=indexes[0])

    def ShowConsent(self, request: pb.ShowConsentRequest, call: Call) -> pb.ShowConsentResponse:
        """What a patient said, in its order."""
        rules = self._medical.consents.rules(self._subjects(request.patient)[0])
        return pb.ShowConsentResponse(rules=[_rule(rule) for rule in rules])

    def SetContact(self, request: pb.SetContactRequest, call: Call) -> pb.SetContactResponse:
        """Where a patient is told."""
        language = fields.word("language", request.language or "zh", ("zh", "en"))
        phone = fields.text("phone", request.phone, limit=16, required=False)
        for subject in self._subjects(request.patient):
            self._medical.notices.set_contact(subject, phone, "en" if language == "en" else "zh")
        return pb.SetContactResponse()

    def ListNotices(self, request: pb.ListNoticesRequest, call: Call) -> pb.ListNoticesResponse:
        """What waits, and how many went."""
        size = fields.number("page_size", request.page_size, 0, fields.MAX_PAGE) or fields.DEFAULT_PAGE
        waiting = sorted(self._medical.notices.waiting(), key=lambda one: (one.next_s, one.event))
        counts = self._medical.notices.counts()
        return pb.ListNoticesResponse(
            waiting=[
                pb.Notice(
                    event=one.event,
                    kind=one.kind,
                    report=one.report,
                    time=one.at_s,
                    attempts=one.attempts,
                    next=one.next_s,
                    problem=one.problem,
                )
                for one in waiting[:size]
            ],
            waiting_count=counts.waiting,
            delivered_count=counts.delivered,
            dropped_count=counts.dropped,
        )

    def BackUpKeys(self, request: pb.BackUpKeysRequest, call: Call) -> pb.BackUpKeysResponse:
        """The backup of the key store, brought up to date."""
        keeping = self._medical.keeping
        copy = keeping.back_up()
        folder = "" if keeping.copies is None else str(keeping.copies.path)
        return pb.BackUpKeysResponse(epoch=copy.epoch, rows=copy.rows, folder=folder)

    def ListPseudonymKeys(self, request: pb.ListPseudonymKeysRequest, call: Call) -> pb.ListPseudonymKeysResponse:
        """The keys in use, by their fingerprints."""
        commission = self._medical.commission
        return pb.ListPseudonymKeysResponse(keys=[_key(key) for key in commission.in_use()], year=commission.year)

    def RotatePseudonymKey(self, request: pb.RotatePseudonymKeyRequest, call: Call) -> pb.RotatePseudonymKeyResponse:
        """What the year demands, or a new key for it."""
        done = self._medical.commission.rotate(replace=request.replace)
        return pb.RotatePseudonymKeyResponse(
            made=[_key(key) for key in done.made], destroyed=[_key(key) for key in done.destroyed]
        )

    def _subjects(self, patient: str) -> tuple[bytes, ...]:
        keeping = self._medical.keeping
        found = of_number(keeping.vault, _patient(patient)) if keeping.exists else ()
        if not found:
            raise NotFoundError(
                "vault.no-patient",
                "nothing is kept of such a patient here, or nothing any more",
                hint="give the number under which the hospital's system files the patient",
            )
        return found


class PseudonymService(pseudonyms_pb2_grpc.PseudonymServiceServicer):
    """At a health commission's node, for hospitals."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context

    def Derive(
        self, request: pseudonyms_pb2.DerivePseudonymsRequest, call: Call
    ) -> pseudonyms_pb2.DerivePseudonymsResponse:
        """Pseudonyms under this year's and last year's key."""
        caller = call.caller.info
        keys, rows = self._context.medical.commission.derive(caller.uscc, caller.roles, request.identities)
        return pseudonyms_pb2.DerivePseudonymsResponse(
            keys=[_key(key) for key in keys], rows=[pseudonyms_pb2.PseudonymRow(pseudonyms=row) for row in rows]
        )


def _patient(text: str) -> bytes:
    return fields.text("patient", text, limit=_MAX_PATIENT).strip().encode()


def _key(key: YearKey) -> pseudonyms_pb2.PseudonymKey:
    return pseudonyms_pb2.PseudonymKey(year=key.year, number=key.number, fingerprint=key.fingerprint)


def _rule(rule: ConsentRule) -> pb.ConsentRule:
    return pb.ConsentRule(
        asker="" if rule.asker == ALL else rule.asker,
        permit=rule.permit,
        since=rule.from_s,
        until=0 if rule.until_s > _MAX_TIME else rule.until_s,
        via=rule.via,
    )
