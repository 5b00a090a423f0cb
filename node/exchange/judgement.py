"""The rules a use must pass before a byte leaves, on the chain state this node executed itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.codec import encode
from ledger.directory.catalogue import DatasetMetadata, decode_metadata
from ledger.directory.grants import Scope, decode_scope, judge, narrow
from ledger.errors import ConflictError, NotAllowedError, NotFoundError, UnavailableError
from ledger.evidence.receipt import decode_receipt
from ledger.evidence.request import ExchangeRequest
from ledger.model import DatasetInfo, GrantInfo
from ledger.storage.exchanges import ExchangeEntry

if TYPE_CHECKING:
    from node.context import NodeContext
    from node.documents import Documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A use that is allowed: by which grant, of which content (digest, 32 bytes), cut to which scope; ``block`` is the
    hash of the head it was judged on."""

    grant: GrantInfo
    dataset: DatasetInfo
    metadata: DatasetMetadata
    scope: Scope
    content: bytes
    block: bytes


def allow(
    context: NodeContext, documents: Documents, request: ExchangeRequest, known: ExchangeEntry | None
) -> Judgement:
    """Judge a request whose signature holds. ``known``: the same exchange as served before, whose use is counted
    already and whose content is the one of its receipt.

    Raises: NotAllowedError(exchange.no-grant | grant.* | dataset.*), NotFoundError(grant.unknown | dataset.unknown),
    UnavailableError(chain.stale | grant.no-agreement | dataset.no-catalogue-entry | dataset.no-content),
    ConflictError(dataset.unpublished), InvalidInputError(scope.*).
    """
    context.require_fresh_chain()
    block = context.chain.head().hash
    dataset = context.contracts.directory.dataset(request.dataset)
    if dataset is None:
        raise NotFoundError(
            "dataset.unknown",
            "no such dataset is on the chain",
            hint="list the datasets: civicledger dataset list",
            actual=request.dataset,
        )
    if request.grant is None:
        raise NotAllowedError(
            "exchange.no-grant",
            "a use of data names its grant, and this one names none",
            hint="request one: civicledger grant request",
            actual=request.dataset,
        )
    grant = context.contracts.grants.grant(request.grant)
    if grant is None:
        raise NotFoundError(
            "grant.unknown",
            "no such grant is on the chain",
            hint="list the grants: civicledger grant list",
            actual=request.grant,
        )
    released = known is not None and known.state in ("half", "complete")
    used = 0 if released else context.exchanges.counts("provider", grant.id).used
    judge(
        grant,
        dataset,
        consumer=request.consumer,
        purpose=request.purpose,
        now_s=context.clock() // 1000,
        used=used,
    )
    if request.matter != grant.matter_digest:
        raise NotAllowedError(
            "grant.matter",
            "the grant is for another matter",
            hint="use the grant for the matter it serves, or request one for this matter",
            expected=grant.matter_digest,
            actual=request.matter,
        )
    terms = documents.terms(grant)
    query = decode_scope(encode(dict(request.query))) if request.query else None
    entry = documents.metadata(dataset, fetch=False)
    if not entry:
        raise UnavailableError(
            "dataset.no-catalogue-entry",
            "the provider's node does not hold the dataset's catalogue entry",
            hint="the provider publishes the dataset again on its own node",
        )
    return Judgement(
        grant=grant,
        dataset=dataset,
        metadata=decode_metadata(entry),
        scope=narrow(terms.scope, query),
        content=_content(context, dataset, known if released else None),
        block=block,
    )


def _content(context: NodeContext, dataset: DatasetInfo, known: ExchangeEntry | None) -> bytes:
    if not dataset.versions:
        raise ConflictError(
            "dataset.unpublished", "no content of this dataset was published yet", hint="wait for its first version"
        )
    content = dataset.versions[-1].content_digest
    if known is not None:
        # A repeat releases what the first release promised, also when a newer version came in between.
        content = decode_receipt(known.half)[0].version
    if context.payloads.stat(content) is None:
        raise UnavailableError(
            "dataset.no-content",
            "the provider's node does not hold the content of this version",
            hint="the provider publishes it again: civicledger dataset publish",
            actual=content,
        )
    return content
