"""Deleting payloads, salts and openings that are older than a day, while every record and proof stays.

What goes: openings of commitments in the own trail, the salts of finished exchanges (of the payload and of the
operator), holders and causes of fetched licences, and contents of datasets that a newer version replaced or that were
withdrawn. Each commitment that means nothing any more gets an ``erasure.done``, and the run one ``erasure.purged`` with
counts. What is about to go is noted first: after a crash in the middle, the rest of a round is deleted and recorded at
the next start.

Source: PIPL article 47 (deletion when the purpose is served or the period is over).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from ledger.codec import domain_digest, encode_record
from ledger.errors import FatalError, InvalidInputError
from ledger.evidence.receipt import decode_receipt
from ledger.evidence.request import decode_request
from ledger.log import open_reader
from ledger.log.backup import committed_size
from ledger.model import Record
from ledger.storage.exchanges import ExchangeEntry, Role
from ledger.storage.openings import record_time
from ledger.storage.queries import RecordFilter
from node.licences.fetching import cause_commitment
from node.trail.generations import is_retired

if TYPE_CHECKING:
    from node.context import NodeContext
logger = structlog.get_logger("node.erasure")

#: Commitments of one round: noted, erased, recorded.
ROUND: Final = 1_000
_PENDING: Final = b"erasure/"
_OPERATORS: Final = b"exchange/operator/"
#: The legal basis where none is named.
BASIS: Final = "PIPL/47"
_NEVER_S: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What a run deleted, or would delete. ``bytes``: of the contents; ``records``: appended to the log."""

    openings: int = 0
    exchanges: int = 0
    operators: int = 0
    payloads: int = 0
    bytes: int = 0
    records: int = 0


class _Round(msgspec.Struct, frozen=True, array_like=True):
    """One noted round: commitments by kind, and what names them in their stores."""

    time_ms: int
    basis: str
    openings: list[bytes]
    exchanges: list[tuple[bytes, Role, bytes]]
    operators: list[tuple[bytes, bytes]]
    fetches: list[tuple[bytes, bytes]] = []


def look(context: NodeContext, before_ms: int) -> Purged:
    """What :func:`purge` would delete now. Raises: InvalidInputError(erasure.before)."""
    _check(context, before_ms)
    contents = list(_contents(context, before_ms))
    return Purged(
        openings=sum(1 for _ in chain(_openings(context, before_ms), _fetches(context, before_ms))),
        exchanges=sum(1 for _ in _exchanges(context, before_ms)),
        operators=sum(1 for _ in _operators(context, before_ms)),
        payloads=len(contents),
        bytes=sum(size for _, size in contents),
    )


def purge(context: NodeContext, before_ms: int, basis: str = BASIS) -> Purged:
    """Delete and record everything older than ``before_ms`` (Unix milliseconds). One run at a time: the caller sees
    to that.

    Raises: InvalidInputError(erasure.before | record.body), UnavailableError(disk.full | log.*).
    """
    _check(context, before_ms)
    done = Purged(records=finish(context))
    openings, exchanges = _openings(context, before_ms), _exchanges(context, before_ms)
    while names := list(islice(openings, ROUND)):
        done = _add(done, openings=len(names), records=_run(context, basis, openings=names))
    while pairs := list(islice(exchanges, ROUND)):
        done = _add(done, exchanges=len(pairs), records=_run(context, basis, exchanges=pairs))
    fetches = _fetches(context, before_ms)
    while causes := list(islice(fetches, ROUND)):
        done = _add(done, openings=len(causes), records=_run(context, basis, fetches=causes))
    operators = _operators(context, before_ms)
    while salts := list(islice(operators, ROUND)):
        done = _add(done, operators=len(salts), records=_run(context, basis, operators=salts))
    for digest, size in _contents(context, before_ms):
        if context.payloads.delete(digest):
            done = _add(done, payloads=1, bytes=size)
    if done != Purged():
        body = {
            "before": before_ms,
            "basis": basis,
            "openings": done.openings,
            "exchanges": done.exchanges,
            "operators": done.operators,
            "payloads": done.payloads,
            "bytes": done.bytes,
        }
        _append(context, [("erasure.purged", body)], context.clock(), b"")
        done = _add(done, records=1)
    logger.info("erasure.purged", count=done.records)
    return done


def finish(context: NodeContext) -> int:
    """Delete and record what an earlier run had noted; how many records that were."""
    return sum(_carry_out(context, key, _decode(row)) for key, row in list(context.store.sub(_PENDING).scan()))


def _run(
    context: NodeContext,
    basis: str,
    *,
    openings: list[bytes] | None = None,
    exchanges: list[tuple[bytes, Role, bytes]] | None = None,
    operators: list[tuple[bytes, bytes]] | None = None,
    fetches: list[tuple[bytes, bytes]] | None = None,
) -> int:
    row = _Round(context.clock(), basis, openings or [], exchanges or [], operators or [], fetches or [])
    # Refused before anything is noted, when the basis is no label.
    encode_record(_record(context, "erasure.done", {"commitment": "0" * 64, "basis": basis}, row.time_ms))
    data = msgspec.msgpack.encode(row)
    key = domain_digest("trail-step", b"erasure\n" + data)[:16]
    context.store.sub(_PENDING).put(key, data)
    return _carry_out(context, key, row)


