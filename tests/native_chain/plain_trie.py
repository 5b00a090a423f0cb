"""A Merkle Patricia trie as the yellow paper's appendix D says it, from all leaves at once: slow, short, obvious."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rlp

from ledger._native import keccak256

EMPTY_ROOT = keccak256(rlp.encode(b""))


def trie_root(leaves: Mapping[bytes, bytes]) -> bytes:
    """Root over keccak256(key) -> value."""
    if not leaves:
        return EMPTY_ROOT
    return keccak256(rlp.encode(_node(sorted((keccak256(key).hex(), value) for key, value in leaves.items()))))


Accounts = Mapping[bytes, tuple[int, int, bytes, Mapping[bytes, int]]]


def state_root(accounts: Accounts, *, keep_nothing: bool = False) -> bytes:
    """Root over address -> (nonce, balance, code, slot -> value).

    Empty accounts (EIP-161) and slots of zero are no leaves, unless ``keep_nothing``.
    """
    leaves = {}
    for address, (nonce, balance, code, storage) in accounts.items():
        if keep_nothing or nonce or balance or code:
            slots = trie_root({slot: rlp.encode(value) for slot, value in storage.items() if keep_nothing or value})
            leaves[address] = rlp.encode([nonce, balance, slots, keccak256(code)])
    return trie_root(leaves)


def _node(items: list[tuple[str, bytes]]) -> list[Any]:
    if len(items) == 1:
        return [_compact(items[0][0], leaf=True), items[0][1]]
    first, last = items[0][0], items[-1][0]
    shared = next(place for place in range(len(first)) if first[place] != last[place])
    if shared:
        return [_compact(first[:shared], leaf=False), _reference([(path[shared:], value) for path, value in items])]
    below = ([(path[1:], value) for path, value in items if path[0] == nibble] for nibble in "0123456789abcdef")
    return [*map(_reference, below), b""]


def _reference(items: list[tuple[str, bytes]]) -> Any:
    if not items:
        return b""
    node = _node(items)
    encoded = rlp.encode(node)
    return node if len(encoded) < 32 else keccak256(encoded)


def _compact(path: str, *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(path) % 2
    return bytes.fromhex(f"{flag:x}{'' if len(path) % 2 else '0'}{path}")
