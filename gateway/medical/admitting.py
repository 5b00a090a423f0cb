"""Which calls of hospitals are carried: by the envelope, and by what the chain proves of who signed it.

The gateway's word is no authority: the hospital's node judges every envelope again, and keeps the nonce durably. What
is refused here costs no node anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gateway.licences.state import Moment
from ledger.errors import ConflictError, InvalidInputError, NotAllowedError, UnavailableError
from ledger.evidence.carried import Carried, checked
from ledger.evidence.envelope import EnvelopeDomain, verify_envelope
from ledger.model import MemberInfo, MemberStatus, Roles

SERVICE: Final = "/ledger.v1.MedicalPeerService/"
#: Hospitals asked in one call.
MAX_ENVELOPES: Final = 256
#: Nonces remembered: more than are good at a time, at some hundred calls a second.
_MAX_NONCES: Final = 200_000


class Members(Protocol):
    """What the chain says of members, proven."""

    def moment(self) -> Moment:
        """The newest block."""

    def member(self, at: Moment, uscc: str) -> MemberInfo | None:
        """A member."""


class Admission:
    """Judges envelopes. Thread-safe; ``clock``: Unix milliseconds; ``chain``: digest of the genesis, 32 bytes."""

    def __init__(
        self, members: Members, chain: bytes, domain: EnvelopeDomain, clock: Callable[[], int], *, max_age_ms: int
    ) -> None:
        self._members = members
        self._chain = chain
        self._domain = domain
        self._clock = clock
        self._max_age_ms = max_age_ms
        self._lock = threading.Lock()
        #: Nonce -> when its envelope expires, in order of arrival.
        self._nonces: dict[tuple[str, bytes], int] = {}

    def admit(self, calls: Sequence[Carried], method: str) -> str:
        """Let calls of one member pass, once: who it is. ``method``: of MedicalPeerService.

        Raises: InvalidInputError(envelope.*), NotAllowedError(envelope.* | auth.* | medical.not-hospital),
        UntrustedError(envelope.signature), ConflictError(envelope.replayed), UnavailableError(chain.stale).
        """
        if not 1 <= len(calls) <= MAX_ENVELOPES:
            raise InvalidInputError(
                "envelope.count",
                f"a call has 1 to {MAX_ENVELOPES} envelopes",
                hint="one for each hospital that is asked",
                actual=len(calls),
            )
        for call in calls:
            self._check_shape(checked(call), method)
        caller = calls[0].envelope.caller
        targets = {call.envelope.target for call in calls}
        if any(call.envelope.caller != caller for call in calls) or len(targets) != len(calls):
            raise InvalidInputError(
                "envelope.mixed",
                "the envelopes of one call are of one member, each for another hospital",
                hint="call once for each member that asks",
            )
        account = self._hospital(caller).account
        now = self._clock()
        for call in calls:
            verify_envelope(self._domain, call.envelope, call.signature, account, now)
        self._use_up(calls, now)
        return caller

    def _check_shape(self, call: Carried, method: str) -> None:
        envelope = call.envelope
        if envelope.chain != self._chain:
            raise NotAllowedError(
                "envelope.other-target",
                "the envelope is meant for another chain",
                hint="sign it for this chain",
                expected=self._chain,
                actual=envelope.chain,
            )
        if envelope.method != SERVICE + method:
            raise NotAllowedError(
                "envelope.method",
                f"the envelope is of another method than {method}",
                hint=f"sign it for {SERVICE}{method}",
                actual=ascii(envelope.method)[:100],
            )

    def _hospital(self, uscc: str) -> MemberInfo:
        """The member, an active hospital at a block that is proven. Raises: NotAllowedError(auth.* | medical.*)."""
        at = self._members.moment()
        age = self._clock() - at.time_ms
        if age > self._max_age_ms:
            raise UnavailableError(
                "chain.stale",
                f"the newest signed time of the chain that this gateway sees is {age // 1_000} s old",
                hint="try again; its operator sees the cause",
                expected=self._max_age_ms,
                actual=age,
            )
        info = self._members.member(at, uscc)
        if info is None or info.status in (MemberStatus.NONE, MemberStatus.REMOVED):
            raise NotAllowedError("auth.not-member", f"{uscc} is no member of this city's consortium", actual=uscc)
        if info.status is not MemberStatus.ACTIVE:
            raise NotAllowedError(
                "auth.suspended",
                f"member {uscc} is suspended",
                hint="the other members reinstate it by vote: civicledger member propose reinstate",
                actual=uscc,
            )
        if not info.roles & Roles.HOSPITAL:
            raise NotAllowedError(
                "medical.not-hospital",
                "only calls of members with the role hospital are carried",
                hint="the members give it by vote: civicledger member propose roles",
                actual=uscc,
            )
        return info

    def _use_up(self, calls: Sequence[Carried], now: int) -> None:
        names = [(call.envelope.caller, call.envelope.nonce) for call in calls]
        with self._lock:
            if any(name in self._nonces for name in names) or len(set(names)) != len(names):
                raise ConflictError(
                    "envelope.replayed",
                    "this envelope was carried before",
                    hint="sign a new envelope with a fresh nonce",
                )
            if len(self._nonces) + len(names) > _MAX_NONCES:
                self._nonces = {name: until for name, until in self._nonces.items() if until > now}
            if len(self._nonces) + len(names) > _MAX_NONCES:
                raise UnavailableError(
                    "gateway.too-many-requests", "more calls are carried than this gateway takes", hint="call again"
                )
            self._nonces.update({name: call.envelope.expires for name, call in zip(names, calls, strict=True)})
