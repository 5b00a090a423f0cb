"""Merkle proofs by the names the library uses, against a naive recursive tree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import UntrustedError
from ledger.evidence import merkle
from tests.native import fold

LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(70)]


def test_hashes() -> None:
    assert merkle.leaf_hash(b"x") == hashlib.sha256(b"\0x").digest()
    assert merkle.node_hash(b"a" * 32, b"b" * 32) == hashlib.sha256(b"\1" + b"a" * 32 + b"b" * 32).digest()
    assert merkle.root([]) == merkle.EMPTY_ROOT


def test_reference_tree(vectors: Path) -> None:
    tree = json.loads((vectors / "rfc6962-reference-tree" / "tree.json").read_text())
    leaves = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in tree["leaves_hex"]]
    assert [merkle.root(leaves[:size]).hex() for size in range(9)] == tree["roots_by_size"]


@given(st.integers(1, 70), st.data())
def test_inclusion_of_every_leaf_and_of_no_other(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root(LEAVES[:size])
    assert root == fold.root(LEAVES[:size])
    proof = merkle.inclusion_proof(LEAVES, index, size)
    assert list(proof) == fold.path(index, LEAVES[:size])
    merkle.verify_inclusion(LEAVES[index], index, size, root, proof)
    wrong = data.draw(st.integers(0, size + 1).filter(lambda other: other != index))
    for leaf, place, count, top, path in (
        (LEAVES[index], wrong, size, root, proof),
        (merkle.leaf_hash(b"other"), index, size, root, proof),
        (LEAVES[index], index, size, bytes(32), proof),
        (LEAVES[index], index, size, root, (*proof, bytes(32))),
        (LEAVES[index], index, 0, root, proof),
    ):
        with pytest.raises(UntrustedError) as caught:
            merkle.verify_inclusion(leaf, place, count, top, path)
        assert caught.value.code == "inclusion.proof"


@given(st.integers(1, 70), st.data())
def test_consistency_of_prefixes_and_of_nothing_else(size2: int, data: st.DataObject) -> None:
    size1 = data.draw(st.integers(1, size2))
    root1, root2 = merkle.root(LEAVES[:size1]), merkle.root(LEAVES[:size2])
    proof = merkle.consistency_proof(LEAVES, size1, size2)
    assert list(proof) == fold.proof(size1, LEAVES[:size2])
    merkle.verify_consistency(size1, size2, root1, root2, proof)
    for first, second, path in ((bytes(32), root2, proof), (root1, bytes(32), proof), (root1, root2, (*proof, root1))):
        with pytest.raises(UntrustedError) as caught:
            merkle.verify_consistency(size1, size2, first, second, path)
        assert caught.value.code == "consistency.proof"
    with pytest.raises(UntrustedError):
        merkle.verify_consistency(size2 + 1, size2, root2, root2, ())
