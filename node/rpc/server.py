"""The node's gRPC server: one port, both certificates, health and reflection, a drain that lets calls finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ledger.errors import ConflictError
from node.identity.peers import MAX_MESSAGE
from node.identity.tls import Identity, server_credentials

logger = structlog.get_logger("node.rpc")

#: What gRPC's core may take beyond the grace to cancel what is left, seconds.
_AFTER_GRACE_S = 5.0
SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    # Two processes must never share a port silently.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class GrpcServer:
    """A server that is made first, given its services, then started."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        identity: Identity,
        roots: Callable[[], Iterable[bytes]],
        interceptors: Sequence[grpc.ServerInterceptor],
        workers: int,
    ) -> None:
        pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="grpc")
        self.server = grpc.server(pool, interceptors=tuple(interceptors), options=SERVER_OPTIONS)
        self._health = health.HealthServicer(experimental_non_blocking=False)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        self.set_serving(serving=False)
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self.port = self.server.add_secure_port(address, server_credentials(identity, roots))
        except RuntimeError as error:
            raise ConflictError(
                "listen.in-use",
                f"cannot listen on {address}",
                hint="another program has the port, or this node runs already; the ports stand in node.toml",
            ) from error

    def start(self, service_names: Sequence[str]) -> None:
        """Begin to serve; reflection shows the services named."""
        names = (*service_names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self.server)
        self.server.start()

    def set_serving(self, *, serving: bool) -> None:
        """What the health service answers."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        self._health.set("", status)

    def stop(self, grace: float) -> None:
        """Take no new calls, give those under way ``grace`` seconds, return when all ended (or soon after)."""
        self.set_serving(serving=False)
        # The pool is left to its last reference: late events of the core may still be handed to it.
        if not self.server.stop(grace).wait(grace + _AFTER_GRACE_S):
            logger.warning("grpc.stuck")
