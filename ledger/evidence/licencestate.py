"""What storage proofs establish about licences: an issuer's key and accreditation, a version of a status list.

The slots of the contract Licences are frozen (``contracts/storageLayout.json``): ``_types`` at 0; ``_accreditations``
at 1 (type, then member, then an array of spans); ``_lists`` at 2 (issuer, then list: the uri's digest and an array of
versions). What is entered of a time that has passed never changes: a proof under any later state root still tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Final

from ledger.codec import keccak256
from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.licencebundle import MAX_SPANS
from ledger.evidence.pieces import LicenceEvidence
from ledger.evidence.proven import SlotReader, open_contract, take_key
from ledger.evidence.seal import Seal
from ledger.evidence.state import contract_slot, decode_address, decode_count, key_slots, mapping_slot, slot_at, unpack
from ledger.identifiers import licence_type_bytes32, member_bytes32, member_from_bytes32
from ledger.model import KeyInfo, KeyRole, StatusVersionInfo

_TYPES: Final = 0
_ACCREDITATIONS: Final = 1
_LISTS: Final = 2
#: Words of one span, and of one version of a list.
_SPAN_WORDS: Final = 4
_VERSION_WORDS: Final = 3
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenSpan:
    """A span in which a member may issue a type: ``valid_from`` <= t < ``valid_until`` (Unix seconds, 0 open)."""

    number: int
    valid_from: int
    valid_until: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenIssuer:
    """An issuer's key, and spans of its accreditation for a type, as the chain has them; by :func:`read_issuer` only.

    ``withdrawn_at``: Unix seconds, 0 while the type is in use. Spans that were not proven are not judged.
    """

    type_code: str
    member: str
    key: KeyInfo
    withdrawn_at: int
    spans: tuple[ProvenSpan, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)

    def accredited_at(self, time_s: int) -> ProvenSpan | None:
        """The proven span that covers a time at which the type was in use."""
        if self.withdrawn_at and time_s >= self.withdrawn_at:
            return None
        for span in self.spans:
            if span.valid_from <= time_s and (not span.valid_until or time_s < span.valid_until):
                return span
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenList:
    """A version of a status list as the chain has it; by :func:`read_list` only.

    ``uri_digest``: SHA-256 of the list's uri; ``versions``: how many this state has, the newest has that number.
    """

    uri_digest: bytes
    version: StatusVersionInfo
    versions: int
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def issuer_consortium_slots(key: bytes) -> tuple[bytes, ...]:
    """The Consortium slots for an issuer's key (32-byte material): address of Licences, the key's member and flags."""
    wanted = key_slots(key)
    return contract_slot("Licences"), wanted.member, wanted.packed


def issuer_slots(code: str, member: str, numbers: Sequence[int]) -> tuple[bytes, ...]:
    """The Licences slots for an issuer: the type's times, the number of spans, and of each its times and who gave it.

    ``numbers``: the spans to be proven, from 1, ascending.
    """
    count, first = _array(
        mapping_slot(mapping_slot(_ACCREDITATIONS, licence_type_bytes32(code)), member_bytes32(member))
    )
    slots = [slot_at(mapping_slot(_TYPES, licence_type_bytes32(code)), 0), count]
    for number in numbers:
        place = first + _SPAN_WORDS * (number - 1)
        slots += [slot_at(place, 0), slot_at(place, 1)]
    return tuple(slots)


def list_consortium_slots() -> tuple[bytes, ...]:
    """The Consortium slot for a status list: the address of Licences."""
    return (contract_slot("Licences"),)


def list_slots(issuer: str, number: int, version: int) -> tuple[bytes, ...]:
    """The Licences slots for a version of a list: the uri's digest, the number of versions, the version's words."""
    place = mapping_slot(mapping_slot(_LISTS, member_bytes32(issuer)), number.to_bytes(32, "big"))
    count, first = _array(place + 1)
    place_of_version = first + _VERSION_WORDS * (version - 1)
    return slot_at(place, 0), count, *(slot_at(place_of_version, word) for word in range(_VERSION_WORDS))


def read_issuer(
    evidence: LicenceEvidence,
    state_root: bytes,
    *,
    code: str,
    member: str,
    key: bytes,
    numbers: Sequence[int],
    consortium: bytes,
    consortium_code_hash: bytes,
    licences_code_hash: bytes,
) -> ProvenIssuer:
    """Verify every proof and read the issuer's key and spans from it.

    ``consortium``: the contract's address (20 bytes); ``key``: 32-byte material; code hashes: 32 bytes. Raises:
    UntrustedError(state.* | licence.unknown-type).
    """
    if list(numbers) != sorted(set(numbers)) or len(numbers) > MAX_SPANS or (numbers and numbers[0] < 1):
        raise UntrustedError("state.slots", "spans are proven once each, ascending from 1, at most 32")
    slots = open_contract(evidence.consortium, state_root, consortium, consortium_code_hash, "Consortium")
    wanted = issuer_consortium_slots(key)
    address = decode_address(slots.take(wanted[0], "the address of Licences"))
    found = take_key(slots, key, KeyRole.ISSUER)
    slots.done()
    if found.member != member:
        raise UntrustedError(
            "state.issuer-key", "the issuer's key is another member's", expected=member, actual=found.member
        )
    slots = open_contract(evidence.licences, state_root, address, licences_code_hash, "Licences")
    places = iter(issuer_slots(code, member, numbers))
    defined_at, withdrawn_at, _ = unpack(slots.take(next(places), "the licence type"), 8, 8, 8)
    if not defined_at:
        raise UntrustedError("licence.unknown-type", f"the chain knows no licence type {code}", actual=code)
    count = decode_count(slots.take(next(places), "the number of accreditations"))
    spans = tuple(_take_span(slots, number, count, next(places), next(places)) for number in numbers)
    slots.done()
    return ProvenIssuer(type_code=code, member=member, key=found, withdrawn_at=withdrawn_at, spans=spans, seal=_SEAL)


def read_list(
    evidence: LicenceEvidence,
    state_root: bytes,
    *,
    issuer: str,
    number: int,
    version: int,
    consortium: bytes,
    consortium_code_hash: bytes,
    licences_code_hash: bytes,
) -> ProvenList:
    """Verify every proof and read a version of a status list from it.

    Raises: UntrustedError(state.*), also where the list had no such version in this state.
    """
    slots = open_contract(evidence.consortium, state_root, consortium, consortium_code_hash, "Consortium")
    address = decode_address(slots.take(list_consortium_slots()[0], "the address of Licences"))
    slots.done()
    slots = open_contract(evidence.licences, state_root, address, licences_code_hash, "Licences")
    uri, length, *words = list_slots(issuer, number, version)
    uri_digest = slots.take(uri, "the list's uri")
    versions = decode_count(slots.take(length, "the number of versions"))
    if not 1 <= version <= versions:
        raise UntrustedError("state.status-list", "the list has no such version", expected=versions, actual=version)
    list_digest = slots.take(words[0], "the list's digest")
    token_digest = slots.take(words[1], "the token's digest")
    time, inflated, bits = unpack(slots.take(words[2], "the version's time and size"), 8, 4, 1)
    slots.done()
    return ProvenList(
        uri_digest=uri_digest,
        version=StatusVersionInfo(
            issuer=issuer,
            number=number,
            version=version,
            list_digest=list_digest,
            token_digest=token_digest,
            time=time,
            inflated_bytes=inflated,
            bits=bits,
        ),
        versions=versions,
        seal=_SEAL,
    )


def _take_span(slots: SlotReader, number: int, count: int, times: bytes, by: bytes) -> ProvenSpan:
    if number > count:
        raise UntrustedError(
            "state.accreditation", "the member has no such accreditation", expected=count, actual=number
        )
    valid_from, valid_until, _, _ = unpack(slots.take(times, f"accreditation {number}"), 8, 8, 8, 8)
    body = slots.take(by, f"who gave accreditation {number}")
    try:
        return ProvenSpan(number=number, valid_from=valid_from, valid_until=valid_until, by=member_from_bytes32(body))
    except LedgerError as error:
        raise UntrustedError("state.accreditation", f"the slot holds no member: {error.message}", actual=body) from None


def _array(place: int) -> tuple[bytes, int]:
    """The slot of a dynamic array's length, and where its first item begins."""
    length = slot_at(place, 0)
    return length, int.from_bytes(keccak256(length), "big")
