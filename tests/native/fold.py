"""The naive reference of RFC 6962 section 2.1, and the fold: every proof of every tree up to 130 leaves in one digest.

The fold lets implementations in other languages show that they agree with this one on all small trees:

- entry ``i`` is the 4-byte big-endian number ``i``, for ``i`` in 0 .. 129; its leaf hash is ``SHA-256(0x00 || entry)``;
- a *chain* over items starts at 32 zero bytes and goes on with ``SHA-256(chain || item)`` for each item in order;
- ``roots``: the items are the roots of sizes 0, 1, .. 130 (32 bytes each);
- ``inclusion``: for size in 1 .. 130, for index in 0 .. size - 1:
  ``u32be index || u32be size || leaf || root || u8 n || n hashes`` of the proof, leaf to root;
- ``consistency``: for size2 in 1 .. 130, for size1 in 1 .. size2:
  ``u32be size1 || u32be size2 || root1 || root2 || u8 n || n hashes`` of the proof in RFC 6962 order (n = 0 when the
  sizes are equal);
- the fold is ``SHA-256(roots || inclusion || consistency)``.

A verifier without makers (the Solidity library) checks the items of one chain and folds those it accepts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

SIZES = 130
#: What every implementation must come to.
ROOTS = "ce249eba439b46afc2aaa8317b67e7c911e7011de1466e0fe0fa98a7fc3b4720"
INCLUSION = "1006804a70bdb8d77c2650692f91c39e0b17ff46e384253727194fa9b083501a"
CONSISTENCY = "7515749f304b23bc5f9ea2067e603e3fb78f81a7f474b63cccc0f09e5069c8d4"
FOLD = "506b142d82fa755fdc431fb814e394571c4a6e70cddc77dc1531d36a062a892e"


def leaf(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return sha256(b"\0" + entry).digest()


def split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def root(leaves: list[bytes]) -> bytes:
    """MTH."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = split(len(leaves))
    return sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), root(leaves[k:])]
    return [*path(index - k, leaves[k:]), root(leaves[:k])]


def proof(size1: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """PROOF (SUBPROOF with ``whole`` as its flag), for size1 >= 1."""
    if size1 == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if size1 <= k:
        return [*proof(size1, leaves[:k], whole), root(leaves[k:])]
    return [*proof(size1 - k, leaves[k:], False), root(leaves[:k])]


def fold_leaves() -> list[bytes]:
    """The leaf hashes of the fold."""
    return [leaf(number.to_bytes(4, "big")) for number in range(SIZES)]


def inclusion_item(index: int, size: int, leaf_hash: bytes, root_hash: bytes, hashes: list[bytes]) -> bytes:
    """One item of the inclusion chain."""
    sizes = index.to_bytes(4, "big") + size.to_bytes(4, "big")
    return sizes + leaf_hash + root_hash + bytes([len(hashes)]) + b"".join(hashes)


def consistency_cases() -> Iterator[tuple[int, int, bytes, bytes, list[bytes]]]:
    """(size1, size2, root1, root2, proof) of every item of the consistency chain, in order."""
    leaves = fold_leaves()
    roots = [root(leaves[:size]) for size in range(SIZES + 1)]
    for size2 in range(1, SIZES + 1):
        for size1 in range(1, size2 + 1):
            yield size1, size2, roots[size1], roots[size2], proof(size1, leaves[:size2])


def consistency_item(size1: int, size2: int, root1: bytes, root2: bytes, hashes: list[bytes]) -> bytes:
    """One item of the consistency chain."""
    sizes = size1.to_bytes(4, "big") + size2.to_bytes(4, "big")
    return sizes + root1 + root2 + bytes([len(hashes)]) + b"".join(hashes)


def chain(items: Iterable[bytes]) -> bytes:
    """Fold items into one digest."""
    digest = bytes(32)
    for item in items:
        digest = sha256(digest + item).digest()
    return digest


def fold(roots: bytes, inclusion: bytes, consistency: bytes) -> bytes:
    """The one digest."""
    return sha256(roots + inclusion + consistency).digest()
