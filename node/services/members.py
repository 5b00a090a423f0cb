"""MemberService: the consortium's members, proposals and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chain.bindings import decode_events
from ledger.chain.genesis import decode_genesis
from ledger.errors import ConflictError, FatalError, NotFoundError
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.services.proposals import encode, kind_of
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: How long a proposal is open when the proposer does not say, seconds.
DEFAULT_LIFE_S = 7 * 86_400
_PAGE = 200


class MemberService(department_pb2_grpc.MemberServiceServicer):
    """Who is in the consortium, and the votes that change it."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        genesis = decode_genesis(context.config.genesis_file.read_bytes())
        self._names = {founder.uscc: founder.name for founder in genesis.members}

    def List(self, request: department_pb2.ListMembersRequest, call: Call) -> department_pb2.ListMembersResponse:
        """Every body ever admitted, in order of admission."""
        head = self._context.chain.head()
        members = self._context.contracts.consortium.members()
        return department_pb2.ListMembersResponse(
            members=[translate.member(info, self._names.get(info.uscc, "")) for info in members],
            height=head.height,
        )

    def Propose(self, request: department_pb2.ProposeRequest, call: Call) -> department_pb2.ProposeResponse:
        """Put a change to the vote."""
        kind = kind_of(request.kind)
        arguments = encode(kind, fields.json_object("arguments", request.arguments))
        now_s = self._context.clock() // 1000
        expires = fields.number("expires", request.expires or now_s + DEFAULT_LIFE_S, now_s + 1, now_s + 90 * 86_400)
        consortium = self._context.contracts.consortium
        outcome = self._context.sender.send(consortium.address, consortium.encode_propose(kind, arguments, expires))
        number = 0
        for event in decode_events(outcome.receipt):
            if event.name == "Proposed":
                number = event.args["proposalId"]
        if not number:
            raise FatalError("chain.no-event", "the proposal's transaction left no event", hint="civicledger doctor")
        trail.write(self._context, "member.proposed", {"proposal": number, "kind": kind.word})
        return department_pb2.ProposeResponse(proposal=number, transaction=translate.transaction(outcome))

    def Vote(self, request: department_pb2.VoteRequest, call: Call) -> types_pb2.TransactionResult:
        """Vote; the vote that carries a proposal also executes it."""
        consortium = self._context.contracts.consortium
        number = fields.number("proposal", request.proposal, 1, 2**53 - 1)
        if consortium.proposal(number) is None:
            raise NotFoundError(
                "proposal.unknown", f"there is no proposal {number}", hint="civicledger member proposals"
            )
        outcome = self._context.sender.send(consortium.address, consortium.encode_vote(number, request.yes))
        trail.write(self._context, "member.voted", {"proposal": number, "yes": request.yes})
        proposal = consortium.proposal(number)
        if proposal is not None and proposal.carried:
            try:
                outcome = self._context.sender.send(consortium.address, consortium.encode_execute(number))
            except ConflictError:
                # Another member's node carried it out in between; any other refusal is the caller's to see.
                after = consortium.proposal(number)
                if after is None or after.state.name != "EXECUTED":
                    raise
        return translate.transaction(outcome)

    def ListProposals(
        self, request: department_pb2.ListProposalsRequest, call: Call
    ) -> department_pb2.ListProposalsResponse:
        """Every proposal with the votes that count now."""
        consortium = self._context.contracts.consortium
        total = consortium.proposal_count()
        items = [
            translate.proposal(item)
            for first in range(0, total, _PAGE)
            for item in consortium.proposals(first, min(_PAGE, total - first))
        ]
        return department_pb2.ListProposalsResponse(proposals=items)
