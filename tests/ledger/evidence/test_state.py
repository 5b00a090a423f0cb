"""Slots, packed values and proofs: against the compiler's layout and a naive trie."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import rlp
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import UntrustedError
from ledger.evidence import state
from ledger.identifiers import ascii_bytes32, member_bytes32
from ledger.model import KeyRole, MemberStatus, Roles
from tests.ledger.evidence.city import USCCS, packed, word
from tests.ledger.evidence.naive_trie import EMPTY_ROOT, Trie

ROOT = Path(__file__).resolve().parents[3]
USCC = USCCS[1]


def layout(contract: str) -> dict[str, int]:
    """label -> slot of the compiler's output, and of the first struct level as ``struct.field`` -> (slot, offset)."""
    found = json.loads((ROOT / "contracts" / "storageLayout.json").read_text())[contract]
    slots = {item["label"]: item["slot"] for item in found["storage"]}
    for name, fields in found["structs"].items():
        for item in fields:
            slots[f"{name.rsplit('.')[-1]}.{item['label']}"] = 32 * item["slot"] + item["offset"]
    return slots


def mapped(key: bytes, slot: int, offset: int = 0) -> bytes:
    return ((int.from_bytes(keccak(key + word(slot)), "big") + offset) % 2**256).to_bytes(32, "big")


