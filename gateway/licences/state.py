"""What the chain holds of issuers, each value proven under the header of the home node's newest block.

The header hashes to its block and the state's values verify under its root: the home node can be silent or late, but
it cannot say of an issuer what is not in the block it shows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.licences.finals import FinalBlock, Finals
from gateway.views import CityView
from ledger.chain import external_shapes
from ledger.chain.blocks import ChainHead
from ledger.chain.client import ChainClient
from ledger.errors import ConflictError, InvalidInputError, LedgerError, UntrustedError
from ledger.evidence import licencestate, state
from ledger.identifiers import member_from_bytes32
from ledger.model import KeyInfo, KeyRole, MemberInfo, StatusHeadInfo, StatusVersionInfo

#: A head asked for this recently is not asked for again.
FRESH_MS = 500
#: How far the newest final block may lie behind for licences to be judged under it, milliseconds.
LAG_MS = 10_000
#: Spans of one member for one type that are read, the newest ones: of older ones no licence is in use.
MAX_SPANS = 100


class Viewed(Protocol):
    """Who looks at the chain all the time."""

    def view(self) -> CityView:
        """The last reading. Raises: UnavailableError(gateway.starting | chain.*)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A block under whose state root is read. ``time_ms``: the chain's newest signed time that is known to stand on
    it, Unix milliseconds: what the view's age counts from; ``finality``: how it is final by its proof
    (``single-signer``, ``bft``), or the code of why that is not known."""

    head: ChainHead
    time_ms: int
    licences: bytes
    finality: str = "finality.unproven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A member's standing for a type: whether the type was ever defined, when it was withdrawn (Unix seconds, 0 while
    in use), and the spans of accreditation, oldest first."""

    known: bool
    withdrawn_at: int
    spans: tuple[licencestate.ProvenSpan, ...]


class ChainWord(Protocol):
    """What the chain says of issuers."""

    def moment(self) -> Moment:
        """The newest block."""

    def key(self, at: Moment, material: bytes, member: str) -> KeyInfo | None:
        """The issuer key of a member with this digest."""

    def standing(self, at: Moment, code: str, member: str) -> Standing:
        """A member's standing for a type."""

    def list_head(self, at: Moment, member: str, number: int) -> StatusHeadInfo | None:
        """The newest version of a member's list."""


