"""The gateway over gRPC: the same answers as over HTTPS. No client certificate is asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

# Read by gRPC when its first credentials are made. TLS 1.3 only: the one suite of TLS 1.2 left here needs an RSA
# certificate, and every certificate of a city is ECDSA.
os.environ.setdefault("GRPC_SSL_CIPHER_SUITES", "ECDHE-RSA-AES256-GCM-SHA384")

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway import translate
from gateway.answering import GrpcAnswers
from gateway.chain import page_of
from gateway.city import City
from gateway.licences import service as licence_service
from gateway.licences.service import LicenceServicer
from gateway.limits import RateLimit
from gateway.medical.service import RecognitionServicer
from gateway.verifying import Verifier
from ledger.errors import ConflictError
from ledger.evidence.carried import MAX_ANSWER
from ledger.evidence.tiles import Tile
from ledger.identifiers import parse_uscc
from ledger.v1 import gateway_pb2, gateway_pb2_grpc, recognition_pb2, recognition_pb2_grpc

#: A bundle and a policy, and room for the message around them.
MAX_MESSAGE = (1 << 20) + (1 << 18) + 1024
_THREADS = 16
#: How long a stream may last, seconds: reflection, and many licences.
_STREAM_S = 10.0
_BATCH_STREAM_S = {"/ledger.v1.LicenceService/VerifyBatch": 60.0}
_DEFAULT_PAGE = 100


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Reads only."""

    def __init__(self, city: City, verifier: Verifier, answers: GrpcAnswers, verify_limit: RateLimit) -> None:
        self._city = city
        self._verifier = verifier
        self._answers = answers
        self._verify_limit = verify_limit

    def GetCity(self, request: gateway_pb2.GetCityRequest, context: grpc.ServicerContext) -> gateway_pb2.City:  # noqa: N802
        """The city as last read."""
        return self._answers.answer("GetCity", request, context, lambda _: translate.city(self._city.view()))

    def ListDatasets(  # noqa: N802
        self, request: gateway_pb2.GatewayListDatasetsRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.GatewayListDatasetsResponse:
        """Datasets in order of publication."""

        def work(asked: gateway_pb2.GatewayListDatasetsRequest) -> gateway_pb2.GatewayListDatasetsResponse:
            provider = parse_uscc(asked.provider) if asked.provider else ""
            size = asked.page_size or _DEFAULT_PAGE
            found, token = page_of(self._city.chain(), provider, size, asked.page_token)
            return gateway_pb2.GatewayListDatasetsResponse(
                datasets=[translate.dataset(item) for item in found], next_page_token=token
            )

        return self._answers.answer("ListDatasets", request, context, work)

    def GetCheckpoint(  # noqa: N802
        self, request: gateway_pb2.GatewayCheckpointRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.GatewayCheckpointResponse:
        """The newest verified checkpoint of a member (handle or credit code)."""

        def work(asked: gateway_pb2.GatewayCheckpointRequest) -> gateway_pb2.GatewayCheckpointResponse:
            member, log = self._city.log(asked.member)
            return gateway_pb2.GatewayCheckpointResponse(note=log.checkpoint(member)[0].decode())

        return self._answers.answer("GetCheckpoint", request, context, work)

    def ProveInclusion(  # noqa: N802
        self, request: gateway_pb2.GatewayInclusionRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.GatewayInclusionResponse:
        """A checked inclusion proof; size 0 asks for the newest checkpoint's."""

        def work(asked: gateway_pb2.GatewayInclusionRequest) -> gateway_pb2.GatewayInclusionResponse:
            member, log = self._city.log(asked.member)
            found = log.inclusion(member, asked.index, asked.size or None)
            return gateway_pb2.GatewayInclusionResponse(
                hashes=found.hashes, size=found.size, tlog_proof=found.tlog_proof
            )

        return self._answers.answer("ProveInclusion", request, context, work)

    def ProveConsistency(  # noqa: N802
        self, request: gateway_pb2.GatewayConsistencyRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.GatewayConsistencyResponse:
        """A checked consistency proof."""

        def work(asked: gateway_pb2.GatewayConsistencyRequest) -> gateway_pb2.GatewayConsistencyResponse:
            member, log = self._city.log(asked.member)
            return gateway_pb2.GatewayConsistencyResponse(hashes=log.consistency(member, asked.size1, asked.size2))

        return self._answers.answer("ProveConsistency", request, context, work)

    def GetTile(  # noqa: N802
        self, request: gateway_pb2.GetTileRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.GetTileResponse:
        """A checked hash tile."""

        def work(asked: gateway_pb2.GetTileRequest) -> gateway_pb2.GetTileResponse:
            member, log = self._city.log(asked.member)
            tile = Tile(level=asked.level, index=asked.index, width=asked.width)
            return gateway_pb2.GetTileResponse(tile=log.tile(member, tile))

        return self._answers.answer("GetTile", request, context, work)

    def VerifyBundle(  # noqa: N802
        self, request: gateway_pb2.VerifyBundleRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.VerifyBundleResponse:
        """The verdict over a bundle."""

        def work(asked: gateway_pb2.VerifyBundleRequest) -> gateway_pb2.VerifyBundleResponse:
            verdict = self._verifier.judge(asked.bundle, asked.policy)
            return gateway_pb2.VerifyBundleResponse(verdict=msgspec.json.encode(verdict))

        return self._answers.answer("VerifyBundle", request, context, work, limit=self._verify_limit)


class ShortStreams(grpc.ServerInterceptor):
    """Streams of requests (reflection, batches) hold a thread as long as their client likes, and anybody may open one:
    a few at a time, each for ``seconds``, or as ``longer`` says of its method."""

    def __init__(self, places: int, seconds: float, longer: Mapping[str, float] | None = None) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._seconds = seconds
        self._longer = longer or {}

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        """Bound the handler of a stream; every other method is bounded by its answer."""
        handler = continuation(details)
        if handler is None or not (handler.request_streaming and handler.response_streaming):
            return handler

        seconds = self._longer.get(details.method, self._seconds)

        def run(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            if not self._places.acquire(blocking=False):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams at once: try again later")
            timer = threading.Timer(seconds, context.cancel)
            timer.daemon = True
            timer.start()
            try:
                yield from handler.stream_stream(requests, context)
            finally:
                timer.cancel()
                self._places.release()

        return grpc.stream_stream_rpc_method_handler(run, handler.request_deserializer, handler.response_serializer)


class GrpcServer:
    """The listening server: GatewayService, LicenceService, RecognitionService, health and reflection over TLS."""

    def __init__(
        self,
        servicer: GatewayServicer,
        licences: LicenceServicer,
        host: str,
        port: int,
        key: bytes,
        certificate: bytes,
        further: Sequence[Any] = (),
        recognition: RecognitionServicer | None = None,
    ) -> None:
        """``key``, ``certificate``: PEM; ``further``: handlers of whoever measures this server; ``recognition``: what
        carries calls of hospitals, None where nothing does.

        Raises: ConflictError(listen.in-use).
        """
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            # A carried report.
            ("grpc.max_send_message_length", MAX_ANSWER + 1_024),
            ("grpc.so_reuseport", 0),
        ]
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc")
        self._server = grpc.server(
            pool, interceptors=(ShortStreams(_THREADS // 4, _STREAM_S, _BATCH_STREAM_S),), options=options
        )
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server(servicer, self._server)
        licence_service.add_to(self._server, licences)
        services = gateway_pb2.DESCRIPTOR.services_by_name
        self._server.add_generic_rpc_handlers(further)
        names = [services[name].full_name for name in ("GatewayService", "LicenceService")]
        if recognition is not None:
            recognition_pb2_grpc.add_RecognitionServiceServicer_to_server(recognition, self._server)
            names.append(recognition_pb2.DESCRIPTOR.services_by_name["RecognitionService"].full_name)
        states = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(states, self._server)
        for service in ("", *names):
            states.set(service, health_pb2.HealthCheckResponse.SERVING)
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        try:
            self.port: int = self._server.add_secure_port(
                f"{host}:{port}", grpc.ssl_server_credentials([(key, certificate)])
            )
        except RuntimeError as error:
            raise ConflictError(
                "listen.in-use",
                f"cannot listen on {host}:{port}",
                hint="another program has the port, or this gateway runs already; the ports stand in gateway.toml",
            ) from error

    def start(self) -> None:
        """Serve."""
        self._server.start()

    def close(self) -> None:
        """Stop accepting, finish what is under way (at most five seconds)."""
        self._server.stop(5).wait(10)
