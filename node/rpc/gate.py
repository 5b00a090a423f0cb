"""What a node that is still opening answers: its log is not yet compared with what its witnesses saw."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc

from ledger.errors import UnavailableError
from node.rpc.errors import abort

#: Served while opening: the chain must move so that the log can be judged, and the operator must see why.
_ALWAYS = (
    "/ledger.v1.BlockService/",
    "/ledger.v1.StatusService/",
    "/grpc.health.v1.Health/",
    "/grpc.reflection.",
)


#: Reads of what is there, also while the log may not be written: too few witnesses answer, or it lags behind them.
_READS = (
    "/ledger.v1.RecordService/Read",
    "/ledger.v1.RecordService/Query",
    "/ledger.v1.MemberService/List",
)
#: Services of which every method is such a read.
_READ_SERVICES = ("/ledger.v1.ProofService/",)


class Gate(grpc.ServerInterceptor):
    """Refuses department and peer services until ``open()`` was called, but for reads of the log and the roster.
    ``reason`` says what is waited for."""

    def __init__(self) -> None:
        self._open = False
        self._ended = False
        self._changed = threading.Event()
        self.reason = "the node is starting"

    @property
    def is_open(self) -> bool:
        """Whether all services answer."""
        return self._open

    def open(self) -> None:
        """Let everything through from now on."""
        self._open = True
        self.reason = ""
        self._changed.set()

    def close(self, reason: str) -> None:
        """Refuse new calls again, reads as well: the node drains or found something fatal."""
        self.reason = reason
        self._open = False
        self._ended = True
        self._changed.set()

    def wait(self, timeout: float) -> None:
        """Wait until the gate opened, or was closed for a reason."""
        self._changed.wait(timeout)

    def _reads(self, method: str) -> bool:
        return not self._ended and (method in _READS or method.startswith(_READ_SERVICES))

    def intercept_service(self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails) -> Any:
        """Pass the call on, or answer ``node.starting``."""
        if self._open or details.method.startswith(_ALWAYS) or self._reads(details.method):
            return continuation(details)
        handler = continuation(details)
        if handler is None:
            return None
        reason = self.reason

        def refuse(_request: object, context: grpc.ServicerContext) -> Any:
            abort(
                context,
                UnavailableError(
                    "node.starting", f"this node does not serve yet: {reason}", hint="try again; `civicledger doctor`"
                ),
            )

        def refuse_stream(request: object, context: grpc.ServicerContext) -> Any:
            refuse(request, context)
            yield

        makers: dict[tuple[bool, bool], Any] = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }
        make = makers[handler.request_streaming, handler.response_streaming]
        return make(
            refuse_stream if handler.response_streaming else refuse,
            handler.request_deserializer,
            handler.response_serializer,
        )
