"""LicenceTypeService: licence types (证照类型) and who may issue them (颁发认可)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ledger.chain.account import TransactionOutcome
from ledger.chain.bindings import decode_events
from ledger.directory.grants import text_digest
from ledger.errors import ConflictError, FatalError, NotFoundError
from ledger.identifiers import parse_licence_type
from ledger.licences.description import MAX_DESCRIPTION_BYTES, decode_description, description_digest
from ledger.model import AccreditationInfo, LicenceTypeInfo
from ledger.v1 import licencetypes_pb2 as pb
from ledger.v1 import licencetypes_pb2_grpc
from node.documents import Documents
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: Accreditations of one answer.
MAX_ACCREDITATIONS = 5_000
_MAX_TIME_S = 2**40


class LicenceTypeService(licencetypes_pb2_grpc.LicenceTypeServiceServicer):
    """What the Licences contract says of types and accreditations."""

    def __init__(self, context: NodeContext, documents: Documents) -> None:
        self._context = context
        self._documents = documents

    def List(self, request: pb.ListLicenceTypesRequest, call: Call) -> pb.ListLicenceTypesResponse:
        """Types in order of definition, withdrawn ones included."""
        page = fields.page(request.page_size, request.page_token)
        found, total = self._context.contracts.licences.licence_types_page(page.start, page.size)
        return pb.ListLicenceTypesResponse(
            types=[self._show(info, call) for info in found],
            next_page_token=page.token_after(len(found), page.start + len(found) < total),
        )

    def Get(self, request: pb.GetLicenceTypeRequest, call: Call) -> pb.LicenceType:
        """One type with its description."""
        return self._show(self._require(request.code), call)

    def Define(self, request: pb.DefineLicenceTypeRequest, call: Call) -> pb.LicenceTypeResponse:
        """Define a type; one that is there is described anew."""
        fields.json_object("description", request.description, limit=MAX_DESCRIPTION_BYTES)
        data = bytes(request.description)
        about, digest = decode_description(data), description_digest(data)
        licences = self._context.contracts.licences
        info = licences.licence_type(about.code)
        if info is not None and info.metadata_digest == digest and not info.withdrawn_at:
            raise ConflictError(
                "licence.type-unchanged",
                f"licence type {about.code} is defined with this description already",
                hint="nothing is to be done: civicledger licence type show",
            )
        self._documents.keep(digest, data)
        encode = licences.encode_define if info is None else licences.encode_change_metadata
        outcome = self._send(encode(about.code, digest))
        trail.write(self._context, "licence.type-defined", {"type": about.code, "description": digest.hex()})
        return self._type_response(about.code, outcome, call)

    def Withdraw(self, request: pb.WithdrawLicenceTypeRequest, call: Call) -> pb.LicenceTypeResponse:
        """Take a type out of use for ever; what was issued stays verifiable."""
        info = self._require(request.code)
        digest = self._explained("reason", request.reason)
        outcome = self._send(self._context.contracts.licences.encode_withdraw(info.code, digest))
        trail.write(self._context, "licence.type-withdrawn", {"type": info.code, "reason": digest.hex()})
        return self._type_response(info.code, outcome, call)

    def Accredit(self, request: pb.AccreditRequest, call: Call) -> pb.AccreditationResponse:
        """Let a member issue licences of a type."""
        info = self._require(request.type)
        member = fields.member("member", request.member)
        valid_from = fields.number("valid_from", request.valid_from, 0, _MAX_TIME_S)
        valid_until = fields.number("valid_until", request.valid_until, 0, _MAX_TIME_S)
        digest = self._explained("basis", request.basis)
        calldata = self._context.contracts.licences.encode_accredit(
            info.code, member, basis_digest=digest, valid_from=valid_from, valid_until=valid_until
        )
        outcome = self._send(calldata)
        number = _number(outcome, "Accredited")
        made = self._span(info.code, member, number)
        trail.write(
            self._context,
            "licence.accredited",
            {
                "type": info.code,
                "issuer": member,
                "number": number,
                "from": made.valid_from,
                "until": made.valid_until,
                "basis": digest.hex(),
            },
        )
        return self._accreditation_response(made, outcome)

    def EndAccreditation(self, request: pb.EndAccreditationRequest, call: Call) -> pb.AccreditationResponse:
        """End a span now, or shorten it; without a number the one in force, else the next to come."""
        info = self._require(request.type)
        member = fields.member("member", request.member)
        valid_until = fields.number("valid_until", request.valid_until, 0, _MAX_TIME_S)
        number = request.number or self._present(info.code, member)
        digest = self._explained("reason", request.reason)
        calldata = self._context.contracts.licences.encode_end_accreditation(
            info.code, member, number, reason_digest=digest, valid_until=valid_until
        )
        outcome = self._send(calldata)
        ended = self._span(info.code, member, number)
        trail.write(
            self._context,
            "licence.accreditation-ended",
            {
                "type": info.code,
                "issuer": member,
                "number": number,
                "until": ended.valid_until,
                "reason": digest.hex(),
            },
        )
        return self._accreditation_response(ended, outcome)

    def ListAccreditations(self, request: pb.ListAccreditationsRequest, call: Call) -> pb.ListAccreditationsResponse:
        """Every span of a type, of a member, or of both, those that are over included."""
        member = fields.optional_member("member", request.member)
        found: list[AccreditationInfo] = []
        for code in self._codes(request.type):
            for issuer in self._context.contracts.licences.issuers(code):
                if member is None or issuer == member:
                    found += self._context.contracts.licences.accreditations(code, issuer)
            if len(found) > MAX_ACCREDITATIONS:
                raise fields.refuse("type", "or member: there are more than 5,000, name one")
        return pb.ListAccreditationsResponse(accreditations=[self._show_span(info) for info in found])

    # --- inside -------------------------------------------------------------------------------------------------------

    def _codes(self, text: str) -> Iterator[str]:
        if text:
            yield self._require(text).code
            return
        for info in self._context.contracts.licences.licence_types():
            yield info.code

    def _require(self, text: str) -> LicenceTypeInfo:
        code = parse_licence_type(text)
        info = self._context.contracts.licences.licence_type(code)
        if info is None:
            raise NotFoundError(
                "licence.type-unknown",
                f"no licence type {code} is on the chain",
                hint="civicledger licence type list",
                actual=code,
            )
        return info

    def _span(self, code: str, member: str, number: int) -> AccreditationInfo:
        spans = self._context.contracts.licences.accreditations(code, member)
        return spans[number - 1]

    def _present(self, code: str, member: str) -> int:
        """The number of the span that an end without a number means."""
        now_s = self._context.clock() // 1_000
        spans = self._context.contracts.licences.accreditations(code, member)
        for state in ("in-force", "to-come"):
            for span in spans:
                if span.state_at(now_s) == state:
                    return span.number
        raise NotFoundError(
            "licence.not-accredited",
            f"{member} has no accreditation for {code} that could be ended",
            hint=f"civicledger licence accreditations {code}",
        )

    def _explained(self, field: str, text: str) -> bytes:
        """Keep a text of one's own; its digest."""
        text = fields.text(field, text)
        digest = text_digest(text)
        self._documents.keep(digest, text.encode())
        return digest

    def _send(self, calldata: bytes) -> TransactionOutcome:
        return self._context.sender.send(self._context.contracts.licences.address, calldata)

    def _show(self, info: LicenceTypeInfo, call: Call) -> pb.LicenceType:
        # Only the own member's calls ask other nodes: two nodes never ask each other in a circle.
        return translate.licence_type(info, self._documents.description(info, fetch=call.caller.own))

    def _show_span(self, info: AccreditationInfo) -> pb.Accreditation:
        basis = self._documents.held(info.basis_digest)
        return translate.accreditation(info, basis.decode(), self._context.clock() // 1_000)

    def _type_response(self, code: str, outcome: TransactionOutcome, call: Call) -> pb.LicenceTypeResponse:
        return pb.LicenceTypeResponse(
            type=self._show(self._require(code), call), transaction=translate.transaction(outcome)
        )

    def _accreditation_response(self, info: AccreditationInfo, outcome: TransactionOutcome) -> pb.AccreditationResponse:
        return pb.AccreditationResponse(accreditation=self._show_span(info), transaction=translate.transaction(outcome))


def _number(outcome: TransactionOutcome, name: str) -> int:
    for event in decode_events(outcome.receipt):
        if event.name == name:
            return int(event.args["number"])
    raise FatalError("chain.no-event", "the accreditation's transaction left no event", hint="civicledger doctor")
