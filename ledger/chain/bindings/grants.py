"""The Grants contract: requests, approvals, refusals, revocations, settlements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ledger.chain.bindings.base import NO_ID, Binding, paged, reading
from ledger.identifiers import ascii_bytes32, member_bytes32, member_from_bytes32, parse_purpose, text_from_bytes32
from ledger.model import GrantInfo, GrantState

_APPROVALS = ((1, "provider"), (2, "supervisor"), (4, "consortium-vote"))
_STATES = {1: GrantState.REQUESTED, 2: GrantState.ACTIVE, 3: GrantState.REFUSED, 4: GrantState.REVOKED}


class Activity(IntEnum):
    """The contract's answer to "may this be used now?"."""

    ACTIVE = 0
    UNKNOWN_GRANT = 1
    OTHER_DATASET = 2
    OTHER_CONSUMER = 3
    OTHER_PURPOSE = 4
    REQUESTED = 5
    REFUSED = 6
    REVOKED = 7
    EXPIRED = 8
    SUSPENDED = 9
    DATASET_WITHDRAWN = 10
    NOT_SHARED = 11
    CONSUMER_INACTIVE = 12
    NOT_YET = 13
    PROVIDER_INACTIVE = 14
    CEILING_REACHED = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One side's statement of a period: exchanges and the root over their receipts."""

    count: int
    time: int
    receipts_root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Both sides' statements of a period; None where a side is silent. ``agreed_at``: unix seconds, 0 not yet."""

    provider: Claim | None
    consumer: Claim | None
    agreed_at: int


class Grants(Binding):
    """Reads and calldata of Grants."""

    contract = "Grants"

    def grant(self, grant_id: bytes, *, now_s: int = 0, height: int | None = None) -> GrantInfo | None:
        """A grant with its state. With ``now_s`` (unix seconds) expiry and overdue are judged at that time."""
        row = self._found("grant", grant_id, height=height)
        return None if row is None else self._info(grant_id, row, now_s, height)

    def grants(
        self, first: int = 0, count: int = 200, *, now_s: int = 0, height: int | None = None
    ) -> tuple[GrantInfo, ...]:
        """Grants in order of request, at most 200."""
        ids, rows = self._read("grants", first, count, height=height)
        named = (self._named("grants", row, 1) for row in rows)
        return tuple(self._info(id_, row, now_s, height) for id_, row in zip(ids, named, strict=True))

    def all(self, *, now_s: int = 0, height: int | None = None) -> Iterator[GrantInfo]:
        """Every grant, page by page."""
        for id_, row in paged(lambda first, count: self._page(first, count, height)):
            yield self._info(id_, self._named("grants", row, 1), now_s, height)

    def count(self, height: int | None = None) -> int:
        """Number of grants ever requested."""
        return int(self._read("grantCount", height=height)[0])

    def activity(
        self, grant_id: bytes, *, dataset: bytes, consumer: str, purpose: str, now_s: int, height: int | None = None
    ) -> Activity:
        """The one question everybody asks (``isActive``)."""
        args = (grant_id, dataset, member_bytes32(consumer), ascii_bytes32(parse_purpose(purpose)), now_s)
        answer = self._read("isActive", *args, height=height)[1]
        with reading("judgement of a grant"):
            return Activity(answer)

    def settlement(self, grant_id: bytes, period: int, height: int | None = None) -> Settlement:
        """The statements of a period (YYYYMMDD)."""
        row = self._named("settlement", self._read("settlement", grant_id, period, height=height)[0])
        return Settlement(provider=_claim(row["provider"]), consumer=_claim(row["consumer"]), agreed_at=row["agreedAt"])

    def settled(self, grant_id: bytes, height: int | None = None) -> int:
        """Uses in agreed settlements."""
        row = self._found("grant", grant_id, height=height)
        return 0 if row is None else int(row["settled"])

    def encode_request(
        self,
        *,
        dataset: bytes,
        purpose: str,
        matter: bytes,
        scope_digest: bytes,
        odrl_digest: bytes,
        ceiling: int,
        valid_until: int,
        deadline: int,
    ) -> bytes:
        """Ask for the use of a dataset; times in unix seconds. The id is in the event ``GrantRequested``."""
        return self.encode(
            "request",
            dataset,
            ascii_bytes32(parse_purpose(purpose)),
            matter,
            scope_digest,
            odrl_digest,
            ceiling,
            valid_until,
            deadline,
        )

    def encode_approve(self, grant_id: bytes) -> bytes:
        """Approve in every capacity the sender has and the level needs."""
        return self.encode("approve", grant_id)

    def encode_refuse(self, grant_id: bytes, reason: int, text_digest: bytes) -> bytes:
        """Refuse a request with a reason code and the digest of its text."""
        return self.encode("refuse", grant_id, reason, text_digest)

    def encode_revoke(self, grant_id: bytes, reason: int, text_digest: bytes) -> bytes:
        """Revoke a grant with a reason code and the digest of its text."""
        return self.encode("revoke", grant_id, reason, text_digest)

    def encode_record_settlement(self, grant_id: bytes, period: int, count: int, receipts_root: bytes) -> bytes:
        """State one's count and receipts root of a period (YYYYMMDD)."""
        return self.encode("recordSettlement", grant_id, period, count, receipts_root)

    def _page(self, first: int, count: int, height: int | None) -> tuple[tuple[bytes, ...], tuple[Any, ...]]:
        ids, rows = self._read("grants", first, count, height=height)
        return ids, rows

    def _info(self, grant_id: bytes, row: dict[str, Any], now_s: int, height: int | None) -> GrantInfo:
        with reading("grant"):
            state = _STATES[row["status"]]
            missing = 0
            if state in (GrantState.REQUESTED, GrantState.ACTIVE):
                missing = self._read("missingApprovals", grant_id, height=height)[0]
            if state is GrantState.ACTIVE and missing:
                state = GrantState.SUSPENDED
            if state in (GrantState.ACTIVE, GrantState.SUSPENDED) and now_s >= row["validUntil"]:
                state = GrantState.EXPIRED
            return GrantInfo(
                id=grant_id,
                dataset=row["dataset"],
                provider=member_from_bytes32(row["provider"]),
                consumer=member_from_bytes32(row["consumer"]),
                purpose=text_from_bytes32(row["purpose"]),
                matter_digest=row["matter"],
                scope_digest=row["scopeDigest"],
                odrl_digest=row["odrlDigest"],
                ceiling=row["ceiling"],
                valid_until=row["validUntil"],
                deadline=row["deadline"],
                state=state,
                approvals=_words(row["approvals"]),
                missing_approvals=_words(missing),
                refusal_reason=row["reason"],
                overdue=state is GrantState.REQUESTED and now_s > row["deadline"],
            )


def _words(bits: int) -> tuple[str, ...]:
    return tuple(word for bit, word in _APPROVALS if bits & bit)


def _claim(value: tuple[int, int, bytes]) -> Claim | None:
    count, time, root = value
    return None if time == 0 and root == NO_ID else Claim(count=count, time=time, receipts_root=root)
