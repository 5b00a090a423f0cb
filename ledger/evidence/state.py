"""The contracts' frozen storage as a verifier reads it: slots, their values, and proofs of both.

Slots follow Solidity's layout rules: the value of ``mapping(key => value)`` at slot ``p`` starts at
``keccak256(key || p)``. The layout itself is fixed in ``contracts/storageLayout.json``.
Sources: EIP-1186; Solidity documentation, "Layout of State Variables in Storage".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import _native
from ledger.codec import keccak256
from ledger.errors import LedgerError, UntrustedError
from ledger.identifiers import (
    ascii_bytes32,
    member_bytes32,
    member_from_bytes32,
    parse_handle,
    parse_region,
    text_from_bytes32,
)
from ledger.model import KeyInfo, KeyRole, KeyStatus, MemberInfo, MemberStatus, Roles

_MEMBER_OF: Final = 0
_MEMBERS: Final = 1
_ACTIVE_COUNT: Final = 2
_KEYS: Final = 3
_CONTRACTS: Final = 5
_ANCHORS: Final = 0

_KEY_STATUS: Final[dict[int, KeyStatus]] = {1: "active", 2: "retired", 3: "compromised"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSlots:
    """Where a member stands: flags (status, roles, region, generation, since, validator), handle, account."""

    packed: bytes
    handle: bytes
    account: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySlots:
    """Where a key stands: its member, and role, status and times."""

    member: bytes
    packed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSlots:
    """Where a member's anchor stands: root, index root, and size, time and generation."""

    root: bytes
    index_root: bytes
    packed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The newest anchored head of a member's log. ``time``: Unix seconds of the block that recorded it."""

    root: bytes
    size: int
    time: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """A proven account."""

    nonce: int
    balance: int
    code_hash: bytes
    storage_hash: bytes


def member_slots(uscc: str) -> MemberSlots:
    """Slots of a member in Consortium."""
    base = mapping_slot(_MEMBERS, member_bytes32(uscc))
    return MemberSlots(packed=slot_at(base, 0), handle=slot_at(base, 1), account=slot_at(base, 2))


def member_of_slot(address: bytes) -> bytes:
    """Slot of the member id that an account (20 bytes) acts for, in Consortium."""
    return slot_at(mapping_slot(_MEMBER_OF, address.rjust(32, b"\0")), 0)


def key_slots(material: bytes) -> KeySlots:
    """Slots of a key in Consortium, by its 32-byte material."""
    base = mapping_slot(_KEYS, material)
    return KeySlots(member=slot_at(base, 0), packed=slot_at(base, 1))


def active_count_slot() -> bytes:
    """Slot of the number of active members in Consortium."""
    return slot_at(_ACTIVE_COUNT, 0)


def contract_slot(name: str) -> bytes:
    """Slot of the address of ``Directory``, ``Grants``, ``Anchors`` or ``Licences`` in Consortium."""
    return slot_at(mapping_slot(_CONTRACTS, ascii_bytes32(name)), 0)


def anchor_slots(uscc: str) -> AnchorSlots:
    """Slots of a member's anchor in Anchors."""
    base = mapping_slot(_ANCHORS, member_bytes32(uscc))
    return AnchorSlots(root=slot_at(base, 0), index_root=slot_at(base, 1), packed=slot_at(base, 2))


def decode_member(uscc: str, packed: bytes, handle: bytes, account: bytes | None = None) -> MemberInfo | None:
    """The member in its slots' values (32 bytes each), None where there is none.

    ``account`` is empty in the answer where its slot was not read. Raises: UntrustedError(state.member).
    """
    if packed == bytes(32):
        return None
    fields = unpack(packed, 1, 4, 4, 2, 8, 1)
    status, roles, region, generation, since, validator = fields
    try:
        if validator > 1:
            raise ValueError("validator flag")
        return MemberInfo(
            uscc=uscc,
            handle=parse_handle(text_from_bytes32(handle)),
            region=parse_region(f"{region:06d}"),
            roles=Roles(roles),
            status=MemberStatus(status),
            account=b"" if account is None else account[12:],
            generation=generation,
            since=since,
            validator=bool(validator),
        )
    except (ValueError, LedgerError) as error:
        raise UntrustedError("state.member", f"the slots of {uscc} hold no member: {error}", actual=packed) from None


