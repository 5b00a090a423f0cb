"""The frozen types of the domain: what the chain and the logs say about members, datasets and grants.

Times are Unix milliseconds (``…_ms``) in records and Unix seconds where they come from a block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, IntFlag
from typing import Any, Final, Literal, Self

from ledger import identifiers
from ledger.errors import InvalidInputError

KeyStatus = Literal["active", "retired", "compromised"]

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
#: 9999-12-31T23:59:59.999Z
MAX_TIME_MS: Final = 253_402_300_799_999


class _Worded(IntEnum):
    """An enum whose members have a stable lower-case word for files and people."""

    @property
    def word(self) -> str:
        """``NOT_SHARED`` as ``not-shared``."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_word(cls, word: str) -> Self:
        """The member of that word. Raises: InvalidInputError(model.word)."""
        for item in cls:
            if item.word == word:
                return item
        raise InvalidInputError(
            "model.word",
            f"not a {cls.__name__}: {ascii(word)[:40]}",
            hint="one of " + ", ".join(item.word for item in cls),
            actual=ascii(word)[:40],
        )


class Level(_Worded):
    """How sensitive a dataset is (GB/T 43697-2024)."""

    GENERAL = 1
    IMPORTANT = 2
    CORE = 3

    @property
    def zh(self) -> str:
        return ("一般", "重要", "核心")[self - 1]


class Sharing(_Worded):
    """The sharing type of a dataset (政务数据共享条例)."""

    UNCONDITIONAL = 1
    CONDITIONAL = 2
    NOT_SHARED = 3

    @property
    def zh(self) -> str:
        return ("无条件共享", "有条件共享", "不予共享")[self - 1]


class KeyRole(_Worded):
    """What a key is for: one key, one role."""

    ACCOUNT = 1
    CONSENSUS = 2
    SEQUENCER = 3
    P2P = 4
    TLS = 5
    LOG = 6
    WITNESS = 7
    RECEIPT = 8
    ISSUER = 9


class MemberStatus(_Worded):
    """Where a member stands in the consortium."""

    NONE = 0
    ACTIVE = 1
    SUSPENDED = 2
    REMOVED = 3


class GrantState(_Worded):
    """Where a grant stands. ``EXPIRED`` is derived from the time, the others are stored."""

    NONE = 0
    REQUESTED = 1
    ACTIVE = 2
    REFUSED = 3
    REVOKED = 4
    SUSPENDED = 5
    EXPIRED = 6


