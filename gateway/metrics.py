"""Prometheus metrics of one gateway, in a registry of its own."""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class Metrics:
    """Counters of answers and refusals; gauges of the last reading of the city."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "civicledger_gateway_requests_total",
            "Answers by route and status",
            ("route", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "civicledger_gateway_seconds", "Latency by route", ("route",), buckets=_BUCKETS, registry=self.registry
        )
        self._refusals = Counter(
            "civicledger_gateway_refusals_total", "Refusals by error code", ("code",), registry=self.registry
        )
        self._verdicts = Counter(
            "civicledger_gateway_bundles_total",
            "Bundles judged, by verdict or code",
            ("verdict",),
            registry=self.registry,
        )
        self._licences = Counter(
            "civicledger_gateway_licences_total", "Licences judged, by verdict", ("verdict",), registry=self.registry
        )
        # Looking a child up by its labels costs more than counting on it; routes, statuses and verdicts are few.
        self._request_of = cache(lambda route, status: self._requests.labels(route, str(status)))
        self._latency_of = cache(self._latency.labels)
        self._licence_of = cache(self._licences.labels)
        self._gauges: dict[str, Gauge] = {}
        self._member_gauges: dict[str, Gauge] = {}

    def answered(self, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._request_of(route, status).inc()
        self._latency_of(route).observe(seconds)

    def refused(self, code: str) -> None:
        """One request was refused."""
        self._refusals.labels(code).inc()

    def judged(self, verdict: str) -> None:
        """One bundle was judged."""
        self._verdicts.labels(verdict).inc()

    def licence_judged(self, verdict: str) -> None:
        """One licence was judged."""
        self._licence_of(verdict).inc()

    def set(self, name: str, meaning: str, value: float) -> None:
        """A figure of the city."""
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"civicledger_gateway_{name}", meaning, registry=self.registry)
        self._gauges[name].set(value)

    def set_member(self, name: str, meaning: str, member: str, value: float) -> None:
        """A figure of one member."""
        if name not in self._member_gauges:
            gauge = Gauge(f"civicledger_gateway_{name}", meaning, ("member",), registry=self.registry)
            self._member_gauges[name] = gauge
        self._member_gauges[name].labels(member).set(value)

    def render(self) -> bytes:
        """The text format."""
        return generate_latest(self.registry)