def decode_key(material: bytes, member: bytes, packed: bytes) -> KeyInfo | None:
    """The key in its slots' values (32 bytes each), None where there is none. Raises: UntrustedError(state.key)."""
    if packed == bytes(32) and member == bytes(32):
        return None
    role, status, valid_from, valid_to, ended_at = unpack(packed, 1, 1, 8, 8, 8)
    try:
        return KeyInfo(
            material=material,
            member=member_from_bytes32(member),
            role=KeyRole(role),
            status=_KEY_STATUS[status],
            valid_from=valid_from,
            valid_to=valid_to,
            ended_at=ended_at,
        )
    except (ValueError, KeyError, LedgerError) as error:
        raise UntrustedError("state.key", f"the slots hold no key: {error}", actual=packed) from None


def decode_anchor(root: bytes, packed: bytes) -> Anchor | None:
    """The anchor in its slots' values, None where nothing was anchored yet. Raises: UntrustedError(state.anchor)."""
    if packed == bytes(32):
        return None
    size, time, generation = unpack(packed, 8, 8, 2)
    return Anchor(root=root, size=size, time=time, generation=generation)


def decode_address(value: bytes) -> bytes:
    """The 20 bytes of an address slot. Raises: UntrustedError(state.address)."""
    if value[:12] != bytes(12) or value == bytes(32):
        raise UntrustedError("state.address", "the slot holds no address", actual=value)
    return value[12:]


def decode_count(value: bytes) -> int:
    """A uint256 slot."""
    return int.from_bytes(value, "big")


def verify_account(state_root: bytes, address: bytes, proof: Sequence[bytes]) -> AccountState:
    """The account under a state root; every proof node must be used. Raises: UntrustedError(state.account)."""
    try:
        fields = _native.verify_account(state_root, address, proof)
    except LedgerError as error:
        raise UntrustedError(
            "state.account",
            f"the proof of account 0x{address.hex()} does not verify: {error.message}",
            expected=error.expected,
            actual=error.actual,
        ) from None
    return AccountState(
        nonce=_int(fields["nonce"]),
        balance=_int(fields["balance"]),
        code_hash=_bytes(fields["code_hash"]),
        storage_hash=_bytes(fields["storage_hash"]),
    )


def verify_storage(storage_hash: bytes, slot: bytes, proof: Sequence[bytes]) -> bytes:
    """The 32-byte value of a slot, zeros when proven absent; every node must be used.

    Raises: UntrustedError(state.storage).
    """
    try:
        return _native.verify_storage(storage_hash, slot, proof)
    except LedgerError as error:
        raise UntrustedError(
            "state.storage",
            f"the proof of slot 0x{slot.hex()} does not verify: {error.message}",
            expected=error.expected,
            actual=error.actual,
        ) from None


def mapping_slot(slot: int, key: bytes) -> int:
    """Where the value of ``mapping(key => value)`` at a slot begins; ``key``: 32 bytes."""
    return int.from_bytes(keccak256(key + slot.to_bytes(32, "big")), "big")


def slot_at(base: int, offset: int) -> bytes:
    """The slot (32 bytes) that lies ``offset`` words after another."""
    return ((base + offset) % 2**256).to_bytes(32, "big")


def unpack(word: bytes, *widths: int) -> tuple[int, ...]:
    """The fields (widths in bytes) of a packed slot from the low end on; what lies above them must be zero.

    Raises: UntrustedError(state.packed).
    """
    rest, fields = int.from_bytes(word, "big"), []
    for width in widths:
        fields.append(rest & (1 << 8 * width) - 1)
        rest >>= 8 * width
    if rest:
        raise UntrustedError("state.packed", "a packed slot has bits beyond its fields", actual=word)
    return tuple(fields)


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(type(value))
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(type(value))
    return value