def test_slots_are_where_the_compiler_puts_them() -> None:
    consortium, anchors = layout("Consortium"), layout("Anchors")
    member = state.member_slots(USCC)
    key = member_bytes32(USCC)
    assert member.packed == mapped(key, consortium["_members"])
    assert member.handle == mapped(key, consortium["_members"], consortium["Member.handle"] // 32)
    assert member.account == mapped(key, consortium["_members"], consortium["Member.account"] // 32)
    key_slots = state.key_slots(b"m" * 32)
    assert key_slots.member == mapped(b"m" * 32, consortium["_keys"], consortium["Key.member"] // 32)
    assert key_slots.packed == mapped(b"m" * 32, consortium["_keys"], consortium["Key.role"] // 32)
    assert state.member_of_slot(b"a" * 20) == mapped(bytes(12) + b"a" * 20, consortium["_memberOf"])
    assert state.active_count_slot() == word(consortium["_activeCount"])
    assert state.contract_slot("Anchors") == mapped(ascii_bytes32("Anchors"), consortium["_contracts"])
    anchor = state.anchor_slots(USCC)
    for slot, name in ((anchor.root, "root"), (anchor.index_root, "indexRoot"), (anchor.packed, "size")):
        assert slot == mapped(key, anchors["_anchors"], anchors[f"Anchor.{name}"] // 32)


def test_packed_fields_are_where_the_compiler_puts_them() -> None:
    consortium, anchors = layout("Consortium"), layout("Anchors")
    for struct, names, widths, places in (
        (
            "Member",
            ("status", "roles", "region", "logGeneration", "since", "validator"),
            (1, 4, 4, 2, 8, 1),
            consortium,
        ),
        ("Key", ("role", "status", "validFrom", "validTo", "endedAt"), (1, 1, 8, 8, 8), consortium),
        ("Anchor", ("size", "time", "generation"), (8, 8, 2), anchors),
    ):
        start = places[f"{struct}.{names[0]}"]
        for number, name in enumerate(names):
            assert places[f"{struct}.{name}"] == start + sum(widths[:number]), f"{struct}.{name}"


def test_members() -> None:
    flags = packed((2, 1), (5, 4), (310000, 4), (3, 2), (1_795_000_000, 8), (1, 1))
    member = state.decode_member(USCC, flags, ascii_bytes32("audit"), b"a" * 20)
    assert member is not None
    assert (member.status, member.roles) == (MemberStatus.SUSPENDED, Roles.SUPERVISOR | Roles.QUALITY)
    assert (member.region, member.handle, member.generation) == ("310000", "audit", 3)
    assert (member.since, member.validator) == (1_795_000_000, True)
    full = state.decode_member(USCC, flags, ascii_bytes32("audit"), bytes(12) + b"a" * 20)
    assert full is not None
    assert full.account == b"a" * 20
    assert state.decode_member(USCC, bytes(32), bytes(32)) is None


@pytest.mark.parametrize(
    ("flags", "handle"),
    [
        (packed((4, 1), (0, 4), (310000, 4), (1, 2)), "audit"),
        (packed((1, 1), (0, 4), (999999, 4), (1, 2)), "audit"),
        (packed((1, 1), (0, 4), (310000, 4), (1, 2), (0, 8), (2, 1)), "audit"),
        (packed((1, 1), (0, 4), (310000, 4), (1, 2), (0, 8), (1, 1), (1, 1)), "audit"),
        (packed((1, 1), (0, 4), (310000, 4), (1, 2)), "AUDIT"),
    ],
)
def test_slots_that_hold_no_member(flags: bytes, handle: str) -> None:
    with pytest.raises(UntrustedError) as caught:
        state.decode_member(USCC, flags, ascii_bytes32(handle))
    assert caught.value.code in {"state.member", "state.packed"}


def test_keys() -> None:
    flags = packed((7, 1), (2, 1), (10, 8), (20, 8), (15, 8))
    key = state.decode_key(b"m" * 32, member_bytes32(USCC), flags)
    assert key is not None
    assert (key.role, key.status, key.member) == (KeyRole.WITNESS, "retired", USCC)
    assert (key.valid_from, key.valid_to, key.ended_at) == (10, 20, 15)
    assert state.decode_key(b"m" * 32, bytes(32), bytes(32)) is None
    for member, bad in (
        (member_bytes32(USCC), packed((0, 1), (1, 1))),
        (member_bytes32(USCC), packed((10, 1), (1, 1))),
        (member_bytes32(USCC), packed((1, 1), (0, 1))),
        (bytes(32), flags),
        (member_bytes32(USCC), bytes(32)),
    ):
        with pytest.raises(UntrustedError) as caught:
            state.decode_key(b"m" * 32, member, bad)
        assert caught.value.code == "state.key"


def test_anchors_and_addresses() -> None:
    anchor = state.decode_anchor(b"r" * 32, packed((7, 8), (9, 8), (2, 2)))
    assert anchor == state.Anchor(root=b"r" * 32, size=7, time=9, generation=2)
    assert state.decode_anchor(bytes(32), bytes(32)) is None
    assert state.decode_address(bytes(12) + b"a" * 20) == b"a" * 20
    for value in (bytes(32), b"\1" + bytes(11) + b"a" * 20):
        with pytest.raises(UntrustedError) as caught:
            state.decode_address(value)
        assert caught.value.code == "state.address"


SLOTS = st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(1, 2**256 - 1), max_size=40)


@given(SLOTS, st.binary(min_size=32, max_size=32), st.data())
def test_storage_proofs_of_a_naive_trie(values: dict[bytes, int], absent: bytes, data: st.DataObject) -> None:
    trie = Trie({slot: rlp.encode(value) for slot, value in values.items()})
    if not values:
        assert trie.root == EMPTY_ROOT
    for slot in [*list(values)[:5], absent]:
        proof = trie.proof(slot)
        assert state.verify_storage(trie.root, slot, proof) == word(values.get(slot, 0))
        if proof:
            spoiled = list(proof)
            place = data.draw(st.integers(0, len(proof) - 1))
            spoiled[place] = spoiled[place][:-1] + bytes([spoiled[place][-1] ^ 1])
            for wrong in (spoiled, proof[:-1], [*proof, proof[-1]], proof[::-1] if len(proof) > 1 else []):
                with pytest.raises(UntrustedError) as caught:
                    state.verify_storage(trie.root, slot, wrong)
                assert caught.value.code == "state.storage"


def test_account_proofs_of_a_naive_trie() -> None:
    accounts = {random.randbytes(20): (number, random.randbytes(32)) for number in range(60)}
    trie = Trie({address: rlp.encode([nonce, 3, EMPTY_ROOT, code]) for address, (nonce, code) in accounts.items()})
    for address, (nonce, code) in accounts.items():
        proof = trie.proof(address)
        found = state.verify_account(trie.root, address, proof)
        assert (found.nonce, found.balance, found.storage_hash, found.code_hash) == (nonce, 3, EMPTY_ROOT, code)
        for wrong in (proof[:-1], [*proof, proof[0]]):
            with pytest.raises(UntrustedError) as caught:
                state.verify_account(trie.root, address, wrong)
            assert caught.value.code == "state.account"
    assert state.verify_account(trie.root, b"none" * 5, trie.proof(b"none" * 5)).nonce == 0