class LicenceState:
    """Proven reads at the newest block. Thread-safe; ``clock``: Unix milliseconds."""

    def __init__(
        self, client: ChainClient, consortium: bytes, city: Viewed, clock: Callable[[], int], finals: Finals
    ) -> None:
        self._client = client
        self._consortium = consortium
        self._city = city
        self._clock = clock
        self._finals = finals
        self._lock = threading.Lock()
        self._asked_ms = -FRESH_MS
        self._moment: Moment | None = None

    def moment(self) -> Moment:
        """The newest block that is proven final, where it is recent, else the newest; asked for at most half a second
        ago.

        Raises: UnavailableError(chain.unreachable | gateway.starting), UntrustedError(header.hash | state.*),
        ConflictError(licence.no-contract | gateway.other-chain).
        """
        with self._lock:
            now = self._clock()
            if self._moment is not None and 0 <= now - self._asked_ms < FRESH_MS:
                return self._moment
            # It is the city's reader that makes sure of which chain this is.
            view = self._city.view()
            newest = self._client.head()
            final = self._final(newest)
            head = newest if isinstance(final, str) else final.head
            signed_ms = 0 if view.view_age_ms is None else view.made_at_ms - view.view_age_ms
            if self._moment is None or self._moment.head.hash != head.hash:
                address = self._slots(head, self._consortium, [state.contract_slot("Licences")])[0]
                licences = _address(address)
            else:
                licences = self._moment.licences
            self._moment = Moment(
                head=head,
                time_ms=max(head.time * 1000, signed_ms if view.chain.height <= head.height else 0)
                if isinstance(final, str)
                else final.time_ms,
                licences=licences,
                finality=final if isinstance(final, str) else final.kind,
            )
            self._asked_ms = now
            return self._moment

    def key(self, at: Moment, material: bytes, member: str) -> KeyInfo | None:
        """The issuer key of a member with this digest (32 bytes), in force or ended; None where there is none."""
        where = state.key_slots(material)
        owner, packed = self._slots(at.head, self._consortium, [where.member, where.packed])
        key = state.decode_key(material, owner, packed)
        return key if key is not None and key.role is KeyRole.ISSUER and key.member == member else None

    def member(self, at: Moment, uscc: str) -> MemberInfo | None:
        """A member with its status, roles and account; None where there is none."""
        where = state.member_slots(uscc)
        packed, handle, account = self._slots(at.head, self._consortium, [where.packed, where.handle, where.account])
        return state.decode_member(uscc, packed, handle, account)

    def standing(self, at: Moment, code: str, member: str) -> Standing:
        """Whether a type is known and in use, and the spans of a member for it."""
        slots = licencestate.issuer_slots(code, member, ())
        times, counted = self._slots(at.head, at.licences, slots)
        defined_at, withdrawn_at, _ = state.unpack(times, 8, 8, 8)
        count = state.decode_count(counted)
        numbers = range(max(1, count - MAX_SPANS + 1), count + 1)
        values = self._slots(at.head, at.licences, licencestate.issuer_slots(code, member, numbers)[len(slots) :])
        return Standing(
            known=defined_at > 0,
            withdrawn_at=withdrawn_at,
            spans=tuple(
                _span(number, values[2 * place], values[2 * place + 1]) for place, number in enumerate(numbers)
            ),
        )

    def list_head(self, at: Moment, member: str, number: int) -> StatusHeadInfo | None:
        """The newest version of a member's status list on chain; None for one never recorded."""
        uri_digest, counted = self._slots(at.head, at.licences, licencestate.list_slots(member, number, 1)[:2])
        version = state.decode_count(counted)
        if version == 0:
            return None
        words = self._slots(at.head, at.licences, licencestate.list_slots(member, number, version)[2:])
        time, inflated, bits = state.unpack(words[2], 8, 4, 1)
        newest = StatusVersionInfo(
            issuer=member,
            number=number,
            version=version,
            list_digest=words[0],
            token_digest=words[1],
            time=time,
            inflated_bytes=inflated,
            bits=bits,
        )
        return StatusHeadInfo(uri_digest=uri_digest, newest=newest)

    def _final(self, newest: ChainHead) -> FinalBlock | str:
        """The block that is judged under, or why its finality is not known."""
        try:
            final = self._finals.newest(self._slots)
        except LedgerError as error:
            return error.code
        recent = abs(self._clock() - final.time_ms) <= LAG_MS
        return final if recent or final.head.hash == newest.hash else "finality.behind"

    def _slots(self, head: ChainHead, address: bytes, slots: Sequence[bytes]) -> list[bytes]:
        if not slots:
            return []
        answer = self._client.proof(address, slots, head.height)
        proven = external_shapes.proof(answer, head.state_root, address, slots)
        return [value for _, value, _ in proven.storage]


def _span(number: int, times: bytes, by: bytes) -> licencestate.ProvenSpan:
    valid_from, valid_until, _, _ = state.unpack(times, 8, 8, 8, 8)
    try:
        body = member_from_bytes32(by)
    except InvalidInputError as error:
        raise UntrustedError("state.accreditation", f"the slot holds no member: {error.message}", actual=by) from error
    return licencestate.ProvenSpan(number=number, valid_from=valid_from, valid_until=valid_until, by=body)


def _address(value: bytes) -> bytes:
    if value == bytes(32):
        raise ConflictError(
            "licence.no-contract",
            "this city was founded before there were licences: no contract Licences is in force",
            hint="the members bring it into force by vote: docs/operations.md, licences",
        )
    return state.decode_address(value)
