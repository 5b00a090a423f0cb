"""DatasetService: publishing, finding and withdrawing datasets."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ledger.chain.account import TransactionOutcome
from ledger.directory.catalogue import DatasetMetadata, decode_metadata, encode_metadata, metadata_digest
from ledger.directory.grants import text_digest
from ledger.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from ledger.model import DatasetInfo, Level, Sharing
from ledger.v1 import department_pb2, department_pb2_grpc, types_pb2
from node.documents import Documents
from node.exchange.adapters import count_rows
from node.rpc import translate
from node.rpc.auth import Call
from node.services import fields
from node.trail import records as trail

if TYPE_CHECKING:
    from node.context import NodeContext

#: Largest chunk of an upload, bytes.
MAX_CHUNK = 1 << 20
#: Datasets looked at per read of the contract.
_SCAN = 100


class DatasetService(department_pb2_grpc.DatasetServiceServicer):
    """The resource catalogue (资源目录)."""

    def __init__(self, context: NodeContext, documents: Documents) -> None:
        self._context = context
        self._documents = documents

    def Publish(self, requests: Iterator[department_pb2.PublishRequest], call: Call) -> department_pb2.PublishResponse:
        """Keep the content, put catalogue entry and version on chain, and log it. The same entry and content again is
        refused as unchanged."""
        data, metadata, stated = self._header(next(requests, None))
        content, size = self._context.payloads.put_stream(_chunks(requests), self._context.config.exchange.max_bytes)
        if not size:
            raise InvalidInputError("dataset.content", "the content is empty", hint="send its bytes after the header")
        count = count_rows(self._context.payloads.open(content), metadata)
        if metadata.format == "other":
            count = stated or count
        if stated and stated != count:
            raise InvalidInputError(
                "dataset.count",
                f"the content has {count} rows, not {stated}",
                hint="leave the count at 0 to let the node count",
                expected=stated,
                actual=count,
            )
        self._documents.keep(metadata_digest(data), data)
        outcome = self._put_on_chain(data, metadata, content, count)
        info = self._require(metadata.id)
        index = trail.write(
            self._context,
            "dataset.published",
            {
                "dataset": info.id.hex(),
                "version": info.versions[-1].number,
                "content": content.hex(),
                "count": count,
                "metadata": info.metadata_digest.hex(),
            },
        )
        return department_pb2.PublishResponse(
            dataset=translate.dataset(info, data), transaction=translate.transaction(outcome), log_index=index
        )

    def List(self, request: department_pb2.ListDatasetsRequest, call: Call) -> department_pb2.ListDatasetsResponse:
        """Datasets in order of publication, each with its newest version."""
        provider = fields.optional_member("provider", request.provider)
        page = fields.page(request.page_size, request.page_token)
        found: list[types_pb2.Dataset] = []
        place, total = page.start, self._context.contracts.directory.dataset_count()
        while place < total and len(found) < page.size:
            for info in self._context.contracts.directory.datasets(place, min(_SCAN, page.size)):
                place += 1
                if provider is None or info.provider == provider:
                    found.append(self._show(info, call))
                if len(found) == page.size:
                    break
        token = str(place) if place < total else ""
        return department_pb2.ListDatasetsResponse(datasets=found, next_page_token=token)

    def Get(self, request: department_pb2.GetDatasetRequest, call: Call) -> types_pb2.Dataset:
        """One dataset with its newest versions and its catalogue entry."""
        return self._show(self._require(fields.id32("id", request.id)), call)

    def Withdraw(self, request: department_pb2.WithdrawDatasetRequest, call: Call) -> types_pb2.TransactionResult:
        """Take a dataset out of use for ever; it stays readable."""
        info = self._own(fields.id32("id", request.id))
        directory = self._context.contracts.directory
        reason = text_digest(f"withdrawn by {self._context.member}")
        outcome = self._send(directory.encode_withdraw(info.id, reason))
        trail.write(self._context, "dataset.withdrawn", {"dataset": info.id.hex()})
        return translate.transaction(outcome)

    def Regrade(self, request: department_pb2.RegradeDatasetRequest, call: Call) -> types_pb2.TransactionResult:
        """Another level or sharing type; an empty field stays as it is. The catalogue entry is rewritten to match."""
        info = self._own(fields.id32("id", request.id))
        level = Level.from_word(request.level) if request.level else info.level
        sharing = Sharing.from_word(request.sharing) if request.sharing else info.sharing
        if (level, sharing) == (info.level, info.sharing):
            raise _unchanged("level and sharing type are already so")
        held = self._documents.metadata(info)
        if not held:
            raise NotFoundError(
                "dataset.no-catalogue-entry",
                "this node does not hold the dataset's catalogue entry",
                hint="publish the dataset again with the new level",
            )
        metadata = dataclasses.replace(decode_metadata(held), level=level, sharing=sharing)
        data = encode_metadata(metadata)
        self._documents.keep(metadata_digest(data), data)
        outcome = self._align(info, data, metadata)
        return translate.transaction(outcome)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _header(self, first: department_pb2.PublishRequest | None) -> tuple[bytes, DatasetMetadata, int]:
        if first is None or first.WhichOneof("part") != "header":
            raise fields.refuse("header", "comes first, before the chunks of the content")
        data = bytes(first.header.metadata)
        metadata = decode_metadata(data)
        if metadata.provider != self._context.member:
            raise NotAllowedError(
                "dataset.other-provider",
                "a department publishes its own datasets only",
                hint="the provider in the catalogue entry is the member whose node this is",
                expected=self._context.member,
                actual=metadata.provider,
            )
        return data, metadata, fields.number("header.count", first.header.count, 0, 2**53 - 1)

    def _put_on_chain(self, data: bytes, metadata: DatasetMetadata, content: bytes, count: int) -> TransactionOutcome:
        directory = self._context.contracts.directory
        info = directory.dataset(metadata.id)
        if info is None:
            self._send(
                directory.encode_publish(
                    metadata.id,
                    sharing=metadata.sharing,
                    level=metadata.level,
                    metadata_digest=metadata_digest(data),
                    resource_code=metadata.resource_code,
                    legal_basis_digest=_basis(metadata),
                )
            )
        elif info.withdrawn:
            raise ConflictError(
                "dataset.withdrawn", "this dataset was withdrawn", hint="publish under a new resource code"
            )
        else:
            newest = info.versions[-1] if info.versions else None
            same_content = newest is not None and newest.content_digest == content
            if same_content and info.metadata_digest == metadata_digest(data):
                raise _unchanged("catalogue entry and content are those of the newest version")
            if info.metadata_digest != metadata_digest(data):
                self._align(info, data, metadata)
        return self._send(directory.encode_add_version(metadata.id, content, count))

    def _align(self, info: DatasetInfo, data: bytes, metadata: DatasetMetadata) -> TransactionOutcome:
        """Bring level, sharing type and catalogue entry on chain to what the entry says; the last transaction."""
        directory = self._context.contracts.directory
        if metadata.level is not info.level:
            self._send(directory.encode_regrade(info.id, metadata.level, text_digest(metadata.level.word)))
        if metadata.sharing is not info.sharing:
            self._send(directory.encode_change_sharing(info.id, metadata.sharing, _basis(metadata)))
        outcome = self._send(directory.encode_change_metadata(info.id, metadata_digest(data)))
        if (metadata.level, metadata.sharing) != (info.level, info.sharing):
            trail.write(
                self._context,
                "dataset.regraded",
                {"dataset": info.id.hex(), "level": metadata.level.word, "sharing": metadata.sharing.word},
            )
        return outcome

    def _send(self, calldata: bytes) -> TransactionOutcome:
        return self._context.sender.send(self._context.contracts.directory.address, calldata)

    def _show(self, info: DatasetInfo, call: Call) -> types_pb2.Dataset:
        # Only the own member's calls ask other nodes: two nodes never ask each other in a circle.
        return translate.dataset(info, self._documents.metadata(info, fetch=call.caller.own))

    def _require(self, identity: bytes) -> DatasetInfo:
        info = self._context.contracts.directory.dataset(identity)
        if info is None:
            raise NotFoundError(
                "dataset.unknown", "no such dataset is on the chain", hint="civicledger dataset list", actual=identity
            )
        return info

    def _own(self, identity: bytes) -> DatasetInfo:
        info = self._require(identity)
        if info.provider != self._context.member:
            raise NotAllowedError(
                "dataset.other-provider",
                "only its provider changes a dataset",
                hint=f"ask {info.provider}",
                expected=self._context.member,
                actual=info.provider,
            )
        return info


def _chunks(requests: Iterator[department_pb2.PublishRequest]) -> Iterator[bytes]:
    for request in requests:
        if request.WhichOneof("part") != "chunk":
            raise fields.refuse("part", "is a chunk after the first message")
        if len(request.chunk) > MAX_CHUNK:
            raise fields.refuse("chunk", "is larger than 1 MiB", expected=MAX_CHUNK, actual=len(request.chunk))
        yield request.chunk


def _basis(metadata: DatasetMetadata) -> bytes:
    """The legal basis of not sharing stands in the catalogue entry's condition."""
    if metadata.sharing is Sharing.NOT_SHARED and not metadata.condition:
        raise InvalidInputError(
            "dataset.no-legal-basis",
            "a dataset that is not shared names its legal basis",
            hint="write it into sharing.condition of the catalogue entry",
        )
    return text_digest(metadata.condition) if metadata.condition else bytes(32)


def _unchanged(what: str) -> ConflictError:
    return ConflictError("dataset.unchanged", what, hint="nothing is to be done: civicledger dataset show")
