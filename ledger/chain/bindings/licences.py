"""The Licences contract: licence types, who may issue them, heads of status lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ledger.chain.bindings.base import NO_ADDRESS, PAGE, Binding, member_or_none, paged, reading
from ledger.errors import ConflictError
from ledger.identifiers import licence_type_bytes32, licence_type_from_bytes32, member_bytes32, member_from_bytes32
from ledger.model import AccreditationInfo, LicenceTypeInfo, StatusHeadInfo, StatusVersionInfo

#: What the contract takes: bits of an entry, bytes of an inflated list.
_BITS: Final = (1, 2, 4, 8)
_MAX_LIST: Final = 1 << 24


class Licences(Binding):
    """Reads and calldata of Licences; times are Unix seconds.

    Every read and ``encode_…`` raises ConflictError(licence.no-contract) in a city that has no such contract yet.
    """

    contract = "Licences"

    # --- types --------------------------------------------------------------------------------------------------------
    def licence_type(self, code: str, height: int | None = None) -> LicenceTypeInfo | None:
        """A type, withdrawn or not; None for a code never defined."""
        row = self._found("licenceType", licence_type_bytes32(code), height=height)
        return None if row is None else _described(code, row)

    def licence_types(self, height: int | None = None) -> Iterator[LicenceTypeInfo]:
        """Every type, in order of definition."""
        for id_, row in paged(lambda first, count: self._types(first, count, height)):
            with reading("licence type"):
                code = licence_type_from_bytes32(id_)
            yield _described(code, self._named("licenceTypes", row, 1))

    def licence_types_page(
        self, first: int, count: int, height: int | None = None
    ) -> tuple[tuple[LicenceTypeInfo, ...], int]:
        """Types in order of definition from ``first`` on, at most 200, and how many there are in all."""
        codes, rows = self._types(first, min(count, PAGE), height)
        with reading("licence type"):
            found = tuple(
                _described(licence_type_from_bytes32(id_), self._named("licenceTypes", row, 1))
                for id_, row in zip(codes, rows, strict=True)
            )
        return found, int(self._read("licenceTypeCount", height=height)[0])

    # --- accreditation ------------------------------------------------------------------------------------------------
    def issuers(self, code: str, height: int | None = None) -> tuple[str, ...]:
        """Every member ever accredited for a type, in order of the first time."""
        found: list[bytes] = []
        while True:
            page = self._read("issuersOf", licence_type_bytes32(code), len(found), PAGE, height=height)[0]
            found += page
            if len(page) < PAGE:
                break
        with reading("list of issuers"):
            return tuple(member_from_bytes32(id_) for id_ in found)

    def accreditations(self, code: str, member: str, height: int | None = None) -> tuple[AccreditationInfo, ...]:
        """Every span of a member for a type; none where it never had one."""
        ids = licence_type_bytes32(code), member_bytes32(member)
        found: list[AccreditationInfo] = []
        while True:
            page = self._read("accreditations", *ids, len(found), PAGE, height=height)[0]
            for row in page:
                named = self._named("accreditations", row)
                found.append(_accreditation(code, member, len(found) + 1, named))
            if len(page) < PAGE:
                return tuple(found)

    def accredited_at(self, code: str, member: str, time_s: int, height: int | None = None) -> bool:
        """Whether a member may issue a type at a time, as entered up to ``height``."""
        ids = licence_type_bytes32(code), member_bytes32(member)
        return bool(self._read("accreditedAt", *ids, time_s, height=height)[0])

    # --- status lists -------------------------------------------------------------------------------------------------
    def list_count(self, member: str, height: int | None = None) -> int:
        """Number of status lists of a member."""
        return int(self._read("listCount", member_bytes32(member), height=height)[0])

    def list_head(self, member: str, number: int, height: int | None = None) -> StatusHeadInfo | None:
        """The newest version of a list; None for one never recorded."""
        # The contract refuses a list it does not know; the count says so without a refusal.
        if not 1 <= number <= self.list_count(member, height):
            return None
        uri_digest, version, row = self._read("listHead", member_bytes32(member), number, height=height)
        newest = _recorded(member, number, version, self._named("listHead", row, 2))
        return StatusHeadInfo(uri_digest=uri_digest, newest=newest)

    def list_versions(
        self, member: str, number: int, first: int = 1, count: int = PAGE, height: int | None = None
    ) -> tuple[StatusVersionInfo, ...]:
        """Versions of a list from number ``first`` on, at most 200."""
        args = member_bytes32(member), number, first - 1, count
        rows = self._read("listVersions", *args, height=height)[0]
        return tuple(
            _recorded(member, number, version, self._named("listVersions", row))
            for version, row in enumerate(rows, start=first)
        )

    # --- calldata -----------------------------------------------------------------------------------------------------
    def encode_define(self, code: str, metadata_digest: bytes) -> bytes:
        """Define a type."""
        return self.encode("defineType", licence_type_bytes32(code), metadata_digest)

    def encode_change_metadata(self, code: str, metadata_digest: bytes) -> bytes:
        """Name another description of a type."""
        return self.encode("changeMetadata", licence_type_bytes32(code), metadata_digest)

    def encode_withdraw(self, code: str, reason_digest: bytes) -> bytes:
        """Take a type out of use for ever."""
        return self.encode("withdrawType", licence_type_bytes32(code), reason_digest)

    def encode_accredit(
        self, code: str, member: str, *, basis_digest: bytes, valid_from: int = 0, valid_until: int = 0
    ) -> bytes:
        """Let a member issue a type from (0: now) until (0: open)."""
        ids = licence_type_bytes32(code), member_bytes32(member)
        return self.encode("accredit", *ids, valid_from, valid_until, basis_digest)

    def encode_end_accreditation(
        self, code: str, member: str, number: int, *, reason_digest: bytes, valid_until: int = 0
    ) -> bytes:
        """End a span now (0), or shorten it."""
        ids = licence_type_bytes32(code), member_bytes32(member)
        return self.encode("endAccreditation", *ids, number, valid_until, reason_digest)

    def encode_record_list(
        self,
        code: str,
        number: int,
        version: int,
        *,
        uri_digest: bytes,
        list_digest: bytes,
        token_digest: bytes,
        inflated_bytes: int,
        bits: int,
    ) -> bytes:
        """Record the next version of one of the sender's status lists; ``code``: a type for which it is accredited."""
        digests = uri_digest, list_digest, token_digest
        return self.encode("recordList", licence_type_bytes32(code), number, version, *digests, inflated_bytes, bits)

    # --- inside -------------------------------------------------------------------------------------------------------
    def encode(self, function: str, *args: object) -> bytes:
        """Calldata of any function by name."""
        self._require()
        return super().encode(function, *args)

    def _read(self, function: str, *args: object, height: int | None = None) -> tuple[Any, ...]:
        self._require()
        return super()._read(function, *args, height=height)

    def _require(self) -> None:
        if self.address == NO_ADDRESS:
            raise ConflictError(
                "licence.no-contract",
                "this city was founded before there were licences: no contract Licences is in force",
                hint="the members bring it into force by vote: docs/operations.md, licences",
            )

    def _types(self, first: int, count: int, height: int | None) -> tuple[tuple[bytes, ...], tuple[Any, ...]]:
        codes, rows = self._read("licenceTypes", first, count, height=height)
        return codes, rows


