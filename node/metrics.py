"""Prometheus metrics of one node, in a registry of its own (two nodes of one process do not share figures)."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

#: Failures that the operator's page still shows.
KEPT_FAILURES = 20
_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong in a background loop, also when it works again. ``first_ms``, ``last_ms``: Unix milliseconds."""

    loop: str
    code: str
    message: str
    first_ms: int
    last_ms: int
    count: int = 1


class Metrics:
    """Counters the node's parts add to, and gauges read at scrape time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # Memory, processor time and open files of the process: process_*.
        ProcessCollector(registry=self.registry)
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], Failure] = OrderedDict()
        self._calls = Counter(
            "civicledger_rpc_total", "RPCs by method and status", ("method", "status"), registry=self.registry
        )
        self._latency = Histogram(
            "civicledger_rpc_seconds",
            "Latency of RPCs by method",
            ("method",),
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._refusals = Counter(
            "civicledger_refusals_total", "Refusals by error code", ("code",), registry=self.registry
        )
        self._failures = Counter(
            "civicledger_loop_failures_total",
            "Failed rounds of background loops by loop and code",
            ("loop", "code"),
            registry=self.registry,
        )
        self._cosignatures = Counter(
            "civicledger_cosignatures_total",
            "Cosignatures received on own checkpoints by witness",
            ("member",),
            registry=self.registry,
        )
        self._witnessed = Counter(
            "civicledger_witness_requests_total",
            "add-checkpoint requests answered by HTTP status",
            ("status",),
            registry=self.registry,
        )
        self._blocks = Counter(
            "civicledger_blocks_total", "Blocks made or imported since the start", registry=self.registry
        )
        self._transactions = Counter(
            "civicledger_transactions_total", "Transactions in those blocks", registry=self.registry
        )

    def called(self, method: str, status: str, seconds: float) -> None:
        """One RPC ended."""
        self._calls.labels(method, status).inc()
        self._latency.labels(method).observe(seconds)

    def refused(self, code: str) -> None:
        """One request was refused with an error code of ``docs/errors.md``."""
        self._refusals.labels(code).inc()

    def failed(self, loop: str, code: str, message: str = "") -> None:
        """One round of a background loop failed."""
        self._failures.labels(loop, code).inc()
        now = time.time_ns() // 1_000_000
        with self._lock:
            known = self._seen.pop((loop, code), None)
            self._seen[loop, code] = (
                Failure(loop=loop, code=code, message=message[:200], first_ms=now, last_ms=now)
                if known is None
                else replace(known, message=message[:200] or known.message, last_ms=now, count=known.count + 1)
            )
            while len(self._seen) > KEPT_FAILURES:
                self._seen.popitem(last=False)

    def failures(self) -> tuple[Failure, ...]:
        """The newest kinds of failures since the start, the last one first."""
        with self._lock:
            return tuple(reversed(self._seen.values()))

    def cosigned(self, member: str) -> None:
        """A witness cosigned one of our checkpoints."""
        self._cosignatures.labels(member).inc()

    def witness_answered(self, status: int) -> None:
        """We answered an add-checkpoint request."""
        self._witnessed.labels(str(status)).inc()

    def block(self, transactions: int) -> None:
        """A block became the head."""
        self._blocks.inc()
        self._transactions.inc(transactions)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Register ``civicledger_<name>``, read when scraped."""
        Gauge(f"civicledger_{name}", text, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """The Prometheus text exposition."""
        return generate_latest(self.registry)
