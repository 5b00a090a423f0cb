"""ForwardService: calls carried in envelopes (``node.forward``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError, Message

from ledger.v1 import department_pb2, medical_pb2, node_pb2, node_pb2_grpc
from node.forward import FORWARDABLE, MAX_BODY, Forwarded, accept
from node.rpc.auth import Call
from node.services import fields
from node.services.grants import GrantService
from node.services.medical import MedicalService
from node.services.records import RecordService

if TYPE_CHECKING:
    from node.context import NodeContext


class ForwardService(node_pb2_grpc.ForwardServiceServicer):
    """Opens envelopes and hands their body to the service they name."""

    def __init__(
        self, context: NodeContext, records: RecordService, grants: GrantService, medical: MedicalService
    ) -> None:
        self._context = context
        self._methods: Mapping[str, tuple[type[Message], Callable[[Any, Call], Message]]] = {
            "/ledger.v1.RecordService/Append": (department_pb2.AppendRequest, records.Append),
            "/ledger.v1.GrantService/Request": (department_pb2.RequestGrantRequest, grants.Request),
            "/ledger.v1.GrantService/Approve": (department_pb2.ApproveGrantRequest, grants.Approve),
            "/ledger.v1.GrantService/Refuse": (department_pb2.RefuseGrantRequest, grants.Refuse),
            "/ledger.v1.GrantService/Revoke": (department_pb2.RevokeGrantRequest, grants.Revoke),
            "/ledger.v1.MedicalService/Open": (medical_pb2.OpenReportRequest, medical.Open),
            "/ledger.v1.MedicalService/Decide": (medical_pb2.DecideRequest, medical.Decide),
        }
        if self._methods.keys() != FORWARDABLE:
            raise ValueError("the table of forwarded methods and their handlers differ")

    def Submit(self, request: node_pb2.Envelope, call: Call) -> node_pb2.ForwardResponse:
        """Judge the envelope, then do what it asks as the member that signed it."""
        if len(request.body) > MAX_BODY:
            raise fields.refuse("body", "is larger than 1 MiB", expected=MAX_BODY, actual=len(request.body))
        if len(request.signature) != 65:
            raise fields.refuse("signature", "has 65 bytes", expected=65, actual=len(request.signature))
        caller = accept(
            self._context,
            Forwarded(
                chain=fields.id32("chain", request.chain),
                caller=fields.member("caller", request.caller),
                target=fields.member("target", request.target),
                method=request.method,
                body=bytes(request.body),
                nonce=fields.id32("nonce", request.nonce),
                expires_ms=request.expires,
                signature=bytes(request.signature),
            ),
        )
        message, behaviour = self._methods[request.method]
        try:
            body = message.FromString(request.body)
        except DecodeError as error:
            raise fields.refuse("body", f"is no {message.__name__}: {error}") from error
        answer = behaviour(body, Call(call.context, caller, lambda: None))
        return node_pb2.ForwardResponse(body=answer.SerializeToString())
