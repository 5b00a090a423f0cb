"""The Directory contract: datasets with versions, and the three lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ledger.chain.bindings.base import NO_ID, Binding, member_or_none, reading
from ledger.directory.lists import EntryState, ListEntry, ListName
from ledger.identifiers import member_bytes32, member_from_bytes32, parse_resource_code
from ledger.model import DatasetInfo, DatasetVersion, Level, Sharing

_RESPONSIBILITY = {1: EntryState.OPEN, 2: EntryState.FULFILLED, 3: EntryState.WITHDRAWN}
_DEMAND = {
    1: EntryState.OPEN,
    2: EntryState.MATCHED,
    3: EntryState.PROMISED,
    4: EntryState.ANSWERED,
    5: EntryState.WITHDRAWN,
}
_NEGATIVE = {1: EntryState.OPEN, 2: EntryState.WITHDRAWN}


class Directory(Binding):
    """Reads and calldata of Directory."""

    contract = "Directory"

    # --- datasets -----------------------------------------------------------------------------------------------------
    def dataset(self, dataset_id: bytes, height: int | None = None, *, versions: int = 100) -> DatasetInfo | None:
        """A dataset with its newest ``versions`` versions, oldest of them first."""
        row = self._found("dataset", dataset_id, height=height)
        return None if row is None else self._info(dataset_id, row, versions, height)

    def datasets(
        self, first: int = 0, count: int = 200, height: int | None = None, *, versions: int = 1
    ) -> tuple[DatasetInfo, ...]:
        """Datasets in order of publication, at most 200, each with its newest ``versions`` versions."""
        ids, rows = self._read("datasets", first, count, height=height)
        named = (self._named("datasets", row, 1) for row in rows)
        return tuple(self._info(id_, row, versions, height) for id_, row in zip(ids, named, strict=True))

    def dataset_count(self, height: int | None = None) -> int:
        """Number of datasets ever published."""
        return int(self._read("datasetCount", height=height)[0])

    def version(self, dataset_id: bytes, number: int, height: int | None = None) -> DatasetVersion | None:
        """One version (from 1) of a dataset."""
        row = self._found("version", dataset_id, number, height=height)
        if row is None:
            return None
        return DatasetVersion(number=number, content_digest=row["contentDigest"], count=row["count"], time=row["time"])

    def _info(self, dataset_id: bytes, row: dict[str, Any], versions: int, height: int | None) -> DatasetInfo:
        newest = row["versions"]
        found = (self.version(dataset_id, n, height) for n in range(max(1, newest - versions + 1), newest + 1))
        with reading("dataset"):
            return DatasetInfo(
                id=dataset_id,
                provider=member_from_bytes32(row["provider"]),
                sharing=Sharing(row["sharing"]),
                level=Level(row["level"]),
                metadata_digest=row["metadataDigest"],
                withdrawn=row["withdrawn"],
                versions=tuple(version for version in found if version is not None),
            )

    def encode_publish(
        self,
        dataset_id: bytes,
        *,
        sharing: Sharing,
        level: Level,
        metadata_digest: bytes,
        resource_code: str,
        legal_basis_digest: bytes = NO_ID,
    ) -> bytes:
        """Publish a dataset of the sender."""
        code = parse_resource_code(resource_code)
        return self.encode(
            "publishDataset", dataset_id, int(sharing), int(level), metadata_digest, legal_basis_digest, code
        )

    def encode_add_version(self, dataset_id: bytes, content_digest: bytes, count: int) -> bytes:
        """Add the next version; ``count`` is its number of records."""
        return self.encode("addVersion", dataset_id, content_digest, count)

    def encode_change_metadata(self, dataset_id: bytes, metadata_digest: bytes) -> bytes:
        """Name another metadata file."""
        return self.encode("changeMetadata", dataset_id, metadata_digest)

    def encode_change_sharing(self, dataset_id: bytes, sharing: Sharing, legal_basis_digest: bytes = NO_ID) -> bytes:
        """Set another sharing type."""
        return self.encode("changeSharing", dataset_id, int(sharing), legal_basis_digest)

    def encode_regrade(self, dataset_id: bytes, level: Level, basis_digest: bytes) -> bytes:
        """Set another level."""
        return self.encode("regrade", dataset_id, int(level), basis_digest)

    def encode_withdraw(self, dataset_id: bytes, reason_digest: bytes) -> bytes:
        """Take a dataset out of use for ever."""
        return self.encode("withdraw", dataset_id, reason_digest)

    # --- the three lists ----------------------------------------------------------------------------------------------
    def list_counts(self, height: int | None = None) -> dict[ListName, int]:
        """Lengths of the lists."""
        names = (ListName.RESPONSIBILITY, ListName.DEMAND, ListName.NEGATIVE)
        return dict(zip(names, self._read("listCounts", height=height), strict=True))

    def entry(self, name: ListName, entry_id: bytes, height: int | None = None) -> ListEntry | None:
        """One entry of a list."""
        function, _, make = _LISTS[name]
        row = self._found(function, entry_id, height=height)
        with reading("list entry"):
            return None if row is None else make(entry_id, row)

    def entries(
        self, name: ListName, first: int = 0, count: int = 200, height: int | None = None
    ) -> tuple[ListEntry, ...]:
        """Entries of a list in order, at most 200."""
        _, function, make = _LISTS[name]
        ids, rows = self._read(function, first, count, height=height)
        with reading("list entry"):
            return tuple(make(id_, self._named(function, row, 1)) for id_, row in zip(ids, rows, strict=True))

    def encode_add_responsibility(self, provider: str, item_digest: bytes, basis_digest: bytes, due_by: int) -> bytes:
        """Enter what a provider must supply by a time (unix seconds)."""
        return self.encode("addResponsibility", member_bytes32(provider), item_digest, basis_digest, due_by)

    def encode_fulfil_responsibility(self, entry_id: bytes, dataset_id: bytes) -> bytes:
        """Close a responsibility by a dataset of its provider."""
        return self.encode("fulfilResponsibility", entry_id, dataset_id)

    def encode_withdraw_responsibility(self, entry_id: bytes, reason_digest: bytes) -> bytes:
        """Take back a responsibility."""
        return self.encode("withdrawResponsibility", entry_id, reason_digest)

    def encode_add_demand(self, provider: str, item_digest: bytes, matter: bytes, deadline: int) -> bytes:
        """Ask for an item; ``provider`` empty where it is not known whom to ask."""
        target = member_bytes32(provider) if provider else NO_ID
        return self.encode("addDemand", target, item_digest, matter, deadline)

    def encode_match_demand(self, entry_id: bytes, dataset_id: bytes) -> bytes:
        """Answer a demand with a dataset."""
        return self.encode("matchDemandToDataset", entry_id, dataset_id)

    def encode_promise_demand(self, entry_id: bytes, responsibility_id: bytes) -> bytes:
        """Answer a demand with a responsibility."""
        return self.encode("matchDemandToResponsibility", entry_id, responsibility_id)

    def encode_answer_demand(self, entry_id: bytes, negative_id: bytes) -> bytes:
        """Answer a demand from the negative list."""
        return self.encode("answerDemandFromNegative", entry_id, negative_id)

    def encode_withdraw_demand(self, entry_id: bytes) -> bytes:
        """Take back a demand."""
        return self.encode("withdrawDemand", entry_id)

    def encode_add_negative(self, item_digest: bytes, legal_basis_digest: bytes) -> bytes:
        """Enter an item that is not shared."""
        return self.encode("addNegative", item_digest, legal_basis_digest)

    def encode_withdraw_negative(self, entry_id: bytes, reason_digest: bytes) -> bytes:
        """Take an item off the negative list."""
        return self.encode("withdrawNegative", entry_id, reason_digest)


def _responsibility(entry_id: bytes, row: dict[str, Any]) -> ListEntry:
    return ListEntry(
        id=entry_id,
        list=ListName.RESPONSIBILITY,
        member=member_from_bytes32(row["provider"]),
        author=member_from_bytes32(row["author"]),
        item_digest=row["itemDigest"],
        basis_digest=row["basisDigest"],
        state=_RESPONSIBILITY[row["status"]],
        added_at=row["addedAt"],
        due=row["dueBy"],
        closed_at=row["closedAt"],
        answer=b"" if row["dataset"] == NO_ID else row["dataset"],
    )


def _demand(entry_id: bytes, row: dict[str, Any]) -> ListEntry:
    return ListEntry(
        id=entry_id,
        list=ListName.DEMAND,
        member=member_from_bytes32(row["consumer"]),
        target=member_or_none(row["provider"]),
        item_digest=row["itemDigest"],
        matter=_matter(row["matter"]),
        state=_DEMAND[row["status"]],
        added_at=row["addedAt"],
        due=row["deadline"],
        closed_at=row["closedAt"],
        answer=b"" if row["answer"] == NO_ID else row["answer"],
    )


def _negative(entry_id: bytes, row: dict[str, Any]) -> ListEntry:
    return ListEntry(
        id=entry_id,
        list=ListName.NEGATIVE,
        member=member_from_bytes32(row["provider"]),
        item_digest=row["itemDigest"],
        basis_digest=row["legalBasisDigest"],
        state=_NEGATIVE[row["status"]],
        added_at=row["addedAt"],
        closed_at=row["closedAt"],
    )


def _matter(value: bytes) -> str:
    """A matter code as text; a digest (or whatever else a foreign client entered) as hex."""
    body = value.rstrip(b"\0")
    readable = body and all(0x21 <= byte <= 0x7E for byte in body)
    return body.decode() if readable else value.hex()


#: List -> view of one entry, paging view, how a row reads.
_LISTS: dict[ListName, tuple[str, str, Callable[[bytes, dict[str, Any]], ListEntry]]] = {
    ListName.RESPONSIBILITY: ("responsibility", "responsibilities", _responsibility),
    ListName.DEMAND: ("demand", "demands", _demand),
    ListName.NEGATIVE: ("negative", "negatives", _negative),
}
