"""Members and their keys at the head of the chain, kept until a block changes the Consortium contract's state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ledger.evidence.checkpoint import quorum_of
from ledger.model import KeyInfo, KeyRole, MemberInfo, MemberStatus

if TYPE_CHECKING:
    from ledger.chain.bindings import Consortium


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """One consistent view. ``keys`` holds every key of every member by material; ``active_keys`` those in force by
    (member, role): a member may have several of a role while it rotates."""

    members: Mapping[str, MemberInfo]
    keys: Mapping[bytes, KeyInfo]
    active_keys: Mapping[tuple[str, KeyRole], tuple[KeyInfo, ...]]

    @property
    def active(self) -> tuple[MemberInfo, ...]:
        """The active members, in order of USCC."""
        return tuple(info for _, info in sorted(self.members.items()) if info.status is MemberStatus.ACTIVE)

    @property
    def quorum(self) -> int:
        """How many other active members must cosign a checkpoint or head."""
        return quorum_of(len(self.active))

    def others(self, uscc: str) -> tuple[MemberInfo, ...]:
        """The active members but one."""
        return tuple(info for info in self.active if info.uscc != uscc)

    def is_active(self, uscc: str) -> bool:
        """Whether a member is active."""
        info = self.members.get(uscc)
        return info is not None and info.status is MemberStatus.ACTIVE

    def materials(self, uscc: str, role: KeyRole) -> tuple[bytes, ...]:
        """Materials of a member's active keys of a role, newest first."""
        return tuple(key.material for key in self.active_keys.get((uscc, role), ()))

    def has_key(self, uscc: str, role: KeyRole, material: bytes) -> bool:
        """Whether a material is an active key of that role of an active member."""
        return self.is_active(uscc) and material in self.materials(uscc, role)

    def holder(self, role: KeyRole, material: bytes) -> str | None:
        """The active member whose active key of a role this is."""
        key = self.keys.get(material)
        if key is None or not self.has_key(key.member, role, material):
            return None
        return key.member

    def by_origin(self, origin: str) -> MemberInfo | None:
        """The member with this log origin."""
        for info in self.members.values():
            if info.origin == origin:
                return info
        return None

    def by_any_origin(self, origin: str) -> MemberInfo | None:
        """The member that has or had a log of this origin, as of that log's generation."""
        return next((info for one in self.members.values() for info in logs_of(one) if info.origin == origin), None)


def logs_of(info: MemberInfo) -> tuple[MemberInfo, ...]:
    """The member as of each generation of its log, the present one first."""
    return (info, *(replace(info, generation=number) for number in range(info.generation - 1, 0, -1)))


def read_roster(consortium: Consortium) -> Roster:
    """Read all members and keys from the contract."""
    members = {info.uscc: info for info in consortium.members()}
    keys: dict[bytes, KeyInfo] = {}
    active: dict[tuple[str, KeyRole], tuple[KeyInfo, ...]] = {}
    for uscc in members:
        for key in consortium.keys(uscc):
            keys[key.material] = key
            if key.status == "active":
                active[uscc, key.role] = (*active.get((uscc, key.role), ()), key)
    ordered = {
        slot: tuple(sorted(found, key=lambda key: (-key.valid_from, key.material))) for slot, found in active.items()
    }
    return Roster(members=members, keys=keys, active_keys=ordered)


class RosterView:
    """The present roster, read anew only when the Consortium's storage changed (``state`` is its storage root)."""

    def __init__(self, consortium: Consortium, state: Callable[[], bytes]) -> None:
        self._consortium = consortium
        self._state = state
        self._lock = threading.Lock()
        self._kept: tuple[bytes, Roster] | None = None

    def current(self) -> Roster:
        """The roster at the head."""
        state = self._state()
        kept = self._kept
        if kept is not None and kept[0] == state:
            return kept[1]
        with self._lock:
            while True:
                roster = read_roster(self._consortium)
                # A block may have come while it was read: then read again, so that one view is one state.
                after = self._state()
                if after == state:
                    self._kept = (state, roster)
                    return roster
                state = after