def _carry_out(context: NodeContext, key: bytes, row: _Round) -> int:
    """Erase, then record; both may be repeated: what is gone stays gone, and the log knows the batch."""
    context.openings.erase(row.openings)
    context.exchanges.erase_salts([(identity, role) for identity, role, _ in row.exchanges])
    if row.operators:
        context.store.sub(_OPERATORS).erase_all([identity for identity, _ in row.operators], within=b"")
    context.licences.fetches.erase([nonce for nonce, _ in row.fetches])
    named = (*row.operators, *row.fetches)
    names = [*row.openings, *(name for _, _, name in row.exchanges), *(name for _, name in named)]
    bodies = [("erasure.done", {"commitment": name.hex(), "basis": row.basis}) for name in names]
    _append(context, bodies, row.time_ms, key)
    context.store.sub(_PENDING).delete(key)
    return len(bodies)


def _append(context: NodeContext, bodies: list[tuple[str, dict[str, object]]], time_ms: int, batch: bytes) -> None:
    records = [encode_record(_record(context, kind, body, time_ms)) for kind, body in bodies]
    if records:
        context.log.append(records, batch or None)


def _record(context: NodeContext, kind: str, body: dict[str, object], time_ms: int) -> Record:
    return Record(type=kind, member=context.member, time_ms=time_ms, body=body)


def _openings(context: NodeContext, before_ms: int) -> Iterator[bytes]:
    logs: list[tuple[Any, int]] = [(context.log, context.log.size), *_retired(context)]
    for name, opening in context.openings:
        times = (record_time(log.read(opening.index, 1)[0], name) for log, size in logs if opening.index < size)
        time_ms = next((found for found in times if found is not None), None)
        if time_ms is not None and time_ms < before_ms:
            yield name


def _retired(context: NodeContext) -> Iterator[tuple[Any, int]]:
    """The retired logs kept here: openings of their records stand by their index, too."""
    for generation in context.config.log_generations:
        folder = context.config.log_folder_of(generation)
        size = committed_size(folder)
        if is_retired(context, generation) and size:
            yield open_reader(folder, size), size


def _finished(context: NodeContext, before_ms: int) -> Iterator[ExchangeEntry]:
    """Complete exchanges of both roles that ended before, with their record in the log."""
    token = b""
    while True:
        entries, token = context.exchanges.page(state="complete", page_size=500, token=token)
        for entry in entries:
            if entry.log_index >= 0 and max(entry.time_ms, entry.closed_ms) < before_ms:
                yield entry
        if not token:
            return


def _exchanges(context: NodeContext, before_ms: int) -> Iterator[tuple[bytes, Role, bytes]]:
    for entry in _finished(context, before_ms):
        if entry.salt:
            yield entry.id, entry.role, decode_receipt(entry.receipt)[0].commitment


def _operators(context: NodeContext, before_ms: int) -> Iterator[tuple[bytes, bytes]]:
    salts = context.store.sub(_OPERATORS)
    for entry in _finished(context, before_ms):
        if entry.role == "consumer" and salts.get(entry.id) is not None:
            yield entry.id, decode_request(entry.request).operator


def _fetches(context: NodeContext, before_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """(nonce, commitment to the cause) of finished fetches of licences, whose holder and cause are kept here."""
    for entry in _finished(context, before_ms):
        nonce = decode_request(entry.request).nonce if entry.role == "consumer" else b""
        kept = context.licences.fetches.get(nonce) if nonce else None
        if kept is not None:
            yield nonce, cause_commitment(kept)


def _contents(context: NodeContext, before_ms: int) -> Iterator[tuple[bytes, int]]:
    """Contents of own datasets that were replaced or withdrawn before, and that no open exchange still needs."""
    needed = {decode_receipt(entry.half)[0].version for entry in context.exchanges.half_receipts() if entry.half}
    replaced: dict[bytes, int] = {}
    directory = context.contracts.directory
    for first in range(0, directory.dataset_count(), 200):
        for info in directory.datasets(first, 200, versions=100):
            if info.provider != context.member or not info.versions:
                continue
            ends = [version.time for version in info.versions[1:]]
            ends.append(_withdrawn_s(context, info.id) if info.withdrawn else _NEVER_S)
            for version, end_s in zip(info.versions, ends, strict=True):
                replaced[version.content_digest] = max(replaced.get(version.content_digest, 0), end_s * 1_000)
    for digest, end_ms in replaced.items():
        stored = context.payloads.stat(digest)
        if end_ms < before_ms and digest not in needed and stored is not None:
            yield digest, stored.byte_count


def _withdrawn_s(context: NodeContext, dataset: bytes) -> int:
    """When a dataset was withdrawn, Unix seconds, as the trail says; never where it does not say (yet)."""
    wanted = RecordFilter(dataset=dataset, type="dataset.withdrawn", newest_first=True)
    rows = context.index.query(wanted, 1).rows
    return rows[0].time_ms // 1_000 if rows else _NEVER_S


def _check(context: NodeContext, before_ms: int) -> None:
    now = context.clock()
    if not 0 < before_ms <= now:
        raise InvalidInputError(
            "erasure.before",
            "only what is older than a time in the past is deleted",
            hint="give a time before now: --before 2026-01-31, or --older-than 180",
            expected=now,
            actual=before_ms,
        )


def _add(one: Purged, **more: int) -> Purged:
    return replace(one, **{name: getattr(one, name) + count for name, count in more.items()})


def _decode(data: bytes) -> _Round:
    try:
        return msgspec.msgpack.decode(data, type=_Round)
    except msgspec.MsgspecError as error:
        raise FatalError("store.corrupt", f"a noted erasure does not decode: {error}") from error
