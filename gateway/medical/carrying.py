"""Calls of hospitals' nodes carried to other hospitals' nodes: admitted, limited, brought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.limits import RateLimit
from gateway.medical.admitting import Admission
from gateway.medical.forwarding import Brought, Forwarding
from ledger.errors import InvalidInputError
from ledger.evidence.carried import Carried

DEADLINE_MS: Final = range(100, 60_001)
#: Methods that are called one by one.
SINGLE: Final = ("Open", "Decide", "Confirm", "Tell")
#: How long a round of questions about changes may take where its answers are wanted together, seconds.
_TOGETHER_S: Final = 9.0


class Carrying:
    """What both doors of the gateway, gRPC and HTTPS, do with envelopes. Thread-safe."""

    def __init__(self, admission: Admission, forwarding: Forwarding, limit: RateLimit) -> None:
        """``limit``: envelopes of one member."""
        self._admission = admission
        self._forwarding = forwarding
        self._limit = limit

    def close(self) -> None:
        """Take nothing new."""
        self._forwarding.close()

    def one(self, method: str, call: Carried) -> Brought:
        """A single call. Raises: as :meth:`Admission.admit` and :meth:`Forwarding.one`."""
        self._admit([call], method)
        return self._forwarding.one(call)

    def search(self, calls: Sequence[Carried], deadline_ms: int) -> tuple[Brought, ...]:
        """Several hospitals asked at once, in their order. Raises: as :meth:`Admission.admit`,
        InvalidInputError(input.field)."""
        if deadline_ms not in DEADLINE_MS:
            raise InvalidInputError(
                "input.field",
                f"deadline_ms: {DEADLINE_MS.start} to {DEADLINE_MS.stop - 1} milliseconds",
                hint="see proto/ledger/v1/recognition.proto",
                actual=deadline_ms,
            )
        self._admit(calls, "Search")
        return self._forwarding.several(calls, deadline_ms / 1_000)

    def changes(self, calls: Sequence[Carried]) -> tuple[Brought, ...]:
        """What several hospitals have to tell, together."""
        self._admit(calls, "Changes")
        return self._forwarding.several(calls, _TOGETHER_S)

    def watch(self, calls: Sequence[Carried]) -> Iterator[Brought]:
        """The same, each as soon as it is there."""
        self._admit(calls, "Changes")
        return self._forwarding.as_they_come(calls)

    def _admit(self, calls: Sequence[Carried], method: str) -> None:
        caller = self._admission.admit(calls, method)
        self._limit.take(caller, len(calls))
