"""LicenceService over gRPC: the same answers as over HTTPS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import grpc

from gateway.answering import GrpcAnswers
from gateway.licences import answers
from gateway.licences.issuers import Issuers
from gateway.licences.judging import PROOF_COST, Judged, LicenceDesk, Presented
from gateway.limits import RateLimit
from ledger.errors import LedgerError
from ledger.identifiers import parse_licence_type, parse_uscc
from ledger.licences.ready import alone
from ledger.v1 import gateway_pb2 as pb
from ledger.v1 import gateway_pb2_grpc


class LicenceServicer(gateway_pb2_grpc.LicenceServiceServicer):
    """Judges, and shows what judging rests on."""

    def __init__(self, desk: LicenceDesk, issuers: Issuers, grpc_answers: GrpcAnswers, limit: RateLimit) -> None:
        """``limit``: licences a client may have judged."""
        self._desk = desk
        self._issuers = issuers
        self._answers = grpc_answers
        self._limit = limit

    def GetNonce(self, request: pb.GetNonceRequest, context: grpc.ServicerContext) -> pb.GetNonceResponse:  # noqa: N802
        """A nonce for one key binding."""

        def work(_: pb.GetNonceRequest) -> pb.GetNonceResponse:
            nonce = self._desk.nonce()
            return pb.GetNonceResponse(nonce=nonce.text, expires_ms=nonce.expires_ms)

        return self._answers.answer("GetNonce", request, context, work)

    def Verify(  # noqa: N802
        self, request: str | pb.LicencePresentation, context: grpc.ServicerContext
    ) -> bytes | pb.LicenceVerdict:
        """The verdict on a licence: in a request, or a licence of which nothing else is asked."""
        if isinstance(request, str):
            return self._answers.answer("Verify", request, context, self._alone, limit=self._limit)

        def work(asked: Presented) -> pb.LicenceVerdict:
            return _verdict(self._desk.judge(asked))

        presented = _presented(request)
        count = 1 + self._limit.bounded(PROOF_COST) * presented.has_proof
        return self._answers.answer("Verify", presented, context, work, limit=self._limit, count=count)

    def VerifyBatch(  # noqa: N802
        self, requests: Iterator[pb.LicencePresentations], context: grpc.ServicerContext
    ) -> Iterator[pb.LicenceVerdicts]:
        """The verdicts of each message in order; a licence that could not be judged says why and stops nothing."""

        def work(asked: list[Presented]) -> pb.LicenceVerdicts:
            return pb.LicenceVerdicts(items=[_either(item) for item in self._desk.judge_many(asked)])

        for request in requests:
            presented = [_presented(item) for item in request.items]
            count = len(presented) + self._limit.bounded(PROOF_COST) * sum(item.has_proof for item in presented)
            yield self._answers.answer("VerifyBatch", presented, context, work, limit=self._limit, count=count)

    def GetStatusList(  # noqa: N802
        self, request: pb.GetStatusListRequest, context: grpc.ServicerContext
    ) -> pb.GetStatusListResponse:
        """A verified status list of an issuer."""

        def work(asked: pb.GetStatusListRequest) -> pb.GetStatusListResponse:
            kept = self._issuers.status_list(parse_uscc(asked.issuer), asked.number, asked.time or None)
            return pb.GetStatusListResponse(
                token=kept.token, version=kept.content.version or 0, chain_version=kept.chain_version
            )

        return self._answers.answer("GetStatusList", request, context, work)

    def GetIssuer(  # noqa: N802
        self, request: pb.GetLicenceIssuerRequest, context: grpc.ServicerContext
    ) -> pb.GetLicenceIssuerResponse:
        """An issuer's keys, and its accreditations for a type."""

        def work(asked: pb.GetLicenceIssuerRequest) -> pb.GetLicenceIssuerResponse:
            code = parse_licence_type(asked.type) if asked.type else None
            found = self._issuers.issuer(parse_uscc(asked.issuer), code)
            return pb.GetLicenceIssuerResponse(
                issuer=found.issuer,
                keys=[
                    pb.LicenceIssuerKey(
                        kid=key.published.kid,
                        alg=key.published.alg,
                        spki=key.published.spki,
                        status=key.chain.status,
                        from_ms=key.chain.valid_from * 1000,
                        ended_ms=key.ended_ms or 0,
                    )
                    for key in found.keys
                ],
                accreditations=[
                    pb.LicenceAccreditation(from_ms=span.from_ms, until_ms=span.until_ms or 0, by=span.by)
                    for span in found.accreditations
                ],
                view_height=found.view_height,
                view_time_ms=found.view_time_ms,
            )

        return self._answers.answer("GetIssuer", request, context, work)

    def _alone(self, text: str) -> bytes | pb.LicenceVerdict:
        found = self._desk.judge_alone(text)
        return found if isinstance(found, bytes) else _verdict(found)


class _Handlers:
    """A server to which the generated code adds its handlers, with another one for ``Verify``."""

    def __init__(self, server: grpc.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Found by name."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        """Known to the server; found before the others."""
        verify = grpc.unary_unary_rpc_method_handler(handlers["Verify"].unary_unary, _asked, _told)
        self._server.add_registered_method_handlers(service, {**handlers, "Verify": verify})


def add_to(server: grpc.Server, servicer: LicenceServicer) -> None:
    """Serve it. ``Verify`` reads and writes its messages itself where a licence comes alone."""
    gateway_pb2_grpc.add_LicenceServiceServicer_to_server(servicer, _Handlers(server))


def _asked(message: bytes) -> str | pb.LicencePresentation:
    return alone(message) or pb.LicencePresentation.FromString(message)


def _told(answer: bytes | pb.LicenceVerdict) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def _presented(asked: pb.LicencePresentation) -> Presented:
    return Presented(
        licence=asked.licence,
        nonce=asked.nonce,
        audience=asked.audience,
        recipient=asked.recipient,
        require_binding=asked.require_binding,
        proof=asked.proof,
    )


def _verdict(judged: Judged) -> pb.LicenceVerdict:
    return pb.LicenceVerdict(code=judged.verdict.code, verdict=answers.verdict(judged))


def _either(judged: Judged | LedgerError) -> pb.LicenceVerdict:
    if isinstance(judged, LedgerError):
        return pb.LicenceVerdict(error_code=judged.code, message=judged.message, hint=judged.hint)
    return _verdict(judged)
