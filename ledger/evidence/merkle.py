"""RFC 6962 Merkle trees: hashes, roots, and proofs made and verified.

Hashes are 32 bytes. The work is done natively; here the errors get the names this library's callers rely on.
Source: RFC 6962, section 2.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from ledger import _native
from ledger.errors import LedgerError, UntrustedError

#: The root of the tree of no leaves.
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """``SHA-256(0x00 || entry)``."""
    return _native.leaf_hash(entry)


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 || left || right)``."""
    return _native.node_hash(left, right)


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    return _native.merkle_root(leaf_hashes)


def bundle_leaves(bundle: bytes, count: int) -> bytes:
    """The leaf hashes of an entry bundle (C2SP tlog-tiles) of exactly ``count`` entries, concatenated.

    Raises: UntrustedError(tile.bundle).
    """
    return _native.bundle_leaves(bundle, count)


def tile_roots(hashes: bytes) -> bytes:
    """The roots of full tiles (256 hashes, 8,192 bytes each) lying one after another, concatenated.

    Raises: InvalidInputError(tile.length).
    """
    return _native.tile_roots(hashes)


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> tuple[bytes, ...]:
    """The audit path of a leaf in the tree of the first ``size`` leaves, from the leaf's sibling up."""
    return tuple(_native.inclusion_proof(leaf_hashes, index, size))


def consistency_proof(leaf_hashes: Sequence[bytes], size1: int, size2: int) -> tuple[bytes, ...]:
    """The proof that the first ``size1`` leaves are a prefix of the first ``size2``."""
    return tuple(_native.consistency_proof(leaf_hashes, size1, size2))


def verify_inclusion(leaf: bytes, index: int, size: int, tree_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the leaf hash stands at ``index`` of the tree. Raises: UntrustedError(inclusion.proof)."""
    try:
        _native.verify_inclusion(leaf, index, size, tree_root, proof)
    except LedgerError as error:
        raise UntrustedError(
            "inclusion.proof",
            f"the entry is not at index {index} of the tree of size {size}: {error.message}",
            hint="the record, its index or the proof was changed, or belongs to another checkpoint",
            expected=error.expected,
            actual=error.actual,
        ) from None


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the second tree extends the first. Raises: UntrustedError(consistency.proof)."""
    try:
        _native.verify_consistency(size1, size2, root1, root2, proof)
    except LedgerError as error:
        raise UntrustedError(
            "consistency.proof",
            f"the tree of size {size2} does not extend that of size {size1}: {error.message}",
            hint="the log was rewritten or shortened, or the proof is for other sizes",
            expected=error.expected,
            actual=error.actual,
        ) from None
