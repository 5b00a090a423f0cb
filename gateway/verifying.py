"""Judging bundle files that anybody hands in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gateway.metrics import Metrics
from ledger.errors import InvalidInputError, LedgerError, UnavailableError
from ledger.verify import verify_bundle
from ledger.verifyissue import ProvenIssue, verify_issue

MAX_BUNDLE = 1 << 20
MAX_POLICY = 262_144
#: Bundles judged at the same time: each takes a core for some milliseconds.
_PARALLEL = 4
_T = TypeVar("_T")


class Verifier:
    """Judges by the gateway's own policy file, read again when it changes, or by one that comes with the bundle."""

    def __init__(self, policy: Path, clock: Callable[[], int], metrics: Metrics) -> None:
        self._path = policy
        self._clock = clock
        self._metrics = metrics
        self._slots = threading.BoundedSemaphore(_PARALLEL)

    def judge(self, bundle: bytes, policy: bytes = b"") -> dict[str, Any]:
        """The verdict as the command line prints it, judged as of now.

        Raises:
            UntrustedError: the code names the broken link (``bundle.*``, ``inclusion.*``, …).
            InvalidInputError: ``bundle.too-large``, ``policy.*``.
            UnavailableError: ``gateway.no-policy``, ``gateway.busy``.
        """
        verdict = self._bounded(bundle, policy, lambda trusted: verify_bundle(bundle, trusted, self._clock())).to_dict()
        self._metrics.judged(str(verdict["verdict"]))
        return verdict

    def issue(self, bundle: bytes) -> ProvenIssue:
        """When the licence of a bundle was on record at the latest, by the gateway's own policy. Raises: as
        :meth:`judge`."""
        return self._bounded(bundle, b"", lambda trusted: verify_issue(bundle, trusted, at_ms=self._clock()))

    def _bounded(self, bundle: bytes, policy: bytes, judge: Callable[[bytes], _T]) -> _T:
        if len(bundle) > MAX_BUNDLE or len(policy) > MAX_POLICY:
            raise InvalidInputError(
                "bundle.too-large",
                f"a bundle has at most {MAX_BUNDLE} bytes, a policy {MAX_POLICY}",
                expected=MAX_BUNDLE,
            )
        trusted = policy or self._own_policy()
        if not self._slots.acquire(timeout=5):
            raise UnavailableError("gateway.busy", "many bundles are being judged", hint="try again in a second")
        try:
            return judge(trusted)
        except LedgerError as error:
            self._metrics.judged(error.code)
            raise
        finally:
            self._slots.release()

    def _own_policy(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_POLICY + 1)
        except OSError as error:
            raise UnavailableError(
                "gateway.no-policy",
                "this gateway has no trust policy yet",
                hint="the city's operator puts one there (policy.json); offline: civicledger bundle verify --policy",
            ) from error
