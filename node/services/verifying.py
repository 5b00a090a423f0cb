"""VerifyingService: a licence is judged by this node, and the check is on record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc
from ledger.verifyissue import looks_like_bundle
from node.licences.verifying import Verifier
from node.rpc.auth import Call
from node.services import fields

if TYPE_CHECKING:
    from node.context import NodeContext

#: Longest presentation, bytes.
MAX_PRESENTATION = 64 << 10
MAX_BUNDLE = 1 << 20


class VerifyingService(licences_pb2_grpc.VerifyingServiceServicer):
    """For the counters of the own department."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._verifier = Verifier(context)

    def Verify(self, request: pb.VerifyLicenceRequest, call: Call) -> pb.VerifyLicenceResponse:
        """The verdict, also where the licence is no good: only a request that is none is an error."""
        self._context.require_fresh_chain()
        if len(request.proof) > MAX_BUNDLE:
            raise fields.refuse("proof", f"has at most {MAX_BUNDLE} bytes", actual=len(request.proof))
        bundled = looks_like_bundle(request.presentation)
        text = fields.text(
            "presentation", request.presentation, limit=MAX_BUNDLE if bundled else MAX_PRESENTATION
        ).strip()
        proof = text.encode() if bundled else request.proof
        issue = self._verifier.issue(proof) if proof else None
        if bundled and issue is not None:
            text = issue.presentation
        verdict = self._verifier.judge(
            text,
            issue_time=None if issue is None else issue.of(text),
            audience=fields.text("audience", request.audience, limit=512, required=False) or None,
            nonce=fields.text("nonce", request.nonce, limit=512, required=False) or None,
            require_binding=request.require_binding,
            recipient=self._context.member,
        )
        index, salt = self._verifier.record(text, verdict)
        answer = json.dumps(verdict.to_dict(), ensure_ascii=False).encode()
        return pb.VerifyLicenceResponse(verdict=answer, log_index=index, salt=salt)
