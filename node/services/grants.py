"""GrantService: asking for, approving, refusing and revoking the use of data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chain.account import TransactionOutcome
from ledger.chain.bindings import decode_events
from ledger.directory.catalogue import decode_metadata
from ledger.directory.deadlines import due
from ledger.directory.grants import (
    REFUSAL_REASONS,
    Terms,
    agreement,
    agreement_digest,
    check_scope,
    decode_scope,
    scope_digest,
    text_digest,
)
from ledger.errors import FatalError, NotAllowedError, NotFoundError
from ledger.model import GrantInfo, GrantState
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from node.documents import Documents, matter_bytes32
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

_STATES = tuple(state.word for state in GrantState if state is not GrantState.NONE)
_SCAN = 50
#: The longest validity of a grant, seconds (ten years, as the contract has it).
_MAX_VALIDITY_S = 10 * 366 * 86_400


class GrantService(department_pb2_grpc.GrantServiceServicer):
    """Permissions to use a dataset."""

    def __init__(self, context: NodeContext, documents: Documents) -> None:
        self._context = context
        self._documents = documents

    def Request(self, request: department_pb2.RequestGrantRequest, call: Call) -> department_pb2.GrantResponse:
        """Ask for a grant: the terms are written as an ODRL agreement whose digest goes on chain."""
        now_s = self._context.clock() // 1000
        terms = self._terms(request, now_s)
        data = agreement(terms)
        self._documents.keep(agreement_digest(data), data)
        matter = matter_bytes32(terms.matter)
        calldata = self._context.contracts.grants.encode_request(
            dataset=terms.dataset,
            purpose=terms.purpose,
            matter=matter,
            scope_digest=scope_digest(terms.scope),
            odrl_digest=agreement_digest(data),
            ceiling=terms.ceiling,
            valid_until=terms.valid_until,
            deadline=due(now_s, self._context.config.deadlines.answer)[0],
        )
        outcome = self._send(calldata)
        identity = b""
        for event in decode_events(outcome.receipt):
            if event.name == "GrantRequested":
                identity = event.args["id"]
        if not identity:
            raise FatalError("chain.no-event", "the request's transaction left no event", hint="civicledger doctor")
        trail.write(
            self._context,
            "grant.requested",
            {
                "grant": identity.hex(),
                "dataset": terms.dataset.hex(),
                "provider": terms.provider,
                "purpose": terms.purpose,
                "matter": matter.hex(),
            },
        )
        return self._response(identity, outcome)

    def Approve(self, request: department_pb2.ApproveGrantRequest, call: Call) -> department_pb2.GrantResponse:
        """Approve in every capacity this member has. The terms must be at hand: nobody approves what he cannot read."""
        before = self._require(fields.id32("id", request.id))
        self._documents.terms(before)
        outcome = self._send(self._context.contracts.grants.encode_approve(before.id))
        after = self._require(before.id)
        for approval in after.approvals:
            if approval not in before.approvals:
                trail.write(self._context, "grant.approved", {"grant": before.id.hex(), "as": approval})
        return self._response(before.id, outcome)

    def Refuse(self, request: department_pb2.RefuseGrantRequest, call: Call) -> department_pb2.GrantResponse:
        """Refuse a request with a reason of the published list and a text."""
        info, reason, text = self._ending(request)
        calldata = self._context.contracts.grants.encode_refuse(info.id, reason, text_digest(text))
        return self._end("grant.refused", info, reason, text, calldata)

    def Revoke(self, request: department_pb2.RevokeGrantRequest, call: Call) -> department_pb2.GrantResponse:
        """End a grant from now on."""
        info, reason, text = self._ending(request)
        calldata = self._context.contracts.grants.encode_revoke(info.id, reason, text_digest(text))
        return self._end("grant.revoked", info, reason, text, calldata)

    def Get(self, request: department_pb2.GetGrantRequest, call: Call) -> types_pb2.Grant:
        """One grant with its terms."""
        return self._show(self._require(fields.id32("id", request.id)), fetch=call.caller.own)

    def List(self, request: department_pb2.ListGrantsRequest, call: Call) -> department_pb2.ListGrantsResponse:
        """Grants in order of request."""
        provider = fields.optional_member("provider", request.provider)
        consumer = fields.optional_member("consumer", request.consumer)
        dataset = fields.optional_id32("dataset", request.dataset)
        state = fields.word("state", request.state, ("", *_STATES))
        page = fields.page(request.page_size, request.page_token)
        grants = self._context.contracts.grants
        found: list[GrantInfo] = []
        place, total = page.start, grants.count()
        now_s = self._context.clock() // 1000
        while place < total and len(found) < page.size:
            for info in grants.grants(place, _SCAN, now_s=now_s):
                place += 1
                if (
                    (provider is None or info.provider == provider)
                    and (consumer is None or info.consumer == consumer)
                    and (dataset is None or info.dataset == dataset)
                    and (not state or info.state.word == state)
                ):
                    found.append(info)
                if len(found) == page.size:
                    break
        return department_pb2.ListGrantsResponse(
            grants=[self._show(info, fetch=call.caller.own) for info in found],
            next_page_token=str(place) if place < total else "",
        )

    # --- inside -------------------------------------------------------------------------------------------------------

    def _terms(self, request: department_pb2.RequestGrantRequest, now_s: int) -> Terms:
        dataset = self._context.contracts.directory.dataset(fields.id32("dataset", request.dataset))
        if dataset is None:
            raise NotFoundError(
                "dataset.unknown",
                "no such dataset is on the chain",
                hint="civicledger dataset list",
                actual=request.dataset,
            )
        if dataset.provider == self._context.member:
            raise NotAllowedError(
                "grant.own-dataset", "a department needs no grant for its own dataset", hint="use it without one"
            )
        fields.json_object("scope", request.scope)
        scope = decode_scope(bytes(request.scope))
        entry = self._documents.metadata(dataset)
        if entry:
            check_scope(scope, decode_metadata(entry))
        return Terms(
            dataset=dataset.id,
            provider=dataset.provider,
            consumer=self._context.member,
            purpose=fields.purpose(request.purpose),
            matter=fields.matter(request.matter),
            scope=scope,
            ceiling=fields.number("ceiling", request.ceiling, 1, 2**53 - 1),
            valid_until=fields.number("valid_until", request.valid_until, now_s + 1, now_s + _MAX_VALIDITY_S),
        )

    def _ending(
        self, request: department_pb2.RefuseGrantRequest | department_pb2.RevokeGrantRequest
    ) -> tuple[GrantInfo, int, str]:
        identity = fields.id32("id", request.id)
        if request.reason not in REFUSAL_REASONS:
            known = ", ".join(f"{code} {reason.word}" for code, reason in REFUSAL_REASONS.items())
            raise fields.refuse("reason", "is no reason of the published list", hint=known, actual=request.reason)
        text = fields.text("text", request.text)
        return self._require(identity), request.reason, text

    def _end(
        self, type_: str, info: GrantInfo, reason: int, text: str, calldata: bytes
    ) -> department_pb2.GrantResponse:
        self._documents.keep(text_digest(text), text.encode())
        outcome = self._send(calldata)
        body = {"grant": info.id.hex(), "reason": reason, "text": text_digest(text).hex()}
        trail.write(self._context, type_, body)
        return self._response(info.id, outcome)

    def _send(self, calldata: bytes) -> TransactionOutcome:
        return self._context.sender.send(self._context.contracts.grants.address, calldata)

    def _require(self, identity: bytes) -> GrantInfo:
        info = self._context.contracts.grants.grant(identity, now_s=self._context.clock() // 1000)
        if info is None:
            raise NotFoundError(
                "grant.unknown", "no such grant is on the chain", hint="civicledger grant list", actual=identity
            )
        return info

    def _response(self, identity: bytes, outcome: TransactionOutcome) -> department_pb2.GrantResponse:
        return department_pb2.GrantResponse(
            grant=self._show(self._require(identity), fetch=True), transaction=translate.transaction(outcome)
        )

    def _show(self, info: GrantInfo, *, fetch: bool) -> types_pb2.Grant:
        # Both sides count their own exchanges; everybody else sees none here.
        counts = self._context.exchanges.counts
        used = counts("provider" if info.provider == self._context.member else "consumer", info.id).used
        return translate.grant(info, used, self._documents.agreement(info, fetch=fetch))
