"""VerifyingService: a licence is judged by this node, and the check is on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc
from node.licences.verifying import Verifier
from node.rpc.auth import Call
from node.services import fields

if TYPE_CHECKING:
    from node.context import NodeContext

#: Longest presentation, bytes.
MAX_PRESENTATION = 64 << 10


class VerifyingService(licences_pb2_grpc.VerifyingServiceServicer):
    """For the counters of the own department."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._verifier = Verifier(context)

    def Verify(self, request: pb.VerifyLicenceRequest, call: Call) -> pb.VerifyLicenceResponse:
        """The verdict, also where the licence is no good: only a request that is none is an error."""
        self._context.require_fresh_chain()
        text = fields.text("presentation", request.presentation, limit=MAX_PRESENTATION).strip()
        verdict = self._verifier.judge(
            text,
            audience=fields.text("audience", request.audience, limit=512, required=False) or None,
            nonce=fields.text("nonce", request.nonce, limit=512, required=False) or None,
            require_binding=request.require_binding,
            recipient=self._context.member,
        )
        index, salt = self._verifier.record(text, verdict)
        answer = json.dumps(verdict.to_dict(), ensure_ascii=False).encode()
        return pb.VerifyLicenceResponse(verdict=answer, log_index=index, salt=salt)
