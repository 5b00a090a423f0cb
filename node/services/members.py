"""MemberService: the consortium's members, proposals and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.chain import embedded
from ledger.chain.bindings import Proposal, ProposalState, decode_events
from ledger.chain.genesis import decode_genesis
from ledger.errors import ConflictError, FatalError, LedgerError, NotFoundError
from ledger.model import MemberStatus
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from node.chain.state import account
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.services.foresight import require_enough_validators
from node.services.proposals import encode, kind_of
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: How long a proposal is open when the proposer does not say, seconds.
DEFAULT_LIFE_S = 7 * 86_400
_PAGE = 200
#: Creation code of a contract: a raw transaction has at most 131,072 bytes (genesis, limits).
MAX_CODE = 100_000
#: Contracts of ours take up to about five million; gas is free and counts against the member's share of a block only.
DEPLOY_GAS = 30_000_000


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
        given = fields.json_object("arguments", request.arguments)
        arguments = encode(kind, given)
        now_s = self._context.clock() // 1000
        expires = fields.number("expires", request.expires or now_s + DEFAULT_LIFE_S, now_s + 1, now_s + 90 * 86_400)
        consortium = self._context.contracts.consortium
        if not request.anyway:
            require_enough_validators(consortium, kind, given)
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
            raise _unknown(number)
        outcome = self._context.sender.send(consortium.address, consortium.encode_vote(number, request.yes))
        trail.write(self._context, "member.voted", {"proposal": number, "yes": request.yes})
        proposal = consortium.proposal(number)
        if proposal is not None and proposal.carried:
            try:
                outcome = self._context.sender.send(consortium.address, consortium.encode_execute(number))
            except LedgerError as error:
                # Another member's node carried it out in between; any other refusal is the caller's to see.
                after = consortium.proposal(number)
                if after is None or after.state is not ProposalState.EXECUTED:
                    raise type(error)(
                        error.code,
                        f"the vote is cast and proposal {number} is carried, but not carried out: {error.message}",
                        hint=f"{error.hint}; then: civicledger member execute {number}",
                    ) from error
        return translate.transaction(outcome)

    def Execute(self, request: department_pb2.ExecuteRequest, call: Call) -> types_pb2.TransactionResult:
        """Carry out a proposal that has its votes."""
        consortium = self._context.contracts.consortium
        number = fields.number("proposal", request.proposal, 1, 2**53 - 1)
        return translate.transaction(self._context.sender.send(consortium.address, consortium.encode_execute(number)))

    def ListProposals(
        self, request: department_pb2.ListProposalsRequest, call: Call
    ) -> department_pb2.ListProposalsResponse:
        """Every proposal with the votes that count now; of those still open also who voted and who may yet."""
        consortium = self._context.contracts.consortium
        if request.proposal:
            number = fields.number("proposal", request.proposal, 1, 2**53 - 1)
            asked = consortium.proposal(number)
            if asked is None:
                raise _unknown(number)
            return department_pb2.ListProposalsResponse(proposals=[self._with_votes(asked)])
        total = consortium.proposal_count()
        items = [
            self._with_votes(item) if item.state is ProposalState.OPEN else translate.proposal(item)
            for first in range(0, total, _PAGE)
            for item in consortium.proposals(first, min(_PAGE, total - first))
            if item.state is ProposalState.OPEN or not request.open
        ]
        return department_pb2.ListProposalsResponse(proposals=items)

    def Deploy(self, request: department_pb2.DeployRequest, call: Call) -> department_pb2.DeployResponse:
        """Make a contract from adopted creation code."""
        context = self._context
        code = bytes(request.code)
        if not 1 <= len(code) <= MAX_CODE:
            raise fields.refuse("code", f"has 1 to {MAX_CODE} bytes", actual=len(code))
        digest = embedded.keccak256(code)
        if not context.contracts.consortium.adopted(digest):
            raise ConflictError(
                "code.not-adopted",
                f"no vote adopted creation code {digest.hex()}",
                hint="civicledger member propose adopt-code, with this very file; then the others vote",
            )
        outcome = context.sender.send(None, code, gas=DEPLOY_GAS)
        address = outcome.receipt.contract
        if address is None:
            raise FatalError("chain.no-contract", "the transaction made no contract", hint="civicledger doctor")
        made = account(context.chain, address)
        return department_pb2.DeployResponse(
            address=address, code_hash=made["code_hash"], transaction=translate.transaction(outcome)
        )

    def _with_votes(self, item: Proposal) -> types_pb2.Proposal:
        votes = self._context.contracts.consortium.votes(item.id)
        return translate.proposal(item, votes, self._waiting(item, {vote.voter for vote in votes}))

    def _waiting(self, item: Proposal, voted: set[str]) -> tuple[str, ...]:
        if item.state is not ProposalState.OPEN:
            return ()
        active = (
            info.uscc
            for info in self._context.contracts.consortium.members()
            if info.status is MemberStatus.ACTIVE and info.uscc != item.target
        )
        return tuple(uscc for uscc in active if uscc not in voted)


def _unknown(number: int) -> NotFoundError:
    return NotFoundError("proposal.unknown", f"there is no proposal {number}", hint="civicledger member proposals")
