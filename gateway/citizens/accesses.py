"""Who fetched a licence of a citizen: asked of every node that answers citizens, with the citizen's own token,
and put together by exchange. What a node says is shown as its word, with the place in its log that proves the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.citizens.nodes import CitizenNodes, decode, odd
from gateway.citizens.sessions import Session
from gateway.views import ChainMember
from ledger.errors import LedgerError
from ledger.model import MemberStatus

#: Entries asked of one node at a time.
PAGE: Final = 50
_PARALLEL: Final = 8
_MAX_TEXT: Final = 2_000


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    title: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One record of one node about the citizen, as the node tells it."""

    index: int
    time: int
    type: str
    role: str
    counterpart: str = ""
    purpose: str = ""
    matter: str = ""
    system: str = ""
    exchange: str = ""
    grant: str = ""
    dataset: str = ""
    receipt: str = ""
    complete: bool = False
    datasetName: str = ""  # noqa: N815 (the name on the wire)
    licenceType: str = ""  # noqa: N815
    title: dict[str, str] = {}
    fields: list[_Named] = []


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    member: str
    entries: list[Entry]
    next: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What became of asking one member. ``state``: ``answered``, ``off`` (it answers no citizens, or those of another
    provider), ``failed``."""

    member: ChainMember
    state: str
    code: str = ""
    page: _Page | None = None


class Accesses:
    """Asks the nodes. Thread-safe."""

    def __init__(self, nodes: CitizenNodes) -> None:
        self._nodes = nodes
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="citizens")

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read(self, session: Session, before_ms: int) -> dict[str, Any]:
        """``entries``, newest first, from before a time (Unix milliseconds; 0: from now on), ``next`` to ask with for
        older ones (0: none), and how each member answered. Raises: UnavailableError(gateway.starting)."""
        members = [one.chain for one in self._nodes.city.view().members if one.chain.info.status is MemberStatus.ACTIVE]
        answers = list(self._pool.map(lambda member: self._ask(member, session, before_ms), members))
        pages = [answer.page for answer in answers if answer.page is not None]
        # Where a node has more, what others tell of earlier times waits for the next page.
        until = max((page.next for page in pages), default=0)
        names = {member.info.uscc: (member.info.handle, member.name) for member in members}
        told = [(page.member, entry) for page in pages for entry in page.entries if entry.time >= until]
        return {
            "entries": _together(told, names),
            "next": until,
            "members": [
                {"uscc": one.member.info.uscc, "name": one.member.name, "state": one.state, "code": one.code}
                for one in answers
            ],
        }

    def _ask(self, member: ChainMember, session: Session, before_ms: int) -> _Answer:
        uscc = member.info.uscc
        try:
            if not self._nodes.answers(uscc):
                return _Answer(member=member, state="off")
            page = decode(self._nodes.ask(session, uscc, f"/citizen/accesses?before={before_ms}&limit={PAGE}"), _Page)
            if page.member != uscc or any(not _plausible(entry) for entry in page.entries):
                raise odd()
            return _Answer(member=member, state="answered", page=page)
        except LedgerError as error:
            return _Answer(member=member, state="off" if error.code == "http.path" else "failed", code=error.code)


def _together(told: Sequence[tuple[str, Entry]], names: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """The entries, both sides of an exchange in one, newest first."""
    groups: dict[str, list[tuple[str, Entry]]] = {}
    for member, entry in told:
        groups.setdefault(entry.exchange or f"{member}/{entry.index}", []).append((member, entry))
    # The provider's side knows most; of an exchange without it the consumer's is told.
    made = [_entry(sorted(group, key=lambda one: one[1].role != "provider"), names) for group in groups.values()]
    return sorted(made, key=lambda entry: (-entry["time"], entry["key"]))


def _entry(group: Sequence[tuple[str, Entry]], names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    member, first = group[0]
    consumer, provider = (first.counterpart, member) if first.role == "provider" else (member, first.counterpart)

    def best(name: str) -> Any:
        return next((value for _, entry in group if (value := getattr(entry, name))), getattr(first, name))

    return {
        "key": first.exchange or f"{member}-{first.index}",
        "time": first.time,
        "kind": "fetched" if first.type == "licence.fetched" else "used",
        "by": _who(consumer, names),
        "from": _who(provider, names) if provider else None,
        "fields": [{"name": field.name, "title": field.title} for field in best("fields")],
        "complete": any(entry.complete for _, entry in group),
        **{
            name: best(name)
            for name in ("title", "datasetName", "purpose", "matter", "system", "exchange", "receipt", "licenceType")
        },
        "records": [
            {**_who(owner, names), "index": entry.index, "proof": _proof(owner, entry.index, names)}
            for owner, entry in group
        ],
    }


def _who(uscc: str, names: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return {"uscc": uscc, "name": names.get(uscc, ("", uscc))[1]}


def _proof(uscc: str, index: int, names: Mapping[str, tuple[str, str]]) -> str:
    """Where this gateway proves that the member's log holds the record."""
    return f"/{names[uscc][0]}/proof/inclusion?index={index}"


def _plausible(entry: Entry) -> bool:
    texts = (entry.purpose, entry.matter, entry.system, entry.datasetName, *entry.title.values())
    return (
        0 <= entry.index < 1 << 53
        and 0 <= entry.time < 1 << 53
        and entry.type in ("licence.fetched", "medical.certified", "access.used")
        and entry.role in ("provider", "consumer", "own")
        and len(entry.fields) <= 256
        and all(len(text) <= _MAX_TEXT for text in texts)
    )
