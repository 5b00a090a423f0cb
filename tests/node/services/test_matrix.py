"""The authorisation matrix: every gRPC method of the protos x six kinds of callers, none skipped.

Real nodes, real TLS, real chain. The methods come from the proto descriptors and from what the server registered; the
expectation comes from the table of ``node.auth``, written a second time here by hand, so that a change there shows.
"""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from services_city import City, refused

from ledger.errors import NotAllowedError, UnavailableError
from ledger.v1 import (
    department_pb2,
    keeping_pb2,
    licences_pb2,
    licencetypes_pb2,
    medical_pb2,
    medicalrules_pb2,
    node_pb2,
    peer_pb2,
    pseudonyms_pb2,
    reports_pb2,
)
from node.rpc.auth import METHODS, Rule
from node.rpc.errors import from_rpc

MODULES = (
    department_pb2,
    keeping_pb2,
    licences_pb2,
    licencetypes_pb2,
    medical_pb2,
    medicalrules_pb2,
    node_pb2,
    peer_pb2,
    pseudonyms_pb2,
    reports_pb2,
)
FILES = tuple(module.DESCRIPTOR for module in MODULES)
DESCRIPTORS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
}

OWN = """
MemberService/Propose MemberService/Vote MemberService/Execute MemberService/Deploy
KeyService/List KeyService/Rotate KeyService/End DatasetService/Publish
DatasetService/Withdraw DatasetService/Regrade ListService/Add ListService/Answer GrantService/Request
GrantService/Approve GrantService/Refuse GrantService/Revoke RecordService/Append RecordService/AppendStream
RecordService/KeepOpenings RecordService/EraseOpenings ExchangeService/Pull StatusService/Diagnose
LicenceTypeService/Define LicenceTypeService/Withdraw LicenceTypeService/Accredit LicenceTypeService/EndAccreditation
StatusService/SettleAlarm RecordService/Purge IssuingService/Issue IssuingService/IssueBulk IssuingService/Suspend
IssuingService/Resume IssuingService/Revoke IssuingService/Renew IssuingService/Supersede IssuingService/Get
IssuingService/List IssuingService/MakeSlip IssuingService/PublishStatus IssuingService/Erase VerifyingService/Verify
IssuingService/MakeBundle IssuingService/RestoreStatus
FetchingService/Fetch
FetchingService/Certify
FetchingService/ListExaminations
MedicalRulesService/AdoptRules MedicalRulesService/WithdrawRules MedicalRulesService/SetInstitution
MedicalRulesService/OpenRange MedicalRulesService/EndRange MedicalRulesService/RecordEqas MedicalRulesService/RevokeEqa
MedicalRulesService/ProposeAgreement MedicalRulesService/AcceptAgreement MedicalRulesService/EndAgreement
MedicalService/Search MedicalService/Open MedicalService/Decide MedicalService/ListChanges MedicalService/AuditEvents
KeepingService/Erase KeepingService/ProveErasure KeepingService/ChangeConsent KeepingService/ShowConsent
KeepingService/SetContact KeepingService/ListNotices KeepingService/BackUpKeys KeepingService/ListPseudonymKeys
KeepingService/RotatePseudonymKey ReportService/Ingest ReportService/IngestStream ReportService/List ReportService/Get
ReportService/Withdraw ReportService/Outcomes
"""
READERS = """
RecordService/Query RecordService/Read ExchangeService/List ProofService/MakeBundle StatusService/ListAlarms
MedicalService/List MedicalService/Statistics
"""
MEMBER = """
MedicalRulesService/ListRules MedicalRulesService/GetRules MedicalRulesService/ListInstitutions
MedicalRulesService/ListRanges MedicalRulesService/ListEqas MedicalRulesService/ListAgreements
LicenceTypeService/List LicenceTypeService/Get LicenceTypeService/ListAccreditations
MemberService/List MemberService/ListProposals DatasetService/List DatasetService/Get ListService/List GrantService/Get
GrantService/List ProofService/GetCheckpoint ProofService/ProveInclusion ProofService/ProveConsistency
ProofService/GetPolicy ProofService/GetWitnessPolicy StatusService/GetStatus BlockService/SubmitTransactions
BlockService/Follow BlockService/Cosign BlockService/GetFinality PeerExchangeService/Exchange PseudonymService/Derive
MedicalPeerService/Search MedicalPeerService/Step MedicalPeerService/Confirm MedicalPeerService/Tell
MedicalPeerService/Open MedicalPeerService/Decide MedicalPeerService/Changes
"""
ENVELOPE = "ForwardService/Submit"
EXPECTED = {
    f"/ledger.v1.{name}": rule
    for rule, names in ((Rule.OWN, OWN), (Rule.READERS, READERS), (Rule.MEMBER, MEMBER), (Rule.ENVELOPE, ENVELOPE))
    for name in names.split()
}