class Roles(IntFlag):
    """Roles of a member beside being one."""

    SUPERVISOR = 1
    AUDITOR = 2
    QUALITY = 4
    #: A region's health commission.
    HEALTH = 8
    HOSPITAL = 16

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(str(role.name).lower() for role in Roles if role in self)

    @classmethod
    def from_words(cls, words: tuple[str, ...]) -> Roles:
        """Raises: InvalidInputError(model.word)."""
        value = cls(0)
        for word in words:
            role = {str(item.name).lower(): item for item in cls}.get(word)
            if role is None:
                raise InvalidInputError("model.word", f"not a role: {ascii(word)[:40]}", actual=ascii(word)[:40])
            value |= role
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of a department log: what happened, at whom, when. ``body`` is JSON by the type's schema."""

    type: str
    member: str
    time_ms: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberInfo:
    """A member as the chain knows it. ``account``: 20 bytes; ``since``: Unix seconds."""

    uscc: str
    handle: str
    region: str
    roles: Roles
    status: MemberStatus
    account: bytes
    generation: int
    since: int
    validator: bool

    @property
    def origin(self) -> str:
        """The origin of the member's present log."""
        return identifiers.origin(self.region, self.handle, self.generation)

    @property
    def witness_name(self) -> str:
        """The name under which the member's witness signs."""
        return identifiers.witness_name(self.region, self.handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key as the chain knows it. ``material``: 32 bytes; times: Unix seconds, 0 open.

    ``ended_at`` is 0 while active; since when retired or compromised otherwise.
    """

    material: bytes
    member: str
    role: KeyRole
    status: KeyStatus
    valid_from: int
    valid_to: int
    ended_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """One published content of a dataset. ``content_digest``: 32 bytes; ``count`` rows; ``time`` Unix seconds."""

    number: int
    content_digest: bytes
    count: int
    time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """A dataset as the Directory contract knows it. ``id`` and ``metadata_digest``: 32 bytes."""

    id: bytes
    provider: str
    sharing: Sharing
    level: Level
    metadata_digest: bytes
    withdrawn: bool
    versions: tuple[DatasetVersion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantInfo:
    """A grant as the Grants contract knows it.

    Digests and ids: 32 bytes; times: Unix seconds; ``ceiling``: exchanges allowed. ``approvals`` are the words of
    those given, ``missing_approvals`` of those still needed: ``provider``, ``supervisor``, ``consortium-vote``.
    """

    id: bytes
    dataset: bytes
    provider: str
    consumer: str
    purpose: str
    matter_digest: bytes
    scope_digest: bytes
    odrl_digest: bytes
    ceiling: int
    valid_until: int
    deadline: int
    state: GrantState
    approvals: tuple[str, ...] = ()
    missing_approvals: tuple[str, ...] = ()
    refusal_reason: int = 0
    overdue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceTypeInfo:
    """A licence type as the Licences contract knows it. ``metadata_digest``: 32 bytes; times: Unix seconds,
    ``withdrawn_at`` 0 while in use. ``by``: who defined it, its body or a supervisor in its place."""

    code: str
    by: str
    metadata_digest: bytes
    defined_at: int
    changed_at: int
    withdrawn_at: int

    @property
    def body(self) -> str:
        """The USCC of the body that defines the type; it stands in the code."""
        return self.code[:18]

    def issuable_at(self, time_s: int) -> bool:
        """Whether the type was in use at a time."""
        return self.defined_at <= time_s and (not self.withdrawn_at or time_s < self.withdrawn_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccreditationInfo:
    """One span in which a member may issue a type: ``valid_from`` <= t < ``valid_until`` (Unix seconds, 0 open).

    ``number`` counts from 1 within (type, member). ``by`` accredited; ``ended_by`` (empty: nobody did) moved the end at
    ``ended_at``. A span that was ended before it began is empty. ``basis_digest``: 32 bytes, of the decision.
    """

    type_code: str
    member: str
    number: int
    valid_from: int
    valid_until: int
    made_at: int
    ended_at: int
    by: str
    ended_by: str
    basis_digest: bytes

    def covers(self, time_s: int) -> bool:
        """Whether the span holds at a time, its type left aside."""
        return self.valid_from <= time_s and (not self.valid_until or time_s < self.valid_until)

    def state_at(self, time_s: int) -> str:
        """``to-come``, ``in-force`` or ``over``; ``void`` where it was ended before it began."""
        if self.valid_until and self.valid_until <= self.valid_from:
            return "void"
        if time_s < self.valid_from:
            return "to-come"
        return "in-force" if self.covers(time_s) else "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusVersionInfo:
    """A version of an issuer's status list on chain.

    ``number`` of the list and ``version`` count from 1; ``list_digest``: SHA-256 of the inflated list;
    ``token_digest``: of the signed token that carried it first; ``time``: Unix seconds of the block.
    """

    issuer: str
    number: int
    version: int
    list_digest: bytes
    token_digest: bytes
    time: int
    inflated_bytes: int
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusHeadInfo:
    """The newest version of a status list, and the digest of the list's uri (32 bytes, SHA-256)."""

    uri_digest: bytes
    newest: StatusVersionInfo


def format_time(time_ms: int) -> str:
    """Unix milliseconds as ``2026-11-22T03:41:45.684Z``. Raises: InvalidInputError(time.range)."""
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise InvalidInputError("time.range", "a time lies between 1970 and 9999", actual=time_ms)
    seconds, millis = divmod(time_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def parse_time(text: str) -> int:
    """The inverse of :func:`format_time`; exactly that form. Raises: InvalidInputError(time.format)."""
    try:
        if not _TIME.match(text):
            raise ValueError(text)
        whole = datetime.fromisoformat(text[:-5] + "+00:00")
        value = int(whole.timestamp()) * 1000 + int(text[-4:-1])
        if value < 0:
            raise ValueError(text)
    except ValueError:
        raise InvalidInputError(
            "time.format",
            f"not a time: {ascii(text)[:40]}",
            hint="UTC with three decimals, e.g. 2026-11-22T03:41:45.684Z",
            actual=ascii(text)[:40],
        ) from None
    return value
