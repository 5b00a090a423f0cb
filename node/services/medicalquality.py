"""The half of MedicalRulesService about quality and regions: label ranges, assessments, agreements."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ledger.chain.account import DEFAULT_GAS, TransactionOutcome
from ledger.chain.bindings import Recognition, decode_events
from ledger.chain.bindings.recognition import MAX_ENTRIES
from ledger.chain.bindings.recognitionrows import AgreementInfo, EqaEntry, RangeInfo
from ledger.codec import domain_digest, encode_record
from ledger.directory.grants import text_digest
from ledger.errors import FatalError, LedgerError, NotFoundError
from ledger.identifiers import parse_region
from ledger.model import Record
from ledger.v1 import medicalrules_pb2 as pb
from ledger.v1 import medicalrules_pb2_grpc
from node.documents import Documents
from node.rpc import medicaltranslate as shown
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.medical.rules import Rules

#: Results of one call; they go on chain 50 at a time, each with about 400,000 gas.
MAX_RESULTS = 1_000
_BATCH = 50
_RESULT_GAS = 450_000
_ITEM_GAS = 60_000
_CALL_GAS = 500_000
_MAX_TIME_S = 2**40
_MAX_ROUND = 2**32 - 1
#: What a label, an event and the chain can all hold.
_CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:/-]{0,31}\Z")


class QualityMethods(medicalrules_pb2_grpc.MedicalRulesServiceServicer):
    """Ranges, records of external quality assessment, agreements; and what the other half needs as well."""

    def __init__(self, context: NodeContext, documents: Documents) -> None:
        self.context = context
        self._documents = documents

    @property
    def recognition(self) -> Recognition:
        """The contract."""
        return self.context.contracts.recognition

    @property
    def rules(self) -> Rules:
        """The node's rule sets."""
        return self.context.medical.rules

    @property
    def now_s(self) -> int:
        """Seconds."""
        return self.context.clock() // 1_000

    # --- label ranges -------------------------------------------------------------------------------------------------

    def ListRanges(self, request: pb.ListRangesRequest, call: Call) -> pb.ListRangesResponse:
        """Every range in order of opening, ended ones included."""
        return pb.ListRangesResponse(ranges=[shown.label_range(info, self.now_s) for info in self.recognition.ranges()])

    def OpenRange(self, request: pb.OpenRangeRequest, call: Call) -> pb.RangeResponse:
        """Open a range, and name its quality body."""
        code = code_field("code", request.code)
        label = fields.text("label", request.label, limit=32)
        quality = fields.member("quality", request.quality)
        begin = fields.number("valid_from", request.valid_from, 0, _MAX_TIME_S)
        outcome = self.send(self.recognition.encode_open_range(code, label, quality, begin))
        info = self._range(code)
        body = {"range": code, "quality": quality, "region": info.region, "from": info.valid_from}
        trail.write(self.context, "medical.range-opened", body)
        return self._range_response(info, outcome)

    def EndRange(self, request: pb.EndRangeRequest, call: Call) -> pb.RangeResponse:
        """End a range now, or shorten it."""
        code = code_field("code", request.code)
        until = fields.number("valid_until", request.valid_until, 0, _MAX_TIME_S)
        digest = self.explained("reason", request.reason)
        outcome = self.send(self.recognition.encode_end_range(code, digest, until))
        info = self._range(code)
        body = {"range": code, "until": info.valid_until, "reason": digest.hex()}
        trail.write(self.context, "medical.range-ended", body)
        return self._range_response(info, outcome)

    # --- quality assessment -------------------------------------------------------------------------------------------

    def ListEqas(self, request: pb.ListEqasRequest, call: Call) -> pb.ListEqasResponse:
        """Records in order of recording, revoked ones included."""
        page = fields.page(request.page_size, request.page_token)
        size = min(page.size, MAX_ENTRIES)
        institution = fields.optional_member("institution", request.institution)
        if institution is None:
            found, total = self.recognition.eqas_page(page.start, size)
        else:
            found, total = self.recognition.eqas_of_page(institution, page.start, size)
        return pb.ListEqasResponse(
            eqas=[shown.eqa(info, self.now_s) for info in found],
            next_page_token=page.token_after(len(found), page.start + len(found) < total),
        )

    def RecordEqas(self, request: pb.RecordEqasRequest, call: Call) -> pb.RecordEqasResponse:
        """Record results, 50 a transaction: what a refusal stops after has been recorded and is named by it."""
        if not 1 <= len(request.entries) <= MAX_RESULTS:
            raise fields.refuse("entries", f"{len(request.entries)} entries", expected=f"1..{MAX_RESULTS}")
        entries = [_entry(place, item) for place, item in enumerate(request.entries, start=1)]
        answer = pb.RecordEqasResponse()
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            calldata = self.recognition.encode_record_eqas(part)
            try:
                outcome = self.send(calldata, _CALL_GAS + _RESULT_GAS * len(part))
            except LedgerError as error:
                raise _after(error, start, len(part)) from None
            ids = [bytes(event.args["id"]) for event in decode_events(outcome.receipt) if event.name == "EqaRecorded"]
            if len(ids) != len(part):
                raise self.vanished(outcome)
            self._log_eqas(ids, part)
            answer.ids.extend(ids)
            answer.transactions.append(translate.transaction(outcome))
        return answer

    def RevokeEqa(self, request: pb.RevokeEqaRequest, call: Call) -> pb.EqaResponse:
        """Revoke a record since a time; it stays on the chain."""
        identifier = fields.id32("id", request.id)
        since = fields.number("since", request.since, 0, _MAX_TIME_S)
        digest = self.explained("reason", request.reason)
        outcome = self.send(self.recognition.encode_revoke_eqa(identifier, digest, since))
        info = self.recognition.eqa(identifier)
        if info is None:
            raise self.vanished(outcome)
        body = {"record": identifier.hex(), "since": info.revoked_since, "reason": digest.hex()}
        trail.write(self.context, "medical.eqa-revoked", body)
        return pb.EqaResponse(eqa=shown.eqa(info, self.now_s), transaction=translate.transaction(outcome))

    # --- agreements ---------------------------------------------------------------------------------------------------

    def ListAgreements(self, request: pb.ListAgreementsRequest, call: Call) -> pb.ListAgreementsResponse:
        """Every agreement in order of proposal."""
        return pb.ListAgreementsResponse(agreements=[shown.agreement(info) for info in self.recognition.agreements()])

    def ProposeAgreement(self, request: pb.ProposeAgreementRequest, call: Call) -> pb.AgreementResponse:
        """Propose to another region that each counts the other's label of a range, for some items."""
        code = code_field("range", request.range)
        other = parse_region(request.other)
        items = sorted({code_field("items", item) for item in request.items})
        if not 1 <= len(items) <= MAX_ENTRIES:
            raise fields.refuse("items", f"{len(items)} items", expected=f"1..{MAX_ENTRIES}")
        calldata = self.recognition.encode_propose_agreement(code, other, items)
        outcome = self.send(calldata, _CALL_GAS + _ITEM_GAS * len(items))
        events = [event for event in decode_events(outcome.receipt) if event.name == "AgreementProposed"]
        if not events:
            raise self.vanished(outcome)
        info = self._agreement(int(events[0].args["number"]))
        return self._agreement_response("medical.agreement-proposed", info, outcome)

    def AcceptAgreement(self, request: pb.AcceptAgreementRequest, call: Call) -> pb.AgreementResponse:
        """Accept another region's proposal: it holds from now on."""
        outcome = self.send(self.recognition.encode_accept_agreement(request.number))
        return self._agreement_response("medical.agreement-accepted", self._agreement(request.number), outcome)

    def EndAgreement(self, request: pb.EndAgreementRequest, call: Call) -> pb.AgreementResponse:
        """End an agreement, refuse a proposal, or take it back."""
        digest = self.explained("reason", request.reason)
        outcome = self.send(self.recognition.encode_end_agreement(request.number, digest))
        return self._agreement_response("medical.agreement-ended", self._agreement(request.number), outcome, digest)

    # --- what both halves use -----------------------------------------------------------------------------------------

    def send(self, calldata: bytes, gas: int = 0) -> TransactionOutcome:
        """Send to the contract and wait for the block."""
        return self.context.sender.send(self.recognition.address, calldata, gas=max(gas, DEFAULT_GAS))

    def explained(self, field: str, text: str) -> bytes:
        """Keep a text of one's own; its digest."""
        text = fields.text(field, text)
        digest = text_digest(text)
        self._documents.keep(digest, text.encode())
        return digest

    def vanished(self, outcome: TransactionOutcome) -> FatalError:
        """What a transaction that took effect without its effect is."""
        return FatalError(
            "chain.no-event",
            f"the transaction in block {outcome.height} took effect, and the chain does not show it",
            hint="civicledger doctor",
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _log_eqas(self, ids: list[bytes], entries: list[EqaEntry]) -> None:
        """One record for each, written together."""
        context, now_ms = self.context, self.context.clock()
        lines = [
            encode_record(
                Record(
                    type="medical.eqa-recorded",
                    member=context.member,
                    time_ms=now_ms,
                    body={
                        "record": identifier.hex(),
                        "range": entry.range,
                        "item": entry.item,
                        "institution": entry.institution,
                        "scheme": entry.scheme,
                        "round": entry.round,
                        "passed": entry.passed,
                        "certificate": entry.certificate_digest.hex(),
                    },
                )
            )
            for identifier, entry in zip(ids, entries, strict=True)
        ]
        context.log.append(tuple(lines), domain_digest("trail-step", b"medical.eqa-recorded\n" + ids[0])[:16])

    def _range(self, code: str) -> RangeInfo:
        info = self.recognition.label_range(code)
        if info is None:
            raise NotFoundError(
                "medical.range-unknown", f"no label range {code} is on the chain", hint="civicledger medical range list"
            )
        return info

    def _range_response(self, info: RangeInfo, outcome: TransactionOutcome) -> pb.RangeResponse:
        return pb.RangeResponse(range=shown.label_range(info, self.now_s), transaction=translate.transaction(outcome))

    def _agreement(self, number: int) -> AgreementInfo:
        for info in self.recognition.agreements():
            if info.number == number:
                return info
        raise NotFoundError(
            "medical.agreement-unknown",
            f"no agreement {number} is on the chain",
            hint="civicledger medical agreement list",
            actual=number,
        )

    def _agreement_response(
        self, event: str, info: AgreementInfo, outcome: TransactionOutcome, reason: bytes = b""
    ) -> pb.AgreementResponse:
        body: dict[str, object] = {
            "number": info.number,
            "range": info.range,
            "region": info.region,
            "other": info.other,
            "items": len(info.items),
        }
        if reason:
            body["reason"] = reason.hex()
        trail.write(self.context, event, body)
        return pb.AgreementResponse(agreement=shown.agreement(info), transaction=translate.transaction(outcome))


def code_field(field: str, text: str) -> str:
    """A code of 1 to 32 characters that chain, log and label can hold. Raises: InvalidInputError(input.field)."""
    if not _CODE.match(text):
        raise fields.refuse(
            field,
            "is no code",
            "1 to 32 letters, digits, '.', '_', ':', '/' and '-', beginning with a letter or digit",
            actual=ascii(text)[:40],
        )
    return text


def _entry(place: int, item: pb.EqaEntry) -> EqaEntry:
    """An entry of a call, checked; ``place`` is named in a refusal."""
    name = f"entries[{place}]"
    begin = fields.number(f"{name}.valid_from", item.valid_from, 1, _MAX_TIME_S)
    return EqaEntry(
        range=code_field(f"{name}.range", item.range),
        item=code_field(f"{name}.item", item.item),
        institution=fields.member(f"{name}.institution", item.institution),
        scheme=code_field(f"{name}.scheme", item.scheme),
        round=fields.number(f"{name}.round", item.round, 1, _MAX_ROUND),
        passed=item.passed,
        certificate_digest=fields.id32(f"{name}.certificate_digest", item.certificate_digest),
        valid_from=begin,
        valid_until=fields.number(f"{name}.valid_until", item.valid_until, begin + 1, _MAX_TIME_S),
    )


def _after(error: LedgerError, done: int, tried: int) -> LedgerError:
    """The same error, saying which entries it is about and which stand on the chain already."""
    where = f"entries {done + 1} to {done + tried}: {error.message}"
    if done:
        where += f"; entries 1 to {done} are recorded"
    return type(error)(error.code, where, hint=error.hint)
