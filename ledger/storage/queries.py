"""Questions to the record index, and one page of the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import InvalidInputError, UnavailableError
from ledger.storage.postings import MAX_VALUE, Place, Reading, place_bytes, place_of, prefix
from ledger.storage.store import Store, u64

#: Largest page a query answers.
MAX_PAGE: Final = 1000
#: Postings a query reads before it answers with a shorter page and a token.
MAX_WORK: Final = 500_000
#: The facets of a row's key.
ALL, COUNTERPART, DATASET, GRANT, TYPE, SUBJECT = b"A", b"C", b"D", b"G", b"T", b"U"

#: Records have times below 2^53 (docs/formats.md).
_MAX_TIME: Final = 2**53 - 1
_LAST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """All given conditions hold. Ids: 32 bytes; ``subject``: a pseudonym; ``filed``: another one under which records of
    the same subject are filed; times: Unix milliseconds, [from_ms, to_ms), ``to_ms`` 0 is open. ``newest_first``: from
    the latest time down instead of up."""

    dataset: bytes | None = None
    grant: bytes | None = None
    counterpart: str | None = None
    type: str | None = None
    subject: str | None = None
    filed: str | None = None
    from_ms: int = 0
    to_ms: int = 0
    newest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """One hit: the record's place in the log and its own time."""

    index: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Hits in order of (time, index), complete among the first ``indexed_size`` records; ``token`` is ``b""`` at the
    end. Every page of one query answers for the same ``indexed_size``. A page may be shorter than asked for, even
    empty, before the end: the next one goes on."""

    rows: tuple[IndexRow, ...]
    token: bytes
    indexed_size: int


def answer(
    store: Store,
    wanted: RecordFilter,
    subjects: Sequence[bytes],
    size: int,
    *,
    page_size: int = 100,
    token: bytes = b"",
) -> Page:
    """One page out of an index that holds ``size`` records; ``subjects``: what it knows the wanted subject by, none
    where none is wanted.

    Raises: InvalidInputError(page.size | page.token | query.value), UnavailableError(index.behind),
    FatalError(store.corrupt).
    """
    if not 1 <= page_size <= MAX_PAGE:
        raise InvalidInputError("page.size", f"a page has 1 to {MAX_PAGE} rows", actual=page_size)
    fingerprint = hashlib.sha256(repr(wanted).encode()).digest()[:8]
    low: Place = (wanted.from_ms, 0)
    high: Place = ((wanted.to_ms or _MAX_TIME + 1) - 1, _LAST)
    bound = size
    if token:
        bound, place = _opened(token, fingerprint)
        if bound > size:
            raise _behind(size, bound)
        low, high = (low, min(place, high)) if wanted.newest_first else (max(place, low), high)
    found = [
        _read(
            Reading(
                store=store, prefixes=_prefixes(wanted, subject), low=low, high=high, newest_first=wanted.newest_first
            ),
            page_size,
            bound,
        )
        for subject in subjects or (None,)
    ]
    rows, following = found[0] if len(found) == 1 else _together(found, page_size, wanted.newest_first)
    after = b"" if following is None else fingerprint + u64(bound) + place_bytes(following)
    return Page(rows=rows, token=after, indexed_size=bound)


def _read(reading: Reading, page_size: int, bound: int) -> tuple[tuple[IndexRow, ...], Place | None]:
    """(hits below ``bound``, the place at which the next page begins or None)."""
    rows: list[IndexRow] = []
    for bucket in reading.buckets():
        for place in reading.places(bucket):
            if place[1] >= bound:
                continue
            if len(rows) == page_size:
                return tuple(rows), place
            rows.append(IndexRow(index=place[1], time_ms=place[0]))
        if reading.work > MAX_WORK:
            return tuple(rows), reading.after(bucket)
    return tuple(rows), None


def _together(
    found: Sequence[tuple[tuple[IndexRow, ...], Place | None]], page_size: int, newest_first: bool
) -> tuple[tuple[IndexRow, ...], Place | None]:
    """One page of what several readings found: as far as all of them came, each hit once."""
    sign = -1 if newest_first else 1

    def turn(place: Place) -> Place:
        return sign * place[0], sign * place[1]

    end = min((following for _, following in found if following is not None), key=turn, default=None)
    places = {(row.time_ms, row.index) for rows, _ in found for row in rows}
    ordered = sorted((place for place in places if end is None or turn(place) < turn(end)), key=turn)
    if len(ordered) > page_size:
        end = ordered[page_size]
    return tuple(IndexRow(index=index, time_ms=time_ms) for time_ms, index in ordered[:page_size]), end


def _prefixes(wanted: RecordFilter, subject: bytes | None) -> tuple[bytes, ...]:
    """The key prefixes of a filter, the most selective first."""
    given = (
        (SUBJECT, subject),
        (GRANT, wanted.grant),
        (DATASET, wanted.dataset),
        (COUNTERPART, None if wanted.counterpart is None else wanted.counterpart.encode()),
        (TYPE, None if wanted.type is None else wanted.type.encode()),
    )
    for _, value in given:
        if value is not None and len(value) > MAX_VALUE:
            raise InvalidInputError("query.value", f"a filter value has at most {MAX_VALUE} bytes")
    return tuple(prefix(facet, value) for facet, value in given if value is not None) or (prefix(ALL),)


def _opened(token: bytes, fingerprint: bytes) -> tuple[int, Place]:
    """(bound, place) of a page token."""
    if len(token) != 32 or token[:8] != fingerprint:
        raise InvalidInputError(
            "page.token", "this page token belongs to another query", hint="start again without a token"
        )
    return int.from_bytes(token[8:16], "big"), place_of(token[16:])


def _behind(size: int, bound: int) -> UnavailableError:
    return UnavailableError(
        "index.behind",
        f"the record index is being made again and holds {size} records; this query began with {bound}",
        hint="repeat when indexed_size has come so far, or start the query again",
        expected=bound,
        actual=size,
    )
