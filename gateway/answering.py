"""Around every gRPC answer of the gateway: limits, figures, and refusals with code and hint."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import grpc

from gateway.defects import report
from gateway.limits import RateLimit
from gateway.metrics import Metrics
from ledger.errors import STATUS, FatalError, LedgerError

_PLAIN = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"
_Q = TypeVar("_Q")
_A = TypeVar("_A")


class GrpcAnswers:
    """Counts, limits and refuses calls of all services alike."""

    def __init__(self, metrics: Metrics, limit: RateLimit) -> None:
        self._metrics = metrics
        self._limit = limit

    def answer(
        self,
        name: str,
        request: _Q,
        context: grpc.ServicerContext,
        work: Callable[[_Q], _A],
        *,
        limit: RateLimit | None = None,
        count: int = 1,
    ) -> _A:
        """The answer of a behaviour to one request; ends the call where it refuses. ``limit``: a further limit of the
        caller's, of which ``count`` is taken."""
        started = time.monotonic()
        error: LedgerError
        try:
            client = context.peer().rpartition(":")[0]
            self._limit.take(client)
            if limit is not None:
                limit.take(client, count)
            answer = work(request)
        except LedgerError as refused:
            error = refused
        except Exception as defect:
            report("grpc.defect", defect, method=name)
            error = FatalError("gateway.defect", "this answer could not be made")
        else:
            self._metrics.answered(name, 200, time.monotonic() - started)
            return answer
        raise self.refuse(name, context, error, time.monotonic() - started)

    def refuse(self, name: str, context: grpc.ServicerContext, error: LedgerError, seconds: float) -> AssertionError:
        """End a call with an error; gRPC's way of ending it raises, so that nothing comes back."""
        status, number = next((STATUS[base] for base in type(error).__mro__ if base in STATUS), ("INTERNAL", 500))
        self._metrics.refused(error.code)
        self._metrics.answered(name, number, seconds)
        metadata = [("civicledger-code", error.code)]
        if error.hint:
            metadata.append(("civicledger-hint", quote(error.hint[:2000], safe=_PLAIN)))
        context.set_trailing_metadata(tuple(metadata))
        context.abort(grpc.StatusCode[status], error.message[:2000])
        return AssertionError("grpc abort returned")
