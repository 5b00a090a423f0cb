"""The Recognition contract: rules, institutions, label ranges, quality assessment, agreements of regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.chain.bindings import recognitionrows as rows
from ledger.chain.bindings.base import NO_ADDRESS, PAGE, Binding, paged, reading
from ledger.chain.bindings.consortium import Consortium
from ledger.chain.bindings.recognitionrows import (
    AgreementInfo,
    EqaEntry,
    EqaInfo,
    InstitutionInfo,
    RangeInfo,
    RuleVersionInfo,
)
from ledger.errors import ConflictError
from ledger.identifiers import ascii_bytes32, member_bytes32, parse_region, text_from_bytes32
from ledger.medical.standing import Agreement, Eqa, Institution, Range, Standing
from ledger.model import MemberStatus, Roles

#: How many results or items one call takes.
MAX_ENTRIES = 200


class Recognition(Binding):
    """Reads and calldata of Recognition; times are Unix seconds, regions six digits.

    Every read and ``encode_…`` raises ConflictError(medical.not-founded) in a city that has no such contract.
    """

    contract = "Recognition"

    @property
    def founded(self) -> bool:
        """Whether this city has the contract."""
        return self.address != NO_ADDRESS

    def require_founded(self) -> None:
        """Raises ConflictError(medical.not-founded) in a city without the contract."""
        if not self.founded:
            raise ConflictError(
                "medical.not-founded",
                "this city was founded before medical results were recognised: it has no contract Recognition",
                hint="its Consortium knows no hospitals and cannot be replaced: found a city with this software",
            )

    # --- rules and items ----------------------------------------------------------------------------------------------
    def rules(self, region: str, height: int | None = None) -> tuple[RuleVersionInfo, ...]:
        """Every version of a region's rules, withdrawn ones included."""
        found: list[RuleVersionInfo] = []
        while True:
            page = self._read("rules", int(parse_region(region)), len(found), PAGE, height=height)[0]
            for row in page:
                found.append(rows.rule_version(region, len(found) + 1, self._named("rules", row)))
            if len(page) < PAGE:
                return tuple(found)

    def rules_at(self, region: str, time_s: int, height: int | None = None) -> RuleVersionInfo | None:
        """The version in force in a region at a time; None where there is none."""
        version, _ = self._read("rulesAt", int(parse_region(region)), time_s, height=height)
        if not version:
            return None
        (row,) = self._read("rules", int(region), version - 1, 1, height=height)[0]
        return rows.rule_version(region, version, self._named("rules", row))

    def rule_regions(self, height: int | None = None) -> tuple[str, ...]:
        """Regions that ever adopted rules."""
        with reading("region"):
            return tuple(rows.region_text(number) for number in self._list("ruleRegions", height))

    def items(self, height: int | None = None) -> tuple[str, ...]:
        """Ids of every item the chain knows, in order of adding."""
        with reading("item"):
            return tuple(text_from_bytes32(id_) for id_, _ in paged(self._pages("items", height)))

    # --- institutions, ranges, quality assessment, agreements ---------------------------------------------------------
    def institution(self, member: str, height: int | None = None) -> InstitutionInfo | None:
        """An institution's entry; None for one never entered."""
        row = self._found("institution", member_bytes32(member), height=height)
        return None if row is None else rows.institution(member_bytes32(member), row)

    def institutions(self, height: int | None = None) -> Iterator[InstitutionInfo]:
        """Every institution, in order of entry, those taken off included."""
        for id_, row in paged(self._pages("institutions", height)):
            yield rows.institution(id_, self._named("institutions", row, 1))

    def label_range(self, code: str, height: int | None = None) -> RangeInfo | None:
        """A label range, ended or not; None for a code never opened."""
        row = self._found("labelRange", ascii_bytes32(code), height=height)
        return None if row is None else rows.label_range(ascii_bytes32(code), row)

    def ranges(self, height: int | None = None) -> Iterator[RangeInfo]:
        """Every label range, in order of opening."""
        for id_, row in paged(self._pages("ranges", height)):
            yield rows.label_range(id_, self._named("ranges", row, 1))

    def eqa(self, identifier: bytes, height: int | None = None) -> EqaInfo | None:
        """A record of quality assessment, revoked or not; None for an unknown one."""
        row = self._found("eqa", identifier, height=height)
        return None if row is None else rows.eqa(identifier, row)

    def eqas(self, height: int | None = None) -> Iterator[EqaInfo]:
        """Every record of quality assessment, in order of recording."""
        for id_, row in paged(self._pages("eqas", height)):
            yield rows.eqa(id_, self._named("eqas", row, 1))

    def eqas_page(self, first: int, count: int, height: int | None = None) -> tuple[tuple[EqaInfo, ...], int]:
        """Records in order of recording from ``first`` on, at most 200, and how many there are in all."""
        found = self._eqa_page("eqas", (), first, count, height)
        return found, int(self._read("eqaCount", height=height)[0])

    def eqas_of_page(
        self, member: str, first: int, count: int, height: int | None = None
    ) -> tuple[tuple[EqaInfo, ...], int]:
        """Records of an institution from ``first`` on, at most 200, and how many it has in all."""
        id_ = member_bytes32(member)
        found = self._eqa_page("eqasOf", (id_,), first, count, height)
        return found, int(self._read("eqaCountOf", id_, height=height)[0])

    def agreements(self, height: int | None = None) -> Iterator[AgreementInfo]:
        """Every agreement, proposed, in force, ended or refused."""
        for number, row in enumerate(self._list("agreements", height), start=1):
            # The contract takes no more items than a page holds.
            items = self._read("agreementItems", number, 0, PAGE, height=height)[0]
            yield rows.agreement(number, self._named("agreements", row), items)

    # --- calldata -----------------------------------------------------------------------------------------------------
    def encode_adopt_rules(self, version: int, digest: bytes, in_force_from: int = 0) -> bytes:
        """Adopt the next version of the own region's rules, in force from a time (0: now)."""
        return self.encode("adoptRules", version, digest, in_force_from)

    def encode_withdraw_rules(self, version: int, reason_digest: bytes) -> bytes:
        """Take back a version that is not in force yet."""
        return self.encode("withdrawRules", version, reason_digest)

    def encode_add_items(self, items: Sequence[str]) -> bytes:
        """Make items known, at most 200 a call."""
        return self.encode("addItems", [ascii_bytes32(item) for item in items])

    def encode_set_institution(self, member: str, level: int) -> bytes:
        """Enter an institution with its level, change it, or take it off (0)."""
        return self.encode("setInstitution", member_bytes32(member), level)

    def encode_open_range(self, code: str, label: str, quality: str, valid_from: int = 0) -> bytes:
        """Open a label range from a time (0: now)."""
        return self.encode(
            "openRange", ascii_bytes32(code), label.encode().ljust(32, b"\0"), member_bytes32(quality), valid_from
        )

    def encode_end_range(self, code: str, reason_digest: bytes, valid_until: int = 0) -> bytes:
        """End a range now (0), or shorten it."""
        return self.encode("endRange", ascii_bytes32(code), valid_until, reason_digest)

    def encode_record_eqas(self, entries: Sequence[EqaEntry]) -> bytes:
        """Record results of quality assessment, at most 200 a call."""
        results = [
            (
                ascii_bytes32(entry.range),
                ascii_bytes32(entry.item),
                member_bytes32(entry.institution),
                ascii_bytes32(entry.scheme),
                entry.certificate_digest,
                entry.round,
                entry.passed,
                entry.valid_from,
                entry.valid_until,
            )
            for entry in entries
        ]
        return self.encode("recordEqas", results)

    def encode_revoke_eqa(self, identifier: bytes, reason_digest: bytes, since: int = 0) -> bytes:
        """Revoke a record since a time (0: now)."""
        return self.encode("revokeEqa", identifier, since, reason_digest)

    def encode_propose_agreement(self, code: str, other: str, items: Sequence[str]) -> bytes:
        """Propose an agreement on a range and items to another region; the items are sorted here."""
        listed = sorted(ascii_bytes32(item) for item in items)
        return self.encode("proposeAgreement", ascii_bytes32(code), int(parse_region(other)), listed)

    def encode_accept_agreement(self, number: int) -> bytes:
        """Accept another region's proposal."""
        return self.encode("acceptAgreement", number)

    def encode_end_agreement(self, number: int, reason_digest: bytes) -> bytes:
        """End an agreement, refuse a proposal, or take it back."""
        return self.encode("endAgreement", number, reason_digest)

    # --- inside -------------------------------------------------------------------------------------------------------
    def encode(self, function: str, *args: object) -> bytes:
        """Calldata of any function by name."""
        self.require_founded()
        return super().encode(function, *args)

    def _read(self, function: str, *args: object, height: int | None = None) -> tuple[Any, ...]:
        self.require_founded()
        return super()._read(function, *args, height=height)

    def _pages(
        self, function: str, height: int | None
    ) -> Callable[[int, int], tuple[tuple[bytes, ...], tuple[Any, ...]]]:
        def read(first: int, count: int) -> tuple[tuple[bytes, ...], tuple[Any, ...]]:
            ids, entries = self._read(function, first, count, height=height)
            return ids, entries

        return read

    def _list(self, function: str, height: int | None) -> Iterator[Any]:
        """Every entry of a paging view without ids."""
        first = 0
        while True:
            page = self._read(function, first, PAGE, height=height)[0]
            yield from page
            if len(page) < PAGE:
                return
            first += PAGE

    def _eqa_page(
        self, function: str, args: tuple[bytes, ...], first: int, count: int, height: int | None
    ) -> tuple[EqaInfo, ...]:
        ids, entries = self._read(function, *args, first, min(count, PAGE), height=height)
        return tuple(rows.eqa(id_, self._named(function, row, 1)) for id_, row in zip(ids, entries, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What Recognition alone says for a decision: everything but which institutions are active members."""

    ranges: tuple[Range, ...]
    eqas: tuple[Eqa, ...]
    agreements: tuple[Agreement, ...]
    institutions: tuple[InstitutionInfo, ...]

    def standing(self, hospitals: frozenset[str]) -> Standing:
        """With the members of today: an institution is active while it is among ``hospitals`` and has a level."""
        return Standing(
            ranges=self.ranges,
            eqas=self.eqas,
            agreements=self.agreements,
            institutions=tuple(
                Institution(
                    member=info.member,
                    region=info.region,
                    level=info.level,
                    active=bool(info.level) and info.member in hospitals,
                )
                for info in self.institutions
            ),
        )


def recorded(recognition: Recognition, height: int | None = None) -> Recorded:
    """All of Recognition at one height (None: the head of each read), page by page."""
    return Recorded(
        ranges=tuple(_range(info) for info in recognition.ranges(height)),
        eqas=tuple(_eqa(info) for info in recognition.eqas(height)),
        agreements=tuple(part for info in recognition.agreements(height) for part in _agreements(info)),
        institutions=tuple(recognition.institutions(height)),
    )


def hospitals(consortium: Consortium, height: int | None = None) -> frozenset[str]:
    """The active members with the role hospital."""
    return frozenset(
        info.uscc
        for info in consortium.members(height)
        if info.status is MemberStatus.ACTIVE and Roles.HOSPITAL in info.roles
    )


def standing(consortium: Consortium, recognition: Recognition, height: int | None = None) -> Standing:
    """Everything the chain says for a decision, at one height (None: the head of each read)."""
    return recorded(recognition, height).standing(hospitals(consortium, height))


def _range(info: RangeInfo) -> Range:
    return Range(
        code=info.code,
        name=info.label,
        quality=info.quality,
        from_s=info.valid_from,
        until_s=info.valid_until or None,
    )


def _eqa(info: EqaInfo) -> Eqa:
    return Eqa(
        identifier=info.id,
        range=info.range,
        item=info.item,
        institution=info.institution,
        scheme=info.scheme,
        round=str(info.round),
        passed=info.passed,
        from_s=info.valid_from,
        until_s=info.valid_until,
        revoked_s=info.revoked_since or None,
        quality=info.by,
    )


def _agreements(info: AgreementInfo) -> Iterator[Agreement]:
    """Two for each item, because an agreement is mutual; none of a proposal, which holds nothing."""
    if not info.accepted_at:
        return
    for item in info.items:
        for given, counts in ((info.region, info.other), (info.other, info.region)):
            yield Agreement(
                range=info.range,
                item=item,
                region_a=given,
                region_b=counts,
                from_s=info.accepted_at,
                ended_s=info.ended_at or None,
            )
