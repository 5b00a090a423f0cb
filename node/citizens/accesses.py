"""What a node's log says about one person: who fetched a licence, who used data about them.

The record index finds a person's records by the openings that are kept beside the payloads; when an opening is erased,
its record is about nobody any more and is not told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ledger.codec import decode_record
from ledger.directory.catalogue import LICENCE_FORMAT, DatasetMetadata, decode_metadata
from ledger.errors import LedgerError, NotFoundError, UnavailableError
from ledger.evidence.receipt import receipt_digest
from ledger.evidence.request import decode_request
from ledger.licences.description import decode_description
from ledger.model import Record
from ledger.storage.queries import RecordFilter
from node.licences.fetching import decode_content
from node.medical.certifying import filed_as

if TYPE_CHECKING:
    from ledger.model import DatasetInfo, GrantInfo
    from ledger.storage.exchanges import ExchangeEntry
    from node.context import NodeContext
    from node.documents import Documents

MAX_LIMIT: Final = 100
#: What is told of; other records about a person (an erasure) are the department's own housekeeping.
TYPES: Final = ("licence.fetched", "medical.certified", "access.used")
#: Records the index may catch up with before a question is answered.
_CATCH_UP: Final = 5_000
#: Rows of one question that are looked through at most: withheld ones are passed over, not counted.
_PAGES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """What stands behind a record: the chain's rows and the files, each where it is still there."""

    entry: ExchangeEntry | None
    grant: GrantInfo | None
    dataset: DatasetInfo | None


def read(
    context: NodeContext,
    documents: Documents,
    identity: str,
    *,
    withheld: frozenset[str],
    before_ms: int,
    limit: int,
) -> dict[str, Any]:
    """``entries`` about a person, newest first, from before a time (Unix milliseconds; 0: all), and ``next``: the time
    to ask with for older ones, 0 at the end. Records of ``withheld`` purposes are not among them.

    Raises: UnavailableError(index.*).
    """
    wanted = RecordFilter(subject=identity, filed=filed_as(context, identity), to_ms=before_ms, newest_first=True)
    with contextlib.suppress(UnavailableError):
        # An index that has no room, or is being made again, still answers for what it holds.
        context.index.follow(context.log, limit=_CATCH_UP)
    entries: list[dict[str, Any]] = []
    token, last_ms, looked_ms = b"", 0, before_ms
    for _ in range(_PAGES):
        page = context.index.query(wanted, limit, token)
        for row in page.rows:
            looked_ms = row.time_ms
            told = _tell(context, documents, row.index, withheld)
            if told is None:
                continue
            if len(entries) >= limit and row.time_ms != last_ms:
                # One moment is never cut in two: the next question begins before it.
                return {"entries": entries, "next": last_ms}
            entries.append(told)
            last_ms = row.time_ms
        token = page.token
        if not token:
            return {"entries": entries, "next": 0}
    return {"entries": entries, "next": looked_ms}


def _tell(context: NodeContext, documents: Documents, index: int, withheld: frozenset[str]) -> dict[str, Any] | None:
    record = decode_record(context.log.read(index, 1)[0])
    if record.type not in TYPES:
        return None
    use = _use(context, record.body)
    purpose = str(record.body.get("purpose") or (use.grant.purpose if use.grant is not None else ""))
    # A purpose that nobody knows any more might be a withheld one.
    if withheld and (purpose in withheld or not purpose):
        return None
    told = {
        "index": index,
        "time": record.time_ms,
        "type": record.type,
        "role": str(record.body.get("role", "own")),
        "counterpart": str(record.body.get("counterpart", "")),
        "purpose": purpose,
        "matter": _matter(documents, record, use),
        **{name: str(record.body.get(name, "")) for name in ("exchange", "grant", "dataset", "system")},
        "receipt": receipt_digest(use.entry.receipt).hex() if use.entry is not None and use.entry.receipt else "",
        "complete": use.entry is not None and use.entry.state == "complete",
    }
    return told | _what(context, documents, use)


def _use(context: NodeContext, body: Mapping[str, Any]) -> _Use:
    exchange, grant, dataset = (bytes.fromhex(str(body.get(name, ""))) for name in ("exchange", "grant", "dataset"))
    role = "provider" if body.get("role") == "provider" else "consumer"
    return _Use(
        entry=context.exchanges.get(exchange, role) if exchange else None,
        grant=context.contracts.grants.grant(grant) if grant else None,
        dataset=context.contracts.directory.dataset(dataset) if dataset else None,
    )


def _matter(documents: Documents, record: Record, use: _Use) -> str:
    """For which matter: in the grant's words, or the code that the department's own record holds."""
    if use.grant is not None:
        with contextlib.suppress(LedgerError):
            return documents.terms(use.grant).matter
    return str(record.body.get("matter", ""))


def _what(context: NodeContext, documents: Documents, use: _Use) -> dict[str, Any]:
    """Of which data: dataset, licence type and fields, as far as the files are here."""
    metadata = _metadata(documents, use.dataset)
    titles = {} if metadata is None else {field.name: field.title for field in metadata.fields}
    names: list[str] = []
    if use.entry is not None and use.entry.request:
        query = decode_request(use.entry.request).query
        asked = query.get("fields", [])
        names = [str(name) for name in asked] if isinstance(asked, list | tuple) else []
    if not names and use.grant is not None:
        with contextlib.suppress(LedgerError):
            names = list(documents.terms(use.grant).scope.fields)
    return {
        "datasetName": "" if metadata is None else metadata.name,
        "fields": [{"name": name, "title": titles.get(name, name)} for name in names],
        **_licence_type(context, documents, use.dataset, metadata),
    }


def _metadata(documents: Documents, dataset: DatasetInfo | None) -> DatasetMetadata | None:
    data = b"" if dataset is None else documents.metadata(dataset)
    return decode_metadata(data) if data else None


def _licence_type(
    context: NodeContext, documents: Documents, dataset: DatasetInfo | None, metadata: DatasetMetadata | None
) -> dict[str, Any]:
    """The licence type that a dataset names: its content is at its provider's node, and there alone."""
    if dataset is None or metadata is None or metadata.format != LICENCE_FORMAT or not dataset.versions:
        return {}
    try:
        code = decode_content(context.payloads.open(dataset.versions[-1].content_digest))
    except (NotFoundError, UnavailableError):
        return {}
    info = context.contracts.licences.licence_type(code)
    about = b"" if info is None else documents.description(info)
    if not about:
        return {"licenceType": code}
    described = decode_description(about)
    return {"licenceType": code, "title": {"zh": described.title_zh, "en": described.title_en}}
