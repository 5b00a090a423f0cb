"""Who may call what: one row for every gRPC method this node serves. A method missing here is refused."""

from __future__ import annotations

import enum
from collections.abc import Mapping


class Rule(enum.Enum):
    """Who may call a method."""

    #: The node's own member only: its operator and its systems.
    OWN = "own"
    #: The own member, the supervisor and auditors.
    READERS = "readers"
    #: Any active member.
    MEMBER = "member"
    #: The connection authorises nothing: the signed envelope inside is judged (ForwardService).
    ENVELOPE = "envelope"


def _service(name: str, **methods: Rule) -> dict[str, Rule]:
    return {f"/{name}/{method}": rule for method, rule in methods.items()}


_OWN_RECORDS = dict.fromkeys(("Append", "AppendStream", "KeepOpenings", "EraseOpenings", "Purge"), Rule.OWN)
_GOVERNING = dict.fromkeys(("Propose", "Vote", "Execute", "Deploy"), Rule.OWN)
_GRANTING = dict.fromkeys(("Request", "Approve", "Refuse", "Revoke"), Rule.OWN)
_ACCREDITING = dict.fromkeys(("Define", "Withdraw", "Accredit", "EndAccreditation"), Rule.OWN) | {
    "ListAccreditations": Rule.MEMBER
}
#: Who may make which of them is the contract's business.
_RECOGNISING = """
AdoptRules WithdrawRules SetInstitution OpenRange EndRange RecordEqas RevokeEqa
ProposeAgreement AcceptAgreement EndAgreement
"""
_STANDING = "ListRules GetRules ListInstitutions ListRanges ListEqas ListAgreements"
_TREATING = dict.fromkeys(("Search", "Open", "Decide", "ListChanges", "AuditEvents"), Rule.OWN)
_CONVERSING = "Search Step Open Decide Confirm Tell Changes"
_ISSUING = """
Issue IssueBulk Suspend Resume Revoke Renew Supersede Get List MakeSlip MakeBundle PublishStatus RestoreStatus Erase
"""
_KEEPING = """
Erase ProveErasure ChangeConsent ShowConsent SetContact ListNotices BackUpKeys ListPseudonymKeys RotatePseudonymKey
"""
_REPORTS = ("Ingest", "IngestStream", "List", "Get", "Withdraw", "Outcomes")
#: full method name -> rule. The test compares it with the protos: every method is here, nothing else is.
METHODS: Mapping[str, Rule] = {
    **_service("ledger.v1.MemberService", List=Rule.MEMBER, ListProposals=Rule.MEMBER, **_GOVERNING),
    **_service("ledger.v1.KeyService", List=Rule.OWN, Rotate=Rule.OWN, End=Rule.OWN),
    **_service(
        "ledger.v1.DatasetService",
        Publish=Rule.OWN,
        List=Rule.MEMBER,
        Get=Rule.MEMBER,
        Withdraw=Rule.OWN,
        Regrade=Rule.OWN,
    ),
    **_service("ledger.v1.ListService", Add=Rule.OWN, Answer=Rule.OWN, List=Rule.MEMBER),
    **_service("ledger.v1.GrantService", Get=Rule.MEMBER, List=Rule.MEMBER, **_GRANTING),
    **_service("ledger.v1.RecordService", Query=Rule.READERS, Read=Rule.READERS, **_OWN_RECORDS),
    **_service("ledger.v1.ExchangeService", Pull=Rule.OWN, List=Rule.READERS),
    **_service("ledger.v1.LicenceTypeService", List=Rule.MEMBER, Get=Rule.MEMBER, **_ACCREDITING),
    **_service("ledger.v1.MedicalRulesService", **dict.fromkeys(_RECOGNISING.split(), Rule.OWN)),
    **_service("ledger.v1.MedicalRulesService", **dict.fromkeys(_STANDING.split(), Rule.MEMBER)),
    **_service("ledger.v1.IssuingService", **dict.fromkeys(_ISSUING.split(), Rule.OWN)),
    **_service("ledger.v1.ReportService", **dict.fromkeys(_REPORTS, Rule.OWN)),
    **_service("ledger.v1.VerifyingService", Verify=Rule.OWN),
    **_service("ledger.v1.FetchingService", **dict.fromkeys(("Fetch", "Certify", "ListExaminations"), Rule.OWN)),
    **_service("ledger.v1.KeepingService", **dict.fromkeys(_KEEPING.split(), Rule.OWN)),
    # The role is judged by the service: a hospital's.
    **_service("ledger.v1.PseudonymService", Derive=Rule.MEMBER),
    **_service(
        "ledger.v1.ProofService",
        GetCheckpoint=Rule.MEMBER,
        ProveInclusion=Rule.MEMBER,
        ProveConsistency=Rule.MEMBER,
        MakeBundle=Rule.READERS,
        GetPolicy=Rule.MEMBER,
        GetWitnessPolicy=Rule.MEMBER,
    ),
    **_service(
        "ledger.v1.StatusService",
        GetStatus=Rule.MEMBER,
        Diagnose=Rule.OWN,
        ListAlarms=Rule.READERS,
        SettleAlarm=Rule.OWN,
    ),
    **_service("ledger.v1.ForwardService", Submit=Rule.ENVELOPE),
    **_service(
        "ledger.v1.BlockService",
        SubmitTransactions=Rule.MEMBER,
        Follow=Rule.MEMBER,
        Cosign=Rule.MEMBER,
        GetFinality=Rule.MEMBER,
    ),
    **_service("ledger.v1.PeerExchangeService", Exchange=Rule.MEMBER),
    **_service("ledger.v1.MedicalService", List=Rule.READERS, Statistics=Rule.READERS, **_TREATING),
    # That both sides are hospitals is judged by the dialogue itself, which puts a refusal on the trail.
    **_service("ledger.v1.MedicalPeerService", **dict.fromkeys(_CONVERSING.split(), Rule.MEMBER)),
    **_service("grpc.health.v1.Health", Check=Rule.MEMBER, Watch=Rule.MEMBER, List=Rule.MEMBER),
    **_service("grpc.reflection.v1alpha.ServerReflection", ServerReflectionInfo=Rule.MEMBER),
    **_service("grpc.reflection.v1.ServerReflection", ServerReflectionInfo=Rule.MEMBER),
}
