"""The one place where the library's values become messages and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.chain.account import TransactionOutcome
from ledger.chain.bindings import Proposal, ProposalState, Vote
from ledger.codec import encode
from ledger.directory.catalogue import decode_metadata
from ledger.directory.grants import decode_agreement, encode_scope
from ledger.directory.lists import ListEntry, state_at
from ledger.licences.description import decode_description
from ledger.model import AccreditationInfo, DatasetInfo, GrantInfo, KeyInfo, LicenceTypeInfo, MemberInfo
from ledger.storage.exchanges import ExchangeEntry
from ledger.v1 import department_pb2, licencetypes_pb2, node_pb2, types_pb2
from node.context import Finding, PeerState
from node.trail.alarms import Alarm
from node.trail.attendance import WitnessState

if TYPE_CHECKING:
    from node.comet.view import ConsensusView

_PROPOSAL_STATES = {
    ProposalState.OPEN: "open",
    ProposalState.EXECUTED: "executed",
    ProposalState.EXPIRED: "expired",
}


def transaction(outcome: TransactionOutcome) -> types_pb2.TransactionResult:
    """Where a transaction took effect."""
    return types_pb2.TransactionResult(hash=outcome.hash, height=outcome.height)


def member(info: MemberInfo, name: str) -> types_pb2.Member:
    """A member with its display name, empty where the genesis does not give one."""
    return types_pb2.Member(
        uscc=info.uscc,
        handle=info.handle,
        region=info.region,
        name=name,
        status=info.status.word,
        roles=list(info.roles.words),
        origin=info.origin,
        validator=info.validator,
        since=info.since,
        generation=info.generation,
        account=info.account,
    )


def key(info: KeyInfo) -> types_pb2.Key:
    """A key as on chain."""
    return types_pb2.Key(
        role=info.role.word,
        material=info.material,
        status=info.status,
        valid_from=info.valid_from,
        valid_to=info.valid_to,
        ended_at=info.ended_at,
    )


def dataset(info: DatasetInfo, metadata: bytes) -> types_pb2.Dataset:
    """A dataset; ``metadata`` is its catalogue entry (checked against the digest by the caller), or no bytes."""
    entry = decode_metadata(metadata) if metadata else None
    return types_pb2.Dataset(
        id=info.id,
        provider=info.provider,
        resource_code=entry.resource_code if entry else "",
        title=entry.name if entry else "",
        sharing=info.sharing.word,
        level=info.level.word,
        metadata_digest=info.metadata_digest,
        withdrawn=info.withdrawn,
        versions=[
            types_pb2.DatasetVersion(
                number=version.number,
                content_digest=version.content_digest,
                count=version.count,
                time=version.time,
            )
            for version in info.versions
        ],
        metadata=metadata,
    )


def grant(info: GrantInfo, used: int, agreement: bytes) -> types_pb2.Grant:
    """A grant; ``used`` as this node counts, ``agreement`` the ODRL file (checked by the caller), or no bytes."""
    terms = decode_agreement(agreement) if agreement else None
    return types_pb2.Grant(
        id=info.id,
        dataset=info.dataset,
        provider=info.provider,
        consumer=info.consumer,
        purpose=info.purpose,
        matter=terms.matter if terms else "",
        state=info.state.word,
        scope_digest=info.scope_digest,
        odrl_digest=info.odrl_digest,
        ceiling=info.ceiling,
        used=used,
        valid_until=info.valid_until,
        deadline=info.deadline,
        missing_approvals=list(info.missing_approvals),
        refusal_reason=info.refusal_reason,
        overdue=info.overdue,
        scope=encode_scope(terms.scope) if terms else b"",
        agreement=agreement,
    )


def list_entry(entry: ListEntry, item: str, now_s: int) -> department_pb2.ListEntry:
    """An entry of one of the three lists, its state at ``now_s``; ``item`` is empty where its text is not held."""
    return department_pb2.ListEntry(
        id=entry.id,
        list=entry.list.value,
        member=entry.member,
        item=item,
        matter=entry.matter,
        target=entry.target,
        due=entry.due,
        basis_digest=entry.basis_digest,
        state=state_at(entry, now_s).value,
        dataset=entry.answer,
    )


def licence_type(info: LicenceTypeInfo, description: bytes) -> licencetypes_pb2.LicenceType:
    """A licence type; ``description`` (checked against the digest by the caller), or no bytes."""
    about = decode_description(description) if description else None
    return licencetypes_pb2.LicenceType(
        code=info.code,
        body=info.body,
        by=info.by,
        title_zh=about.title_zh if about else "",
        title_en=about.title_en if about else "",
        metadata_digest=info.metadata_digest,
        defined_at=info.defined_at,
        changed_at=info.changed_at,
        withdrawn_at=info.withdrawn_at,
        description=description,
    )


def accreditation(info: AccreditationInfo, basis: str, now_s: int) -> licencetypes_pb2.Accreditation:
    """A span and its state at ``now_s``; ``basis`` is empty where its text is not held."""
    return licencetypes_pb2.Accreditation(
        type=info.type_code,
        member=info.member,
        number=info.number,
        valid_from=info.valid_from,
        valid_until=info.valid_until,
        made_at=info.made_at,
        ended_at=info.ended_at,
        by=info.by,
        ended_by=info.ended_by,
        basis_digest=info.basis_digest,
        basis=basis,
        state=info.state_at(now_s),
    )


def proposal(item: Proposal, votes: Sequence[Vote] = (), waiting: Sequence[str] = ()) -> types_pb2.Proposal:
    """A proposal with the votes that count now; ``data`` says what it would do (JCS). ``waiting``: who may vote yet."""
    return types_pb2.Proposal(
        id=item.id,
        kind=item.kind.word,
        proposer=item.proposer,
        expires=item.expiry,
        yes=item.yes,
        no=item.no,
        active=item.electorate,
        state=_PROPOSAL_STATES[item.state],
        data=encode(item.arguments()),
        target=item.target,
        created=item.created_at,
        needed=item.needed if item.state is ProposalState.OPEN else 0,
        votes=[types_pb2.ProposalVote(member=vote.voter, yes=vote.yes) for vote in votes],
        waiting=waiting,
    )


def receipt(entry: ExchangeEntry) -> types_pb2.Receipt:
    """An exchange that ended, with its receipt (none where it was refused)."""
    return types_pb2.Receipt(
        exchange=entry.id,
        receipt=entry.receipt,
        state=entry.state,
        log_index=max(entry.log_index, 0),
    )


def peer(state: PeerState) -> node_pb2.PeerStatus:
    """What was last seen of another node."""
    return node_pb2.PeerStatus(
        member=state.member,
        reachable=state.reachable,
        height=state.height,
        last_seen_ms=state.last_seen_ms,
        last_error=state.last_error,
    )


def witness(state: WitnessState) -> node_pb2.WitnessStatus:
    """One witness of the own log."""
    return node_pb2.WitnessStatus(
        member=state.member,
        name=state.name,
        cosigned_size=state.size,
        cosigned_ms=state.cosigned_ms,
        missing_since_ms=state.missing_since_ms,
        last_code=state.code,
        last_error=state.error,
    )


def consensus(view: ConsensusView) -> node_pb2.Consensus:
    """The validators and CometBFT as this node sees them."""
    return node_pb2.Consensus(
        height=view.height,
        time_ms=view.time_ms,
        round=view.round,
        step=view.step,
        catching_up=view.catching_up,
        quorum=view.quorum,
        peers=len(view.peers),
        mempool_transactions=view.mempool_txs,
        mempool_bytes=view.mempool_bytes,
        validators=[
            node_pb2.ValidatorStatus(
                member=one.member,
                key=one.key,
                power=one.power,
                signed_last=one.signed_last,
                missing_since_ms=one.missing_since_ms,
            )
            for one in view.validators
        ],
        running=view.process.running,
        restarts=view.process.restarts,
        last_error=view.process.last_error,
    )


def alarm(item: Alarm) -> node_pb2.Alarm:
    """An alarm about a member's log, with its proof."""
    return node_pb2.Alarm(
        id=item.id,
        kind=item.kind,
        member=item.member,
        detail=item.detail,
        first_ms=item.first_ms,
        last_ms=item.last_ms,
        settled=item.settled,
        evidence=b"" if item.evidence is None else item.evidence.encode(),
        count=item.count,
    )


def finding(item: Finding) -> node_pb2.Finding:
    """One line of the doctor."""
    return node_pb2.Finding(
        severity=item.severity,
        code=item.code,
        message=item.message,
        hint=item.hint,
        message_zh=item.message_zh,
        hint_zh=item.hint_zh,
    )