#: column -> the caller's handle. The calls go to the node of ``labour``.
AT = "labour"
CALLERS = {
    "no-certificate": "nobody",
    "non-member": "outsider",
    "suspended": "gone",
    "member-without-role": "plain",
    "wrong-member": "civil",
    "supervisor": "data",
    "auditor": "audit",
    "right-member": AT,
}


def admits(rule: Rule, column: str) -> bool:
    """Whether the rule lets this caller through."""
    if column == "right-member":
        return True
    if rule is Rule.MEMBER:
        return column in ("member-without-role", "wrong-member", "supervisor", "auditor")
    return rule is Rule.READERS and column in ("supervisor", "auditor")


def call(channel: grpc.Channel, method: str) -> Any:
    """Call a method with an empty message, whatever its kind; the code of its error, or None."""
    descriptor = DESCRIPTORS[method]
    request_class = GetMessageClass(descriptor.input_type)
    kind = ("stream" if descriptor.client_streaming else "unary") + (
        "_stream" if descriptor.server_streaming else "_unary"
    )
    make = getattr(channel, kind)(
        method,
        request_serializer=request_class.SerializeToString,
        response_deserializer=GetMessageClass(descriptor.output_type).FromString,
    )
    request = iter([request_class()]) if descriptor.client_streaming else request_class()
    answer = make(request, timeout=180)
    if not descriptor.server_streaming:
        return answer
    first = next(answer, None)
    answer.cancel()
    return first


def outcome(city: City, method: str, caller: str) -> str:
    """``ok``, or the code of the refusal."""
    try:
        call(city.channel(AT, caller), method)
    except grpc.RpcError as error:
        return from_rpc(error).code
    return "ok"


def test_the_table_names_exactly_the_methods_of_the_protos() -> None:
    ours = {method for method in METHODS if method.startswith("/ledger.v1.")}
    assert ours == set(DESCRIPTORS)
    assert set(EXPECTED) == set(DESCRIPTORS)


def test_the_table_names_every_method_the_server_has(city: City) -> None:
    state = city.nodes[AT].grpc.server._state
    served = {name for handler in state.generic_handlers for name in handler._method_handlers}
    assert served == set(METHODS) & served
    assert set(DESCRIPTORS) <= served


@pytest.mark.parametrize("method", sorted(DESCRIPTORS))
def test_rule_by_rule(method: str) -> None:
    assert METHODS[method] is EXPECTED[method]


@pytest.mark.parametrize("column", CALLERS)
@pytest.mark.parametrize("method", sorted(DESCRIPTORS))
def test_matrix(city: City, method: str, column: str) -> None:
    rule = EXPECTED[method]
    code = outcome(city, method, CALLERS[column])
    if column in ("no-certificate", "non-member"):
        # TLS itself refuses: no method is ever reached.
        assert code == "peer.unreachable"
    elif rule is Rule.ENVELOPE:
        # The connection authorises nothing, whoever it is: the empty envelope is what fails.
        assert code == "input.field"
    elif column == "suspended":
        assert code == "auth.suspended"
    elif admits(rule, column):
        assert not code.startswith(("auth.", "peer.", "internal."))
    else:
        assert code == ("auth.role" if rule is Rule.READERS else "auth.not-own")


def test_errors_say_who_must_act(city: City) -> None:
    channel = city.channel(AT, "plain")
    error = refused(lambda: call(channel, "/ledger.v1.RecordService/Append"))
    assert isinstance(error, NotAllowedError)
    assert error.hint == "call your own node: every department writes through its own"
    error = refused(lambda: call(city.channel(AT, "nobody"), "/ledger.v1.StatusService/GetStatus"))
    assert isinstance(error, UnavailableError)