def _described(code: str, row: dict[str, Any]) -> LicenceTypeInfo:
    with reading("licence type"):
        return LicenceTypeInfo(
            code=code,
            by=member_from_bytes32(row["by"]),
            metadata_digest=row["metadataDigest"],
            defined_at=row["definedAt"],
            changed_at=row["changedAt"],
            withdrawn_at=row["withdrawnAt"],
        )


def _accreditation(code: str, member: str, number: int, row: dict[str, Any]) -> AccreditationInfo:
    with reading("accreditation"):
        return AccreditationInfo(
            type_code=code,
            member=member,
            number=number,
            valid_from=row["validFrom"],
            valid_until=row["validUntil"],
            made_at=row["madeAt"],
            ended_at=row["endedAt"],
            by=member_from_bytes32(row["by"]),
            ended_by=member_or_none(row["endedBy"]),
            basis_digest=row["basisDigest"],
        )


def _recorded(member: str, number: int, version: int, row: dict[str, Any]) -> StatusVersionInfo:
    with reading("version of a status list"):
        if row["bits"] not in _BITS or not 1 <= row["inflatedBytes"] <= _MAX_LIST or version < 1:
            raise ValueError(f"{row['inflatedBytes']} bytes with {row['bits']} bits an entry")
        return StatusVersionInfo(
            issuer=member,
            number=number,
            version=version,
            list_digest=row["listDigest"],
            token_digest=row["tokenDigest"],
            time=row["time"],
            inflated_bytes=row["inflatedBytes"],
            bits=row["bits"],
        )
