"""The three lists (责任清单, 需求清单, 负面清单) and the loop that ties them together.

A demand is matched to a dataset or to a responsibility, or answered from the negative list; a responsibility is closed
by a dataset of its provider. Nothing is deleted: an entry is withdrawn and stays readable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ledger import codec
from ledger.errors import ConflictError, InvalidInputError, NotAllowedError


class ListName(StrEnum):
    """Which list."""

    RESPONSIBILITY = "responsibility"
    DEMAND = "demand"
    NEGATIVE = "negative"

    @property
    def zh(self) -> str:
        """The official word."""
        return {"responsibility": "责任清单", "demand": "需求清单", "negative": "负面清单"}[self.value]


class EntryState(StrEnum):
    """Where an entry stands. ``overdue`` is derived from the time, the others are stored on chain."""

    OPEN = "open"
    MATCHED = "matched"
    PROMISED = "promised"
    ANSWERED = "answered"
    FULFILLED = "fulfilled"
    OVERDUE = "overdue"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One entry. Ids and digests: 32 bytes; times: Unix seconds, 0 for none.

    ``member``: who entered it (a responsibility: who must supply; ``author`` where a supervisor entered it);
    ``target``: whom a demand is addressed to; ``answer``: dataset, responsibility or negative entry, by state.
    """

    id: bytes
    list: ListName
    member: str
    item_digest: bytes
    state: EntryState
    target: str = ""
    author: str = ""
    matter: str = ""
    basis_digest: bytes = b""
    added_at: int = 0
    due: int = 0
    closed_at: int = 0
    answer: bytes = b""

    @property
    def open(self) -> bool:
        """Whether somebody still has to act (an entry of the negative list: whether it is in force)."""
        return self.state in (EntryState.OPEN, EntryState.OVERDUE)


#: State of a demand -> what its answer is.
ANSWERS: Final = {
    EntryState.MATCHED: "dataset",
    EntryState.PROMISED: "responsibility",
    EntryState.ANSWERED: "negative",
}


def item_digest(item: str) -> bytes:
    """The digest of an item's code (信息项), as it stands on chain, 32 bytes.

    Raises:
        InvalidInputError: ``list.item``.
    """
    if not 1 <= len(item) <= 200 or item != item.strip() or any(ord(char) < 0x20 for char in item):
        raise InvalidInputError("list.item", "an item has 1 to 200 characters and no blanks around", actual=item[:80])
    return codec.domain_digest("item", item.encode())


def state_at(entry: ListEntry, now_s: int) -> EntryState:
    """The state with the time taken into account: what is open after its deadline is overdue. Overdue is shown, it is
    never an answer by itself."""
    if entry.state is EntryState.OPEN and entry.due and now_s > entry.due:
        return EntryState.OVERDUE
    return entry.state


def late(entry: ListEntry) -> bool:
    """Whether a closed entry was closed after its deadline."""
    return bool(entry.due and entry.closed_at > entry.due)


def fulfil(entry: ListEntry, dataset: bytes, provider: str, now_s: int) -> ListEntry:
    """The responsibility closed by a dataset of ``provider``.

    Raises:
        ConflictError: ``list.closed``; NotAllowedError: ``list.not-provider``; InvalidInputError: ``list.kind``.
    """
    _expect(entry, ListName.RESPONSIBILITY)
    if provider != entry.member:
        raise NotAllowedError(
            "list.not-provider",
            "a responsibility is fulfilled by its own provider",
            expected=entry.member,
            actual=provider,
        )
    return replace(entry, state=EntryState.FULFILLED, answer=_id(dataset), closed_at=now_s)


def answer_demand(entry: ListEntry, state: EntryState, answer: bytes, now_s: int) -> ListEntry:
    """The demand closed by a dataset (``matched``), a responsibility (``promised``) or from the negative list
    (``answered``).

    Raises:
        ConflictError: ``list.closed``; InvalidInputError: ``list.kind``.
    """
    _expect(entry, ListName.DEMAND)
    if state not in ANSWERS:
        raise InvalidInputError("list.kind", f"a demand cannot become {state}", actual=str(state))
    return replace(entry, state=state, answer=_id(answer), closed_at=now_s)


def withdraw(entry: ListEntry, now_s: int) -> ListEntry:
    """The entry taken back; it stays readable. Raises: ConflictError ``list.closed``."""
    _expect(entry, entry.list)
    return replace(entry, state=EntryState.WITHDRAWN, closed_at=now_s)


def _expect(entry: ListEntry, name: ListName) -> None:
    if entry.list is not name:
        raise InvalidInputError("list.kind", f"this is an entry of the {entry.list} list", expected=name.value)
    if not entry.open:
        raise ConflictError(
            "list.closed", f"the entry is {entry.state} already", hint="enter a new one", actual=entry.state.value
        )


def _id(value: bytes) -> bytes:
    if len(value) != 32 or not any(value):
        raise InvalidInputError("list.answer", "an answer is named by its 32-byte id", actual=value)
    return value
